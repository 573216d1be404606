"""Reject invalid configuration values before anything is loaded, and say what to type instead."""

from __future__ import annotations

import dataclasses
import datetime
import math
import re

from efficiency_bench.config import RunConfig
from efficiency_bench.errors import UserError, unknown
from efficiency_bench.identity import leaves

OPTIMIZERS = ("sgd", "rmsprop", "rmsprop_tf", "adamw")
SCHEDULES = ("constant", "step", "exponential", "staircase", "cosine", "linear", "one_cycle")
METRICS = ("top1", "top5")
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "fp32", "tf32", "bf16")
KERNELS = ("auto", "single", "foreach", "fused")
FUSED = ("sgd", "adamw")
"""Optimizers that torch can update with one fused kernel."""
FORMS = ("imagenet", "small")
ESTIMANDS = ("anytime", "budgeted")
INNER_SPLIT = ("digits", "cifar10", "cifar100")
"""Data of which a part of the training images can validate."""
DECODERS = ("pillow", "simplejpeg")

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*")
"""A name that becomes part of a file name: it cannot point outside its folder."""

LARGEST_WHOLE = 2**63 - 1
"""Largest integer that torch and numpy hold."""

WANDB_NAME_LENGTH = 128
WANDB_FORBIDDEN = "/\\#?%:"
"""Characters that a W&B project name may not contain.  Both limits are those of
``Settings.validate_project`` in wandb 0.31.  wandb does not check a group's name; here it has the
same length limit."""


def check(config: RunConfig) -> None:
    """Raise UserError for the first invalid value."""
    _check_numbers(config)
    _check_choices(config)
    check_form_size(config.model.name, config.form, config.model.scale, config.model.width)
    _check_target(config)
    _check_budget(config)
    _check_inner_split(config)
    _check_recipe(config)
    _check_names_and_dates(config)
    cadence = config.evaluation
    _at_least("evaluation.per_epoch", cadence.per_epoch, 1)
    _at_least("evaluation.per_epoch_near", cadence.per_epoch_near, cadence.per_epoch)
    _at_least("seed", config.seed, 0)
    _at_least("data.workers", config.data.workers, 0)
    _at_least("repeat", config.repeat, 0)
    if config.threads is not None:
        _at_least("threads", config.threads, 1)
    if config.tracking.wandb:
        check_wandb_names(config.tracking.project, config.tracking.group)
    price = config.price_usd_per_hour
    if price is not None and not 0 <= price < float("inf"):
        raise UserError(
            f"price_usd_per_hour={price:g} is not a price; type one like price_usd_per_hour=2.5,"
            " or leave it out"
        )


def _check_numbers(config: RunConfig) -> None:
    """Raise UserError for a number that is not finite or has more than 63 bits."""
    for key, value in leaves(dataclasses.asdict(config)):
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{key}={value:g} is not a finite number; type one, such as {key}=0.1")
        if isinstance(value, int) and abs(value) > LARGEST_WHOLE:
            raise UserError(
                f"{key}={str(value)[:40]} is too large: a whole number has at most 63 bits here;"
                f" type one, such as {key}=1"
            )


def check_form_size(name: str, form: str, scale: float, width: float | None) -> None:
    """Raise UserError if a model's ``scale`` or ``width`` is invalid or has no meaning."""
    if scale == 1 and width is None:
        return
    asked = f"model.scale={scale:g}" if width is None else f"model.width={width:g}"
    if form != "small" or ":" in name:
        network = name if ":" in name else f"{name} in form {form}"
        raise UserError(
            f"{asked} is for the small forms of this project's networks; {network} has fixed"
            " widths\nleave it out, or type form=small with a model that `efficiency-bench models`"
            " lists"
        )
    if width is not None and scale != 1:
        raise UserError(
            f"model.scale={scale:g} and model.width={width:g} both set the widths; leave one out"
        )
    if not 0 < (scale if width is None else width) < math.inf:
        raise UserError(f"{asked} must be over 0; type model.scale=1, or leave it out")


def check_wandb_names(project: str, group: str | None) -> None:
    """Raise UserError for names that W&B would reject after the run has started."""
    for kind, name in (("project", project), ("group", group or "")):
        if len(name) > WANDB_NAME_LENGTH:
            raise UserError(
                f"the W&B {kind} {name[:40]!r}... has {len(name)} characters, at most"
                f" {WANDB_NAME_LENGTH} are allowed; type a shorter tracking.{kind}=NAME, or"
                " tracking.wandb=false"
            )
    if found := [c for c in WANDB_FORBIDDEN if c in project]:
        raise UserError(
            f"the W&B project {project!r} contains {' '.join(found)}; it may not contain any of"
            f" {' '.join(WANDB_FORBIDDEN)}; type another tracking.project=NAME, or"
            " tracking.wandb=false"
        )


def _check_choices(config: RunConfig) -> None:
    chosen = (
        ("recipe.optimizer.name", config.recipe.optimizer.name, OPTIMIZERS),
        ("recipe.schedule.name", config.recipe.schedule.name, SCHEDULES),
        ("device", config.device, DEVICES),
        ("precision", config.precision, PRECISIONS),
        ("optimizer_kernel", config.optimizer_kernel, KERNELS),
        ("form", config.form, FORMS),
        ("estimand", config.estimand, ESTIMANDS),
        ("data.decode", config.data.decode, DECODERS),
    )
    for key, value, known in chosen:
        if value not in known:
            raise unknown(key, value, known)
    optimizer = config.recipe.optimizer.name
    if config.optimizer_kernel == "fused" and optimizer not in FUSED:
        raise UserError(f"{optimizer} has no fused kernel; type optimizer_kernel=foreach")
    if optimizer == "rmsprop_tf" and config.optimizer_kernel == "single":
        raise UserError("rmsprop_tf has no single-tensor kernel; type optimizer_kernel=foreach")
    if config.data.decode != "pillow" and config.data.name not in ("folder", "imagenet"):
        raise UserError(
            f"data.decode={config.data.decode} is for data=imagenet and data=folder; leave it out"
            f" for data={config.data.name}"
        )
    if config.target.metric is not None and config.target.metric not in METRICS:
        raise unknown("target.metric", config.target.metric, METRICS)


def _check_target(config: RunConfig) -> None:
    target = config.target
    if target.comparison != ">=":
        raise UserError(f"target.comparison={target.comparison!r} is not allowed; use '>='")
    if target.value is not None and not 0 < target.value <= 1:
        typed = target.value / 100 if 1 < target.value <= 100 else 0.6
        raise UserError(
            f"target.value={target.value:g} is not a fraction over 0 and at most 1; for"
            f" {100 * typed:g} % type target.value={typed:g}"
        )
    if not 0 <= target.tolerance < 1:
        raise UserError(
            f"target.tolerance={target.tolerance:g} is not a fraction in [0, 1);"
            " for 0.05 points type target.tolerance=0.0005"
        )
    _at_least("target.confirmations", target.confirmations, 0)


def _check_inner_split(config: RunConfig) -> None:
    share, name = config.data.inner_split, config.data.name
    if not 0 <= share < 1:
        raise UserError(
            f"data.inner_split={share:g} is not a fraction of at least 0 and under 1; for a fifth"
            " of the training images type data.inner_split=0.2"
        )
    if share and name not in INNER_SPLIT:
        raise UserError(
            f"data.inner_split={share:g} is for {', '.join(INNER_SPLIT)}; for data={name} leave it"
            " out"
        )


def _check_budget(config: RunConfig) -> None:
    length = config.target.baseline_epochs
    if length is not None and length <= 0:
        raise UserError(
            f"target.baseline_epochs={length:g} must be over 0, e.g. target.baseline_epochs=15"
        )
    margin = config.rung_margin
    if margin is not None and not 0 <= margin < 1:
        raise UserError(
            f"rung_margin={margin:g} must be a share of 1; for three points of accuracy type"
            " rung_margin=0.03"
        )
    if config.budget is None:
        return
    if config.budget <= 0:
        raise UserError(
            f"budget={config.budget:g} must be over 0: a share of the baseline's training compute;"
            " type for example budget=0.25"
        )
    if config.estimand != "budgeted":
        raise UserError(
            f"estimand={config.estimand} cannot be used with budget={config.budget:g}, which trains"
            " its whole schedule; leave estimand out"
        )
    if length is None:
        raise UserError(
            f"budget={config.budget:g} is a share of the baseline's whole schedule, and this target"
            " says nothing of its length;\ntype target.baseline_epochs=N, the epochs of"
            f" {config.target.baseline_model} on this data, or use target=small"
        )


def _check_recipe(config: RunConfig) -> None:
    recipe = config.recipe
    if not 0 < recipe.epochs < float("inf"):
        raise UserError(f"recipe.epochs={recipe.epochs:g} must be over 0, e.g. recipe.epochs=10")
    _at_least("recipe.batch_size", recipe.batch_size, 1)
    _at_least("recipe.progressive.stages", recipe.progressive.stages, 1)
    fractions = (
        ("checkpoint_share", config.checkpoint_share),
        ("recipe.schedule.warmup", recipe.schedule.warmup),
        ("recipe.schedule.peak", recipe.schedule.peak),
        ("recipe.schedule.final_fraction", recipe.schedule.final_fraction),
        ("recipe.label_smoothing", recipe.label_smoothing),
        ("recipe.ema_decay", recipe.ema_decay),
        ("recipe.progressive.start_fraction", recipe.progressive.start_fraction),
        ("recipe.progressive.until", recipe.progressive.until),
    )
    for key, value in fractions:
        if not 0 <= value <= 1:
            raise UserError(f"{key}={value:g} is not a fraction in [0, 1]; type {key}=0.1")
    if recipe.optimizer.lr <= 0:
        raise UserError(
            f"recipe.optimizer.lr={recipe.optimizer.lr:g} must be over 0; type"
            " recipe.optimizer.lr=0.1"
        )
    schedule = recipe.schedule
    if schedule.name == "staircase" and schedule.period <= 0:
        raise UserError(
            f"recipe.schedule.period={schedule.period:g} must be over 0 for"
            " recipe.schedule.name=staircase; type recipe.schedule.period=0.1"
        )
    if schedule.name == "exponential" and schedule.final_fraction <= 0:
        raise UserError(
            f"recipe.schedule.final_fraction={schedule.final_fraction:g} must be over 0 for"
            " recipe.schedule.name=exponential; type recipe.schedule.final_fraction=0.01"
        )


def _check_names_and_dates(config: RunConfig) -> None:
    names = {"model.name": config.model.name, "recipe.name": config.recipe.name}
    names |= {"data.name": config.data.name, "experiment": config.experiment or "none"}
    for key, name in names.items():
        if not SAFE_NAME.fullmatch(name):
            raise UserError(
                f"{key}={name!r} may hold only letters, digits and _ . : -; type another name"
            )
    dates = {"model.published": config.model.published, "recipe.date": config.recipe.date}
    for key, date in dates.items():
        try:
            if date is not None:
                datetime.date.fromisoformat(date)
        except ValueError as error:
            raise UserError(f"{key}={date!r} is not a date; type {key}=2015-12-10") from error


def _at_least(key: str, value: float, least: float) -> None:
    if value < least:
        raise UserError(f"{key}={value:g} must be at least {least:g}; type {key}={least:g}")
