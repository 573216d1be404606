"""A real process, a real signal: exit 75, no entry, and the same command goes on to the end."""

import json
import signal

import pytest

from tests.commands import command, started
from tests.tiny import TINY, events_of

LONG = (
    "experiment=alexnet",
    "target.value=1.0",
    "recipe.epochs=8",
    "tracking.wandb=false",
    "run_dir=run",
    "ledger_dir=ledger",
    *TINY,
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_stops_the_run_at_a_step_and_the_same_command_goes_on(number, tmp_path):
    with started(tmp_path, *LONG) as process:
        process.send_signal(number)
        rest = process.stderr.read()
    assert process.returncode == 75
    assert "Traceback" not in rest
    assert "same command" in rest
    assert not list((tmp_path / "ledger").glob("*.json"))

    again = command("train", *LONG, "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "goes on after step" in again.stderr
    entry = json.loads(again.stdout)
    assert entry["images"] == 8 * 300
    assert entry["repeated_images"] == 0
    kinds = [event["event"] for event in events_of(tmp_path / "run")]
    assert [k for k in kinds if k not in ("progress", "evaluation")] == [
        "start",
        "interrupted",
        "resume",
        "end",
    ]


def test_a_second_process_on_the_same_folder_is_refused_and_named_the_first(tmp_path):
    with started(tmp_path, *LONG) as process:
        process.send_signal(signal.SIGSTOP)  # so that it is not over before the second begins
        second = command("train", *LONG, cwd=tmp_path)
        assert second.returncode == 2
        assert "in use" in second.stderr
        assert str(process.pid) in second.stderr
        process.kill()  # its lock goes with it
        process.stderr.read()
    again = command("train", *LONG, "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["images"] == 8 * 300
