"""Keys that an entry and its configuration may have, by the entry's ``schema_version``.

A key that its schema lacks either has no meaning or smuggles in behavior of a later version.  A new
setting must be added here too, under the current schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from efficiency_bench.ledger.store import ADDED_IN_4

_FREE = frozenset({"model.arguments", "recipe.model_arguments"})
"""Arguments of a model builder, which checks them itself."""

_CONFIG_2 = frozenset(
    f"{part}{name}"
    for part, names in {
        "": (
            *("experiment", "form", "estimand", "seed", "repeat", "device", "precision"),
            *("channels_last", "optimizer_kernel", "compile", "threads"),
        ),
        "model.": ("name", "published", "paper", "arguments", "auxiliary_loss_weight"),
        "recipe.": (
            *("name", "date", "citation", "expects", "departures", "epochs", "batch_size"),
            *("label_smoothing", "ema_decay", "model_arguments"),
        ),
        "recipe.optimizer.": (
            *("name", "lr", "weight_decay", "decay_norm_and_bias", "momentum", "nesterov"),
            *("alpha", "eps", "betas"),
        ),
        "recipe.schedule.": (
            *("name", "warmup", "milestones", "factor", "period", "final_fraction", "peak"),
            "start_fraction",
        ),
        "recipe.augmentation.": (
            *("flip", "crop_pad_px", "cutout_px", "resized_crop_min_area", "auto_augment"),
        ),
        "recipe.progressive.": ("start_fraction", "until", "stages"),
        "data.": (
            *("name", "image_px", "resize_px", "mean", "std", "crop_pad_px", "flip_keeps_class"),
            *("train_images", "val_images", "decode", "eval_batch_size"),
        ),
        "target.": (
            *("metric", "value", "comparison", "tolerance", "confirmations", "baseline_model"),
            "baseline_recipe",
        ),
        "evaluation.": ("per_epoch", "per_epoch_near"),
    }.items()
    for name in names
)

CONFIG_KEYS: Mapping[int, frozenset[str]] = {
    # near: the distance to the target within which versions before 0.3 evaluated more often
    2: _CONFIG_2 | {"evaluation.near"},
    3: _CONFIG_2,
    4: _CONFIG_2
    | {"budget", "data.inner_split", "target.baseline_epochs", "model.scale", "model.width"}
    | {"deterministic"},
}
"""Schema -> dotted keys of a measured entry's configuration."""

NEW_IN: Mapping[str, int] = {
    "provenance.network_digest": 3,
    **dict.fromkeys(ADDED_IN_4, 4),
}
"""Dotted key of an entry -> the schema that added it, for keys added after schema 2."""


def unknown_keys(written: Mapping[str, Any], schema: int, measured: bool) -> Iterator[str]:
    """Yield the dotted keys of an entry's written JSON that ``schema`` lacks.

    The configuration is checked only for a measured entry: that of an imported one holds the keys
    of the imported file.
    """
    for key, since in NEW_IN.items():
        part, _, name = key.rpartition(".")
        if schema < since and name in ((written.get(part) if part else written) or {}):
            yield key
    if measured:
        known = CONFIG_KEYS.get(schema, frozenset())
        yield from (f"config.{key}" for key in dotted(written["config"]) if key not in known)


def dotted(config: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """Yield the dotted keys of all leaves of a configuration."""
    for name, value in config.items():
        key = f"{before}{name}"
        if isinstance(value, Mapping) and key not in _FREE:
            yield from dotted(value, f"{key}.")
        else:
            yield key
