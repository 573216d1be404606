"""The commands of the cluster page, run one by one on a real Slurm."""

import json
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]


def commands():
    """The page's code blocks that can run anywhere, in order."""
    page = (ROOT / "docs" / "cluster.md").read_text()
    return re.findall(r"^```bash\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)


def test_every_command_of_the_cluster_page_works_as_described(cluster):
    shutil.copytree(ROOT / "launch", cluster.folder / "launch")
    blocks = commands()
    printed = []
    for block in blocks:
        done = cluster.typed("bash", "-euc", f"export WANDB_MODE=disabled\n{block}")
        assert done.returncode == 0, (block, done.stdout, done.stderr)
        printed.append(done.stdout + done.stderr)
    settings, site, submitted, watched, again, srun, torchrun, batch, local, cores = printed
    assert "array_parallelism: 16" in settings
    assert not site
    assert "submitting 2 of 2 runs" in submitted
    assert "2 ended" in watched
    assert max(map(len, watched.splitlines())) <= 80
    status = json.loads((cluster.folder / "status.json").read_text())
    assert [run["state"] for run in status["runs"]] == ["ended", "ended"]
    assert [run["job"].split("_")[1] for run in status["runs"]] == ["0", "1"]
    assert "2 of 2 runs have ended" in again
    assert "submitting" not in again
    for several in (srun, torchrun):
        assert several.count("on digits: to top1") == 1
    assert "Submitted batch job" in batch
    assert "submitting 1 of 1 runs" in local
    assert "submitting 2 of 2 runs" in cores
    entries = [json.loads(p.read_text()) for p in (cluster.folder / "runs/ledger").glob("*.json")]
    assert sorted(entry["seed"] for entry in entries) == [0, 1, 2, 3, 4, 5, 6, 7]


def test_the_batch_script_requeues_itself_near_the_time_limit(cluster, undisturbed):
    shutil.copytree(ROOT / "launch", cluster.folder / "launch")
    from tests.cluster.sweeps import QUIET, RUN, until
    from tests.tiny import TINY

    sizes = ("--gpus-per-node=0", "--cpus-per-task=1", "--parsable")
    arguments = (*RUN, *TINY, *QUIET, "run_dir=run")
    job = cluster.typed("sbatch", *sizes, "launch/train.sbatch", *arguments).stdout.strip()
    until(lambda: cluster.evaluated("run"))
    assert cluster.typed("scancel", "--signal=USR2", job).returncode == 0
    until(lambda: "end" in cluster.kinds("run"))
    assert cluster.kinds("run") == ["start", "interrupted", "resume", "end"]
    until(lambda: list((cluster.folder / "runs/ledger").glob("*.json")))
    (entry,) = (cluster.folder / "runs/ledger").glob("*.json")
    assert json.loads(entry.read_text())["weights_digest"] == undisturbed
