"""The axis of a fit: architectures under one recipe, or recipes of one architecture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.fit_row import FitRow, RowSet
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.ledger.baseline import LADDER_RECIPE

RULES_SCALE = 1.0
"""``model.scale`` of small forms as the rule gives them, neither narrowed nor widened."""

SPARE_MODELS = 2
"""Models required beyond the number of fixed effects before recipes enter as fixed effects."""


def on_axis(row_set: RowSet, selection: Selection) -> RowSet:
    """Return the rows that differ only along ``selection.axis``, each at the date of what varies.

    Architecture axis: rows have the model's date and one recipe (``selection.recipe``; by default
    ``small_2020`` if it has rows, else every recipe).  Recipe axis: rows have the recipe's date
    and one model (``selection.model``; by default the one with most recipes).  Both axes keep
    small forms of one scale (``selection.scale``; by default the baseline's).  Without an axis,
    all rows are kept at the later of the two dates.  Raises UserError if no row has the recipe,
    model or scale.
    """
    if selection.axis is None:
        return row_set
    rows, notes = _one_scale(row_set.rows, selection.scale)
    if selection.axis == "recipe":
        if selection.recipe is not None:
            raise UserError(
                f"--recipe {selection.recipe} with --axis recipe is invalid: that axis compares "
                "the recipes of one model\nchoose the model instead: --model resnet18"
            )
        model = selection.model or _most_recipes(rows)
        kept = [row for row in _named(rows, "model", model) if row.recipe_date is not None]
        notes += [
            f"recipe {row.recipe} has no publication date: left out of the recipe axis"
            for row in rows
            if row.model == model and row.recipe_date is None
        ]
        dated = [replace(row, date=row.recipe_date) for row in kept]
        return _finished(row_set, selection, dated, [*notes, f"recipes of {model}, by their dates"])
    if selection.model is not None:
        raise UserError(
            f"--model {selection.model} with --axis architecture is invalid: that axis compares "
            "models\nto compare the recipes of one model: --axis recipe --model resnet18"
        )
    recipes = {row.recipe for row in rows}
    recipe = selection.recipe or (LADDER_RECIPE if LADDER_RECIPE in recipes else None)
    kept = list(rows) if recipe is None else _named(rows, "recipe", recipe)
    if others := sorted({row.recipe for row in rows if row.recipe != recipe} if recipe else ()):
        notes.append(f"recipe {recipe} only; left out: {', '.join(others)}")
    dated = [replace(row, date=row.model_date or row.date) for row in kept]
    differ = _crossed(dated)
    if len({row.recipe for row in dated}) > 1:
        notes.append(
            "recipes are fixed effects, because some models were trained with several"
            if differ
            else "models have different recipes, so the slope contains both"
        )
    return _finished(row_set, selection, dated, notes, differ)


def _finished(
    row_set: RowSet,
    selection: Selection,
    rows: Sequence[FitRow],
    notes: Iterable[str],
    recipes_differ: bool = False,
) -> RowSet:
    return replace(
        row_set,
        rows=tuple(rows),
        notes=(*row_set.notes, *notes),
        axis=selection.axis,
        recipes_differ=recipes_differ,
    )


def _one_scale(rows: Sequence[FitRow], asked: float | None) -> tuple[Sequence[FitRow], list[str]]:
    """Return the rows of one scale, and a note on the rows left out."""
    scales = sorted({row.scale for row in rows})
    if len(scales) < 2 and asked in (None, *scales):
        return rows, []
    scale = asked
    if scale is None:
        scale = next((row.scale for row in rows if row.is_baseline), RULES_SCALE)
    kept = [row for row in rows if row.scale == scale]
    if not kept:
        listed = ", ".join(f"{s:g}" for s in scales)
        raise UserError(
            f"no row has model.scale={scale:g}: this ledger has {listed}\n"
            f"choose one of them: --scale {scales[0]:g}"
        )
    left_out = len(rows) - len(kept)
    return kept, [f"forms at scale {scale:g}; {left_out} rows at other scales are left out"]


def _named(rows: Sequence[FitRow], kind: str, name: str) -> list[FitRow]:
    kept = [row for row in rows if getattr(row, kind) == name]
    if not kept:
        known = ", ".join(sorted({getattr(row, kind) for row in rows}))
        raise UserError(
            f"no row has {kind} {name!r}: this fit has {known}\nchoose one of them: --{kind} NAME"
        )
    return kept


def _most_recipes(rows: Sequence[FitRow]) -> str:
    recipes: dict[str, set[str]] = {}
    for row in rows:
        if row.recipe_date is not None:
            recipes.setdefault(row.model, set()).add(row.recipe)
    if not recipes:
        raise UserError(
            "no row has a recipe with a publication date, which --axis recipe requires\n"
            "measure one: efficiency-bench train model=resnet18 recipe=small_modern"
        )
    return max(sorted(recipes), key=lambda model: len(recipes[model]))


def _crossed(rows: Sequence[FitRow]) -> bool:
    """Whether recipes and models can be separated: some model has several recipes.

    There must also be enough models for the fixed effects.
    """
    pairs = {(row.model, row.recipe) for row in rows}
    models, recipes = ({pair[i] for pair in pairs} for i in range(2))
    effects = len(recipes) - 1
    return len(pairs) > len(models) and len(models) >= 2 + effects + SPARE_MODELS
