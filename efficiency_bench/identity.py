"""What makes a run this run and a row this row: digests, row key, row date and run id.

Used where a run begins and again where its entry is verified, so it needs no more than the
``config`` that an entry holds: no torch, no configuration library.  A set of fields names each by
its place in the configuration (``recipe.citation``); a name stands for everything below it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from efficiency_bench.provenance import digest_json
from efficiency_bench.records import Entry, Metric, Target, Tier

IMAGENET = ("imagenet", "imagenet_ffcv", "imagenet_memory")
"""Names under which ILSVRC 2012 is asked for, by how its images are stored."""

IMAGENET_CLASSES, IMAGENET_VAL_IMAGES = 1000, 50_000
"""Of ILSVRC 2012 (Russakovsky et al. 2015, arXiv:1409.0575)."""

FOLDER = "folder"
"""Name of any other images in class folders."""

Fields = frozenset[str]

RESULTS: Fields = frozenset(
    {
        *("run_dir", "ledger_dir", "suite", "tracking"),
        *("checkpoint_share", "price_usd_per_hour", "profile"),
    }
)
"""Where results go and what else is written down about a run; never recorded in an entry."""

LOADING: Fields = frozenset({"data.root", "data.download", "data.workers", "data.allow_left_out"})
"""Where the images lie, and what reads or refuses them; never recorded.  Their content is in the
data digest, and their order follows from the seed."""

REPLICATE: Fields = frozenset({"seed", "repeat"})
"""Which sample of its row a run is."""

PROSE: Fields = frozenset({"model.paper", "recipe.citation", "recipe.expects", "recipe.departures"})
"""Descriptions of a network or a recipe: a reworded one measures the same."""

LABELS: Fields = frozenset({"experiment"})
"""The name of a file that picks a model and a recipe, which are recorded themselves."""

MACHINE: Fields = frozenset(
    {"device", "precision", "channels_last", "optimizer_kernel", "compile", "threads"}
)
"""What the machine at hand decides about the same arithmetic; an entry records each."""

EVALUATION_BATCH: Fields = frozenset({"data.eval_batch_size"})
"""How many validation images go through the network at once: each one still counts once."""

SCHEDULE_LENGTH: Fields = frozenset({"recipe.epochs"})
"""What the trials of one horizon search differ in; rows in general do not ignore it."""

NOT_OF_A_ROW: Fields = RESULTS | LOADING | REPLICATE | PROSE | LABELS | MACHINE | EVALUATION_BATCH
"""Every field in which seeds of one row may differ.  All other fields are measured."""

ADDED_LATER: Mapping[str, Any] = {"estimand": "anytime"}
"""Fields that the first entries did not have, with their defaults.  While a field stands at its
default it is recorded nowhere, so that old entries keep their digests, run ids and rows."""


class RowKey(NamedTuple):
    """What the seeds of one row share."""

    tier: Tier
    model: str
    recipe: str
    data: str
    date: str | None
    settings: str | None
    """Digest of what is measured; None: nobody recorded a configuration (an imported row)."""
    data_digest: str | None
    level: tuple[Metric, float] | None
    """The target; None: the run sets its own."""


def row_key(entry: Entry, ignoring: Fields = frozenset()) -> RowKey:
    """The row of ``entry``: runs are seeds of one row exactly if their keys are equal.

    The fields of ``NOT_OF_A_ROW`` do not matter, and neither do those that the caller names in
    ``ignoring``.  An entry without a run's configuration has only its digest and its names.
    """
    target = entry.target
    recorded = entry.tier == "measured" and isinstance(entry.config.get("recipe"), Mapping)
    return RowKey(
        tier=entry.tier,
        model=entry.model,
        recipe=entry.recipe,
        data=entry.data,
        date=entry.date,
        settings=row_settings(entry.config, ignoring) if recorded else entry.config_digest,
        data_digest=entry.data_digest,
        level=None if target.source == "own_schedule" else (target.metric, target.value),
    )


def row_settings(measured: Mapping[str, Any], ignoring: Fields = frozenset()) -> str:
    """SHA-256 (hex) over what a row's configuration measures, also before its first run.

    ``measured`` is ``config.measured_part`` or an entry's ``config``.
    """
    kept = _without(measured, NOT_OF_A_ROW | ignoring)
    return digest_json(kept)


def recorded_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a whole configuration (plain values) that an entry records."""
    return _without(settings, RESULTS | LOADING)


def config_digest(measured: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over a run's measured configuration, which its name carries.

    ``measured`` is ``config.measured_part`` or an entry's ``config``.  Seed and repeat stand in
    the name themselves, the number of CPU threads is the host's, and prose measures nothing.
    Narrower than a row: another device is another digest (``row_key``).
    """
    return digest_json(_without(measured, REPLICATE | PROSE | {"threads"}))


def decided_digest(measured: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over what of a measured configuration is decided before the first run.

    What the machine at hand decides is left open, and the name of the experiment is only a name.
    """
    return digest_json(_without(measured, REPLICATE | PROSE | LABELS | MACHINE))


def _without(settings: Mapping[str, Any], names: Fields, place: str = "") -> dict[str, Any]:
    """A copy without the fields ``names``, and without later ones that stand at their default."""
    kept: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{place}{key}"
        if name in names or (name in ADDED_LATER and value == ADDED_LATER[name]):
            continue
        kept[key] = _without(value, names, f"{name}.") if isinstance(value, Mapping) else value
    return kept


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every text, number, truth value and null in plain values."""
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from leaves(below, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for place, below in enumerate(value):
            yield from leaves(below, f"{key}[{place}]")
    else:
        yield key, value


def row_date(measured: Mapping[str, Any]) -> str:
    """ISO date of the row: the later of the model's and, where it has one, the recipe's."""
    dates = (measured["model"]["published"], measured["recipe"]["date"])
    return str(max(filter(None, dates)))


def data_name(asked: str, classes: int) -> str:
    """Name of the data in an entry: ``asked``, but ``folder`` where it is not ImageNet's classes.

    The loaders of ImageNet read any tree of class folders; its name belongs to 1,000 classes.
    """
    return FOLDER if asked in IMAGENET and classes != IMAGENET_CLASSES else asked


def run_id(measured: Mapping[str, Any], data: str, data_digest: str, target: Target | None) -> str:
    """Name of a run: what it trains on what, seed, repeat, and ten digits of its digest.

    ``data`` is the data's name in the entry (``data_name``).  The digest covers the configuration,
    the data's content and the level to reach (None: a baseline, which sets it), so that a baseline
    measured again makes new runs and never stands in for old ones.
    """
    level = "own" if target is None else repr((target.metric, target.threshold))
    key = f"{config_digest(measured)} {data_digest} {level}"
    model, recipe = measured["model"]["name"], measured["recipe"]["name"]
    name = (measured["experiment"] or f"{model}-{recipe}").replace(":", "-")
    repeat = f"-r{measured['repeat']}" if measured["repeat"] else ""
    digest = hashlib.sha256(key.encode()).hexdigest()[:10]
    return f"{name}-{data}-s{measured['seed']}{repeat}-{digest}"
