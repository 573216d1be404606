"""The typed configuration of a run; OmegaConf enters and ends here.

Every field is one line of YAML in ``configs/``.  Durations are epochs, sizes are pixels,
probabilities and accuracies are fractions.  ``load`` takes what Hydra composed, ``from_plain`` a
stored configuration, of which nothing is resolved.  Both refuse typos, wrong types and missing
values by name; ``config_checks`` refuses values that cannot be right and says what is allowed.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from efficiency_bench import config_words
from efficiency_bench.errors import UserError
from efficiency_bench.identity import leaves, recorded_settings


@dataclass
class ModelConfig:
    """An architecture, dated by its first publication."""

    name: str = MISSING
    published: str = MISSING  # ISO date of first publication (arXiv v1 or conference)
    paper: str = MISSING
    arguments: dict[str, Any] = field(default_factory=dict)  # passed to the builder
    auxiliary_loss_weight: float = 0.0  # weight of each auxiliary head's loss


@dataclass
class OptimizerConfig:
    """One of the optimizers, with its constants."""

    name: str = MISSING  # sgd, rmsprop, rmsprop_tf (epsilon inside the root), adamw
    lr: float = MISSING  # peak learning rate, for the recipe's batch size
    weight_decay: float = 0.0
    decay_norm_and_bias: bool = True  # False: biases and normalisation keep no decay
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
    factor: float = 0.1  # step: multiplied at each milestone; staircase: after every period
    period: float = 0.0  # staircase: length of one stair
    final_fraction: float = 0.0  # where exponential, cosine, linear and one_cycle end
    peak: float = 0.3  # one_cycle: where the rate is highest
    start_fraction: float = 0.1  # one_cycle: first rate as a fraction of the highest


@dataclass
class AugmentationConfig:
    """What happens to a training image; what the data forbids is switched off and shown."""

    flip: bool = False  # horizontal, with probability 1/2
    crop_pad_px: int = 0  # small images: reflect-free zero padding before a random crop
    cutout_px: int = 0  # small images: side of the square set to the mean
    resized_crop_min_area: float = 0.08  # ImageNet: RandomResizedCrop's least area
    auto_augment: bool = False  # ImageNet: the ImageNet policy of Cubuk et al.


@dataclass
class ProgressiveConfig:
    """Progressive resizing: the side grows in equal steps over the first part."""

    start_fraction: float = 1.0  # first side as a fraction of the data's; 1 = constant
    until: float = 0.0  # fraction of the schedule at which the full side is reached
    stages: int = 1  # number of sides, the full one included


@dataclass
class RecipeConfig:
    """A training procedure, dated by its publication if it has one of its own."""

    name: str = MISSING
    date: str | None = None  # ISO date; null: holds conditions equal, moves no row
    citation: str = MISSING
    expects: str = MISSING  # what it should reach
    departures: list[str] = field(default_factory=list)
    epochs: float = MISSING  # length of the whole schedule
    batch_size: int = MISSING
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    progressive: ProgressiveConfig = field(default_factory=ProgressiveConfig)
    label_smoothing: float = 0.0
    ema_decay: float = 0.0  # 0: none; evaluation uses the average where there is one
    model_arguments: dict[str, Any] = field(default_factory=dict)  # regularisation in the net


FOLDER_FORM_FROM_PX = 64
"""``data=folder`` takes the ImageNet forms of the models from this side on, the least that all of
them take, and the small forms below it."""


@dataclass
class DataConfig:
    """A data set and where it is."""

    name: str = MISSING  # digits, cifar10, cifar100, folder, imagenet, and as its file stores it
    root: str | None = None  # folder that holds it; null: the default place
    download: bool = True  # fetch the full archive when root has none
    image_px: int = MISSING  # side of a training image
    resize_px: int | None = None  # ImageNet: shorter side before the validation crop
    mean: list[float] = MISSING  # per channel, of pixels in [0, 1]
    std: list[float] = MISSING
    crop_pad_px: int = 0  # border that a small recipe's random crop takes, if it asks for one
    flip_keeps_class: bool = True  # False: mirror images may change class (digits)
    train_images: int | None = None  # balanced, seeded subset
    val_images: int | None = None
    allow_left_out: bool = False  # image folders: go on where too much was passed over
    workers: int = 4  # ImageFolder: loading processes; FFCV: threads; at most the cores there are
    decode: str = "pillow"  # ImageFolder: pillow, or simplejpeg (faster, rounds differently)
    eval_batch_size: int = 512


@dataclass
class TargetConfig:
    """What counts as arriving; ``value: null`` asks the ledger for the baseline's level."""

    metric: str | None = None  # top1, top5; null: top5 from 100 classes on
    value: float | None = None  # fraction
    comparison: str = ">="
    tolerance: float = 0.0
    confirmations: int = 2
    baseline_model: str = "alexnet"
    baseline_recipe: str = MISSING


@dataclass
class EvaluationConfig:
    """How often the validation set is looked at."""

    per_epoch: int = 1
    per_epoch_near: int = 4  # where the curve so far says that the target comes soon


@dataclass
class TrackingConfig:
    """Mirrors of the event log."""

    wandb: bool = True
    project: str = "efficiency-bench"
    group: str | None = None  # null: the suite's name, or a sweep's time


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
    estimand: str = "anytime"  # stop at the target; budgeted: to the end, which is held to it
    seed: int = 0
    repeat: int = 0
    device: str = "auto"  # auto, cpu, cuda
    precision: str = "auto"  # auto, fp32, bf16; auto: fp32 on CPU, bf16 on CUDA
    channels_last: bool | None = None  # null: on
    optimizer_kernel: str = "auto"  # auto, single, foreach, fused: how the update is computed
    compile: bool = False  # torch.compile the training step, before the clock starts
    threads: int | None = None  # CPU threads; null: torch's own choice
    run_dir: str | None = None  # null: runs/<run_id>
    ledger_dir: str = "runs/ledger"
    checkpoint_share: float = 0.01  # of the training time, at most; 0: only when stopped
    price_usd_per_hour: float | None = None  # of all that the run uses; null: unknown
    profile: bool = False  # trace a few steps and say where the time goes


FREE_TABLES = ("model.arguments", "recipe.model_arguments")
"""Keys under which any name can be set: a builder's arguments."""

REFERENCE = re.compile(r"\$\{[\w.-]+\}")
"""A value that is another key's: ``${data.crop_pad_px}``."""


def load(composed: DictConfig) -> RunConfig:
    """RunConfig from what Hydra composed, references to other keys filled in.

    Raises UserError, naming the key, for typos, wrong types and missing values, and for any
    ``${...}`` but a reference: ``oc.env`` and other resolvers would write what this machine holds
    into entry and log.
    """
    try:
        written = OmegaConf.to_container(composed, resolve=False)
        for key, text in leaves(written):
            check_references(f"{key}={text}")
        resolved = OmegaConf.to_container(composed, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(config_words.dangling(error)) from error
    assert isinstance(resolved, dict)
    return from_plain({str(key): value for key, value in resolved.items()})


def check_references(setting: str) -> None:
    """UserError where ``setting`` (KEY=VALUE) holds a ``${...}`` that is not another key's."""
    if "${" in REFERENCE.sub("", setting):
        raise UserError(
            f"{setting!r} is not allowed: of ${{...}} only another key's value can be used, as in"
            " ${seed};\nresolvers (oc.env and the like) are off: for a variable of the environment"
            " let the shell fill it in"
        )


def from_plain(values: Mapping[str, Any]) -> RunConfig:
    """RunConfig from plain values, such as an entry's configuration.

    Raises UserError, naming the key, for typos, wrong types, missing values, and any ``${``:
    nothing that is stored is resolved.
    """
    for key, text in leaves(values):
        if isinstance(text, str) and "${" in text:
            raise UserError(
                f"{key}={text!r} holds ${{, which a stored configuration cannot have; nothing of it"
                " was resolved"
            )
    try:
        merged = OmegaConf.merge(OmegaConf.structured(RunConfig), OmegaConf.create(dict(values)))
        if missing := sorted(OmegaConf.missing_keys(merged)):
            raise UserError(config_words.missing(missing))
        config = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise UserError(config_words.invalid(error, RunConfig)) from error
    assert isinstance(config, RunConfig)
    return config


def measured_part(config: RunConfig) -> dict[str, Any]:
    """The configuration as plain values, as an entry records it (``identity``)."""
    return recorded_settings(dataclasses.asdict(config))
