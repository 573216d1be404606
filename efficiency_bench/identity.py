"""What makes a run this run: config digest, row date and run id, from plain values.

Used where a run begins and again where its entry is verified, so it needs no more than the
``config`` that an entry holds: no torch, no configuration library.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from efficiency_bench.provenance import digest_json
from efficiency_bench.records import Target

IMAGENET = ("imagenet", "imagenet_ffcv", "imagenet_memory")
"""Names under which ILSVRC 2012 is asked for, by how its images are stored."""

IMAGENET_CLASSES, IMAGENET_VAL_IMAGES = 1000, 50_000
"""Of ILSVRC 2012 (Russakovsky et al. 2015, arXiv:1409.0575)."""

FOLDER = "folder"
"""Name of any other images in class folders."""

PROSE = ("citation", "expects", "departures")
"""Fields of a recipe that describe it: a reworded description measures the same."""

LEFT_OPEN = (
    *("seed", "repeat", "device", "precision", "channels_last"),
    *("optimizer_kernel", "compile", "threads"),
)
"""Settings that the machine at hand decides; an entry records each of them."""


def config_digest(measured: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over a run's measured configuration; runs that share it are one row's seeds.

    ``measured`` is ``config.measured_part`` or an entry's ``config``.  Seed and repeat name the
    run beside it, the number of CPU threads is the host's, and prose measures nothing.
    """
    return _digest_without(measured, ("seed", "repeat", "threads"))


def decided_digest(measured: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over what of a measured configuration is decided before the first run.

    What the machine at hand decides is left open, and the name of the experiment is only a name.
    """
    return _digest_without(measured, (*LEFT_OPEN, "experiment"))


def _digest_without(measured: Mapping[str, Any], names: Iterable[str]) -> str:
    """The digest over ``measured`` without the settings ``names`` and without prose."""
    plain = copy.deepcopy(dict(measured))
    for name in names:
        del plain[name]
    del plain["model"]["paper"]
    for prose in PROSE:
        del plain["recipe"][prose]
    return digest_json(plain)


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
