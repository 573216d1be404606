"""The typed configuration of a run; no other module handles OmegaConf objects.

Every field is one line of YAML in ``configs/``.  Durations are epochs, sizes are pixels,
probabilities and accuracies are fractions.  ``load`` takes what Hydra composed; ``from_plain``
takes a stored configuration and resolves nothing in it.  Both reject typos, wrong types and missing
values and name the key; ``config_checks`` rejects invalid values and says what is allowed.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from efficiency_bench import config_messages
from efficiency_bench.errors import UserError
from efficiency_bench.identity import leaves, recorded_settings


@dataclass
class ModelConfig:
    """An architecture and the date of its first publication."""

    name: str = MISSING
    published: str = MISSING  # ISO date of first publication (arXiv v1 or conference)
    paper: str = MISSING
    arguments: dict[str, Any] = field(default_factory=dict)  # passed to the builder
    auxiliary_loss_weight: float = 0.0  # weight of each auxiliary head's loss
    scale: float = 1.0  # small form: MACs per image over those of the rule (models/small_form.py)
    width: float | None = None  # small form: multiplies the paper's widths, instead of the rule


@dataclass
class OptimizerConfig:
    """An optimizer and its hyperparameters."""

    name: str = MISSING  # sgd, rmsprop, rmsprop_tf (epsilon inside the root), adamw
    lr: float = MISSING  # peak learning rate, for the recipe's batch size
    weight_decay: float = 0.0
    decay_norm_and_bias: bool = True  # False: no decay on biases and normalisation
    momentum: float = 0.0  # sgd and rmsprop
    nesterov: bool = False  # sgd
    alpha: float = 0.9  # rmsprop: decay of the squared gradient's mean
    eps: float = 1e-8  # rmsprop and adamw
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])  # adamw


@dataclass
class ScheduleConfig:
    """The learning rate as a function of progress; durations are fractions of the schedule."""

    name: str = MISSING  # constant, step, exponential, staircase, cosine, linear, one_cycle
    warmup: float = 0.0  # linear from zero over this fraction
    milestones: list[float] = field(default_factory=list)  # step: where the rate falls
    factor: float = 0.1  # multiplies the rate at each milestone (step) or period (staircase)
    period: float = 0.0  # staircase: length of one stair
    final_fraction: float = 0.0  # last rate over peak: exponential, cosine, linear, one_cycle
    peak: float = 0.3  # one_cycle: fraction of the schedule at which the rate peaks
    start_fraction: float = 0.1  # one_cycle: first rate as a fraction of the peak


@dataclass
class AugmentationConfig:
    """Augmentations of a training image; those that do not suit the data are disabled and
    reported."""

    flip: bool = False  # horizontal, with probability 1/2
    crop_pad_px: int = 0  # small images: zero padding before a random crop
    cutout_px: int = 0  # small images: side of the square set to the mean
    resized_crop_min_area: float = 0.08  # ImageNet: RandomResizedCrop's smallest area
    auto_augment: bool = False  # ImageNet: the ImageNet policy of Cubuk et al.


@dataclass
class ProgressiveConfig:
    """Progressive resizing: the image side grows in equal steps over the first part of training."""

    start_fraction: float = 1.0  # first side as a fraction of the full one; 1 = constant
    until: float = 0.0  # fraction of the schedule at which the full side is reached
    stages: int = 1  # number of sides, the full one included


@dataclass
class RecipeConfig:
    """A training procedure and the date of its publication, if it has one of its own."""

    name: str = MISSING
    date: str | None = None  # ISO date; null: a shared recipe that dates no row
    citation: str = MISSING
    expects: str = MISSING  # accuracy it should reach
    departures: list[str] = field(default_factory=list)
    epochs: float = MISSING  # length of the whole schedule
    batch_size: int = MISSING
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    progressive: ProgressiveConfig = field(default_factory=ProgressiveConfig)
    label_smoothing: float = 0.0
    ema_decay: float = 0.0  # 0: no EMA; with EMA, evaluation uses the averaged weights
    model_arguments: dict[str, Any] = field(default_factory=dict)  # regularisation in the net


FOLDER_FORM_FROM_PX = 64
"""``data=folder`` uses the ImageNet form of the models from this side up, the smallest that all of
them accept, and the small form below it."""


@dataclass
class DataConfig:
    """A data set and its location."""

    name: str = MISSING  # digits, cifar10, cifar100, folder, imagenet, and as its file stores it
    root: str | None = None  # folder that holds it; null: the default place
    download: bool = True  # fetch the full archive when root has none
    image_px: int = MISSING  # side of a training image
    resize_px: int | None = None  # ImageNet: shorter side before the validation crop
    mean: list[float] = MISSING  # per channel, of pixels in [0, 1]
    std: list[float] = MISSING
    crop_pad_px: int = 0  # padding for a small recipe's random crop, if it uses one
    flip_keeps_class: bool = True  # False: mirroring may change the class (digits)
    train_images: int | None = None  # balanced, seeded subset
    val_images: int | None = None
    allow_left_out: bool = False  # image folders: train even if too many files were skipped
    workers: int = 4  # ImageFolder: processes; FFCV: threads; capped at the usable cores
    decode: str = "pillow"  # ImageFolder: pillow, or simplejpeg (faster, rounds differently)
    eval_batch_size: int = 512
    inner_split: float = 0.0  # this share of the training images validates, the rest train


@dataclass
class TargetConfig:
    """The accuracy to reach; ``value: null`` takes the baseline's level from the ledger."""

    metric: str | None = None  # top1, top5; null: top5 from 100 classes on
    value: float | None = None  # fraction
    comparison: str = ">="
    tolerance: float = 0.0
    confirmations: int = 2
    baseline_model: str = "alexnet"
    baseline_recipe: str = MISSING
    baseline_epochs: float | None = None  # its whole schedule, which budget=1 costs


@dataclass
class EvaluationConfig:
    """How often the validation set is evaluated."""

    per_epoch: int = 1
    per_epoch_near: int = 4  # once the curve so far suggests that the target is near


@dataclass
class TrackingConfig:
    """Trackers that mirror the event log."""

    wandb: bool = True
    project: str = "efficiency-bench"
    group: str | None = None  # null: the suite's name, or the sweep's start time
    alerts: bool = False


@dataclass
class RunConfig:
    """Everything that defines a run."""

    model: ModelConfig = field(default_factory=ModelConfig)
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    data: DataConfig = field(default_factory=DataConfig)
    target: TargetConfig = field(default_factory=TargetConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    experiment: str | None = None
    suite: str | None = None
    form: str = MISSING  # imagenet or small
    estimand: str = "anytime"  # stop at the target; budgeted: full schedule, final accuracy counts
    budget: float | None = None  # share of the baseline's compute; it sets recipe.epochs
    rung_margin: float | None = None  # leave out a rung above one that is this far over the level
    rates: str | None = None  # file of tuned rates, which sets recipe.optimizer.lr
    seed: int = 0
    repeat: int = 0
    device: str = "auto"  # auto, cpu, cuda
    precision: str = "auto"  # auto, fp32, tf32, bf16; auto: bf16 on CUDA that has it, else fp32
    channels_last: bool | None = None  # null: on
    optimizer_kernel: str = "auto"  # auto, single, foreach, fused: how the update is computed
    deterministic: bool = False  # CUDA: only kernels that repeat to the bit; a CPU always does
    compile: bool = False  # torch.compile the training step, before the clock starts
    threads: int | None = None  # CPU threads; null: torch's own choice
    run_dir: str | None = None  # null: runs/<run_id>
    ledger_dir: str = "runs/ledger"
    checkpoint_share: float = 0.01  # at most this share of training time; 0: only when stopped
    price_usd_per_hour: float | None = None  # all machines of the run together; null: unknown
    profile: bool = False  # trace a few steps and report where the time goes


FREE_TABLES = ("model.arguments", "recipe.model_arguments")
"""Tables that take any key: the arguments of a model builder."""

REFERENCE = re.compile(r"\$\{[\w.-]+\}")
"""A reference to another key: ``${data.crop_pad_px}``."""


def load(composed: DictConfig) -> RunConfig:
    """Return the RunConfig of what Hydra composed, with references to other keys resolved.

    Raises UserError, naming the key, for typos, wrong types and missing values, and for any
    ``${...}`` that is not a reference: ``oc.env`` and other resolvers would copy data of this
    machine into the entry and the log.
    """
    try:
        written = OmegaConf.to_container(composed, resolve=False)
        for key, text in leaves(written):
            check_references(f"{key}={text}")
        resolved = OmegaConf.to_container(composed, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(config_messages.dangling(error)) from error
    assert isinstance(resolved, dict)
    config = from_plain({str(key): value for key, value in resolved.items()})
    if config.budget is not None:
        config.estimand = "budgeted"
    return config


def check_references(setting: str) -> None:
    """Raise UserError if ``setting`` (KEY=VALUE) holds a ``${...}`` that is not a key reference."""
    if "${" in REFERENCE.sub("", setting):
        raise UserError(
            f"{setting!r} is not allowed: ${{...}} may only refer to another key, as in"
            " ${seed};\nresolvers (oc.env and the like) are off: type the value,"
            " or let the shell expand it"
        )


def from_plain(values: Mapping[str, Any]) -> RunConfig:
    """Return the RunConfig of plain values, such as an entry's configuration.

    Raises UserError, naming the key, for typos, wrong types, missing values, and any ``${``:
    nothing in a stored configuration is resolved.
    """
    for key, text in leaves(values):
        if isinstance(text, str) and "${" in text:
            raise UserError(
                f"{key}={text!r} holds ${{, which is not allowed in a stored configuration;"
                " nothing of it was resolved; remove the entry or file that holds it"
            )
    try:
        merged = OmegaConf.merge(OmegaConf.structured(RunConfig), OmegaConf.create(dict(values)))
        if missing := sorted(OmegaConf.missing_keys(merged)):
            raise UserError(config_messages.missing(missing))
        config = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise UserError(config_messages.invalid(error, RunConfig)) from error
    assert isinstance(config, RunConfig)
    return config


def measured_part(config: RunConfig) -> dict[str, Any]:
    """Return the configuration as plain values, as an entry records it (``identity``)."""
    return recorded_settings(dataclasses.asdict(config))
