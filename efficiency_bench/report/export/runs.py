"""The table ``runs``: one line per ledger entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from efficiency_bench.fitting.crossing_interval import CrossingEstimate, entry_crossing
from efficiency_bench.fitting.currencies import machine
from efficiency_bench.identity import setting
from efficiency_bench.ledger import costs
from efficiency_bench.records import Entry, Segment
from efficiency_bench.report.export.columns import Column, Table, TableSchema, Type, fill


@dataclass(frozen=True)
class Run:
    """A line of ``runs``: an entry, and where its curve crosses the target."""

    entry: Entry
    crossing: CrossingEstimate | None
    """None if there is no curve or no target, or if the run is a baseline, which sets its own."""


Read = Callable[[Run], Any]


def runs_table(entries: Iterable[Entry]) -> Table:
    """Return the table ``runs`` of ledger entries, in their order."""
    return fill(RUNS, map(_run, entries), lambda run: f"run {run.entry.run_id}")


def _run(entry: Entry) -> Run:
    return Run(entry, None if entry.sets_target else entry_crossing(entry, "sustained"))


def _field(name: str, kind: Type, unit: str | None, description: str) -> Column[Run]:
    """Return a column with the entry's field of the same name."""
    return Column(name, kind, unit, description, lambda run: getattr(run.entry, name))


def _setting(
    name: str, key: str, kind: Type, unit: str | None, description: str, before: Any = None
) -> Column[Run]:
    """Return a column with a setting of a measured run; older entries have the value ``before``."""

    def read(run: Run) -> Any:
        measured = run.entry.tier == "measured"
        return setting(run.entry.config, key, before) if measured else None

    return Column(name, kind, unit, description, read)


def _target(name: str) -> Read:
    return lambda run: getattr(run.entry.target, name) if run.entry.target else None


def _rates(name: str) -> Read:
    return lambda run: getattr(run.entry.rates, name) if run.entry.rates else None


def _measured(kind: Callable[[Entry], float | None]) -> Read:
    return lambda run: kind(run.entry)


def _best(metric: str) -> Read:
    def read(run: Run) -> float | None:
        found = (getattr(evaluation, metric) for evaluation in run.entry.evaluations)
        return max((accuracy for accuracy in found if accuracy is not None), default=None)

    return read


def _final(name: str) -> Read:
    return lambda run: getattr(run.entry.evaluations[-1], name) if run.entry.evaluations else None


def _mean_macs(macs: Callable[[Segment], int]) -> Read:
    def read(run: Run) -> float | None:
        images = sum(segment.images for segment in run.entry.segments)
        charged = sum(s.images * s.passes * macs(s) for s in run.entry.segments)
        return charged / images if images else None

    return read


def _train_images(run: Run) -> int | None:
    entry = run.entry
    if entry.tier != "measured" or not entry.images or not entry.epochs:
        return None
    return round(entry.images / entry.epochs)


def _image_px(run: Run) -> int | None:
    return max((segment.resolution_px for segment in run.entry.segments), default=None)


def _provenance(name: str) -> Read:
    return lambda run: getattr(run.entry.provenance, name) if run.entry.provenance else None


def _crossing(name: str) -> Read:
    return lambda run: getattr(run.crossing, name) if run.crossing else None


IDENTITY: tuple[Column[Run], ...] = (
    _field("run_id", "string", None, "Identifies the run; file name of its entry"),
    _field("experiment", "string", None, "Publication that the model and recipe come from, if any"),
    _field("model", "string", None, "Architecture"),
    _setting("form", "form", "string", None, "imagenet: as published; small: for 32 px and less"),
    _setting(
        *("scale", "model.scale", "number", None),
        "MACs of a small form, relative to those of the rule",
        before=1.0,
    ),
    _field("recipe", "string", None, "Training procedure"),
    _field("data", "string", None, "Data set"),
    _field("seed", "integer", None, "Seed of the run's random numbers"),
    _field("repeat", "integer", None, "Number of the repetition with the same seed, from 0"),
    _field("tier", "string", None, "measured here, imported curve, or published number"),
    _field("source", "string", None, "Where the entry comes from: a file or a publication"),
    _field(
        "estimand", "string", None, "anytime: stops at the target; budgeted: annealed to its end"
    ),
    _field("date", "date", None, "Date of the row: the later of the model's and the recipe's"),
    _setting("model_date", "model.published", "date", None, "First publication of the model"),
    _setting("recipe_date", "recipe.date", "date", None, "Publication of the recipe; empty: none"),
)
SETTINGS: tuple[Column[Run], ...] = (
    _field(
        "budget_asked", "number", "share of the baseline", "Compute requested; empty: no budget"
    ),
    _field("budget", "number", "share of the baseline", "Compute actually spent"),
    _setting("planned_epochs", "recipe.epochs", "number", "epoch", "Length of the whole schedule"),
    _setting("optimizer", "recipe.optimizer.name", "string", None, "Optimizer"),
    _setting("recipe_lr", "recipe.optimizer.lr", "number", None, "Peak learning rate"),
    Column("rates", "string", None, "File that the learning rate comes from", _rates("name")),
    Column(
        *("search_tfs_days", "number", "tfs-day"),
        "Compute of the learning-rate search; not part of any run's compute",
        _rates("search_tfs_days"),
    ),
    _setting("batch_size", "recipe.batch_size", "integer", "image", "Images per step"),
    _setting("momentum", "recipe.optimizer.momentum", "number", None, "Momentum"),
    _setting("weight_decay", "recipe.optimizer.weight_decay", "number", None, "Weight decay"),
    _setting("schedule", "recipe.schedule.name", "string", None, "Learning-rate schedule"),
    _setting("ema_decay", "recipe.ema_decay", "number", None, "Decay of averaged weights; 0: none"),
    _setting(
        *("inner_split", "data.inner_split", "number", "fraction"),
        "Share of the training images used for validation; 0: the validation set is used",
        before=0.0,
    ),
    _field("classes", "integer", None, "Classes of the data"),
    Column("train_images", "integer", "image", "Training images in one epoch", _train_images),
    Column("val_images", "integer", "image", "Validation images", _final("val_images")),
)
COMPUTE: tuple[Column[Run], ...] = (
    _field("parameters", "integer", None, "Trainable parameters, auxiliary heads included"),
    Column("image_px", "integer", "px", "Largest side of a training image", _image_px),
    _field("forward_macs", "number", "MAC/image", "F: forward pass, mean over the run's images"),
    Column(
        *("first_layer_macs", "number", "MAC/image"),
        "F1: the part of F in layers that read the image, mean over the run's images",
        _mean_macs(lambda segment: segment.first_layer_macs),
    ),
    Column(
        *("backward_macs", "number", "MAC/image"),
        "B: backward pass, mean over the run's images",
        _mean_macs(lambda segment: segment.backward_macs),
    ),
    _field("images", "integer", "image", "Training images processed; every pass counts"),
    _field("steps", "integer", "step", "Optimizer steps"),
    _field("epochs", "number", "epoch", "Completed passes over the training images"),
    _field("paper3x_tfs_days", "number", "tfs-day", "Compute of the whole run: images x 3F"),
    _field("exact_flops", "number", "FLOP", "Compute of the whole run: images x 2(F + B)"),
    _field("repeated_images", "integer", "image", "Repeated after a crash; not in images"),
)
OUTCOME: tuple[Column[Run], ...] = (
    _field("end_reason", "string", None, "target, schedule, diverged or failed"),
    Column("target_metric", "string", None, "top1 or top5", _target("metric")),
    Column(
        *("target_value", "number", "fraction", "Accuracy to reach"),
        _target("value"),
    ),
    Column(
        *("target_source", "string", None),
        "published, setting, baseline (mean of its seeds) or own_schedule (a baseline's own run)",
        _target("source"),
    ),
    _field("reached", "boolean", None, "Whether the target was reached and confirmed"),
    _field(
        *("paper3x_to_target_tfs_days", "number", "tfs-day"),
        "Compute to the sustained crossing; for baselines and budgeted runs, of the whole schedule",
    ),
    _field("exact_flops_to_target", "number", "FLOP", "The same as exact FLOPs"),
    _field("first_crossing_images", "number", "image", "First crossing of the target"),
    _field("first_crossing_epochs", "number", "epoch", "The same in epochs"),
    _field(
        "sustained_crossing_images", "number", "image", "Crossing that later evaluations confirm"
    ),
    _field("sustained_crossing_epochs", "number", "epoch", "The same in epochs"),
    Column(
        *("crossing_low_images", "number", "image"),
        "Low end of the crossing's 95 % interval; a lower bound if it never crossed",
        _crossing("low"),
    ),
    Column(
        *("crossing_high_images", "number", "image"),
        "High end of the crossing's 95 % interval; empty: unbounded",
        _crossing("high"),
    ),
    _field(
        "first_epoch_at_target", "number", "epoch", "Imported curves: first epoch at the target"
    ),
    Column("best_top1", "number", "fraction", "Highest top-1 accuracy of the run", _best("top1")),
    Column("best_top5", "number", "fraction", "Highest top-5 accuracy of the run", _best("top5")),
    Column("final_top1", "number", "fraction", "Top-1 accuracy at the end", _final("top1")),
    Column("final_top5", "number", "fraction", "Top-5 accuracy at the end", _final("top5")),
    Column("final_loss", "number", "nat/image", "Cross-entropy at the end", _final("loss")),
)
MACHINE: tuple[Column[Run], ...] = (
    Column(
        *("hardware", "string", None, "Kind of machine: device, card or CPU, threads, processes"),
        lambda run: machine(run.entry) if run.entry.provenance else None,
    ),
    Column(
        *("train_seconds", "number", "s", "Training clock, without evaluation and set-up"),
        _measured(costs.train_seconds),
    ),
    Column(
        *("images_per_second", "number", "image/s", "Training images per training second"),
        _measured(costs.images_per_second),
    ),
    Column(
        *("achieved_flops_per_second", "number", "FLOP/s", "exact_flops per training second"),
        _measured(costs.achieved_flops_per_second),
    ),
    Column(
        *("share_of_peak", "number", "fraction"),
        "Achieved rate, relative to a matrix product on the same machine",
        _measured(costs.share_of_peak),
    ),
    Column("energy_joules", "number", "J", "Training energy", _measured(costs.energy_joules)),
    Column("dollars", "number", "USD", "Price of the training time", _measured(costs.dollars)),
)
DIGESTS: tuple[Column[Run], ...] = (
    _field("config_digest", "string", None, "SHA-256 of the run's configuration"),
    _field("data_digest", "string", None, "SHA-256 of the images and labels"),
    Column("code_digest", "string", None, "SHA-256 of the package", _provenance("code_digest")),
    Column(
        *("network_digest", "string", None, "SHA-256 of the network's source files"),
        _provenance("network_digest"),
    ),
    Column("commit", "string", None, "Git commit of the code", _provenance("commit")),
    _field("weights_digest", "string", None, "SHA-256 of the weights and buffers at the end"),
    _field("event_log_digest", "string", None, "SHA-256 of the event log"),
    _field("entry_digest", "string", None, "SHA-256 of the entry's other fields"),
)
RUNS = TableSchema(
    name="runs",
    description="One line per run of the ledger, whether it reached its target or not",
    primary_key=("run_id",),
    columns=(*IDENTITY, *SETTINGS, *COMPUTE, *OUTCOME, *MACHINE, *DIGESTS),
)
