"""What the terminal shows of a run and of its sweep while it trains."""

from __future__ import annotations

import datetime
import io
import json
import re

import pytest
from rich.console import Console

from efficiency_bench.run.progress import RunState, SweepState
from efficiency_bench.run.terminal import RunProgress
from efficiency_bench.text_console import TextConsole

TARGET = {"metric": "top1", "value": 0.952, "tolerance": 0.0, "source": "setting"}


def start(target=None, budget=None, classes=10, metric=None, estimand="anytime"):
    """The start of a run of 40 steps and 8 epochs."""
    numerics = {"device": "cpu", "precision": "fp32", "channels_last": True}
    return {
        **{"event": "start", "run_id": "r", "experiment": "alexnet", "seed": 0, "data": "digits"},
        **{"classes": classes, "target": target, "total_steps": 40, "total_epochs": 8.0},
        **{"notes": [], "budget": budget and {"asked": budget}},
        "config": {**numerics, "target": {"metric": metric}, "estimand": estimand},
    }


def evaluation(steps=10, top1=0.41, top5=0.72):
    """After ``steps`` of 100 images, at 50 images/s of training and 6 s of evaluation."""
    return {
        **{"event": "evaluation", "steps": steps, "images": 100 * steps, "epochs": steps / 5},
        **{"train_seconds": 2.0 * steps, "evaluation_seconds": 6.0, "top1": top1, "top5": top5},
    }


def progressed(steps):
    fields = {"event": "progress", "paper3x_tfs_days": 1e-7 * steps}
    return {**evaluation(steps), **fields}


def said(*events, **settings):
    screen = io.StringIO()
    progress = RunProgress(TextConsole(file=screen, width=80), **settings)
    for event in events:
        progress(event)
    return screen.getvalue()


@pytest.mark.parametrize(
    ("classes", "asked", "shown"),
    [(100, "top1", "top1 41.0 %"), (100, None, "top5 72.0 %"), (10, None, "top1 41.0 %")],
)
def test_a_baselines_accuracy_is_shown_in_its_metric(classes, asked, shown):
    """A baseline has no target yet that names the metric."""
    assert shown in said(start(classes=classes, metric=asked), evaluation())


@pytest.mark.parametrize(
    ("begun", "words"),
    [
        # 10 steps took 20 s and an evaluation of 6 s: 30 more take 78 s
        (start(), "epoch 2.00/8  top1 41.0 %  50 images/s  1:18 left"),
        (start(TARGET), "epoch 2.00/8  top1 41.0 of 95.2 %  50 images/s  ≤ 1:18 left"),
        (start(None, 0.25), "epoch 2.00/8  top1 41.0 %  budget 0.25  50 images/s  1:18 left"),
        (start(TARGET, estimand="budgeted"), "top1 41.0 of 95.2 %  50 images/s  1:18 left"),
    ],
)
def test_without_a_terminal_an_evaluation_is_a_line(begun, words):
    text = said(begun, progressed(5), evaluation(), progressed(15))
    assert text.splitlines()[-1].strip().endswith(words)
    assert text.count("images/s") == 1, "progress between evaluations is not printed"
    assert "\x1b" not in text


def test_before_the_first_step_nothing_is_estimated():
    state = RunState(start(TARGET))
    assert state.words() == "epoch 0.00/8  top1 - of 95.2 %"
    assert (state.images_per_second, state.left_seconds) == (None, None)


def test_the_longest_line_fits_a_terminal_of_80_columns():
    screen = io.StringIO()
    console = Console(file=screen, width=80, force_terminal=True, color_system=None)
    sweep = SweepState("history-0123456789", 100)
    progress = RunProgress(console, 99, 100, sweep)
    progress(start(TARGET) | {"total_steps": 2000, "total_epochs": 300.0})
    seen = {**evaluation(1000), "images": 5 * 10**9, "epochs": 123.45, "train_seconds": 4e5}
    progress(seen)
    progress.close()
    drawn = [line for line in screen.getvalue().replace("\r", "\n").split("\n") if "epoch" in line]
    assert "epoch 123.45/300  top1 41.0 of 95.2 %  12500 images/s  ≤ 111:06:46 left" in drawn[-1]
    assert "━━━" in drawn[-1]
    assert len(re.sub(r"\x1b\[\d*[A-Z]", "", drawn[-1])) <= 80
    assert "sweep history-0123456789: 0 of 100 runs done, ends about" in screen.getvalue()


def test_for_machines_every_line_of_progress_is_json():
    text = said(
        *(start(TARGET), progressed(5), evaluation(), progressed(15), {"event": "end"}),
        **{"as_json": True, "number": 2, "total": 3},
    )
    header, *lines = text.splitlines()
    assert header.startswith("run 2/3 alexnet")
    events = [json.loads(line) for line in lines]
    # steps are written at most once a second
    assert [event["event"] for event in events] == ["start", "evaluation", "end"]
    assert events[1] == {
        **{"event": "evaluation", "run": 2, "runs": 3, "run_id": "r"},
        **{"steps": 10, "total_steps": 40, "epochs": 2.0, "total_epochs": 8.0},
        **{"metric": "top1", "accuracy": 0.41, "target": 0.952, "budget": None},
        **{"images_per_second": 50.0, "left_seconds": 78.0, "paper3x_tfs_days": 5e-7},
    }


def test_a_sweep_ends_when_its_remaining_runs_have_taken_the_mean():
    clock = iter([0, 0, 10, 100, 300]).__next__
    noon = datetime.datetime(2026, 3, 1, 12, 0)
    sweep = SweepState("card-1", 4, clock)
    assert sweep.words() == "sweep card-1: 0 of 4 runs done"
    sweep.begin()
    assert sweep.left_seconds(20) == 20 + 3 * 30, "the first is 10 s old: it takes 30 s in all"
    sweep.begin()
    sweep.trained()
    sweep.done = 1
    assert sweep.left_seconds() == 3 * 200
    assert sweep.left_seconds(50) == 50 + 2 * 200
    assert sweep.words(50, noon) == "sweep card-1: 1 of 4 runs done, ends about 12:07"
    assert sweep.words(43_200, noon).endswith("ends about 02 Mar 00:06")
    sweep.done = 4
    assert sweep.words() == "sweep card-1: 4 of 4 runs done"
