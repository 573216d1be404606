"""The frozen records that all packages share: target, segment, evaluation, clocks, entry.

Units: compute in MACs per image, in FLOPs, or in teraflop/s-days (1 tfs-day = 1e12 * 86400 =
8.64e16); accuracies are fractions in [0, 1]; epochs are completed passes and may be fractional.
Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from efficiency_bench.bounds import (
    LARGEST_SIDE_PX,
    LONGEST_CURVE,
    Amount,
    Count,
    Epochs,
    Fraction,
    IsoDate,
    IsoTime,
    Positive,
    Seconds,
    out_of_bounds,
)

SCHEMA_VERSION = 4
"""Version of an entry's schema.  A reader rejects a newer one and names it.

2: content digest, path of the event log, imported curves (compute may be unknown).
3: digest of the network's own file; ``dirty`` also covers files that git does not track.
4: budgets, the search for the rate, number of classes; a budgeted run may have no target.
"""

TERAFLOPS_DAY = 8.64e16
"""Operations in one teraflop/s-day: 1e12 per second for 86,400 seconds."""

Metric = Literal["top1", "top5"]
EndReason = Literal["target", "schedule", "diverged", "failed"]
FAULTS = ("diverged", "failed")
"""The end reasons of a run that never reaches its target."""
Tier = Literal["measured", "imported", "published"]
Estimand = Literal["anytime", "budgeted"]


class Record(BaseModel):
    """A frozen, closed record: an unknown or missing field is an error that names it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Target(Record):
    """The accuracy to reach and how many evaluations must confirm it."""

    metric: Metric
    value: Fraction
    """Accuracy to reach, a fraction."""
    comparison: Literal[">="] = ">="
    tolerance: Fraction = 0.0
    """Subtracted from ``value`` before comparing: rounding of the published figure."""
    confirmations: Count = 2
    """Number of following evaluations that must also meet the target before the crossing counts as
    sustained; at the end of the schedule, all that remain, including the final one."""
    source: Literal["published", "setting", "baseline", "own_schedule"] = "setting"
    """Where the value comes from; ``own_schedule`` marks the baseline's own run."""
    baseline_run_ids: tuple[str, ...] = Field(default=(), max_length=LONGEST_CURVE)
    """Ledger entries whose mean final accuracy is ``value`` (source ``baseline``)."""

    @property
    def threshold(self) -> float:
        """The accuracy that an evaluation must reach, a fraction."""
        return self.value - self.tolerance

    def met_by(self, accuracy: float) -> bool:
        """Return whether one evaluation's accuracy (a fraction) is at or above the target.

        Accuracies are ratios of counts and targets are decimal numbers, so the comparison allows
        for 1e-9, far less than one image in any validation set.
        """
        return accuracy >= self.threshold - 1e-9


class Segment(Record):
    """A part of training with constant resolution, trained layers, heads and passes."""

    images: Count
    """Images processed in it; an image counts once, however many passes it takes."""
    resolution_px: int = Field(gt=0, le=LARGEST_SIDE_PX)
    forward_macs: Count
    """F, forward MACs per image of the training graph, one pass."""
    first_layer_macs: Count
    """F1, the part of F spent in layers that read the input image."""
    backward_macs: Count
    """B, backward MACs per image, one pass (2F - F1 if all layers are trained)."""
    passes: int = Field(default=1, ge=1, le=1000)
    """Forward-backward passes per image (SAM has 2)."""


class Evaluation(Record):
    """One pass over the validation set, with each image counted exactly once."""

    images: Count
    """Training images processed before it."""
    steps: Count | None
    """None: an imported curve does not say."""
    epochs: Epochs
    top1: Fraction
    top5: Fraction | None = None
    """``None`` on data with fewer than five classes."""
    loss: float | None
    """Mean cross-entropy in nats per image, without label smoothing; None if not finite."""
    val_images: Count = Field(gt=0)
    train_seconds: Seconds
    """Training clock when the evaluation began; evaluation time is not part of it."""
    evaluation_seconds: Seconds | None
    """Duration of this evaluation; None: an imported curve does not say."""

    def accuracy(self, metric: Metric) -> float:
        """Return the accuracy in ``metric``, a fraction; ValueError if it was not measured."""
        value = self.top1 if metric == "top1" else self.top5
        if value is None:
            raise ValueError("top5 was not measured: the data has fewer than five classes")
        return value


class Clocks(Record):
    """Wall-clock seconds of a run, kept separately per activity."""

    train_seconds: Seconds
    evaluation_seconds: Seconds
    setup_seconds: Seconds
    """Loading data, building the model and counting MACs, before the first step."""


UNKNOWN = "unknown"
"""Prefix of ``energy_source`` if the energy was not measured."""


class Cost(Record):
    """What a run cost in addition to its compute.  Unknown values are None, never 0."""

    compile_seconds: Seconds = 0.0
    """Time to compile the network, which is on no other clock."""
    peak_flops_per_second: Positive
    """Rate of a matrix product on this machine, summed over the run's processes."""
    peak_method: str
    """How the peak was measured."""
    energy_joules: Amount | None
    """Energy used while the training clock ran."""
    evaluation_energy_joules: Amount | None
    repeated_energy_joules: Amount | None
    """Training energy of work repeated after a crash; not part of ``energy_joules``."""
    energy_source: str
    """Which counter measured what; or why the energy is unknown."""
    price_usd_per_hour: Amount | None
    """Price of everything that the run uses, as set in its configuration."""
    notes: tuple[str, ...] = ()
    """Reasons why the seconds, and all values derived from them, say little about this machine."""


class Provenance(Record):
    """What is needed to repeat a run: code, versions, hardware."""

    commit: str | None
    """Git commit of the code, ``None`` outside a repository."""
    dirty: bool | None
    """Whether the code differed from that commit; in schema 2, whether tracked files did."""
    code_digest: str
    """SHA-256 over the package's Python and YAML files."""
    network_digest: str | None = None
    """SHA-256 over the network's own file and the files of ``models/`` that it imports; None: the
    network comes from a library, or the entry is of schema 2."""
    versions: Mapping[str, str]
    """Package name -> version, Python's included."""
    hardware: Mapping[str, Any]
    """Device, GPU or CPU name, threads, memory."""


class RateSearch(Record):
    """The search that chose a run's learning rate (``rates=NAME``)."""

    name: str
    """Name of the file of rates."""
    search_tfs_days: Amount
    """paper3x of every trial of this network, teraflop/s-days; in no run's own compute."""
    trials: Count
    at_edge: bool
    """Whether the rate is the lowest or the highest that was tried."""
    ledger_digest: str
    """SHA-256 over the trials' entries (``ledger.rates``)."""


class Entry(Record):
    """One entry of the ledger: a run from its configuration to its end."""

    schema_version: int = Field(default=SCHEMA_VERSION, ge=1)
    run_id: str
    tier: Tier = "measured"
    source: str
    """Where the entry comes from: ``measured here``, or a file or publication."""
    created_utc: IsoTime
    """ISO 8601 time at which the entry was written."""

    experiment: str | None
    model: str
    recipe: str
    data: str
    seed: int | None
    repeat: Count = 0
    estimand: Estimand = "anytime"
    date: IsoDate | None
    """ISO date (YYYY-MM-DD) of the row: the later of the model's and the recipe's."""

    end_reason: EndReason
    end_detail: str = ""
    reached: bool | None
    target: Target | None
    """Both are None exactly for a budgeted run without a target: its final accuracy is compared
    with any level later."""
    budget_asked: Positive | None = None
    """Share of the baseline's training compute that the schedule should cost; None: no budget."""
    budget: Amount | None = None
    """Share that the run really spent: its paper3x over the baseline's (``baseline_tfs_days``)."""
    rates: RateSearch | None = None
    """None: the learning rate is the recipe's, or was set by hand."""
    classes: Count | None = None
    """None: an entry of schema 3 or older, or not measured here."""
    parameters: Count | None = None
    """Trainable parameters, auxiliary heads included; None: not recorded."""

    images: Count | None
    steps: Count | None
    epochs: Epochs | None
    """Steps are None for an imported curve and for the rows of the 2020 paper; images, steps and
    epochs are all None for a published number without epochs."""
    forward_macs: Amount | None
    """paper3x / (3 * images): MACs per image, averaged over segments.

    It and the compute are None only for an imported curve of a network without a MAC count; a
    published number has only its paper3x."""
    paper3x_tfs_days: Amount | None
    """Sum over segments of images * 3F (1 MAC = 1), teraflop/s-days."""
    exact_flops: Amount | None
    """Sum over segments of images * passes * 2(F + B), FLOPs."""
    paper3x_to_target_tfs_days: Positive | None
    """paper3x up to the sustained crossing; a baseline is charged its whole schedule."""
    exact_flops_to_target: Positive | None
    first_crossing_images: Amount | None
    first_crossing_epochs: Epochs | None
    sustained_crossing_images: Amount | None
    sustained_crossing_epochs: Epochs | None
    first_epoch_at_target: Epochs | None = None
    """Imported curves: completed epochs at the first row at or above the target, as printed."""
    repeated_images: Count = 0
    """Images repeated after a crash; not part of ``images``."""
    repeated_seconds: Seconds = 0.0
    repeated_paper3x_tfs_days: Amount = 0.0

    segments: tuple[Segment, ...] = Field(max_length=LONGEST_CURVE)
    evaluations: tuple[Evaluation, ...] = Field(max_length=LONGEST_CURVE)
    clocks: Clocks | None
    weights_digest: str | None
    """SHA-256 over the raw weights and buffers at the end of the run."""
    data_digest: str | None
    config_digest: str | None
    event_log_digest: str | None
    """SHA-256 over the bytes of the event log."""
    event_log: str | None = None
    """Path of the event log in the run's folder, relative to the ledger's folder."""
    config: Mapping[str, Any]
    provenance: Provenance | None
    cost: Cost | None = None
    """None: an imported or published row, or one written before costs were recorded."""
    entry_digest: str | None = None
    """SHA-256 over all other fields as canonical JSON; detects an edited entry."""

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        """Check the bounds, and what every reader of a curve relies on."""
        if (reason := out_of_bounds(self)) is not None:
            raise ValueError(reason)
        if any(b.images < a.images for a, b in pairwise(self.evaluations)):
            raise ValueError("evaluations: not in training order")
        if self.target is None and self.estimand != "budgeted":
            raise ValueError("target: only a budgeted run may have none")
        if (self.target is None) != (self.reached is None):
            raise ValueError("reached: null exactly if there is no target")
        top5 = self.target is not None and self.target.metric == "top5"
        if top5 and any(e.top5 is None for e in self.evaluations):
            raise ValueError("evaluations: the target is a top-5 accuracy, but one has no top5")
        return self

    @property
    def sets_target(self) -> bool:
        """Whether this is a baseline's own run, whose final accuracy is the others' target."""
        return self.target is not None and self.target.source == "own_schedule"

    @property
    def known_target(self) -> Target:
        """The target of a run that has one; ValueError for a budgeted run without."""
        if self.target is None:
            raise ValueError(f"{self.run_id} has no target")
        return self.target


def paper3x_tfs_days(segments: Sequence[Segment]) -> float:
    """Return the 2020 paper's compute: sum of images * 3F * passes, 1 MAC = 1, in tfs-days.

    Source: Hernandez & Brown 2020, table 3; the factor 3 is inferred from its 16 rows.
    """
    return sum(s.images * 3 * s.forward_macs * s.passes for s in segments) / TERAFLOPS_DAY


def baseline_tfs_days(forward_macs: int, epochs: float, train_images: int) -> float:
    """Return C_base, the compute of the baseline's whole schedule in paper3x, tfs-days.

    It follows from the configuration: the baseline's forward MACs per image, its epochs, and the
    training images of the data.  A budget of 1 is this much.
    """
    return 3 * forward_macs * epochs * train_images / TERAFLOPS_DAY


def exact_flops(segments: Sequence[Segment]) -> float:
    """Return the exact algorithmic training FLOPs: sum of images * passes * 2(F + B)."""
    return float(
        sum(s.images * s.passes * 2 * (s.forward_macs + s.backward_macs) for s in segments)
    )


def segments_until(segments: Sequence[Segment], images: float) -> tuple[Segment, ...]:
    """Return the segments up to ``images`` training images, with the last one cut there.

    A crossing lies between evaluations, so ``images`` may be fractional; the cut rounds it to whole
    images (half to even), an error of at most half an image.
    """
    kept: list[Segment] = []
    left = round(images)
    for segment in segments:
        take = min(left, segment.images)
        kept.append(segment.model_copy(update={"images": take}))
        left -= take
        if left <= 0:
            break
    return tuple(kept)


NOT_MEASURED: Mapping[str, Any] = {
    "clocks": None,
    "weights_digest": None,
    "data_digest": None,
    "config_digest": None,
    "event_log_digest": None,
    "provenance": None,
}
"""What only a run of this program can say, in an imported or published entry."""
