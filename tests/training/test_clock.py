"""Which time counts as time in which the process ran, on clocks that are set by hand."""

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
    """Wall clock and processor time, in seconds."""

    def __init__(self):
        self.wall = self.used = 0.0
        self.running = RunningTime(lambda: self.wall, lambda: self.used)

    def later(self, wall, used):
        self.wall += wall
        self.used += used
        return self.running()


def test_a_process_without_processor_time_was_stopped_but_for_a_tick():
    clocks = Clocks()
    assert clocks.later(TICK_SECONDS, TICK_SECONDS) == TICK_SECONDS
    assert clocks.later(100.0, 0.0) == pytest.approx(2 * TICK_SECONDS)
    assert clocks.running.stopped_seconds == pytest.approx(100.0 - TICK_SECONDS)
    assert clocks.later(TICK_SECONDS, 0.0) == pytest.approx(3 * TICK_SECONDS)


@pytest.mark.parametrize(
    ("gap", "used"),
    [
        (STOPPED_FROM_SECONDS, 0.0),  # too short to be told from a slow disk
        (LONG, LONG),  # one thread computed all the time and let no other look
        (100.0, 100.0 - STOPPED_FROM_SECONDS),
    ],
)
def test_a_busy_process_or_a_short_wait_is_charged(gap, used):
    assert Clocks().later(gap, used) == gap


def test_what_was_computed_before_and_after_a_stop_is_charged():
    assert Clocks().later(100.0, 3.0) == pytest.approx(3.0 + TICK_SECONDS)


def test_two_stops_add_up_and_the_time_never_goes_back():
    clocks, seen = Clocks(), []
    for gap in (LONG, TICK_SECONDS, LONG, TICK_SECONDS):
        seen.append(clocks.later(gap, 0.0))
    assert seen == sorted(seen)
    assert clocks.running.stopped_seconds == pytest.approx(2 * (LONG - TICK_SECONDS))


def test_a_thread_looks_as_long_as_the_clock_is_there():
    """A main thread that waits, as for a GPU, uses no processor and is not stopped."""
    clock = Clock(torch.device("cpu"))
    looks = clock._running._last
    while clock._running._last == looks:
        time.sleep(TICK_SECONDS / 10)
    assert clock.stopped_seconds == 0.0
