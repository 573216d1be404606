"""The common style of all charts: sizes, colours, axes; and writing their files."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from efficiency_bench.errors import UserError

AxisOf = Callable[[str], Any]
"""Makes the channel of a field, with the chart's common scale and title."""

PNG_SCALE = 2.0  # twice the pixels, for print and dense screens


DAYS_PER_YEAR = 365.2425  # of the calendar


@dataclass(frozen=True)
class Size:
    """The size of a chart's plot, without its axes."""

    width_px: int
    height_px: int
    date_ticks: int
    """About how many dates fit below it."""


WIDE = Size(720, 420, 8)
NARROW = Size(272, 300, 4)
"""With its axes, it fits on a phone of 360 px."""

# Okabe & Ito 2008: distinguishable with all common kinds of colour vision
BLUE, ORANGE = "#0072B2", "#D55E00"
INK, GREY, LINE, PAPER = "#222222", "#666666", "#DDDDDD", "#FFFFFF"

ON_DARK = {
    BLUE: "#56B4E9",
    ORANGE: "#E69F00",
    INK: "#EEEEEE",
    GREY: "#ABABAB",
    LINE: "#3A3A3A",
    PAPER: "#161616",
}
"""Colour -> its replacement in dark mode.  Both have a contrast of 4.5 to 1 with their background,
except ``LINE``, which is not used for text."""

POINT_125 = (1, 2, 5)
"""Mantissas of the ticks on a logarithmic axis: about evenly spaced, and few."""


def ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten from ``low`` to ``high``; over 4 decades, powers only."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    mantissas = POINT_125 if high / low < 1e4 else POINT_125[:1]
    found = [float(f"{m}e{decade}") for decade in decades for m in mantissas]
    return [tick for tick in found if low <= tick <= high]


def decimal_year(day: str) -> float:
    """An ISO date as a decimal year, linear in days, so that lines through dates stay straight."""
    days = date.fromisoformat(day).toordinal() - date(1970, 1, 1).toordinal()
    return 1970 + days / DAYS_PER_YEAR


def year_ticks(span: tuple[float, float], size: Size) -> list[int]:
    """Whole years within ``span``, as many as fit."""
    step = max(1, math.ceil((span[1] - span[0]) / size.date_ticks))
    return [year for year in range(math.ceil(span[0]), math.floor(span[1]) + 1) if year % step == 0]


def above(title: str) -> dict[str, Any]:
    """Axis options that put the title above a vertical axis instead of beside it."""
    return {
        "title": title,
        "titleAngle": 0,
        "titleAlign": "left",
        "titleAnchor": "end",
        "titleBaseline": "bottom",
        "titleX": -36,
        "titleY": -8,
    }


def titled(chart: Any, title: str, remarks: Sequence[str], size: Size) -> Any:
    """An Altair chart with a title, remarks below it, and the common style."""
    characters = size.width_px // 7  # mean width at 13 px
    lines = [line for remark in remarks for line in textwrap.wrap(remark, characters)]
    heading = alt.TitleParams(
        text=textwrap.wrap(title, characters),
        subtitle=lines,
        anchor="start",
        color=INK,
        subtitleColor=GREY,
        fontSize=15,
        subtitleFontSize=12,
        offset=22,
    )
    return (
        chart.properties(title=heading, background=PAPER)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=GREY,
            titleColor=GREY,
            domainColor=GREY,
            tickColor=GREY,
            gridColor=LINE,
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
        )
        .configure_legend(
            orient="bottom",
            title=None,
            labelColor=INK,
            labelFontSize=12,
            labelLimit=size.width_px,
            symbolStrokeWidth=2,
            symbolSize=180,
            columns=0 if size is WIDE else 1,
        )
    )


def write_images(spec: Mapping[str, Any], out_dir: Path, name: str) -> list[Path]:
    """Write ``name``.png and ``name``.svg of a Vega-Lite specification, without a browser.

    Raises UserError if the folder cannot be written.
    """
    png, svg = out_dir / f"{name}.png", out_dir / f"{name}.svg"
    drawn = vl_convert.vegalite_to_svg(json.dumps(spec))
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        png.write_bytes(vl_convert.svg_to_png(drawn, scale=PNG_SCALE))
        svg.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise cannot_write(out_dir, error) from error
    return [png, svg]


def cannot_write(out_dir: Path, error: OSError) -> UserError:
    """The error for a folder to which no chart or page can be written."""
    return UserError(
        f"cannot write the chart into {out_dir}: {error.strerror or error}; "
        "name a folder that can be written, with some space"
    )
