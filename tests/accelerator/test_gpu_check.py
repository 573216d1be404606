"""`make gpu-check` goes through on the stand-in; its numbers are marked as no GPU's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("tests", "imagenet", "small", "choices", "limits")
COMMAND = ("benchmarks/gpu_check.py", *PARTS, "--quick")


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    out = tmp_path_factory.mktemp("gpu")
    done = subprocess.run(
        [sys.executable, "-m", "tests.accelerator.stand_in", *COMMAND, "--out", out],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done, out


def test_all_parts_run_and_every_check_has_a_verdict(ended):
    done, out = ended
    assert done.returncode == 0, done.stderr[-3000:]
    checks = [
        check
        for part in PARTS
        for check in json.loads((out / f"{part}.json").read_text())["checks"]
    ]
    assert len(checks) > 10
    assert not [
        c for c in checks if c["verdict"].startswith("FAILED") or "left out" in c["verdict"]
    ]
    (marked,) = [check for check in checks if check["what"] == "tests marked gpu"]
    # a process of its own, which has no stand-in: there is no card for these tests
    assert marked["verdict"] == "not run: every test was skipped"
    assert int(marked["result"].split()[2]) >= 5
    what = " ".join(check["what"] for check in checks)
    assert all(
        part in what
        for part in ("crops from", "SIGTERM", "energy (NVML", "compiled", "moving average")
    )


def test_the_table_says_that_these_are_no_gpus_numbers(ended):
    _, out = ended
    text = (out / "table.md").read_text()
    assert text.count("none of these numbers is a GPU's") == len(PARTS)
    assert not any("performance" in path.name for path in out.iterdir())


def test_without_a_gpu_it_is_refused(tmp_path):
    done = subprocess.run(
        [sys.executable, *COMMAND, "--out", tmp_path / "out"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "no CUDA device" in done.stdout
    assert not (tmp_path / "out").exists()


def test_the_options_of_two_processes_are_measured_with_two_processes(monkeypatch):
    """By gloo on CPUs, for real; with one card there is nothing to measure."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import gpu_check

    checks = list(gpu_check.ddp_options(2, ("--steps=1", "--pairs=1")))
    assert len(checks) == 2
    assert all("steps a second" in check["result"] for check in checks)
    assert all(" times the other" in check["verdict"] for check in checks)
    (alone,) = gpu_check.ddp_options(1, ())
    assert alone["verdict"] == "not tried: one GPU"
