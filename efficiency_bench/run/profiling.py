"""``profile=true``: a trace of a few steps by torch.profiler, in the run's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch.profiler import ProfilerActivity, profile, record_function, schedule

from efficiency_bench.training.trainer import Batch, TrainingRun

WARM_UP_STEPS = 5
"""Libraries select kernels and allocate memory in the first few steps."""

TRACED_STEPS = 5
"""A trace of one small step has thousands of events; five steps show what repeats."""

FOLDER = "profile"
TRACE = "trace.json.gz"  # for chrome://tracing or ui.perfetto.dev
TABLE = "operators.txt"  # torch's table of operators and parts of a step, sorted by time


class Profile:
    """Wraps the parts of a run from outside, so that a run without a profile has no overhead."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER

    def watch(self, run: TrainingRun) -> None:
        """Trace five steps of ``run``, starting with the sixth."""
        activities = [ProfilerActivity.CPU]
        if run.job.device.type == "cuda":
            activities.append(ProfilerActivity.CUDA)
        else:
            # without a GPU, Kineto prints a warning at every start
            os.environ.setdefault("KINETO_LOG_LEVEL", "99")
        steps = schedule(
            skip_first=WARM_UP_STEPS - 1, wait=0, warmup=1, active=TRACED_STEPS, repeat=1
        )
        self._profiler = profile(
            activities=activities, schedule=steps, on_trace_ready=self._write, acc_events=True
        )
        for part in ("forward", "backward", "update"):
            setattr(run.step, part, record_function(part)(getattr(run.step, part)))
        batches = run.batches
        setattr(run, "batches", lambda: self._stepped(batches()))  # noqa: B010  (mypy)
        self._profiler.start()

    def close(self) -> dict[str, Any]:
        """End the trace; returns the ``profile`` event's fields (null: the run was too short)."""
        self._profiler.stop()
        files = {"trace": self._folder / TRACE, "table": self._folder / TABLE}
        return {name: f"{FOLDER}/{f.name}" if f.exists() else None for name, f in files.items()}

    def _stepped(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        while True:
            with record_function("data"):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch
            self._profiler.step()

    def _write(self, traced: profile) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for file in (TRACE, TABLE):
            (self._folder / file).unlink(missing_ok=True)  # a link there would be written through
        traced.export_chrome_trace(str(self._folder / TRACE))
        table = traced.key_averages().table(sort_by="self_cpu_time_total", row_limit=40)
        (self._folder / TABLE).write_text(table)
