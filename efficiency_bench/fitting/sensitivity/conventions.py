"""Factor and halving time under every choice that the headline implies."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.fit_row import FitRow, RowSet
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.halving import Variant
from efficiency_bench.fitting.headline import FitOrReason, LineThrough, choose_method, fit_or_reason
from efficiency_bench.fitting.rows import fit_rows
from efficiency_bench.fitting.sensitivity.measured_choices import (
    Choice,
    ChoiceAxis,
    ChoiceSet,
    measured_choices,
)
from efficiency_bench.fitting.sensitivity.published_choices import published_choices
from efficiency_bench.fitting.sensitivity.published_errata import Erratum, published_errata
from efficiency_bench.ledger.reference import PublicationDates, assumed_date, publication_dates
from efficiency_bench.records import Entry, Record, Target, Tier


class ConventionRow(Record):
    """Factor and halving time with one choice made differently."""

    convention: str
    reduction_factor: float | None
    halving_months: float | None
    low_months: float | None
    high_months: float | None
    n: int
    changed: Mapping[str, str]
    """Axis -> option that differs from the headline's; empty for the headline."""
    reason: str | None
    """Why there is no fit."""


class NotApplicable(Record):
    """A choice that these rows do not have, with the reason."""

    convention: str
    reason: str


class Span(Record):
    """Smallest and largest result over all combinations of the choices."""

    combinations: int
    """Combinations with a halving time, without choices that scale all rows alike."""
    without_fit: int
    """Combinations with fewer than three rows, or with compute that does not fall."""
    low_factor: float
    high_factor: float
    low_months: float
    high_months: float


class ConventionTable(Record):
    """The headline, rows with one choice changed, their span, and errata of published figures."""

    data: str
    target: Target
    tier: Tier
    rows: tuple[ConventionRow, ...]
    span: Span | None
    """None if no combination has a halving time."""
    not_applicable: tuple[NotApplicable, ...]
    errata: tuple[Erratum, ...]
    """Errata of the 2020 paper and its leaderboard; empty for measured rows."""
    notes: tuple[str, ...]


VARIANTS = ChoiceAxis("rows", {"frontier": "", "all": "all models instead of the frontier"})
LINES = ChoiceAxis(
    "method", {"least squares": "", "end points": "end points instead of least squares"}
)
METHODS = ChoiceAxis(
    "method",
    {
        "censored": "",
        "frontier": "the method of 2020: least squares on the frontier",
        "arrived": "least squares on all rows that arrived",
        "end points": "end points of the frontier",
    },
)
METHOD_LINES: Mapping[str, tuple[Variant, LineThrough]] = {
    "censored": ("all", "censored"),
    "frontier": ("frontier", "least squares"),
    "arrived": ("all", "least squares"),
    "end points": ("frontier", "end points"),
}
"""Option of ``METHODS`` -> the rows, and how the line is fitted."""

DATES = ChoiceAxis(
    "dates",
    {
        "printed": "",
        "preprint": "dates: first version on arXiv",
        "conference": "dates: first day of the conference",
    },
)


DATES_KEPT = (
    "dates: AlexNet has no preprint and keeps its conference's date; "
    "networks without a conference keep their preprint's"
)


def conventions(entries: Sequence[Entry], selection: Selection) -> ConventionTable:
    """Recompute factor and halving time under each choice, and over all combinations.

    The first row is the default of ``fit``; each further row changes one choice.  Raises UserError
    unless exactly one group matches ``selection``, or if the headline has no fit.
    """
    row_set = fit_rows(entries, selection)
    published = all(row.run_ids == (f"published-{row.model}",) for row in row_set.rows)
    choices = published_choices(row_set) if published else measured_choices(entries, selection)
    censored = choose_method(row_set).method == "censored"
    axes, undated = _axes(choices, row_set, (METHODS,) if censored else (VARIANTS, LINES))
    headline = {axis.name: axis.headline for axis in axes}
    base = _result(choices, headline)
    if base.reason is not None:
        raise UserError(_no_headline(row_set, base.reason))
    return ConventionTable(
        data=row_set.group.data,
        target=row_set.target,
        tier=row_set.group.tier,
        rows=(_row(choices.headline, base, {}), *_departures(choices, axes, headline)),
        span=_span(choices, axes, headline),
        not_applicable=tuple(
            NotApplicable(convention=name, reason=why)
            for name, why in {**choices.not_applicable, **undated}.items()
        ),
        errata=published_errata() if published else (),
        notes=(*(() if undated else (DATES_KEPT,)), *choices.notes, *row_set.notes),
    )


def with_dates(rows: Sequence[FitRow], kind: str) -> list[FitRow]:
    """Return ``rows`` with the network's ``printed``, ``preprint`` or ``conference`` date.

    A row keeps its date if its network is not one of the sixteen of the 2020 paper, or if its date
    is the recipe's.
    """
    if kind == "printed":
        return list(rows)
    known = publication_dates()
    return [
        replace(row, date=getattr(known[row.model], kind)) if _dated_by_network(row, known) else row
        for row in rows
    ]


def _axes(
    choices: ChoiceSet, row_set: RowSet, methods: Sequence[ChoiceAxis]
) -> tuple[tuple[ChoiceAxis, ...], dict[str, str]]:
    """Return the axes of the table, and why dates are missing if no row has other dates."""
    if with_dates(row_set.rows, "conference") == list(row_set.rows):
        why = "no row is dated by one of the sixteen networks of the 2020 paper"
        return (*choices.axes, *methods), {"dates of preprint or conference": why}
    return (*choices.axes, DATES, *methods), {}


def _dated_by_network(row: FitRow, known: Mapping[str, PublicationDates]) -> bool:
    if row.date is None or row.model not in known:
        return False
    dates = known[row.model]
    month_only = dates.printed == assumed_date(dates.printed[: len("2014-09")])
    same_month = row.date[: len("2014-09")] == dates.printed[: len("2014-09")]
    return row.date in (dates.printed, dates.preprint) or (month_only and same_month)


def _result(choices: ChoiceSet, choice: Choice, interval: bool = True) -> FitOrReason:
    row_set = choices.row_set(choice)
    rows = with_dates(row_set.rows, choice.get(DATES.name, DATES.headline))
    if VARIANTS.name not in choice:
        variant, line = METHOD_LINES[choice[METHODS.name]]
    else:
        variant = cast(Variant, choice[VARIANTS.name])
        line = cast(LineThrough, choice[LINES.name])
    return fit_or_reason(replace(row_set, rows=tuple(rows)), variant, line, interval)


def _departures(
    choices: ChoiceSet, axes: Sequence[ChoiceAxis], headline: Choice
) -> list[ConventionRow]:
    return [
        _row(label, _result(choices, {**headline, axis.name: option}), {axis.name: option})
        for axis in axes
        for option, label in axis.options.items()
        if option != axis.headline
    ]


def _row(label: str, fit: FitOrReason, changed: Mapping[str, str]) -> ConventionRow:
    return ConventionRow(
        convention=label,
        reduction_factor=fit.reduction_factor,
        halving_months=fit.halving_months,
        low_months=fit.low_months,
        high_months=fit.high_months,
        n=fit.n,
        changed=changed,
        reason=fit.reason,
    )


def _span(choices: ChoiceSet, axes: Sequence[ChoiceAxis], headline: Choice) -> Span | None:
    free = [axis for axis in axes if not axis.cancels]
    names = [axis.name for axis in free]
    results = [
        _result(choices, {**headline, **dict(zip(names, options, strict=True))}, interval=False)
        for options in itertools.product(*(axis.options for axis in free))
    ]
    months = [fit.halving_months for fit in results if fit.halving_months is not None]
    factors = [
        fit.reduction_factor
        for fit in results
        if fit.halving_months is not None and fit.reduction_factor is not None
    ]
    if not months:
        return None
    return Span(
        combinations=len(months),
        without_fit=len(results) - len(months),
        low_factor=min(factors),
        high_factor=max(factors),
        low_months=min(months),
        high_months=max(months),
    )


def _no_headline(row_set: RowSet, reason: str) -> str:
    return (
        f"the headline has no fit ({row_set.group.options()}): {reason}\n"
        "measure more: efficiency-bench train experiment=resnet18; "
        "or use the published rows: efficiency-bench conventions published"
    )
