"""A signal stops a real process with exit code 75; the same command resumes the run."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import time
from datetime import datetime

import pytest

from efficiency_bench.records import Entry
from efficiency_bench.reproducibility.data_and_counts import verify_ledger
from efficiency_bench.reproducibility.rerun import differences
from efficiency_bench.training.clock import STOPPED_FROM_SECONDS, TICK_SECONDS
from tests.commands import PROGRAM, command, started
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


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]
)
def test_a_signal_stops_the_run_after_a_step_and_the_same_command_resumes(number, tmp_path):
    with started(tmp_path, *LONG) as process:
        process.send_signal(number)
        rest = process.stderr.read()
    assert process.returncode == 75
    assert "Traceback" not in rest
    assert "same command" in rest
    assert not list((tmp_path / "ledger").glob("*.json"))

    again = command("train", *LONG, "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "resumes after step" in again.stderr
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


def test_a_second_process_in_the_same_folder_is_refused_with_the_pid_of_the_first(tmp_path):
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


SLOW = (*LONG, "experiment=vgg11", "recipe.batch_size=300")
"""A step takes a second or more, so that signals find the run inside one."""


def until(process, words):
    """Read the output of a process up to the line with ``words``."""
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"it never said {words!r}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_still_saves_and_exits_75(number, tmp_path):
    with started(tmp_path, *SLOW) as process:
        process.send_signal(number)
        until(process, "same command")
        process.send_signal(number)
        rest = process.stderr.read()
    assert process.returncode == 75
    assert "Traceback" not in rest
    assert events_of(tmp_path / "run")[-1]["event"] == "interrupted"
    assert list((tmp_path / "run").glob("checkpoint-*.pt"))


def test_repeated_signals_until_the_process_exits_give_75(tmp_path):
    with started(tmp_path, *LONG) as process, contextlib.suppress(ProcessLookupError):
        while process.returncode is None:
            process.send_signal(signal.SIGTERM)
    assert process.returncode == 75
    assert events_of(tmp_path / "run")[-1]["event"] == "interrupted"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_run_starts_exits_75_without_a_traceback(number, tmp_path):
    """It comes during an import, which takes seconds: here, for as long as the test wants."""
    os.mkfifo(tmp_path / "import")
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Wait:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'efficiency_bench.hydra_app':\n"
        "            sys.meta_path.remove(self)\n"
        "            open('import').read()\n"
        "sys.meta_path.insert(0, Wait())\n"
    )
    process = subprocess.Popen(
        [PROGRAM, "train", *LONG],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    with (tmp_path / "import").open("w"):  # opens as soon as the process waits there
        process.send_signal(number)
        _, said = process.communicate()
    assert process.returncode == 75, said
    assert "Traceback" not in said
    assert "same command" in said


def test_a_closed_terminal_saves_the_run_and_the_same_command_resumes(tmp_path):
    """A real terminal: when it goes, SIGHUP comes and every write to it fails."""
    master, slave = pty.openpty()
    run = subprocess.Popen(
        ["setsid", "--ctty", PROGRAM, "train", *LONG, "checkpoint_share=0"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    shown = b""
    while b"epoch 1" not in shown:
        shown += os.read(master, 1000)
    os.close(master)
    assert run.wait() == 75
    assert events_of(tmp_path / "run")[-1]["event"] == "interrupted"
    again = command("train", *LONG, "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["repeated_images"] == 0


def test_a_run_with_a_closed_output_pipe_finishes(tmp_path):
    """As in ``train ... 2>&1 | head -1``."""
    with started(tmp_path, *LONG) as process:
        process.stderr.close()
        assert process.wait() == 0
    assert events_of(tmp_path / "run")[-1]["event"] == "end"


def test_time_while_suspended_is_logged_but_not_on_the_training_clock(tmp_path):
    """What Slurm does to a job that is suspended for another (PreemptMode=SUSPEND)."""
    apart = ("run_dir=other", "ledger_dir=others")
    with started(tmp_path, *LONG) as process:
        process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        other = command("train", *LONG, *apart, "--json", cwd=tmp_path)
        while time.monotonic() - began < STOPPED_FROM_SECONDS + 1:
            command("status", cwd=tmp_path)
        stopped = time.monotonic() - began
        process.send_signal(signal.SIGCONT)
        rest = process.stderr.read()
    assert process.returncode == 0, rest
    assert "suspended for" in rest
    events = events_of(tmp_path / "run")
    (halted,) = [event for event in events if event["event"] == "halted"]
    # what two threads may have computed since the last look is not taken for a halt
    assert halted["seconds"] >= stopped - 2 * TICK_SECONDS
    start, end = (datetime.fromisoformat(events[i]["time_utc"]) for i in (0, -1))
    charged = events[-1]["train_seconds"] + events[-1]["evaluation_seconds"]
    assert charged + halted["seconds"] <= (end - start).total_seconds() + 0.001
    (path,) = (tmp_path / "ledger").glob("*.json")
    entry = Entry.model_validate_json(path.read_text())
    assert differences(entry, Entry.model_validate_json(other.stdout)) == []
    (result,) = verify_ledger(str(tmp_path / "ledger"), None, None)
    assert result.ok
    assert any("on no clock" in note.text for note in result.notes)
