"""A chart of the ladders: final accuracy against the budget, one line per network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import altair as alt

from efficiency_bench.formatting import percent
from efficiency_bench.records import Target
from efficiency_bench.report.charts.style import GREY, PAPER, Size, above, titled
from efficiency_bench.report.tables.ladders import LadderLine, share

SCHEME: Final = "viridis"
"""From dark (the oldest network) to bright (the newest)."""

LAST_COLOUR = 0.92
"""The part of the scheme that is used; its brightest yellows vanish on white."""


LEGEND_ENTRY_PX = 180
"""Width for a name in the legend, so that many names take several rows."""


def ladder_chart(
    lines: Sequence[LadderLine], target: Target, data: str, size: Size
) -> alt.LayerChart | None:
    """Plot final accuracy against the share of the baseline's compute.

    The dashed line is the target.  Returns None if no network has two budgets.
    """
    if all(len(line.accuracies) < 2 for line in lines):
        return None
    names = [f"{line.name}, {line.date[:4]}" for line in lines]
    points: list[dict[str, Any]] = [
        {
            "network": name,
            "budget": budget,
            "accuracy": round(100 * accuracy, 3),
            "share": share(budget),
        }
        for name, line in zip(names, lines, strict=True)
        for budget, accuracy in line.accuracies.items()
    ]
    budgets = sorted({point["budget"] for point in points})
    x = alt.X(
        "budget:Q",
        title="share of the baseline's compute",
        scale=alt.Scale(type="log", domain=[budgets[0] / 1.1, budgets[-1] * 1.1], nice=False),
        axis=alt.Axis(grid=False, values=budgets, labelExpr=_labels(budgets)),
    )
    metric = target.metric.replace("top", "top-")
    y = alt.Y(
        "accuracy:Q",
        scale=alt.Scale(zero=False),
        axis=alt.Axis(**above(f"final {metric} accuracy, %"), tickCount=6),
    )
    colour = alt.Color(
        "network:N",
        sort=names,
        legend=alt.Legend(columns=size.width_px // LEGEND_ENTRY_PX),
        scale=alt.Scale(
            domain=names, scheme=alt.SchemeParams(name=SCHEME, extent=[0, LAST_COLOUR])
        ),
    )
    drawn = alt.Chart(alt.Data(values=points)).encode(
        x=x,
        y=y,
        color=colour,
        tooltip=[alt.Tooltip(f"{name}:N") for name in ("network", "share", "accuracy")],
    )
    level = alt.Chart(alt.Data(values=[{"accuracy": 100 * target.value}]))
    chart = alt.layer(
        level.mark_rule(color=GREY, strokeDash=[4, 3]).encode(y=y),
        drawn.mark_line(strokeWidth=2),
        drawn.mark_point(size=40, filled=True, opacity=1, stroke=PAPER, strokeWidth=1),
    ).properties(width=size.width_px, height=size.height_px)
    remark = f"dashed: the baseline's {metric} of {percent(target.value)}"
    return titled(chart, f"Accuracy for equal compute: {data}", (remark,), size)


def _labels(budgets: Sequence[float]) -> str:
    """A Vega expression that writes each tick as a fraction."""
    cases: Any = [
        f"abs(datum.value / {budget!r} - 1) < 1e-6 ? '{share(budget)}'" for budget in budgets
    ]
    return " : ".join([*cases, "''"])
