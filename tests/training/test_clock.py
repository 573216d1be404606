"""Which time counts as running time, on clocks that are set by hand."""

import time

import pytest
import torch

from efficiency_bench.training.clock import (
    STOPPED_FROM_SECONDS,
    TICK_SECONDS,
    Clock,
    RunningTime,
)

LONG = STOPPED_FROM_SECONDS + 2 * TICK_SECONDS


class Clocks:
    """A wall clock and a CPU time in seconds, advanced by hand."""

    def __init__(self):
        self.wall = self.used = 0.0
        self.running = RunningTime(lambda: self.wall, lambda: self.used)

    def advance(self, wall, used):
        self.wall += wall
        self.used += used
        return self.running()


def test_a_gap_without_cpu_time_counts_as_stopped_except_for_one_tick():
    clocks = Clocks()
    assert clocks.advance(TICK_SECONDS, TICK_SECONDS) == TICK_SECONDS
    assert clocks.advance(100.0, 0.0) == pytest.approx(2 * TICK_SECONDS)
    assert clocks.running.stopped_seconds == pytest.approx(100.0 - TICK_SECONDS)
    assert clocks.advance(TICK_SECONDS, 0.0) == pytest.approx(3 * TICK_SECONDS)


@pytest.mark.parametrize(
    ("gap", "used"),
    [
        (STOPPED_FROM_SECONDS, 0.0),  # too short to distinguish from a slow disk
        (LONG, LONG),  # one thread computed all the time and starved the background thread
        (100.0, 100.0 - STOPPED_FROM_SECONDS),
    ],
)
def test_a_busy_process_or_a_short_wait_is_charged(gap, used):
    assert Clocks().advance(gap, used) == gap


def test_cpu_time_around_a_stop_is_charged():
    assert Clocks().advance(100.0, 3.0) == pytest.approx(3.0 + TICK_SECONDS)


def test_stops_add_up_and_time_is_monotonic():
    clocks, seen = Clocks(), []
    for gap in (LONG, TICK_SECONDS, LONG, TICK_SECONDS):
        seen.append(clocks.advance(gap, 0.0))
    assert seen == sorted(seen)
    assert clocks.running.stopped_seconds == pytest.approx(2 * (LONG - TICK_SECONDS))


def test_a_thread_reads_the_clock_in_the_background():
    """A main thread that waits (for a GPU, say) uses no CPU time but is not stopped."""
    clock = Clock(torch.device("cpu"))
    reading = clock._running._last
    while clock._running._last == reading:
        time.sleep(TICK_SECONDS / 10)
    assert clock.stopped_seconds == 0.0
