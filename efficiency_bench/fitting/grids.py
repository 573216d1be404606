"""Pairs of network and recipe whose four combinations are all measured."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from efficiency_bench.fitting.decomposition import Corner
from efficiency_bench.fitting.rows import FitRow


def complete_grids(rows: Sequence[FitRow]) -> tuple[tuple[Corner, Corner], ...]:
    """(old, new) of every gain that ``decompose`` can split, by name.

    Of two networks the old one was published first; of two recipes the old one is the
    baseline's, else the one with which the old network needs more compute.  A corner that was
    run in several configurations, or never reached the target, completes no grid.
    """
    found: dict[tuple[str, str], list[FitRow]] = {}
    for row in rows:
        found.setdefault((row.model, row.recipe), []).append(row)
    single = {key: same[0] for key, same in found.items() if len(same) == 1 and same[0].reached}
    dated = {key: row for key, row in single.items() if row.date is not None}
    models = {model: _first_date(model, dated) for model, _ in sorted(dated)}
    recipes = sorted({recipe for _, recipe in dated})
    grids = []
    for pair in combinations(models, 2):
        old, new = sorted(pair, key=lambda model: (models[model], model))
        for names in combinations(recipes, 2):
            if all((model, recipe) in dated for model in (old, new) for recipe in names):
                first, second = sorted(names, key=lambda recipe: _age(dated[old, recipe]))
                grids.append((Corner(old, first), Corner(new, second)))
    return tuple(grids)


def _first_date(model: str, dated: dict[tuple[str, str], FitRow]) -> str:
    return min(row.date for (name, _), row in dated.items() if name == model and row.date)


def _age(row: FitRow) -> tuple[bool, float]:
    return not row.is_baseline, -row.known_compute
