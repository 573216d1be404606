"""Where a run's time goes: a trace of a few steps, and an account of all that follow."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from efficiency_bench.records import exact_flops
from efficiency_bench.training.trainer import Batch, Run

T = TypeVar("T")

WARM_UP_STEPS = 5
"""Libraries choose their kernels and memory is taken in the first few."""

TRACED_STEPS = 5
"""A trace of one small step has thousands of events; five show what repeats."""

TRACE = "profile/trace.json.gz"
"""In the run's folder: for chrome://tracing or ui.perfetto.dev."""


class Profile:
    """Names the parts of a run's steps from outside, so that an unprofiled run does no more.

    On CUDA every part waits for the device before it ends: its time is its own, and what would
    have overlapped no longer does.  No number of the run depends on it but its seconds.
    """

    def __init__(self, folder: Path) -> None:
        self._trace = folder / TRACE
        self._seconds: dict[str, float] = {}
        self._steps = self._evaluations = 0
        self._profiler: profile | None = None
        self._began: float | None = None
        self._flops_before = 0.0

    def watch(self, run: Run) -> None:
        """Take the time of ``run``'s parts from here on."""
        self._run = run
        self._cuda = run.job.device.type == "cuda"
        step = run.step
        for owner, method, name in (
            (step, "forward", "forward"),
            (step, "backward", "backward"),
            (step, "update", "optimizer"),
            (run, "evaluate", "evaluation"),
        ):
            setattr(owner, method, self._named(name, getattr(owner, method)))
        batches = run.batches
        setattr(run, "batches", lambda: self._batches(batches()))  # noqa: B010  (mypy)

    def account(self) -> dict[str, Any]:
        """The ``profile`` event: seconds by part over the steps after the trace, if there are any.

        ``harness`` is what no part took: the log, the meter, progress and checkpoints.
        """
        ended = time.perf_counter()
        self._stop_trace()
        fields = {
            "trace": TRACE if self._trace.exists() else None,
            "traced_steps": min(TRACED_STEPS, max(0, self._steps - WARM_UP_STEPS)),
            "steps": max(0, self._steps - WARM_UP_STEPS - TRACED_STEPS),
        }
        if self._began is None:
            return fields | {"steps": 0}
        whole = ended - self._began
        parts = {**self._seconds, "harness": whole - sum(self._seconds.values())}
        training = whole - self._seconds.get("evaluation", 0.0)
        flops = exact_flops(self._run.meter.segments) - self._flops_before
        return fields | {
            "evaluations": self._evaluations,
            "seconds": parts,
            "flops_per_second": flops / training,
        }

    def _batches(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        while True:
            self._between_steps()
            with self._part("data"):
                batch = next(batches, None)
            if batch is None:
                return
            self._steps += 1
            yield batch

    def _between_steps(self) -> None:
        if self._steps == WARM_UP_STEPS:
            activities = [ProfilerActivity.CPU]
            if self._cuda:
                activities.append(ProfilerActivity.CUDA)
            else:
                # without a GPU it says on every start that it found none
                os.environ.setdefault("KINETO_LOG_LEVEL", "99")
            self._profiler = profile(activities=activities)
            self._profiler.start()
        elif self._steps == WARM_UP_STEPS + TRACED_STEPS:
            self._stop_trace()
            self._seconds.clear()
            self._evaluations = 0
            self._flops_before = exact_flops(self._run.meter.segments)
            self._began = time.perf_counter()

    def _stop_trace(self) -> None:
        if self._profiler is not None:
            self._profiler.stop()
            self._trace.parent.mkdir(parents=True, exist_ok=True)
            self._profiler.export_chrome_trace(str(self._trace))
            self._profiler = None

    def _named(self, name: str, part: Callable[..., T]) -> Callable[..., T]:
        def timed(*arguments: Any) -> T:
            with self._part(name):
                return part(*arguments)

        return timed

    @contextmanager
    def _part(self, name: str) -> Iterator[None]:
        self._wait()
        began = time.perf_counter()
        with record_function(name):
            yield
            self._wait()
        taken = time.perf_counter() - began
        self._seconds[name] = self._seconds.get(name, 0.0) + taken
        self._evaluations += name == "evaluation"

    def _wait(self) -> None:
        if self._cuda:
            torch.cuda.synchronize()
