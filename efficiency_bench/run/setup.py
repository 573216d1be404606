"""A run that is ready to start: the trainer's job, and the fields of the run's events."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from efficiency_bench.config import RunConfig, measured_part
from efficiency_bench.counting import ForwardCount, audited_count, trainable_parameters
from efficiency_bench.data import Data
from efficiency_bench.identity import config_digest, data_name, row_date
from efficiency_bench.models import build_model, check_input, known_arguments
from efficiency_bench.records import RateSearch, Segment, Target, paper3x_tfs_days
from efficiency_bench.run.budgeted import budget_fields, budgeted_recipe
from efficiency_bench.run.resume import PreviousAttempt
from efficiency_bench.seeds import derived_seed
from efficiency_bench.training.ranks import Ranks
from efficiency_bench.training.schedule import all_sides_px
from efficiency_bench.training.step import Numerics
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
    peak: Mapping[str, Any] | None
    """FLOP/s of the device and how it was measured when the run starts; None when it resumes."""
    search: RateSearch | None
    """The search that chose the learning rate; None: there was none."""

    @property
    def evaluation_seconds_before(self) -> float:
        """Evaluation seconds at the point where this attempt resumes."""
        state = self.earlier.state if self.earlier else None
        return 0.0 if state is None else float(state["evaluation_seconds"])

    @property
    def evaluated_before(self) -> bool:
        """Whether an earlier attempt has evaluated, so that training and evaluation fit."""
        events = self.earlier.events if self.earlier else ()
        return any(e["event"] == "evaluation" for e in events)

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


def build_job(
    config: RunConfig,
    data: Data,
    target: Target | None,
    stop_requested: Callable[[], bool],
    ranks: Ranks | None = None,
) -> Job:
    """The trainer's job: the model, its MAC counts at every image side, and the other inputs.

    A budgeted run is checked against its target only at its end, so the trainer gets no target.
    A budget sets the recipe's epochs.
    Without ``ranks`` the world size is 1.  Raises ValueError if ``ranks`` are not on
    ``config.device``: the network would be on one device and its autocast for the other.
    """
    ranks = ranks or Ranks(device=torch.device(config.device))
    if ranks.device.type != config.device:
        raise ValueError(f"the ranks are on {ranks.device.type}, the network on {config.device}")
    torch.manual_seed(derived_seed(config.seed, config.repeat, "weights"))
    sides = all_sides_px(config.recipe.progressive, config.data.image_px)
    model, counts = counted_model(config, len(data.classes), sides)
    forward_macs = {side: count.forward_macs for side, count in counts.items()}
    return Job(
        model=model,
        data=data,
        recipe=budgeted_recipe(config, len(data.classes), data.train_images, forward_macs),
        cadence=config.evaluation,
        target=None if config.estimand == "budgeted" else target,
        counts=counts,
        image_px=config.data.image_px,
        seed=derived_seed(config.seed, config.repeat, "training"),
        numerics=Numerics(config.precision, config.optimizer_kernel, config.compile),
        auxiliary_loss_weight=config.model.auxiliary_loss_weight,
        stop_requested=stop_requested,
        ranks=ranks,
    )


def counted_model(
    config: RunConfig, classes: int, sides_px: Sequence[int]
) -> tuple[nn.Module, dict[int, ForwardCount]]:
    """The network on its device, initialised by torch's global generator, and its MACs by side.

    Raises UserError if the network does not accept a side, or if the two counters disagree.
    """
    model = build_network(config, classes)
    for side in sides_px:
        check_input(model, side, config.model.name, config.form)
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    model = model.to(torch.device(config.device)).to(memory_format=layout)
    return model, {side: audited_count(model, (3, side, side)) for side in sides_px}


def build_network(config: RunConfig, classes: int) -> nn.Module:
    """The network on torch's default device, initialised by its global generator."""
    arguments, _ = model_arguments(config)
    return build_model(
        config.model.name,
        form=config.form,
        num_classes=classes,
        image_px=config.data.image_px,
        scale=config.model.scale,
        width=config.model.width,
        **arguments,
    )


def model_arguments(config: RunConfig) -> tuple[dict[str, Any], list[str]]:
    """The builder's arguments, and notes on those that were dropped.

    Regularisation of the recipe that this network does not support (stochastic depth in a VGG)
    is dropped with a note, so that any model works with any recipe.  The model's own arguments
    are passed unchanged, and the builder rejects an invalid one.
    """
    known = known_arguments(config.model.name, config.form)
    asked = config.recipe.model_arguments
    notes = [
        f"{config.model.name} has no {name}: the recipe's {name}={value} is left out"
        for name, value in asked.items()
        if name not in known
    ]
    used = {name: value for name, value in asked.items() if name in known}
    return {**config.model.arguments, **used}, notes


def start_fields(run: RunSetup, notes: Sequence[str], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the ``start`` event: all that is needed to recompute the entry from the log."""
    job = run.job
    measured, classes = measured_part(run.config), len(run.data.classes)
    return {
        "run_id": run.run_id,
        "experiment": run.config.experiment,
        "model": run.config.model.name,
        "recipe": run.config.recipe.name,
        "data": data_name(run.config.data.name, classes),
        "seed": run.config.seed,
        "repeat": run.config.repeat,
        "suite": run.config.suite,
        "date": row_date(measured),
        "target": None if run.target is None else run.target.model_dump(mode="json"),
        "classes": classes,
        "train_images": run.data.train_images,
        "val_images": run.data.val_images,
        "total_steps": job.total_steps,
        "total_epochs": job.recipe.epochs,
        "budget": None if run.config.budget is None else budget_fields(run.config, classes),
        "rates": run.search and run.search.model_dump(mode="json"),
        "parameters": trainable_parameters(job.model),
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
