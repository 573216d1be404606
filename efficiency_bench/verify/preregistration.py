"""Preregistration: write down the plan before the first run, and check entries against it.

An entry by itself does not reveal that seeds were added until a number looked right, that the
target was moved, or that a run was left out.  A registration older than the runs does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import fsum, inf
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError

from efficiency_bench.config import RunConfig, measured_part
from efficiency_bench.errors import UserError
from efficiency_bench.identity import decided_digest, network_key, row_key
from efficiency_bench.ledger.baseline import baseline_finals
from efficiency_bench.provenance import git_state
from efficiency_bench.records import Entry, Metric, Record
from efficiency_bench.stop_rule import final_accuracy, metric_of_entry
from efficiency_bench.verify.evidence import Evidence
from efficiency_bench.verify.findings import Check, Failure, Finding, Remark, equal

Network = tuple[str, str, float]
"""An entry's ``network_key``."""


class RegisteredTarget(Record):
    """The accuracy to reach and the stop rule, as in the configuration."""

    metric: Metric | None
    """None: top-5 from 100 classes on, top-1 below."""
    value: float | None = Field(ge=0, le=1)
    """A fraction; None: the mean final accuracy of the baseline's seeds."""
    comparison: Literal[">="]
    tolerance: float
    confirmations: int
    baseline_model: str
    baseline_recipe: str
    baseline_epochs: float | None = None
    """Length of the schedule that a budget of 1 pays for."""


class RegisteredRow(Record):
    """One row: what is trained, with which seeds."""

    model: str
    recipe: str
    scale: float = 1.0
    """``model.scale``: MACs of the small form over those of the rule's."""
    budget: float | None = None
    """Share of the baseline's compute; None: the recipe's own schedule."""
    seeds: tuple[int, ...]
    decided: str
    """SHA-256 (hex) of all settings that the machine does not decide: ``decided_digest``."""


class Registration(Record):
    """The content of a registration file."""

    schema_version: Literal[1]
    registered_utc: datetime
    commit: str | None
    """Git commit of the code that composed the settings."""
    data: str
    estimand: str
    target: RegisteredTarget
    rows: tuple[RegisteredRow, ...]

    def row_of(self, entry: Entry) -> RegisteredRow | None:
        """Return the row of an entry's model, recipe, scale and budget, or None."""
        key = *network_key(entry), entry.budget_asked
        return next((row for row in self.rows if (*_network_of(row), row.budget) == key), None)


def read(path: Path) -> Registration:
    """Read the registration in ``path``; UserError if it is invalid."""
    try:
        return Registration.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror or error}; name a file that plan --register wrote"
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(
            f"{path} is not valid YAML: {' '.join(str(error).split())};\n"
            "restore it, or name another file that plan --register wrote"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(
            f"{path} is not a valid registration: {where}: {first['msg']};"
            "\nto write one: efficiency-bench plan suite=paper data=imagenet --register FILE"
        ) from error


def registration_rule(registrations: Sequence[Registration]) -> Check:
    """Return a rule: a run on their data must match, in all its settings, the one with its row."""

    def registered(evidence: Evidence) -> Iterator[Finding]:
        entry = evidence.entry
        on_its_data = [each for each in registrations if each.data == _asked(entry)]
        found = ((each, row) for each in on_its_data if (row := each.row_of(entry)) is not None)
        registration, row = next(found, (None, None))
        if registration is None or row is None:
            if on_its_data:
                named = _name(*network_key(entry))
                yield Remark("registered", f"{named} is not in the registration")
            return
        if datetime.fromisoformat(entry.created_utc) < registration.registered_utc:
            yield Failure(
                "registered: before the run", entry.created_utc, str(registration.registered_utc)
            )
        if entry.seed not in row.seeds:
            yield Failure("registered: seed", list(row.seeds), entry.seed)
        if entry.repeat:
            yield from _repeated(evidence)
        yield from equal("registered: settings", row.decided, decided_digest(entry.config))
        yield from equal("registered: estimand", registration.estimand, entry.estimand)
        yield from _target(registration.target, entry)

    return registered


def missing(registration: Registration, entries: Sequence[Entry]) -> list[str]:
    """Return a line for each network and seed with registered runs that have no entry.

    Budgets above one at which the row passed the baseline's level are named apart: they cannot move
    its arrival, so a ladder leaves them out (``rung_margin``).
    """
    ours = [entry for entry in entries if _asked(entry) == registration.data]
    there = {(*network_key(e), e.budget_asked, e.seed) for e in ours}
    passed = _passed(ours)
    lacking: dict[tuple[Network, int], list[RegisteredRow]] = {}
    for row in registration.rows:
        network = _network_of(row)
        for seed in row.seeds:
            if (*network, row.budget, seed) not in there:
                lacking.setdefault((network, seed), []).append(row)
    lines = []
    for (network, seed), rows in sorted(lacking.items(), key=lambda item: item[0]):
        at = passed.get(network, inf)
        needed = [f"{row.budget:g}" for row in rows if row.budget and row.budget <= at]
        above = [f"{row.budget:g}" for row in rows if row.budget and row.budget > at]
        parts = [f"budgets {', '.join(needed)}"] if needed else []
        parts += [f"not needed after {at:g}: {', '.join(above)}"] if above else []
        named = f"{_name(*network)} seed {seed}"
        lines.append(f"{named}: {'; '.join(parts)}" if parts else named)
    return lines


def _passed(entries: Sequence[Entry]) -> dict[Network, float]:
    """Return the smallest budget at which each network ended at the baseline's level."""
    sets = {(entry.data_digest, metric_of_entry(entry)) for entry in entries}
    finals = {one: baseline_finals(entries, *one) for one in sets}
    levels = {one: fsum(found.values()) / len(found) for one, found in finals.items() if found}
    passed: dict[Network, float] = {}
    for entry in entries:
        metric = metric_of_entry(entry)
        level = levels.get((entry.data_digest, metric), inf)
        if entry.budget_asked is not None and final_accuracy(entry, metric) >= level:
            key = network_key(entry)
            passed[key] = min(entry.budget_asked, passed.get(key, inf))
    return passed


def _network_of(row: RegisteredRow) -> Network:
    return row.model, row.recipe, row.scale


def _name(model: str, recipe: str, scale: float) -> str:
    """Name what is trained, as in ``resnet18 at 0.5 small_2020``."""
    return f"{model} {recipe}" if scale == 1 else f"{model} at {scale:g} {recipe}"


def _asked(entry: Entry) -> str:
    """Return the data that the run's configuration names, even if the entry calls it ``folder``."""
    asked = entry.config.get("data")
    return str(asked["name"]) if isinstance(asked, Mapping) and "name" in asked else entry.data


def _repeated(evidence: Evidence) -> Iterator[Finding]:
    """Yield a failure unless all earlier runs of this seed failed: only then may it be repeated."""
    entry = evidence.entry
    row = row_key(entry)
    before = [
        other
        for other in evidence.ledger.entries
        if other.seed == entry.seed and other.repeat < entry.repeat and row_key(other) == row
    ]
    if not before or any(other.end_reason != "failed" for other in before):
        yield Failure("registered: repeat", "only after a fault", entry.repeat)


def _target(decided: RegisteredTarget, entry: Entry) -> Iterator[Finding]:
    found = entry.target
    if found is None:  # a budgeted run is compared with any level, which no setting decides
        yield from equal("registered: target.value", decided.value, None)
        return
    if decided.metric is not None:
        yield from equal("registered: target.metric", decided.metric, found.metric)
    if decided.value is not None:
        yield from equal("registered: target.value", decided.value, found.value)
    elif found.source not in ("baseline", "own_schedule"):
        yield Failure("registered: target", f"the level of {decided.baseline_model}", found.value)
    for name in ("comparison", "tolerance", "confirmations"):
        yield from equal(f"registered: target.{name}", getattr(decided, name), getattr(found, name))


HEAD = """\
# Decided before the first run: target, stop rule, rows, seeds.  Every one of these runs counts.  A
# run that misses the target stays in as censored; only a run that failed is repeated.
# efficiency-bench verify --registered {name}
"""


def register(configs: Sequence[RunConfig], path: Path) -> Registration:
    """Write a registration of ``configs`` to the new file ``path`` and return it.

    Raises UserError if the runs differ in data, target or estimand, if a row has two different
    settings, and if ``path`` exists: a registration is never overwritten.
    """
    shared = {(c.data.name, c.estimand, str(dataclasses.asdict(c.target))) for c in configs}
    if len(shared) != 1:
        raise UserError(
            f"--register got {len(shared)} combinations of data set, target and estimand, and a"
            " registration has one: leave out the others"
        )
    if any(config.repeat for config in configs):
        raise UserError(
            "repeat= cannot be registered before its first run has failed: leave it out"
        )
    first = configs[0]
    registration = Registration(
        schema_version=1,
        registered_utc=datetime.now(UTC).replace(microsecond=0),
        commit=git_state(Path(__file__))[0],
        data=first.data.name,
        estimand=first.estimand,
        target=RegisteredTarget.model_validate(dataclasses.asdict(first.target)),
        rows=tuple(_rows(configs)),
    )
    text = yaml.safe_dump(registration.model_dump(mode="json"), sort_keys=False, width=100)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(HEAD.format(name=path.name) + text)
    except FileExistsError:
        raise UserError(
            f"{path} already exists and a registration is never overwritten; name another file"
        ) from None
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; name another file"
        ) from error
    return registration


def _rows(configs: Sequence[RunConfig]) -> list[RegisteredRow]:
    rows: dict[tuple[str, str, float, float | None], tuple[str, list[int]]] = {}
    for config in configs:
        name = config.model.name, config.recipe.name, config.model.scale, config.budget
        decided = decided_digest(measured_part(config))
        known, seeds = rows.setdefault(name, (decided, []))
        if known != decided or config.seed in seeds:
            raise UserError(
                f"{_name(*name[:3])}: a row has one configuration and each seed once; runs"
                " that share model\nand recipe may differ only in scale, seed and budget; leave the"
                " others out"
            )
        seeds.append(config.seed)
    return [
        RegisteredRow(
            model=model,
            recipe=recipe,
            scale=scale,
            budget=budget,
            seeds=tuple(seeds),
            decided=decided,
        )
        for (model, recipe, scale, budget), (decided, seeds) in rows.items()
    ]
