"""A chart of the halving time at every threshold."""

from __future__ import annotations

from functools import partial
from typing import Any

import altair as alt

from efficiency_bench.fitting.halving import MOORE_MONTHS, PAPER_2020_MONTHS
from efficiency_bench.fitting.sensitivity.threshold_sweep import SweepRow, ThresholdSweep
from efficiency_bench.report.charts.style import BLUE, GREY, INK, PAPER, AxisOf, Size, above, titled
from efficiency_bench.report.tables.layout import interval

ROOM = 1.6
"""The axis ends at this multiple of the longest halving time, because many intervals are open."""

RATES = {
    PAPER_2020_MONTHS: f"2020: {PAPER_2020_MONTHS} months",
    MOORE_MONTHS: f"Moore's law: {MOORE_MONTHS} months",
}


def sweep_chart(result: ThresholdSweep, size: Size) -> alt.LayerChart | None:
    """Plot halving months against the threshold, with intervals; None for fewer than two points.

    An interval that includes no change extends to the upper edge.
    """
    found = [row for row in result.rows if row.halving_months is not None]
    if len(found) < 2:
        return None
    top = ROOM * max(MOORE_MONTHS, *(row.halving_months or 0 for row in found))
    levels = [100 * row.threshold for row in result.rows]
    room = 0.04 * (max(levels) - min(levels)) or 1.0
    x = alt.X(
        "threshold:Q",
        title=f"{result.metric.replace('top', 'top-')} accuracy to reach, %",
        scale=alt.Scale(domain=[min(levels) - room, max(levels) + room], nice=False),
        axis=alt.Axis(grid=False, tickCount=size.date_ticks),
    )
    y = partial(
        alt.Y,
        scale=alt.Scale(domain=[0, top], nice=False),
        axis=alt.Axis(**above("months a halving"), tickCount=6),
    )
    chart = alt.layer(*_layers([_point(row, top, result.own_target) for row in found], x, y))
    chart = chart.properties(width=size.width_px, height=size.height_px * 2 // 3)
    return titled(chart, f"Halving time by threshold: {result.data}", (), size)


def _layers(points: list[dict[str, Any]], x: alt.X, y: AxisOf) -> list[alt.Chart]:
    data = alt.Chart(alt.Data(values=points))
    rates = alt.Chart(alt.Data(values=[{"months": m, "text": t} for m, t in RATES.items()]))
    months = y("months:Q")
    words: dict[str, Any] = {"fontSize": 11, "align": "left", "dx": 4, "dy": -7}
    place: dict[str, Any] = {"x": alt.value(0), "y": months, "text": "text:N"}
    hover = [alt.Tooltip(f"{key}:N") for key in ("level", "halving", "95 %", "rows")]
    return [
        rates.mark_rule(color=GREY, strokeDash=[4, 3]).encode(y=months),
        data.mark_rule(color=BLUE, strokeWidth=4, strokeOpacity=0.35, clip=True).encode(
            x=x, y=y("low:Q"), y2="high:Q", tooltip=hover
        ),
        data.mark_line(color=BLUE, strokeWidth=1.5).encode(x=x, y=months),
        data.mark_point(color=BLUE, size=50, strokeWidth=2, opacity=1).encode(
            x=x,
            y=months,
            fill=alt.condition(alt.datum.own, alt.value(INK), alt.value(PAPER)),
            tooltip=hover,
        ),
        # a background halo keeps the text readable over the bars
        rates.mark_text(color=PAPER, stroke=PAPER, strokeWidth=4, **words).encode(**place),
        rates.mark_text(color=GREY, **words).encode(**place),
    ]


def _point(row: SweepRow, top: float, own: float) -> dict[str, Any]:
    return {
        "threshold": 100 * row.threshold,
        "months": row.halving_months,
        "low": row.low_months,
        "high": top if row.high_months is None else row.high_months,
        "own": abs(row.threshold - own) < 1e-9,
        "level": f"{100 * row.threshold:.4g} %",
        "halving": f"{row.halving_months:.1f} months",
        "95 %": interval(row.low_months, row.high_months),
        "rows": row.n,
    }
