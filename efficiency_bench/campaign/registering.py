"""The runs of a command line written down as decided, before the first of them is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import yaml

from efficiency_bench.config import RunConfig, measured_part
from efficiency_bench.errors import UserError
from efficiency_bench.identity import decided_digest
from efficiency_bench.ledger.registration import (
    RegisteredRow,
    RegisteredTarget,
    Registration,
)
from efficiency_bench.provenance import git_state

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
