"""Progress events in the log: all of a short run, a bounded number of a long one."""

from __future__ import annotations

import json

import pytest

from efficiency_bench.ledger import events
from efficiency_bench.ledger.events import (
    ALL_UNTIL,
    AT_MOST_EVERY_SECONDS,
    EventLog,
    ThrottledProgress,
    read_events,
)

MONTH_SECONDS = 30 * 86_400
LARGEST_LOG_BYTES = 50_000_000


class Clock:
    """A clock that the test advances, in seconds."""

    def __init__(self) -> None:
        self.now = 1e6

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def written(path):
    return [(event["event"], event.get("steps")) for event in read_events(path).events]


def test_a_short_run_keeps_all_its_progress(tmp_path, clock):
    with EventLog(tmp_path / "log") as log:
        thinned = ThrottledProgress(log, clock=clock)
        for steps in range(20, 220, 20):
            thinned.append("progress", steps=steps)
    assert written(tmp_path / "log") == [("progress", steps) for steps in range(20, 220, 20)]


def test_a_long_run_keeps_progress_every_30_s_and_the_last_before_any_other_event(
    tmp_path, clock, monkeypatch
):
    monkeypatch.setattr(events, "ALL_UNTIL", 2)
    with EventLog(tmp_path / "log") as log:
        thinned = ThrottledProgress(log, clock=clock)
        for steps in range(1, 8):
            thinned.append("progress", steps=steps)
            clock.now += AT_MOST_EVERY_SECONDS / 2
        thinned.append("progress", steps=8)
        thinned.append("progress", steps=9)
        thinned.append("evaluation", steps=9)
        thinned.append("evaluation", steps=9)
        thinned.append("progress", steps=10)
    assert written(tmp_path / "log") == [
        ("progress", 1),
        ("progress", 2),
        ("progress", 4),
        ("progress", 6),
        ("progress", 8),
        ("progress", 9),
        ("evaluation", 9),
        ("evaluation", 9),
    ]
    assert read_events(tmp_path / "log").broken_at is None


def test_a_resumed_run_continues_the_count_of_earlier_attempts(tmp_path, clock):
    with EventLog(tmp_path / "log") as log:
        thinned = ThrottledProgress(log, ALL_UNTIL, clock)
        for steps in (20, 40, 60):
            thinned.append("progress", steps=steps)
    assert written(tmp_path / "log") == [("progress", 20)]


def test_the_log_of_a_month_stays_under_fifty_megabytes(tmp_path, clock):
    """Ten steps and half a progress event per second, measured over two days and extrapolated."""

    class Counting:
        def __init__(self):
            self.lines = 0

        def append(self, kind, **fields):
            self.lines += 1

    fields = {
        "images": 6_635_520_000,
        "steps": 25_920_000,
        "epochs": 5179.411764705882,
        "loss": 1.2345678901234567,
        "train_seconds": 2591999.1234567891,
        "paper3x_tfs_days": 1.2345678901234567e-05,
    }
    counting, days = Counting(), 2
    thinned = ThrottledProgress(counting, ALL_UNTIL, clock)
    for _ in range(days * 86_400 // 2):
        thinned.append("progress", **fields)
        clock.now += 2
    lines = ALL_UNTIL + counting.lines / days * MONTH_SECONDS / 86_400
    with EventLog(tmp_path / "log") as log:
        log.append("progress", **fields)
    line_bytes = (tmp_path / "log").stat().st_size
    assert json.loads((tmp_path / "log").read_text())["steps"] == fields["steps"]
    assert lines * line_bytes < LARGEST_LOG_BYTES
    assert MONTH_SECONDS / 2 * line_bytes > 5 * LARGEST_LOG_BYTES, "unthinned it would not"
