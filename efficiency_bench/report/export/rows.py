"""The table ``rows``: one line per row of every fit of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.fit_row import FitRow
from efficiency_bench.fitting.groups import Group, Selection, comparable_sets
from efficiency_bench.fitting.headline import choose_method, fit_by
from efficiency_bench.fitting.rows import fit_rows
from efficiency_bench.records import Entry
from efficiency_bench.report.export.columns import Column, Table, TableSchema, fill


@dataclass(frozen=True)
class ExportedRow:
    """A row and its result in the default fit."""

    number: int
    group: Group
    row: FitRow
    fitted: Mapping[str, Any]
    """Its fields in ``HalvingTime.rows``; empty if the default fit is missing or lacks the row."""


def rows_table(entries: Sequence[Entry]) -> Table:
    """Return the table ``rows``: every comparable set of the ledger, with its oldest row first.

    ``problems`` names the sets that have no rows: budgeted runs without a target accuracy, because
    no baseline was trained on the same data.
    """
    found: list[ExportedRow] = []
    unread = []
    for group, members in comparable_sets(entries).items():
        try:
            rows = fit_rows(members, Selection(estimand=group.estimand)).rows
        except UserError as error:
            reason = str(error).partition("\n")[0]
            unread.append(f"no rows of {group.options()}: {reason}")
            continue
        fitted = _fitted(members, group)
        found += [
            ExportedRow(number, group, row, fitted.get(row.run_ids, {}))
            for number, row in enumerate(rows, start=len(found) + 1)
        ]
    table = fill(ROWS, found, lambda item: f"row {item.row.model} {item.row.recipe}")
    return replace(table, problems=(*unread, *table.problems))


def _fitted(members: Sequence[Entry], group: Group) -> Mapping[tuple[str, ...], Mapping[str, Any]]:
    """Return run ids -> the row of the default fit; empty if there are too few rows to fit."""
    asked = Selection(estimand=group.estimand, axis="architecture")
    try:
        row_set = fit_rows(members, asked)
        rows = fit_by(choose_method(row_set), row_set, with_line=False).rows
    except UserError:
        return {}
    return {tuple(row["run_ids"]): row for row in rows}


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
        Column(
            *("scale", "number", None, "MACs of a small form, relative to those of the rule"),
            lambda r: r.row.scale,
        ),
        Column("date", "date", None, "The later of the two dates", lambda r: r.row.date),
        Column(
            *("model_date", "date", None, "First publication of the model"),
            lambda r: r.row.model_date,
        ),
        Column(
            *("recipe_date", "date", None, "Publication of the recipe; empty: none"),
            lambda r: r.row.recipe_date,
        ),
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
            "How compute to the target is known: none (a value), interval, above or below a bound,"
            " some seeds (the others missed), unknown",
            lambda r: r.row.censoring,
        ),
        Column(
            *("compute_tfs_days", "number", "tfs-day"),
            "Compute to the target: geometric mean of the seeds that reached it; with budgets, the"
            " smallest that reached it; empty: none did",
            lambda r: r.row.compute,
        ),
        Column(
            *("compute_at_least_tfs_days", "number", "tfs-day"),
            "Lower bound; a seed that missed the target counts with what it spent; empty: none",
            lambda r: r.row.compute_at_least or None,
        ),
        Column(
            *("compute_at_most_tfs_days", "number", "tfs-day"),
            "Upper bound; empty: none",
            lambda r: r.row.compute_at_most,
        ),
        Column(
            *(
                "compute_low_tfs_days",
                "number",
                "tfs-day",
                "Lowest of the seeds that reached it; with budgets, the largest that missed it",
            ),
            lambda r: r.row.compute_low,
        ),
        Column(
            *("compute_high_tfs_days", "number", "tfs-day", "Highest of the seeds that reached it"),
            lambda r: r.row.compute_high,
        ),
        Column(
            *("compute_spent_tfs_days", "number", "tfs-day"),
            "Compute of the whole runs, geometric mean; with budgets, of the largest",
            lambda r: r.row.compute_spent or None,
        ),
        Column(
            *("search_tfs_days", "number", "tfs-day"),
            "Compute of the learning-rate search; not part of any run's compute",
            lambda r: r.row.search_tfs_days,
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
            "Whether it is cheaper than all earlier rows of the default fit; empty: not in the fit",
            lambda r: r.fitted.get("on_frontier"),
        ),
        Column(
            *("fitted", "boolean", None, "Whether it is in the default fit"),
            lambda r: r.fitted.get("fitted", False),
        ),
        Column(
            *("reduction_factor", "number", None),
            "Compute of the first fitted row divided by this one's; empty: unknown or not fitted",
            lambda r: r.fitted.get("reduction_factor"),
        ),
        Column(
            *("run_ids", "string", None, "Its runs (run_id in runs), separated by spaces"),
            lambda r: " ".join(r.row.run_ids),
        ),
    ),
)
