"""The state of a run while it trains, and of the sweep that it belongs to, as numbers and words."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from efficiency_bench.ledger.history import Event
from efficiency_bench.stop_rule import metric_of_start


class RunState:
    """What the events of a run say about its progress so far; accuracies are fractions."""

    def __init__(self, start: Event) -> None:
        self.start = start
        self.metric = metric_of_start(start)
        self.steps = 0
        self.images = 0
        self.epochs = 0.0
        self.train_seconds = 0.0
        self.evaluation_seconds = 0.0
        self.paper3x_tfs_days = 0.0
        self.accuracy: float | None = None

    def add(self, event: Event) -> None:
        """Take in a ``progress`` or ``evaluation`` event."""
        self.steps, self.images = event["steps"], event["images"]
        self.epochs, self.train_seconds = event["epochs"], event["train_seconds"]
        if event["event"] == "evaluation":
            self.accuracy = event[self.metric]
            self.evaluation_seconds += event["evaluation_seconds"] or 0.0
        else:
            self.paper3x_tfs_days = event["paper3x_tfs_days"]

    @property
    def images_per_second(self) -> float | None:
        """Training throughput so far, evaluations not counted."""
        return self.images / self.train_seconds if self.train_seconds else None

    @property
    def left_seconds(self) -> float | None:
        """Seconds to the end of the schedule; None before the first step."""
        seconds = self.train_seconds + self.evaluation_seconds
        return left_seconds(self.steps, self.start["total_steps"], seconds)

    def row(self) -> dict[str, Any]:
        """The state as JSON values."""
        target, budget = self.start["target"], self.start.get("budget")
        return {
            "run_id": self.start["run_id"],
            "steps": self.steps,
            "total_steps": self.start["total_steps"],
            "epochs": self.epochs,
            "total_epochs": self.start["total_epochs"],
            "metric": self.metric,
            "accuracy": self.accuracy,
            "target": target and target["value"],
            "budget": budget and budget["asked"],
            "images_per_second": self.images_per_second,
            "left_seconds": self.left_seconds,
            "paper3x_tfs_days": self.paper3x_tfs_days,
        }

    def words(self) -> str:
        """Epoch, accuracy against target or budget, images/s and time left, in one line."""
        target, budget = self.start["target"], self.start.get("budget")
        reached = "-" if self.accuracy is None else f"{100 * self.accuracy:.1f}"
        goal = f" of {100 * target['value']:.1f}" if target else ""
        rate, left = self.images_per_second, self.left_seconds
        # a run with a target stops as soon as it has reached it
        most = "≤ " if target and self.start["config"].get("estimand") != "budgeted" else ""
        parts = [
            f"epoch {self.epochs:.2f}/{self.start['total_epochs']:g}",
            f"{self.metric} {reached}{goal} %",
            f"budget {budget['asked']:.4g}" if budget else "",
            "" if rate is None else f"{rate:.{0 if rate >= 10 else 1}f} images/s",
            "" if left is None else f"{most}{clock(left)} left",
        ]
        return "  ".join(filter(None, parts))


def left_seconds(steps: int, total_steps: int, seconds: float) -> float | None:
    """Seconds to the end of a schedule at the average time per step so far; None: no step yet."""
    return seconds / steps * (total_steps - steps) if steps else None


class SweepState:
    """How many runs of a sweep are done, and when the last one will be.

    A run that has not started is expected to take as long as the mean of those trained before it,
    or if there is none, as the current one in all.
    """

    def __init__(
        self, name: str, total: int, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self.total = total
        self.done = 0
        self._now = seconds
        self._began = seconds()
        self._took: list[float] = []  # seconds of each run trained by this command

    def begin(self) -> None:
        """A run begins."""
        self._began = self._now()

    def trained(self) -> None:
        """The run that began has been trained to its end."""
        self._took.append(self._now() - self._began)

    def left_seconds(self, of_run: float | None = None) -> float | None:
        """Seconds to the end of the sweep, if the current run has ``of_run`` left (None: all)."""
        if self._took:
            whole = sum(self._took) / len(self._took)
        elif of_run is not None:
            whole = self._now() - self._began + of_run
        else:
            return None
        current = whole if of_run is None else of_run
        return current + (self.total - self.done - 1) * whole

    def words(self, of_run: float | None = None, today: datetime | None = None) -> str:
        """How many runs are done and when the last one will be, by the clock of this machine."""
        done = f"sweep {self.name}: {self.done} of {self.total} runs done"
        left = self.left_seconds(of_run)
        if left is None or self.done == self.total:
            return done
        now = today or datetime.now()
        try:
            end = now + timedelta(seconds=left)
        except OverflowError:
            return done
        day = "" if end.date() == now.date() else f"{end:%d %b} "
        return f"{done}, ends about {day}{end:%H:%M}"


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
