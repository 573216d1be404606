"""What was decided before the first run, as a file, and the rule that holds entries to it.

Seeds added until a number looks right, a target moved, a run left out: none of them shows in an
entry by itself.  A registration that is older than the runs makes each of them a finding.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError

from efficiency_bench.config import RunConfig, measured_part
from efficiency_bench.errors import UserError
from efficiency_bench.identity import decided_digest, row_key
from efficiency_bench.provenance import git_state
from efficiency_bench.records import Entry, Metric, Record
from efficiency_bench.verify.evidence import Evidence
from efficiency_bench.verify.findings import Check, Failure, Finding, Note, equal


class RegisteredTarget(Record):
    """The level to reach and what counts as reaching it, as the configuration has it."""

    metric: Metric | None
    """None: top-5 from 100 classes on, top-1 below."""
    value: float | None = Field(ge=0, le=1)
    """A fraction; None: the mean final accuracy of the baseline's seeds."""
    comparison: Literal[">="]
    tolerance: float
    confirmations: int
    baseline_model: str
    baseline_recipe: str


class RegisteredRow(Record):
    """One row: what is trained, and how often."""

    model: str
    recipe: str
    seeds: tuple[int, ...]
    decided: str
    """SHA-256 (hex) of every setting but those that are left open: ``decided_digest``."""


class Registration(Record):
    """The whole file."""

    schema_version: Literal[1]
    registered_utc: datetime
    commit: str | None
    """Git commit of the code that composed the settings."""
    data: str
    estimand: str
    target: RegisteredTarget
    rows: tuple[RegisteredRow, ...]

    def row_of(self, model: str, recipe: str) -> RegisteredRow | None:
        """The row of a model and recipe, or None."""
        return next((r for r in self.rows if (r.model, r.recipe) == (model, recipe)), None)


def read(path: Path) -> Registration:
    """The registration in ``path``; UserError where it is none."""
    try:
        return Registration.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(
            f"{path} is no registration: {where}: {first['msg']};"
            "\none is written by efficiency-bench plan suite=paper data=imagenet --register FILE"
        ) from error


def held_to(registration: Registration) -> Check:
    """A rule: a run of this data is one of those that were decided on, in every decided part."""

    def registered(evidence: Evidence) -> Iterator[Finding]:
        entry = evidence.entry
        if _asked(entry) != registration.data:
            return
        row = registration.row_of(entry.model, entry.recipe)
        if row is None:
            yield Note("registered", f"{entry.model} {entry.recipe} was not decided on before")
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
    """Runs that were decided on and have no entry yet: model, recipe and seed."""
    there = {(e.model, e.recipe, e.seed) for e in entries if _asked(e) == registration.data}
    return [
        f"{row.model} {row.recipe} seed {seed}"
        for row in registration.rows
        for seed in row.seeds
        if (row.model, row.recipe, seed) not in there
    ]


def _asked(entry: Entry) -> str:
    """The data that a run was asked to train on: ImageNet's loaders may have found a folder."""
    asked = entry.config.get("data")
    return str(asked["name"]) if isinstance(asked, Mapping) and "name" in asked else entry.data


def _repeated(evidence: Evidence) -> Iterator[Finding]:
    """A seed may be trained again where its first run ended by a fault, and not otherwise."""
    entry = evidence.entry
    row = row_key(entry)
    before = [
        other
        for other in evidence.beside.entries
        if other.seed == entry.seed and other.repeat < entry.repeat and row_key(other) == row
    ]
    if not before or any(other.end_reason != "failed" for other in before):
        yield Failure("registered: repeat", "only after a fault", entry.repeat)


def _target(decided: RegisteredTarget, entry: Entry) -> Iterator[Finding]:
    found = entry.target
    if decided.metric is not None:
        yield from equal("registered: target.metric", decided.metric, found.metric)
    if decided.value is not None:
        yield from equal("registered: target.value", decided.value, found.value)
    elif found.source not in ("baseline", "own_schedule"):
        yield Failure("registered: target", f"the level of {decided.baseline_model}", found.value)
    for name in ("comparison", "tolerance", "confirmations"):
        yield from equal(f"registered: target.{name}", getattr(decided, name), getattr(found, name))


HEAD = """\
# Decided before the first run: target, stop rule, rows, seeds.  Every one of these runs counts: one
# that does not arrive stays in as censored; only one that ended by a fault is trained again.
# efficiency-bench verify --registered {name}
"""


def register(configs: Sequence[RunConfig], path: Path) -> Registration:
    """Write what ``configs`` decide into the new file ``path``.

    Raises UserError for runs that differ in data, target or estimand, for a row that has two
    settings, and where ``path`` is there already: what was decided stays.
    """
    shared = {(c.data.name, c.estimand, str(dataclasses.asdict(c.target))) for c in configs}
    if len(shared) != 1:
        raise UserError("a registration is of one data set, one target and one estimand")
    if any(config.repeat for config in configs):
        raise UserError("a repeat cannot be decided on before its first run failed: leave it out")
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
        raise UserError(f"{path} is there already: what was decided stays; name another") from None
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    return registration


def _rows(configs: Sequence[RunConfig]) -> list[RegisteredRow]:
    rows: dict[tuple[str, str], tuple[str, list[int]]] = {}
    for config in configs:
        name = config.model.name, config.recipe.name
        decided = decided_digest(measured_part(config))
        known, seeds = rows.setdefault(name, (decided, []))
        if known != decided or config.seed in seeds:
            raise UserError(
                f"{' '.join(name)}: a row has one setting and each seed once; runs that share model"
                " and recipe\ncannot differ in anything but seed"
            )
        seeds.append(config.seed)
    return [
        RegisteredRow(model=model, recipe=recipe, seeds=tuple(seeds), decided=decided)
        for (model, recipe), (decided, seeds) in rows.items()
    ]
