"""Charts of learning curves with their target crossings, and of a single run's curve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import altair as alt

from efficiency_bench.formatting import number, percent
from efficiency_bench.records import Entry, Target
from efficiency_bench.report.charts.style import (
    BLUE,
    GREY,
    INK,
    PAPER,
    AxisOf,
    Size,
    above,
    ticks,
    titled,
)
from efficiency_bench.stop_rule import metric_of_entry

MOST_POINTS = 60
"""Most evaluations drawn per curve; more could not be distinguished at this width."""

MOST_ROWS = 20
"""Most rows drawn: about as many names as fit under one chart."""

MOST_DROPS = 8
"""Most rows for which lines are drawn from the target down to each row."""

ROW_PX = 30
SHOWN_BELOW = 0.35
"""Fraction of the target's accuracy that is shown below it; curves rise steeply before that."""

Crossings = Sequence[Mapping[str, Any]]
"""Rows of ``tables.crossings.crossing_rows``, the seeds of one configuration in one row."""


def thinned(entry: Entry) -> list[tuple[float, float]]:
    """(epochs, accuracy in percent) of at most ``MOST_POINTS`` evaluations, evenly taken.

    They include the first, the last, and both sides of every crossing of the target.  Evaluations
    without the target's metric are left out.
    """
    target, metric = entry.target, metric_of_entry(entry)
    points = [
        (found.epochs, found.accuracy(metric))
        for found in entry.evaluations
        if metric == "top1" or found.top5 is not None
    ]
    step = max(1, -(-len(points) // MOST_POINTS))
    sides = (target is not None and target.met_by(accuracy) for _, accuracy in points)
    kept: list[tuple[float, float]] = []
    before = None
    for i, (point, side) in enumerate(zip(points, sides, strict=True)):
        turned = before is not None and side != before and len(kept) < 2 * MOST_POINTS
        if turned and kept[-1] is not points[i - 1]:
            kept.append(points[i - 1])
        if turned or i % step == 0 or i == len(points) - 1:
            kept.append(point)
        before = side
    return [(float(f"{epochs:.5g}"), round(100 * accuracy, 3)) for epochs, accuracy in kept]


def seeds_together(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """One row per configuration, with its seeds combined if there are several."""
    kept: list[Mapping[str, Any]] = []
    for row in rows:
        if row["seeds"] > 1:  # the combined row follows the rows of its seeds
            del kept[-row["seeds"] :]
        kept.append(row)
    return kept


def curve_chart(
    target: Target, curves: Sequence[Mapping[str, Any]], crossings: Crossings, size: Size
) -> alt.VConcatChart:
    """Plot accuracy against epochs, and below it each row's crossing with its 95 % intervals.

    ``curves``: one dict per drawn evaluation: ``run``, ``epochs``, ``accuracy`` (percent),
    ``kind`` (``frontier`` or ``other``).  The points come as the named data set ``curves``, so
    that a page can hold them once.
    """
    domain = _epochs(curves, crossings, _floor(target))
    x = partial(alt.X, scale=alt.Scale(type="log", domain=list(domain), nice=False))
    tick_values = ticks(*domain)
    bare = alt.Axis(values=tick_values, labels=False, ticks=False, domain=False, title=None)
    full = alt.Axis(values=tick_values, grid=True, title="epochs", format="~g")
    upper = alt.layer(
        *_curve_layers(target, curves, x("epochs:Q", axis=bare)),
        _drops(target, crossings[:MOST_ROWS], x("epochs:Q", axis=bare)),
    ).properties(width=size.width_px, height=size.height_px * 2 // 3)
    lower = _crossing_layers(crossings[:MOST_ROWS], partial(x, axis=full), domain[1], size)
    chart = alt.vconcat(upper, lower, spacing=8) if crossings else alt.vconcat(upper)
    level = f"{target.metric.replace('top', 'top-')} {percent(target.value)}"
    remark = "under the curves: sustained crossing, 95 % interval (thick), on new images (thin)"
    return titled(chart, f"Learning curves and where they crossed {level}", (remark,), size)


def run_chart(size: Size) -> alt.LayerChart:
    """One run's curve: the named data sets ``curve`` (epochs, accuracy) and ``level``."""
    x = alt.X("epochs:Q", title="epochs", axis=alt.Axis(grid=False, tickCount=6))
    y = alt.Y("accuracy:Q", axis=alt.Axis(**above("accuracy, %")), scale=alt.Scale(zero=False))
    points = alt.Chart(alt.NamedData(name="curve")).encode(
        x=x, y=y, tooltip=[alt.Tooltip("epochs:Q"), alt.Tooltip("accuracy:Q")]
    )
    level = alt.Chart(alt.NamedData(name="level")).mark_rule(color=GREY, strokeDash=[4, 3])
    chart = alt.layer(
        level.encode(y=alt.Y("accuracy:Q")),
        points.mark_line(color=BLUE, strokeWidth=1.5),
        points.mark_point(color=BLUE, fill=PAPER, size=24, opacity=1),
    ).properties(width=size.width_px, height=180)
    return titled(chart, "Accuracy", (), size)


def _floor(target: Target) -> float:
    """The lowest accuracy on the axis, in percent."""
    return 100 * target.threshold * (1 - SHOWN_BELOW)


def _epochs(
    curves: Sequence[Mapping[str, Any]], crossings: Crossings, floor: float
) -> tuple[float, float]:
    """The range of the epochs axis, with padding, from where the first curve becomes visible.

    The untrained network at epoch 0 has no place on a logarithmic axis.
    """
    trained = [curve for curve in curves if curve["epochs"] > 0]
    seen = [curve["epochs"] for curve in trained if curve["accuracy"] >= floor]
    seen += [row["population_low_epochs"] for row in crossings if row["population_low_epochs"]]
    seen = seen or [curve["epochs"] for curve in trained] or [1.0]
    return min(seen) / 1.4, max(seen) * 1.15


def _curve_layers(target: Target, curves: Sequence[Mapping[str, Any]], x: alt.X) -> list[alt.Chart]:
    level = 100 * target.threshold
    top = max([level, *(curve["accuracy"] for curve in curves)])
    y = alt.Y(
        "accuracy:Q",
        scale=alt.Scale(domain=[_floor(target), min(100, top + 1)], nice=False),
        axis=alt.Axis(**above("accuracy, %"), tickCount=5),
    )
    colour = alt.condition(alt.datum.kind == "frontier", alt.value(BLUE), alt.value(GREY))
    drawn = alt.Chart(alt.NamedData(name="curves")).transform_filter("datum.epochs > 0")
    pieces = drawn.transform_window(
        next_epochs="lead(epochs)",
        next_accuracy="lead(accuracy)",
        groupby=["run"],
        sort=[alt.SortField("epochs")],
    ).transform_filter("datum.next_epochs > 0")
    hover = [alt.Tooltip("run:N"), alt.Tooltip("epochs:Q"), alt.Tooltip("accuracy:Q")]
    target_line = alt.Chart(alt.Data(values=[{"accuracy": level, "text": f"target {level:.4g} %"}]))
    return [
        # pieces of one mark, clipped once: a line a run, each with its clip, took seconds
        pieces.mark_rule(strokeWidth=1.5, strokeOpacity=0.75, strokeCap="round", clip=True).encode(
            x=x, y=y, x2="next_epochs:Q", y2="next_accuracy:Q", color=colour, tooltip=hover
        ),
        drawn.mark_circle(size=14, opacity=1, fillOpacity=0.75, clip=True).encode(
            x=x, y=y, color=colour, tooltip=hover
        ),
        target_line.mark_rule(color=INK, strokeDash=[4, 3]).encode(y=y),
        target_line.mark_text(color=INK, fontSize=11, align="left", dx=4, dy=-6).encode(
            x=alt.value(0), y=y, text="text:N"
        ),
    ]


def _drops(target: Target, crossings: Crossings, x: alt.X) -> alt.Chart:
    """A line from the target down to the row of each configuration below the curves."""
    level = 100 * target.threshold
    values = [
        {"epochs": row["sustained_epochs"], "accuracy": level, "floor": _floor(target)}
        for row in crossings
        if row["sustained_epochs"] and len(crossings) <= MOST_DROPS
    ]
    return (
        alt.Chart(alt.Data(values=values))
        .mark_rule(color=INK, strokeDash=[1, 3])
        .encode(x=x, y=alt.Y("accuracy:Q"), y2="floor:Q")
    )


def _crossing_layers(crossings: Crossings, x: AxisOf, end: float, size: Size) -> Any:
    values = [_span(row, end) for row in crossings]
    y = alt.Y(
        "name:N",
        sort=[value["name"] for value in values],
        axis=alt.Axis(labels=False, ticks=False, domain=False, title=None, grid=False),
    )
    rows = alt.Chart(alt.Data(values=values))
    hover = [alt.Tooltip(f"{key}:N") for key in ("name", "crossing", "interval", "new images")]
    ends = {"y": y, "tooltip": hover}
    near, wide = x("low:Q"), x("population_low:Q")
    at = alt.Chart(alt.Data(values=[v for v in values if v["epochs"]]))
    layers = [
        rows.mark_rule(color=GREY, strokeWidth=1).encode(x=wide, x2="population_high:Q", **ends),
        rows.mark_rule(color=BLUE, strokeWidth=4, strokeOpacity=0.5).encode(
            x=near, x2="high:Q", **ends
        ),
        at.mark_point(color=BLUE, fill=PAPER, size=50, strokeWidth=2, opacity=1).encode(
            x=x("epochs:Q"), **ends
        ),
        rows.mark_text(color=INK, fontSize=11, align="left", dx=4, dy=-10).encode(
            x=alt.value(0), y=y, text="name:N"
        ),
    ]
    return alt.layer(*layers).properties(width=size.width_px, height=ROW_PX * max(1, len(values)))


def _span(row: Mapping[str, Any], end: float) -> dict[str, Any]:
    """A row's crossing and intervals; an open end extends to the end of the axis."""

    def words(low: float, high: float | None) -> str:
        return f"from {number(low)}" if high is None else f"{number(low)} to {number(high)}"

    low, high = row["low_epochs"], row["high_epochs"]
    wide, wide_high = row["population_low_epochs"], row["population_high_epochs"]
    crossing = row["sustained_epochs"]
    return {
        "name": row["run"],
        "epochs": crossing,
        "low": low,
        "high": end if high is None else high,
        "population_low": wide,
        "population_high": end if wide_high is None else wide_high,
        "crossing": "never" if crossing is None else f"{number(crossing)} epochs",
        "interval": words(low, high),
        "new images": words(wide, wide_high),
    }
