"""The W&B mirror with the real wandb, offline; what it wrote is read back by wandb itself."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from efficiency_bench.campaign.run import run
from efficiency_bench.tracking import wandb_mirror
from efficiency_bench.tracking.wandb_mirror import WandbMirror, mode
from tests.campaign.tiny import tiny


@pytest.fixture
def offline(monkeypatch, tmp_path):
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")


def test_without_a_key_it_is_offline_and_with_one_online(offline, monkeypatch, tmp_path):
    assert mode() == "offline"
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password x\n")
    (tmp_path / ".netrc").chmod(0o600)  # Python's netrc refuses one that others can read
    assert mode() == "online"
    (tmp_path / ".netrc").unlink()
    monkeypatch.setenv("WANDB_API_KEY", "x")
    assert mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert mode() == "disabled"


def records(folder: Path) -> list[dict]:
    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    wandb = Path(sys.executable).with_name("wandb")
    read = subprocess.run(
        [wandb, "leet", "inspect", "--json", path], capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in read.stdout.splitlines()]


def test_a_run_appears_with_its_curves_its_crossing_and_its_entry(offline, tmp_path):
    folder = tmp_path / "run"
    options = ("experiment=shufflenet_v2_x1_0", "recipe.epochs=1", "target.value=0.05")
    config = tiny(tmp_path, *options, f"run_dir={folder}")
    outcome = run(config, lambda place: [WandbMirror("project", "sweep", place)])
    text = json.dumps(records(folder))
    assert outcome.entry.run_id in text
    assert "shufflenet_v2_x1_0 seed 0" in text
    assert '"sweep"' in text, "grouped by its sweep"
    for name in ("top1", "images", "paper3x_tfs_days", "train_seconds"):
        assert name in text
    assert "sustained_crossing_epochs" in text
    assert f"entry-{outcome.entry.run_id}" in text, "the entry as an artifact"


def test_a_wandb_that_raises_never_reaches_the_run(offline, tmp_path, monkeypatch, caplog):
    # a wandb that cannot start: the real module, its init replaced
    import wandb

    def broken(**_):
        raise RuntimeError("no service")

    monkeypatch.setattr(wandb, "init", broken)
    options = ("experiment=shufflenet_v2_x1_0", "recipe.epochs=0.3", "target.value=1.0")
    config = tiny(tmp_path, *options, f"run_dir={tmp_path / 'run'}")
    outcome = run(config, lambda place: [WandbMirror("project", None, place)])
    assert outcome.exit_code == 0
    assert "W&B mirror incomplete: RuntimeError: no service" in caplog.text


def test_a_wandb_that_hangs_is_left_behind(offline, tmp_path, monkeypatch, caplog):
    import wandb

    release = threading.Event()
    monkeypatch.setattr(wandb, "init", lambda **_: release.wait())
    monkeypatch.setattr(wandb_mirror, "CLOSE_TIMEOUT_SECONDS", 0.1)
    options = ("experiment=shufflenet_v2_x1_0", "recipe.epochs=0.3", "target.value=1.0")
    config = tiny(tmp_path, *options, f"run_dir={tmp_path / 'run'}")
    outcome = run(config, lambda place: [WandbMirror("project", None, place)])
    release.set()
    assert outcome.exit_code == 0
    assert "no answer" in caplog.text
