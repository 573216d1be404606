"""The charts of a set, with one specification for page and image files, and the page's data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from efficiency_bench.fitting.halving import HalvingTime
from efficiency_bench.fitting.sensitivity.threshold_sweep import ThresholdSweep
from efficiency_bench.formatting import number, percent
from efficiency_bench.report.charts.curve_chart import (
    MOST_ROWS,
    curve_chart,
    run_chart,
    seeds_together,
    thinned,
)
from efficiency_bench.report.charts.halving_chart import halving_chart, points_remark
from efficiency_bench.report.charts.ladder_chart import ladder_chart
from efficiency_bench.report.charts.style import NARROW, WIDE, Size
from efficiency_bench.report.charts.sweep_chart import sweep_chart
from efficiency_bench.report.page.results import SetResults
from efficiency_bench.report.page.runs import FACTS, Runs
from efficiency_bench.report.sample import sample
from efficiency_bench.report.sentences import comparison, goal, headline
from efficiency_bench.report.tables.ladders import LadderLine, compared, ladder_lines, share

MOST_SEEDS = 10
"""Most learning curves drawn of one row."""

SIZES: dict[str, Size] = {"wide": WIDE, "narrow": NARROW}

Spec = dict[str, Any]


@dataclass(frozen=True)
class PageChart:
    """One chart of the page, at all widths."""

    part: str
    """The name of its subsection."""
    summary: str
    """A description of the chart for screen readers."""
    specs: dict[str, Spec]
    """Size -> Vega-Lite specification, complete except for ``curves``."""
    curves: tuple[tuple[str, str], ...] = ()
    """(run id, kind) of the curves drawn; their points are stored with the runs of the page."""
    remark: str | None = None
    """What is not drawn."""


def charts(results: SetResults) -> Iterator[PageChart]:
    """Yield the charts of a set."""
    if isinstance(results.halving, HalvingTime):
        halving = results.halving
        yield PageChart(
            "compute",
            f"Training compute to {goal(halving)} against publication date: {headline(halving)}. "
            f"{comparison(halving)}.",
            {
                name: halving_chart(halving, size, results.entries).to_dict()
                for name, size in SIZES.items()
            },
            remark=points_remark(halving),
        )
    target, data = results.rows.target, results.group.data
    lines = ladder_lines(compared(results.entries), results.group.metric)
    lines = sample(lines, MOST_ROWS)
    ladders = {name: ladder_chart(lines, target, data, size) for name, size in SIZES.items()}
    if all(ladders.values()):
        specs = {name: chart.to_dict() for name, chart in ladders.items() if chart}
        left = len(results.ladders) - len(lines)
        remark = f"{len(lines)} ladders are drawn; the table has {left} more" if left else None
        yield PageChart("ladders", _ladders_summary(lines), specs, remark=remark)
    if results.crossings:
        yield _curves(results)
    if isinstance(results.sweep, ThresholdSweep):
        drawn = {name: sweep_chart(results.sweep, size) for name, size in SIZES.items()}
        if all(drawn.values()):
            specs = {name: chart.to_dict() for name, chart in drawn.items() if chart}
            yield PageChart("sweep", _sweep_summary(results.sweep), specs)


def run_charts() -> dict[str, Spec]:
    """The chart of one run's curve; the page fills in its data sets."""
    return {name: run_chart(size).to_dict() for name, size in SIZES.items()}


def curve_points(chart: PageChart, results: SetResults) -> list[dict[str, Any]]:
    """The data set ``curves`` of ``chart``, as the page builds it from its runs."""
    by_id = {entry.run_id: entry for entry in results.entries}
    return [
        {"run": run_id, "kind": kind, "epochs": epochs, "accuracy": accuracy}
        for run_id, kind in chart.curves
        for epochs, accuracy in thinned(by_id[run_id])
    ]


def _curves(results: SetResults) -> PageChart:
    frontier = _frontier(results)
    rows = seeds_together(results.crossings)
    rows.sort(key=lambda row: (row["sustained_epochs"] is None, row["sustained_epochs"] or 0.0))
    drawn = rows[:MOST_ROWS]
    baselines = [row.run_ids for row in results.rows.rows if row.is_baseline]
    shown = {
        run_id
        for run_ids in [*(row["run_ids"] for row in drawn), *baselines]
        for run_id in sample(run_ids, MOST_SEEDS)
    }
    curves = tuple(
        (entry.run_id, "frontier" if entry.run_id in frontier else "other")
        for entry in results.entries
        if entry.evaluations and entry.run_id in shown
    )
    chart = PageChart("curves", _curves_summary(drawn), {}, curves)
    points = curve_points(chart, results)
    target = results.rows.target
    specs = {name: curve_chart(target, points, drawn, size) for name, size in SIZES.items()}
    left = len(rows) - len(drawn)
    remarks = []
    if left:
        remarks.append(f"{MOST_ROWS} rows are drawn, the earliest first, of {len(rows)}")
    if any(row["seeds"] > MOST_SEEDS for row in drawn):
        remarks.append(f"of each row {MOST_SEEDS} curves are drawn, evenly spaced in the ledger")
    return PageChart(
        "curves",
        chart.summary,
        {name: spec.to_dict() for name, spec in specs.items()},
        curves,
        "; ".join(remarks) or None,
    )


def _frontier(results: SetResults) -> set[str]:
    if not isinstance(results.halving, HalvingTime):
        return set()
    rows = [row for row in results.halving.rows if row["on_frontier"]]
    return {run_id for row in rows for run_id in row["run_ids"]}


def _curves_summary(rows: list[Any]) -> str:
    places = (
        f"{row['run']} at {number(row['sustained_epochs'])} epochs"
        if row["sustained_epochs"] is not None
        else f"{row['run']} never"
        for row in rows
    )
    return f"Accuracy against epochs. The target is crossed by {'; '.join(places)}."


def _ladders_summary(lines: Sequence[LadderLine]) -> str:
    largest = (
        f"{line.name} {percent(accuracy)} at {share(budget)}"
        for line in lines
        for budget, accuracy in list(line.accuracies.items())[-1:]
    )
    return f"Final accuracy against the share of the baseline's compute: {'; '.join(largest)}."


def _sweep_summary(result: ThresholdSweep) -> str:
    found = [row for row in result.rows if row.halving_months is not None]
    places = (f"{row.halving_months:.1f} months at {percent(row.threshold)}" for row in found)
    return f"Halving time by threshold: {'; '.join(places)}."


def page_data(
    charts: Mapping[str, Mapping[str, PageChart]],
    runs: Runs,
    sets: Mapping[str, Sequence[str]],
    total: int,
) -> dict[str, Any]:
    """The page's data as JSON values.

    ``charts``: set -> subsection -> chart; ``sets``: set -> its run ids; ``total``: runs in
    the ledger.
    """
    points = _Points()
    return {
        "charts": {
            f"{slug}-{part}": {
                "specs": points.taken_from(chart.specs),
                "curves": [curve for curve in chart.curves if curve[0] in runs.opened],
            }
            for slug, parts in charts.items()
            for part, chart in parts.items()
        },
        "runChart": points.taken_from(run_charts()),
        "datasets": points.datasets,
        "facts": FACTS,
        "runs": runs.opened,
        "shared": runs.shared,
        "sets": {
            slug: [run_id for run_id in ids if run_id in runs.opened] for slug, ids in sets.items()
        },
        "total": total,
    }


class _Points:
    """The data sets of all specifications under short names; equal ones are stored once."""

    def __init__(self) -> None:
        self.datasets: dict[str, Any] = {}
        self._names: dict[str, str] = {}

    def taken_from(self, specs: Mapping[str, Spec]) -> dict[str, Spec]:
        """Replace points in the specifications by names, and drop the titles.

        The page has headings instead.
        """
        return {
            size: {key: self._named(part) for key, part in spec.items() if key != "title"}
            for size, spec in specs.items()
        }

    def _named(self, part: Any) -> Any:
        if isinstance(part, list):
            return [self._named(one) for one in part]
        if not isinstance(part, dict):
            return part
        if isinstance(part.get("values"), list) and part.keys() == {"values"}:
            return {"name": self._name(part["values"])}
        return {key: self._named(below) for key, below in part.items()}

    def _name(self, values: list[Any]) -> str:
        text = json.dumps(values)
        if text not in self._names:
            name = f"points{len(self._names)}"
            self._names[text] = name
            self.datasets[name] = values
        return self._names[text]
