"""Factor and halving time under every choice that hides in the headline."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.fit_row import FitRow, RowSet
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.halving import Variant
from efficiency_bench.fitting.headline import FitOrReason, LineThrough, chosen, fit_or_reason
from efficiency_bench.fitting.rows import fit_rows
from efficiency_bench.fitting.sensitivity.measured_choices import (
    Choice,
    ChoiceAxis,
    ChoiceSet,
    measured_choices,
)
from efficiency_bench.fitting.sensitivity.published_choices import published_choices
from efficiency_bench.fitting.sensitivity.published_errata import Slip, published_slips
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
    """ChoiceAxis -> option, where the row departs from the headline; empty for the headline."""
    reason: str | None
    """Why there is no fit."""


class NotApplicable(Record):
    """A choice that does not exist for these rows."""

    convention: str
    reason: str


class Span(Record):
    """Least and greatest result over all combinations of the choices."""

    combinations: int
    """Combinations with a halving time; those of choices that cancel are not multiplied in."""
    without_fit: int
    """Combinations that leave fewer than three rows, or compute that does not fall."""
    low_factor: float
    high_factor: float
    low_months: float
    high_months: float


class ConventionTable(Record):
    """The headline, its departures one at a time, their span, and what is known to be wrong."""

    data: str
    target: Target
    tier: Tier
    rows: tuple[ConventionRow, ...]
    span: Span | None
    """None where no combination has a halving time."""
    not_applicable: tuple[NotApplicable, ...]
    slips: tuple[Slip, ...]
    """Of the published material; none for measured rows."""
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
LAID: Mapping[str, tuple[Variant, LineThrough]] = {
    "censored": ("all", "censored"),
    "frontier": ("frontier", "least squares"),
    "arrived": ("all", "least squares"),
    "end points": ("frontier", "end points"),
}
"""Option of ``METHODS`` -> the rows and the line through them."""

DATES = ChoiceAxis(
    "dates",
    {
        "printed": "",
        "preprint": "dates: first version on arXiv",
        "conference": "dates: first day of the conference",
    },
)


DATES_KEPT = (
    "dates: AlexNet has no preprint and keeps its conference; "
    "networks that are preprints only keep that"
)


def conventions(entries: Sequence[Entry], selection: Selection) -> ConventionTable:
    """Re-derive factor and halving time under each choice, and over all combinations.

    The first row is ``fit``'s default; each further one makes one choice differently.  Raises
    UserError where several groups or none are selected or fewer than three rows can be fitted.
    """
    row_set = fit_rows(entries, selection)
    published = all(row.run_ids == (f"published-{row.model}",) for row in row_set.rows)
    account = published_choices(row_set) if published else measured_choices(entries, selection)
    censored = chosen(row_set).method == "censored"
    axes, undated = _axes(account, row_set, (METHODS,) if censored else (VARIANTS, LINES))
    headline = {axis.name: axis.headline for axis in axes}
    base = _result(account, headline)
    if base.reason is not None:
        raise UserError(_no_headline(row_set, base.reason))
    return ConventionTable(
        data=row_set.group.data,
        target=row_set.target,
        tier=row_set.group.tier,
        rows=(_row(account.headline, base, {}), *_departures(account, axes, headline)),
        span=_span(account, axes, headline),
        not_applicable=tuple(
            NotApplicable(convention=name, reason=why)
            for name, why in {**account.not_applicable, **undated}.items()
        ),
        slips=published_slips() if published else (),
        notes=(*(() if undated else (DATES_KEPT,)), *account.notes, *row_set.notes),
    )


def redated(rows: Sequence[FitRow], kind: str) -> list[FitRow]:
    """``rows`` with the network's date of ``kind``: ``printed``, ``preprint``, ``conference``.

    A row keeps its date where the network is none of the sixteen, or where the date is the
    recipe's and not the network's.
    """
    if kind == "printed":
        return list(rows)
    known = publication_dates()
    return [
        replace(row, date=getattr(known[row.model], kind)) if _dated_by_network(row, known) else row
        for row in rows
    ]


def _axes(
    account: ChoiceSet, row_set: RowSet, methods: Sequence[ChoiceAxis]
) -> tuple[tuple[ChoiceAxis, ...], dict[str, str]]:
    """The axes of the table, and why dates are not among them if no row has others."""
    if redated(row_set.rows, "conference") == list(row_set.rows):
        why = "no row is dated by one of the sixteen networks of the 2020 paper"
        return (*account.axes, *methods), {"dates of preprint or conference": why}
    return (*account.axes, DATES, *methods), {}


def _dated_by_network(row: FitRow, known: Mapping[str, PublicationDates]) -> bool:
    if row.date is None or row.model not in known:
        return False
    dates = known[row.model]
    month_only = dates.printed == assumed_date(dates.printed[: len("2014-09")])
    same_month = row.date[: len("2014-09")] == dates.printed[: len("2014-09")]
    return row.date in (dates.printed, dates.preprint) or (month_only and same_month)


def _result(account: ChoiceSet, choice: Choice, interval: bool = True) -> FitOrReason:
    row_set = account.row_set(choice)
    rows = redated(row_set.rows, choice.get(DATES.name, DATES.headline))
    if VARIANTS.name not in choice:
        variant, line = LAID[choice[METHODS.name]]
    else:
        variant = cast(Variant, choice[VARIANTS.name])
        line = cast(LineThrough, choice[LINES.name])
    return fit_or_reason(replace(row_set, rows=tuple(rows)), variant, line, interval)


def _departures(
    account: ChoiceSet, axes: Sequence[ChoiceAxis], headline: Choice
) -> list[ConventionRow]:
    return [
        _row(label, _result(account, {**headline, axis.name: option}), {axis.name: option})
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


def _span(account: ChoiceSet, axes: Sequence[ChoiceAxis], headline: Choice) -> Span | None:
    free = [axis for axis in axes if not axis.cancels]
    names = [axis.name for axis in free]
    results = [
        _result(account, {**headline, **dict(zip(names, options, strict=True))}, interval=False)
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
        f"no headline to vary ({row_set.group.options()}): {reason}\n"
        "measure more: efficiency-bench train experiment=resnet18; "
        "or take the published rows: efficiency-bench conventions published"
    )
