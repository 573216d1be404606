"""A real process, a real signal: exit 75, no entry, and the same command goes on to the end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaign.tiny import TINY, command

LONG = ("experiment=shufflenet_v2_x1_0", "target.value=1.0", "tracking.wandb=false", *TINY)
PLACES = ("run_dir=run", "ledger_dir=ledger")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_run_at_a_step_and_the_command_can_be_given_again(number, tmp_path):
    program = Path(sys.executable).with_name("efficiency-bench")
    with subprocess.Popen(
        [program, "train", *LONG, *PLACES, "recipe.epochs=1000"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stderr:
            if "epoch" in line and "left" in line:  # it trains
                process.send_signal(number)
                break
        rest = process.stderr.read()
    assert process.returncode == 75
    assert "Traceback" not in rest
    assert "same command" in rest
    assert not list((tmp_path / "ledger").glob("*.json"))

    # another schedule is another run, so the short one starts in the same folder from nothing
    again = command("train", *LONG, *PLACES, "recipe.epochs=0.5", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "are processed again" in again.stderr
    assert len(list((tmp_path / "ledger").glob("*.json"))) == 1
