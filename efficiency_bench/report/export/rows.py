"""The table ``rows``: one line per row of every fit that the ledger allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.groups import Group, Selection, comparable_sets
from efficiency_bench.fitting.halving import halving_time
from efficiency_bench.fitting.rows import FitRow, fit_rows
from efficiency_bench.records import Entry
from efficiency_bench.report.export.columns import Column, Table, TableSchema, fill


@dataclass(frozen=True)
class ExportedRow:
    """A row of a fit, and what that fit made of it."""

    number: int
    group: Group
    row: FitRow
    runs: tuple[Entry, ...]
    fitted: dict[str, Any]
    """Its fields in ``HalvingTime.rows``; empty: too few rows for a fit."""

    @property
    def censoring(self) -> str:
        """How compute to the target is known."""
        if self.row.reached_seeds == self.row.seeds:
            return "none"
        if self.row.reached:
            return "some seeds"
        return "above" if self.row.compute_spent > 0 else "unknown"

    @property
    def search_tfs_days(self) -> float | None:
        """Compute of the search for the row's learning rate."""
        return next((run.rates.search_tfs_days for run in self.runs if run.rates), None)


def rows_table(entries: Sequence[Entry]) -> Table:
    """Return the table ``rows``: every comparable set of the ledger, its rows oldest first."""
    numbered = (
        ExportedRow(number, *found) for number, found in enumerate(_fitted(entries), start=1)
    )
    return fill(ROWS, numbered, lambda found: f"row {found.row.model} {found.row.recipe}")


def _fitted(
    entries: Sequence[Entry],
) -> Iterator[tuple[Group, FitRow, tuple[Entry, ...], dict[str, Any]]]:
    by_id = {entry.run_id: entry for entry in entries}
    for group, members in comparable_sets(entries).items():
        row_set = fit_rows(members, Selection(estimand=group.estimand))
        try:
            fitted = halving_time(row_set).rows
        except UserError:  # too few rows for a fit: they are rows all the same
            fitted = ({},) * len(row_set.rows)
        for row, own in zip(row_set.rows, fitted, strict=True):
            yield group, row, tuple(by_id[run_id] for run_id in row.run_ids), own


ROWS: TableSchema[ExportedRow] = TableSchema(
    name="rows",
    description=(
        "One line per row of every fit: one model and recipe, its seeds together, at one target on"
        " one data set"
    ),
    primary_key=("row",),
    columns=(
        Column("row", "integer", None, "Number of the line, from 1", lambda r: r.number),
        Column("data", "string", None, "Data set", lambda r: r.group.data),
        Column(
            *("data_digest", "string", None, "SHA-256 of the images and labels"),
            lambda r: r.group.data_digest,
        ),
        Column("target_metric", "string", None, "top1 or top5", lambda r: r.group.metric),
        Column(
            *("target_value", "number", "fraction", "Accuracy to reach"),
            lambda r: r.group.target_value,
        ),
        Column(
            *("estimand", "string", None, "anytime: stopped at the target; budgeted: annealed"),
            lambda r: r.group.estimand,
        ),
        Column("tier", "string", None, "measured, imported or published", lambda r: r.group.tier),
        Column("model", "string", None, "Architecture", lambda r: r.row.model),
        Column("recipe", "string", None, "Training procedure", lambda r: r.row.recipe),
        Column("date", "date", None, "Date at which it is fitted", lambda r: r.row.date),
        Column("seeds", "integer", None, "Seeds run", lambda r: r.row.seeds),
        Column(
            *("reached_seeds", "integer", None, "Seeds that reached the target"),
            lambda r: r.row.reached_seeds,
        ),
        Column(
            *("is_baseline", "boolean", None, "Whether its own level is the target"),
            lambda r: r.row.is_baseline,
        ),
        Column(
            *("censoring", "string", None),
            "How compute to the target is known: none (a value), above (no seed reached it),"
            " some seeds (the others missed), unknown",
            lambda r: r.censoring,
        ),
        Column(
            *("compute_tfs_days", "number", "tfs-day"),
            "Compute to the target, geometric mean of the seeds that reached it; empty: none did",
            lambda r: r.row.compute,
        ),
        Column(
            *("compute_at_least_tfs_days", "number", "tfs-day"),
            "Lower bound; a seed that missed counts as what it spent",
            lambda r: r.row.compute_at_least,
        ),
        Column(
            *("compute_at_most_tfs_days", "number", "tfs-day"),
            "Upper bound; empty: open, since a seed missed",
            lambda r: r.row.compute if r.censoring == "none" else None,
        ),
        Column(
            *("compute_low_tfs_days", "number", "tfs-day", "Least of the seeds that reached it"),
            lambda r: r.row.compute_low,
        ),
        Column(
            *("compute_high_tfs_days", "number", "tfs-day", "Most of the seeds that reached it"),
            lambda r: r.row.compute_high,
        ),
        Column(
            *("compute_spent_tfs_days", "number", "tfs-day"),
            "Compute of the whole runs, geometric mean",
            lambda r: r.row.compute_spent or None,
        ),
        Column(
            *("search_tfs_days", "number", "tfs-day"),
            "Compute of the search for the learning rate; in no run's own",
            lambda r: r.search_tfs_days,
        ),
        Column(
            *("epochs_to_target", "number", "epoch", "Mean of the seeds that reached it"),
            lambda r: r.row.epochs_to_target,
        ),
        Column(
            *("forward_macs", "number", "MAC/image", "F: forward pass, mean of the runs"),
            lambda r: r.row.forward_macs or None,
        ),
        Column(
            *("on_frontier", "boolean", None),
            "Whether it is cheaper than every earlier row; empty: no fit",
            lambda r: r.fitted.get("on_frontier"),
        ),
        Column(
            *("fitted", "boolean", None, "Whether the fit takes it in; empty: no fit"),
            lambda r: r.fitted.get("fitted"),
        ),
        Column(
            *("reduction_factor", "number", None),
            "Compute of the first fitted row over this one's; empty: no fit, or not reached",
            lambda r: r.fitted.get("reduction_factor"),
        ),
        Column(
            *("run_ids", "string", None, "Its runs, as in runs, separated by spaces"),
            lambda r: " ".join(r.row.run_ids),
        ),
    ),
)
