"""One Altair chart of compute to target against publication date, as PNG, SVG and HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import altair as alt

from efficiency_bench.fitting.fit_row import DAYS_PER_MONTH
from efficiency_bench.fitting.halving import MOORE_MONTHS, HalvingTime
from efficiency_bench.records import Entry
from efficiency_bench.report.charts.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PAPER,
    WIDE,
    AxisOf,
    Size,
    above,
    cannot_write,
    decimal_year,
    ticks,
    titled,
    write_images,
    year_ticks,
)
from efficiency_bench.report.sample import sample
from efficiency_bench.report.sentences import WORDS, basis, goal, headline, row_names

MOST_NAMES = 3
"""Most sources, commits or machines that a tooltip names."""

ORIGIN = ("runs", "source", "commit", "hardware")


def origin(run_ids: Sequence[str], entries: Mapping[str, Entry]) -> dict[str, str]:
    """The provenance of a row as text: its runs, their source, commit and hardware."""
    known = [entries[run_id] for run_id in run_ids if run_id in entries]
    facts = [entry.provenance for entry in known if entry.provenance is not None]
    found = {
        "source": {entry.source for entry in known},
        "commit": {f"{fact.commit or 'none'}"[:10] for fact in facts},
        "hardware": {str(fact.hardware.get("card") or fact.hardware.get("cpu")) for fact in facts},
    }
    runs = run_ids[0] if len(run_ids) == 1 else f"{run_ids[0]} and {len(run_ids) - 1} more"
    return {"runs": runs, **{key: _listed(sorted(names)) for key, names in found.items() if names}}


def _listed(names: Sequence[str]) -> str:
    more = [f"{len(names) - MOST_NAMES} more"] if len(names) > MOST_NAMES else []
    return ", ".join([*names[:MOST_NAMES], *more])


def tooltip(points: Sequence[Mapping[str, Any]]) -> list[alt.Tooltip]:
    """The lines of the tooltip for which ``points`` have fields."""
    named = [
        alt.Tooltip("name:N", title="network"),
        alt.Tooltip("recipe:N"),
        alt.Tooltip("date:N", title="published"),
        alt.Tooltip("compute:Q", title="compute", format=".3~g"),
        alt.Tooltip("epochs:Q", title="epochs", format=".3~g"),
        alt.Tooltip("seeds:N"),
    ]
    known = [key for key in ORIGIN if any(key in point for point in points)]
    return [*named, *(alt.Tooltip(f"{key}:N") for key in known)]


MOST_POINTS = 200
"""Most rows drawn: more points hide each other."""

NAME_GAP_PX = 8

MOORE = f"Moore's law, halving every {MOORE_MONTHS} months"
STAIRCASE = "frontier: the cheapest so far"
LINE_NAMES = {
    "censored": "censored regression with its 95 % band",
    "frontier": "least squares with its 95 % band",
}

KINDS = {
    "frontier": "frontier",
    "model": "other model",
    "censored": "target not reached: more than what was spent",
}


def write_chart(halving: HalvingTime, out_dir: Path, name: str = "halving") -> list[Path]:
    """Write ``name``.png, .svg and .html to ``out_dir``; return the paths in that order.

    The page contains its scripts and works offline.  Raises UserError if the folder cannot be
    written.
    """
    chart = halving_chart(halving)
    images = write_images(chart.to_dict(), out_dir, name)
    html = out_dir / f"{name}.html"
    try:
        html.write_text(chart.to_html(inline=True), encoding="utf-8")
    except OSError as error:
        raise cannot_write(out_dir, error) from error
    return [*images, html]


def halving_chart(
    halving: HalvingTime, size: Size = WIDE, entries: Sequence[Entry] = ()
) -> alt.LayerChart:
    """The chart: points with their seeds, the fit with its band, and Moore's law.

    Tooltips show the provenance of a point's runs if ``entries`` has them.
    """
    points = _points(halving, {entry.run_id: entry for entry in entries})
    points = sample(points, MOST_POINTS, lambda point: point["kind"] == KINDS["frontier"])
    span = _years(points)
    x = alt.X(
        "year:Q",
        title="publication date",
        scale=alt.Scale(domain=list(span), nice=False),
        axis=alt.Axis(grid=False, format="d", values=year_ticks(span, size)),
    )
    domain = _domain(halving, points)
    y = partial(
        alt.Y,
        scale=alt.Scale(type="log", domain=domain, nice=False),
        axis=alt.Axis(
            **above(WORDS[halving.currency].axis),
            format="~g" if domain[0] >= 1e-3 and domain[1] < 1e5 else ".0e",
            values=ticks(*domain),
        ),
    )
    layers = [
        *_fit_layers(halving, x, y),
        *_point_layers(points, x, y),
        *_name_layers(points, x, y),
    ]
    chart = alt.layer(*layers).properties(width=size.width_px, height=size.height_px)
    remarks = tuple(filter(None, (headline(halving), basis(halving), points_remark(halving))))
    return titled(
        chart, f"Training {WORDS[halving.currency].noun} to {goal(halving)}", remarks, size
    )


def points_remark(halving: HalvingTime) -> str | None:
    """Which rows are not drawn, or None."""
    if len(halving.rows) <= MOST_POINTS:
        return None
    return (
        f"{MOST_POINTS} of {len(halving.rows):,} rows are drawn, the frontier and then evenly"
        " spaced ones; the fit uses all"
    )


def _points(halving: HalvingTime, entries: Mapping[str, Entry]) -> list[dict[str, Any]]:
    """One dict per dated row; one that never reached the target is drawn at what it spent."""
    points = []
    for row, name in zip(halving.rows, row_names(halving), strict=True):
        compute = row["compute"] if row["reached"] else row["compute_spent"]
        if row["date"] is None or not compute:
            continue
        kind = "frontier" if row["on_frontier"] else "model"
        points.append(
            {
                "date": row["date"],
                "year": decimal_year(row["date"]),
                "compute": compute,
                "low": row["compute_low"] or compute,
                "high": row["compute_high"] or compute,
                "kind": KINDS[kind if row["reached"] else "censored"],
                "name": name,
                "recipe": row["recipe"],
                "seeds": f"{row['reached_seeds']} of {row['seeds']} reached",
                "epochs": row["epochs_to_target"],
                **origin(row["run_ids"], entries),
            }
        )
    return points


def _domain(halving: HalvingTime, points: list[dict[str, Any]]) -> tuple[float, float]:
    """The y axis: the data and the line with padding, without regard to the band."""
    ends = [point["compute"] for point in (*halving.line[:1], *halving.line[-1:])]
    low = min(*ends, *(point["low"] for point in points))
    high = max(*ends, *(point["high"] for point in points))
    room = max((high / low) ** 0.08, 1.25)
    return low / room, high * room


def _fit_layers(halving: HalvingTime, x: alt.X, y: AxisOf) -> list[alt.Chart]:
    fit = [{**point, "year": decimal_year(point["date"])} for point in halving.line]
    name = LINE_NAMES[halving.method]
    layers = []
    if fit and fit[0]["low"] is not None and fit[0]["high"] is not None:
        layers.append(
            alt.Chart(alt.Data(values=fit))
            .mark_area(color=BLUE, opacity=1, fillOpacity=0.12, clip=True)
            .encode(x=x, y=y("low:Q"), y2="high:Q")
        )
    drawn = {
        name: [{**point, "line": name} for point in (*fit[:1], *fit[-1:])],
        STAIRCASE: [{**point, "line": STAIRCASE} for point in _staircase(halving)],
        MOORE: [{**point, "line": MOORE} for point in _moore(halving)],
    }
    names = [name for name, points in drawn.items() if points]
    dashes = {name: [1, 0], STAIRCASE: [2, 2], MOORE: [6, 4]}
    layers.append(
        alt.Chart(alt.Data(values=[point for points in drawn.values() for point in points]))
        .mark_line(strokeWidth=2, clip=True)
        .encode(
            x=x,
            y=y("compute:Q"),
            color=alt.condition(alt.datum.line == MOORE, alt.value(GREY), alt.value(BLUE)),
            strokeDash=alt.StrokeDash(
                "line:N",
                scale=alt.Scale(domain=names, range=[dashes[name] for name in names]),
            ),
        )
    )
    return layers


def _staircase(halving: HalvingTime) -> list[dict[str, Any]]:
    """The least compute so far: level from each frontier row to the next, then to the last date."""
    best = [row for row in halving.rows if row["on_frontier"]]
    best.sort(key=lambda row: row["date"])
    steps = []
    for row, following in zip(best, [*best[1:], None], strict=True):
        end = following["date"] if following else max(r["date"] for r in halving.rows if r["date"])
        for day in (row["date"], end):
            steps.append({"year": decimal_year(day), "date": day, "compute": row["compute"]})
    return steps


def _moore(halving: HalvingTime) -> list[dict[str, Any]]:
    """The ends of the line of Moore's law, from the first fitted row that reached the target."""
    fitted = [row for row in halving.rows if row["fitted"]]
    arrived = [row for row in fitted if row["reached"]]
    if not arrived:
        return []
    first = min(arrived, key=lambda row: (row["date"], row["compute"]))
    end = max(row["date"] for row in fitted)
    days = date.fromisoformat(end).toordinal() - date.fromisoformat(first["date"]).toordinal()
    compute = first["compute"] * 2 ** (-days / DAYS_PER_MONTH / MOORE_MONTHS)
    return [
        {"date": first["date"], "year": decimal_year(first["date"]), "compute": first["compute"]},
        {"date": end, "year": decimal_year(end), "compute": compute},
    ]


def _point_layers(points: list[dict[str, Any]], x: alt.X, y: AxisOf) -> list[alt.Chart]:
    data = alt.Chart(alt.Data(values=points))
    kinds = [kind for kind in KINDS.values() if any(p["kind"] == kind for p in points)]
    looks = {
        KINDS["frontier"]: (BLUE, "circle"),
        KINDS["model"]: (GREY, "circle"),
        KINDS["censored"]: (ORANGE, "triangle-up"),
    }
    colour = alt.Color(
        "kind:N", scale=alt.Scale(domain=kinds, range=[looks[kind][0] for kind in kinds])
    )
    shape = alt.Shape(
        "kind:N", scale=alt.Scale(domain=kinds, range=[looks[kind][1] for kind in kinds])
    )
    spread = data.mark_rule(strokeWidth=2, strokeOpacity=0.6).encode(
        x=x, y=y("low:Q"), y2="high:Q", color=colour
    )
    marks = data.mark_point(size=70, strokeWidth=2, fill=PAPER, opacity=1).encode(
        x=x,
        y=y("compute:Q"),
        color=colour,
        shape=shape,
        tooltip=tooltip(points),
    )
    return [spread, marks]


def _name_layers(points: list[dict[str, Any]], x: alt.X, y: AxisOf) -> list[alt.Chart]:
    """Names above the frontier's points, with a halo; other names are in the tooltips."""
    named = [point for point in points if point["kind"] == KINDS["frontier"]]
    encoded = alt.Chart(alt.Data(values=named)).encode(x=x, y=y("compute:Q"), text="name:N")
    text: dict[str, Any] = {"fontSize": 11, "baseline": "bottom", "dy": -NAME_GAP_PX}
    halo: dict[str, Any] = {"stroke": PAPER, "strokeWidth": 3, "strokeOpacity": 0.8}
    return [encoded.mark_text(**text, **halo), encoded.mark_text(**text, color=INK)]


def _years(points: list[dict[str, Any]]) -> tuple[float, float]:
    """The x axis in years: all dates, with padding at both ends."""
    years = [point["year"] for point in points]
    room = 0.08 * (max(years) - min(years))
    return min(years) - room, max(years) + room
