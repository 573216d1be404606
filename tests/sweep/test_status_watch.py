"""Watching a sweep: what is redrawn, and when watching ends."""

import io

import pytest
from rich.console import Console

from efficiency_bench.sweep.status_table import print_status, watch
from tests.report.printing import printed


def sweep(epochs, **states):
    """A sweep of one run, as ``status --json`` has it."""
    (state,) = (name for name, count in states.items() if count)
    run = {
        "name": "alexnet seed 0",
        "state": state,
        "detail": "",
        "epochs": epochs,
        "total_epochs": 4.0,
        "accuracy": None,
        "target": None,
        "left_seconds": None,
        "paper3x_tfs_days": epochs * 1e-6,
    }
    every = dict.fromkeys(("running", "preempted", "waiting", "arrived", "ended", "failed"), 0)
    return {
        "sweep": "card-1",
        "states": every | states,
        "paper3x_tfs_days": epochs * 1e-6,
        "left_seconds": 0,
        "runs": [run],
    }


def watched(*reads, terminal):
    """The output for these successive ``reads``, and the number of pauses between them."""
    left, pauses, stream = iter(reads), [], io.StringIO()
    console = Console(file=stream, width=80, force_terminal=terminal, color_system=None)
    watch(lambda: next(left), console, lambda: pauses.append(None))
    assert not list(left)
    return stream.getvalue(), len(pauses)


@pytest.mark.parametrize("terminal", [True, False])
def test_watching_continues_until_every_run_has_ended(terminal):
    going_on = (sweep(1, waiting=1), sweep(1, preempted=1), sweep(2, running=1))
    text, pauses = watched(*going_on, sweep(4, ended=1), terminal=terminal)
    assert pauses == 3
    assert "4.00/4" in text
    assert "1 ended; 4.00e-6 tfs-days so far" in text


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("state", ["arrived", "ended", "failed"])
def test_a_finished_sweep_is_shown_once(state, terminal):
    text, pauses = watched(sweep(4, **{state: 1}), terminal=terminal)
    assert pauses == 0
    assert "4.00/4" in text


RUN_ID = "shufflenet_v2_x1_0-cifar10-s12-5d1ceabc6e"


@pytest.mark.parametrize("wide", [False, True])
def test_names_and_run_ids_are_not_broken(wide):
    shown = sweep(12.34, preempted=1)
    (run,) = shown["runs"]
    run |= {"name": "experiment=shufflenet_v2_x1_0 seed=12", "run_id": RUN_ID}
    run |= {"total_epochs": 120.0, "accuracy": 0.953, "target": 0.952, "left_seconds": 12_345}
    text = printed(lambda console: print_status(shown, console, wide))
    assert wide or max(map(len, text.splitlines())) <= 80
    assert {"shufflenet_v2_x1_0", "seed=12"} <= set(text.split())
    assert (RUN_ID in text) == wide


def test_without_a_terminal_a_line_is_printed_only_on_a_change():
    same = sweep(1, running=1)
    text, _ = watched(same, same, same, sweep(2, running=1), sweep(4, ended=1), terminal=False)
    assert text.count("1 running; 1.00e-6") == 1
    assert text.count("1 running; 2.00e-6") == 1
    assert text.count("Sweep card-1") == 1
    assert "\x1b" not in text
