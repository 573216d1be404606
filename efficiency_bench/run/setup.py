"""A run that is ready to start, and the fields of its events."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from efficiency_bench.config import RunConfig, measured_part
from efficiency_bench.counting import ForwardCount
from efficiency_bench.data import Data
from efficiency_bench.identity import config_digest, data_name, row_date
from efficiency_bench.records import Segment, Target, paper3x_tfs_days
from efficiency_bench.run.device import Peak
from efficiency_bench.run.resume import PreviousAttempt
from efficiency_bench.training.trainer import Ending, Job, Progress


@dataclass(frozen=True)
class RunSetup:
    """Everything about a run that is known before training."""

    config: RunConfig
    run_id: str
    folder: Path
    ledger_dir: Path
    data: Data
    target: Target | None
    job: Job
    setup_seconds: float
    earlier: PreviousAttempt | None
    """The attempt that this one resumes; None: there was none."""
    peak: Peak | None
    """Measured when the run starts; None when it resumes."""

    @property
    def evaluation_seconds_before(self) -> float:
        """Evaluation seconds at the point where this attempt resumes."""
        state = self.earlier.state if self.earlier else None
        return 0.0 if state is None else float(state["evaluation_seconds"])

    @property
    def progress_before(self) -> Progress | None:
        """Progress where this attempt resumes, in case it fails before the next step."""
        if self.earlier is None or self.earlier.state is None:
            return None
        state = self.earlier.state
        return Progress(
            images=state["images"],
            steps=state["steps"],
            epochs=state["images"] / self.data.train_images,
            loss=None,
            train_seconds=state["train_seconds"],
            segments=tuple(Segment(**segment) for segment in state["segments"]),
        )


def start_fields(run: RunSetup, notes: Sequence[str], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the ``start`` event: all that is needed to recompute the entry from the log."""
    job = run.job
    measured = measured_part(run.config)
    return {
        "run_id": run.run_id,
        "experiment": run.config.experiment,
        "model": run.config.model.name,
        "recipe": run.config.recipe.name,
        "data": data_name(run.config.data.name, len(run.data.classes)),
        "seed": run.config.seed,
        "repeat": run.config.repeat,
        "suite": run.config.suite,
        "date": row_date(measured),
        "target": None if run.target is None else run.target.model_dump(mode="json"),
        "classes": len(run.data.classes),
        "train_images": run.data.train_images,
        "val_images": run.data.val_images,
        "total_steps": job.total_steps,
        "total_epochs": job.recipe.epochs,
        "counts": {str(side): count_fields(count) for side, count in job.counts.items()},
        "notes": list(notes),
        "setup_seconds": run.setup_seconds,
        "data_digest": run.data.digest,
        "config_digest": config_digest(measured),
        "config": measured,
        "provenance": facts,
    }


def count_fields(count: ForwardCount) -> dict[str, Any]:
    """MACs per image as logged; the forward MACs also by operator."""
    return {
        "forward_macs": count.forward_macs,
        "first_layer_macs": count.first_layer_macs,
        "backward_macs": count.backward_macs,
        "by_operator": dict(count.by_operator),
    }


def progress_fields(progress: Progress) -> dict[str, Any]:
    """Fields of a ``progress`` event, with the compute so far."""
    fields = dataclasses.asdict(progress)
    del fields["segments"]
    return fields | {"paper3x_tfs_days": paper3x_tfs_days(progress.segments)}


def ending_fields(ending: Ending) -> dict[str, Any]:
    """Fields of the ``end`` or ``interrupted`` event: why and where it stopped, with segments."""
    fields = {f.name: getattr(ending, f.name) for f in dataclasses.fields(ending)}
    return fields | {"segments": [s.model_dump(mode="json") for s in ending.segments]}
