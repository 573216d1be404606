"""Files of tuned learning rates, one rate per network, and how a run uses them.

``efficiency-bench ledger rates`` writes the file (``ledger.rate_search``), ``rates=NAME`` reads it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import yaml
from pydantic import ValidationError

from efficiency_bench.bounds import Amount, Count, Fraction, Positive
from efficiency_bench.config import RunConfig
from efficiency_bench.errors import UserError, unknown
from efficiency_bench.records import Metric, RateSearch, Record

HEAD = """\
# The learning rate of each network, chosen on a part of the training images (data.inner_split).
# Made by: efficiency-bench ledger rates LEDGER --out {name}
# efficiency-bench train -m suite=ladder rates={stem}
"""


class TunedRate(Record):
    """The learning rate of one network and the search that chose it."""

    rate: Positive
    accuracy: Fraction
    """Final accuracy at this rate on the inner validation images."""
    at_edge: bool
    """Whether it is the lowest or the highest rate that was tried."""
    tried: tuple[Positive, ...]
    trials: Count
    search_tfs_days: Amount
    """paper3x of all trials, teraflop/s-days."""


class TunedRates(Record):
    """Content of a rates file: the settings of the search and the chosen rates."""

    ledger_digest: str
    """SHA-256 over the trials' entry digests."""
    recipe: str
    batch_size: Count
    data: str
    metric: Metric
    budget: Positive
    """Share of the baseline's compute that each trial was asked to cost."""
    inner_split: Fraction
    rates: Mapping[str, TunedRate]
    """Name of the network -> its rate."""
    also_for: tuple[str, ...] = ()
    """Other data sets that take these rates without a search of their own; added by hand."""


def read_rates(name: str) -> TunedRates:
    """Return the rates in ``configs/tuned_rates/NAME.yaml``, or in the file at the path ``name``.

    A path ends in ``.yaml``.  Raises UserError if the file is missing or not a rates file.
    """
    if name.endswith(".yaml"):
        path = Path(name)
    else:
        folder = Path(str(resources.files("efficiency_bench.configs"))) / "tuned_rates"
        path = folder / f"{name}.yaml"
        if not path.is_file() or path.parent != folder:
            known = [file.stem for file in sorted(folder.glob("*.yaml"))]
            raise UserError(
                f"there are no rates {name!r}; known: {', '.join(known) or 'none'}\n"
                "write them with efficiency-bench ledger rates LEDGER --out FILE.yaml, and type"
                " rates=FILE.yaml"
            )
    try:
        return TunedRates.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(
            f"cannot read rates={name}: {error.strerror or error}; make it readable, or name"
            " another file"
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise UserError(
            f"rates={name} is not a file of rates: {' '.join(str(error).split())[:200]};\n"
            "write it again with efficiency-bench ledger rates LEDGER --out FILE.yaml"
        ) from error


def write_rates(rates: TunedRates, path: Path) -> None:
    """Write ``rates`` to ``path``; UserError if that fails."""
    body = yaml.safe_dump(rates.model_dump(mode="json"), sort_keys=False, width=100)
    head = HEAD.format(name=path.name, stem=path.stem)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(head + body, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; name another file with --out"
        ) from error


def with_rate(config: RunConfig) -> RunConfig:
    """Return ``config`` with the learning rate that ``config.rates`` has for its network.

    Without ``rates``, ``config`` is returned unchanged.  Raises UserError if the network was not
    searched, or if recipe, batch size or data set differ from those of the search.
    """
    if config.rates is None:
        return config
    rates = read_rates(config.rates)
    if config.model.name not in rates.rates:
        raise unknown(f"network for rates={config.rates}", config.model.name, rates.rates)
    asked = _settings(config.recipe.name, config.recipe.batch_size, config.data.name)
    data_sets = (rates.data, *rates.also_for)
    allowed = [_settings(rates.recipe, rates.batch_size, name) for name in data_sets]
    if asked not in allowed:
        raise UserError(
            f"rates={config.rates} cannot be used with {asked}: they were searched for"
            f" {' or '.join(allowed)};\ntype that, or leave rates out"
        )
    optimizer = dataclasses.replace(config.recipe.optimizer, lr=rates.rates[config.model.name].rate)
    return dataclasses.replace(
        config, recipe=dataclasses.replace(config.recipe, optimizer=optimizer)
    )


def _settings(recipe: str, batch_size: int, data: str) -> str:
    return f"recipe={recipe} recipe.batch_size={batch_size} data={data}"


def search_of(config: RunConfig) -> RateSearch | None:
    """Return the search behind a run's learning rate; None without ``rates``.

    Raises UserError if the file has changed since the run was planned.
    """
    if config.rates is None:
        return None
    rates = read_rates(config.rates)
    found = rates.rates.get(config.model.name)
    if found is None or found.rate != config.recipe.optimizer.lr:
        raise UserError(
            f"rates={config.rates} has changed since this run was planned: it now says"
            f" {found and found.rate} for {config.model.name}, not"
            f" {config.recipe.optimizer.lr:g};\ntype the command of the run or sweep again"
        )
    return RateSearch(
        name=Path(config.rates).stem,
        search_tfs_days=found.search_tfs_days,
        trials=found.trials,
        at_edge=found.at_edge,
        ledger_digest=rates.ledger_digest,
    )
