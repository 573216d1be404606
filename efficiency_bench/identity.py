"""The identity of runs and rows: digests, row key, row date and run id.

Used when a run starts and again when its entry is verified, so it needs only the ``config`` of an
entry: no torch, no configuration library.  A set of fields lists dotted keys of the configuration
(``recipe.citation``); a key includes everything below it.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from efficiency_bench.provenance import digest_json
from efficiency_bench.records import Entry, Metric, Target, Tier

IMAGENET = ("imagenet", "imagenet_ffcv", "imagenet_memory")
"""Names of ILSVRC 2012 in a configuration, by how its images are stored."""

IMAGENET_CLASSES, IMAGENET_VAL_IMAGES = 1000, 50_000
"""Sizes of ILSVRC 2012 (Russakovsky et al. 2015, arXiv:1409.0575)."""

FOLDER = "folder"
"""Name of any other dataset of images in class folders."""

Fields = frozenset[str]

RESULTS: Fields = frozenset(
    {
        *("run_dir", "ledger_dir", "suite", "tracking"),
        *("checkpoint_share", "price_usd_per_hour", "profile", "rates", "rung_margin"),
    }
)
"""Where results go and what else is reported about a run; never in an entry's configuration.

The rate that ``rates`` chooses is recorded as ``recipe.optimizer.lr``, so a run with the same rate
set by hand is the same run."""

LOADING: Fields = frozenset({"data.root", "data.download", "data.workers", "data.allow_left_out"})
"""Where the images are and how they are read; never recorded.  Their content is in the data
digest, and their order follows from the seed."""

REPLICATE: Fields = frozenset({"seed", "repeat"})
"""Which replicate of its row a run is."""

PROSE: Fields = frozenset({"model.paper", "recipe.citation", "recipe.expects", "recipe.departures"})
"""Descriptions of a network or a recipe: rewording one changes no measurement."""

LABELS: Fields = frozenset({"experiment"})
"""The name of a file that selects a model and a recipe, both of which are recorded."""

FOLLOWS_FROM_BUDGET: Fields = frozenset({"recipe.epochs"})
"""What a budget decides.  It is recorded, and in no digest of a run with a budget."""

ONLY_WITH_BUDGET: Fields = frozenset({"target.baseline_epochs"})
"""What nothing but a budget depends on.  Without a budget it is in no digest."""

MACHINE: Fields = frozenset(
    {
        *("device", "precision", "channels_last", "optimizer_kernel", "deterministic"),
        *("compile", "threads"),
    }
)
"""How this machine carries out the same arithmetic; an entry records each of them."""

EVALUATION_BATCH: Fields = frozenset({"data.eval_batch_size"})
"""How many validation images go through the network at once; each image still counts once."""

SCHEDULE_LENGTH: Fields = frozenset({"recipe.epochs", "budget", "target.baseline_epochs"})
"""What the rungs of one ladder differ in; ``row_key`` does not ignore it by default."""

NOT_OF_A_ROW: Fields = RESULTS | LOADING | REPLICATE | PROSE | LABELS | MACHINE | EVALUATION_BATCH
"""Every field in which seeds of one row may differ.  All other fields affect the measurement."""

ADDED_LATER: Mapping[str, Any] = {
    "estimand": "anytime",
    "budget": None,
    "deterministic": False,
    "model.scale": 1.0,
    "model.width": None,
    "data.inner_split": 0.0,
    "target.baseline_epochs": None,
}
"""Fields that the first entries lack, with their defaults.  A field at its default is not
recorded, so that old entries keep their digests, run ids and rows."""


class RowKey(NamedTuple):
    """What all seeds of one row have in common."""

    tier: Tier
    model: str
    recipe: str
    data: str
    date: str | None
    settings: str | None
    """Digest of the measured settings; None: no configuration was recorded (an imported row)."""
    data_digest: str | None
    level: tuple[Metric, float] | None
    """The target; None: the run sets its own, or has none."""


def row_key(entry: Entry, ignoring: Fields = frozenset()) -> RowKey:
    """Return the row of ``entry``: runs are seeds of one row exactly if their keys are equal.

    The fields of ``NOT_OF_A_ROW`` and of ``ignoring`` are left out.  An entry without a run's
    configuration is identified by its config digest and its names only.
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
        level=None if target is None or entry.sets_target else (target.metric, target.value),
    )


def row_settings(measured: Mapping[str, Any], ignoring: Fields = frozenset()) -> str:
    """Return the SHA-256 (hex) of a row's settings, which is known before its first run.

    ``measured`` is ``config.measured_part`` or an entry's ``config``.
    """
    return _digest(measured, NOT_OF_A_ROW | ignoring)


def recorded_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a full configuration (plain values) that an entry records."""
    return _without(settings, RESULTS | LOADING)


def config_digest(measured: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of a run's measured configuration, part of its run id.

    ``measured`` is ``config.measured_part`` or an entry's ``config``.  It leaves out seed and
    repeat (the run id has them), the number of CPU threads (a property of the host) and prose.  It
    is narrower than a row (``row_key``): another device gives another digest.
    """
    return _digest(measured, REPLICATE | PROSE | {"threads"})


def decided_digest(measured: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of the settings that are decided before the first run.

    It leaves out what depends on the machine, and the experiment, which is only a name.
    """
    return _digest(measured, REPLICATE | PROSE | LABELS | MACHINE)


def _digest(measured: Mapping[str, Any], ignoring: Fields) -> str:
    """Return the SHA-256 (hex) of the settings without ``ignoring`` and what a budget settles."""
    settled = ONLY_WITH_BUDGET if measured.get("budget") is None else FOLLOWS_FROM_BUDGET
    return digest_json(_without(measured, ignoring | settled))


def _without(settings: Mapping[str, Any], names: Fields, place: str = "") -> dict[str, Any]:
    """Return a copy without ``names`` and without ``ADDED_LATER`` fields at their default."""
    kept: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{place}{key}"
        if name in names or (name in ADDED_LATER and value == ADDED_LATER[name]):
            continue
        kept[key] = _without(value, names, f"{name}.") if isinstance(value, Mapping) else value
    return kept


def setting(config: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """Return the value at a dotted key of an untrusted configuration, ``default`` without one."""
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return default if value is None else value


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) of every string, number, boolean and null in plain values."""
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from leaves(below, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for place, below in enumerate(value):
            yield from leaves(below, f"{key}[{place}]")
    else:
        yield key, value


def row_date(measured: Mapping[str, Any]) -> str:
    """Return the row's ISO date: the later of the model's and the recipe's, if it has one."""
    dates = (measured["model"]["published"], measured["recipe"]["date"])
    return str(max(filter(None, dates)))


def own_dates(entry: Entry) -> tuple[str | None, str | None]:
    """Return the ISO dates of the entry's model and of its recipe; None: it has none.

    An entry without a run's configuration (a published or imported row) has one date for both.
    """
    model, recipe = entry.config.get("model"), entry.config.get("recipe")
    if isinstance(model, Mapping) and isinstance(recipe, Mapping):
        published, followed = model.get("published"), recipe.get("date")
        if _is_date(published) and (followed is None or _is_date(followed)):
            return published, followed
    return entry.date, entry.date


def _is_date(value: Any) -> bool:
    try:
        return value == datetime.date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        return False


def form_scale(entry: Entry) -> float:
    """Return the MACs of the entry's small form over those of the rule's (``model.scale``)."""
    model = entry.config.get("model")
    scale = model.get("scale") if isinstance(model, Mapping) else None
    return float(scale) if isinstance(scale, int | float) else 1.0


def network_key(entry: Entry) -> tuple[str, str, float]:
    """Return what a ladder trains at several budgets: model, recipe, ``model.scale``."""
    return entry.model, entry.recipe, form_scale(entry)


def form_size(entry: Entry) -> tuple[float, float | None]:
    """Return ``model.scale`` and ``model.width``: networks of equal size have equal ones."""
    model = entry.config.get("model")
    return form_scale(entry), model.get("width") if isinstance(model, Mapping) else None


def data_name(asked: str, classes: int) -> str:
    """Return the data name of an entry: ``asked``, or ``folder`` if it is not really ImageNet.

    ImageNet's loaders read any tree of class folders; only one with 1,000 classes is ImageNet.
    """
    return FOLDER if asked in IMAGENET and classes != IMAGENET_CLASSES else asked


def run_id(measured: Mapping[str, Any], data: str, data_digest: str, target: Target | None) -> str:
    """Return a run id: experiment, data, seed, repeat, and ten digits of a digest.

    ``data`` is the data's name in the entry (``data_name``).  The digest covers the configuration,
    the content of the data and the target (None: a baseline, which sets it, or a budgeted run
    without a target), so that runs against a remeasured baseline get new run ids.
    """
    level = "own" if target is None else repr((target.metric, target.threshold))
    key = f"{config_digest(measured)} {data_digest} {level}"
    model, recipe = measured["model"]["name"], measured["recipe"]["name"]
    name = (measured["experiment"] or f"{model}-{recipe}").replace(":", "-")
    repeat = f"-r{measured['repeat']}" if measured["repeat"] else ""
    digest = hashlib.sha256(key.encode()).hexdigest()[:10]
    return f"{name}-{data}-s{measured['seed']}{repeat}-{digest}"
