"""The report: one self-contained HTML file, with its charts as image files next to it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path

import jinja2
import vl_convert

from efficiency_bench import __version__
from efficiency_bench.fitting.fit import Fit
from efficiency_bench.formatting import percent
from efficiency_bench.records import Entry
from efficiency_bench.report.charts.style import ON_DARK, cannot_write, write_images
from efficiency_bench.report.page.charts import PageChart, charts, curve_points, page_data
from efficiency_bench.report.page.results import (
    NoResult,
    SetResults,
    set_results,
    sets_without_level,
)
from efficiency_bench.report.page.runs import runs
from efficiency_bench.report.page.sections import Subsection, page_table, parts
from efficiency_bench.report.tables.sets import sets_table

INDEX = "index.html"

FOLD_FROM = 16
"""Tables with at least this many rows are collapsed."""


MOST_SHOWN = (1000, 300, 100, 30)
"""Most runs, and most rows of a table; the first that keeps the page below ``LARGEST_BYTES``."""

LARGEST_BYTES = 5_000_000
"""Size of the page: more would be slow to open."""

RUNS_A_SET = 25
"""One set is shown per so many runs shown: each set has a dozen tables and charts."""


@dataclass(frozen=True)
class Section:
    """One comparable set on the page."""

    slug: str
    """Its name in links and file names: letters, digits and hyphens."""
    title: str
    about: str
    fit: Fit | None
    parts: tuple[Subsection, ...]
    charts: dict[str, PageChart]
    """By the name of their subsection."""
    run_ids: tuple[str, ...]


def write_page(
    entries: Sequence[Entry], source: str, out_dir: Path, remarks: Sequence[str] = ()
) -> Path:
    """Write ``index.html`` and each chart's PNG and SVG to ``out_dir``; return the page's path.

    ``source``: ``published`` or the ledger's folder, from which ``entries`` were read;
    ``remarks`` stand above everything.  Raises UserError where the folder cannot be written.
    """
    results = set_results(entries, source)
    sections = [_section(i, result) for i, result in enumerate(results, start=1)]
    remarks = [*remarks, *sets_without_level(entries)]
    for most in MOST_SHOWN:
        html = _html(sections, entries, source, remarks, most)
        if len(html.encode()) <= LARGEST_BYTES:
            break
    index = out_dir / INDEX
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        index.write_text(html, encoding="utf-8")
    except OSError as error:
        raise cannot_write(out_dir, error) from error
    for section, result in zip(sections, results, strict=True):
        for name, chart in section.charts.items():
            spec = dict(chart.specs["wide"])
            data = {**spec.get("datasets", {}), "curves": curve_points(chart, result)}
            write_images({**spec, "datasets": data}, out_dir, f"{section.slug}-{name}")
    return index


def _section(number: int, results: SetResults) -> Section:
    group = results.group
    level = f"{group.metric.replace('top', 'top-')} {percent(group.target_value)}"
    digest = f", images of digest {group.data_digest[:12]}" if group.data_digest else ""
    plural = "" if len(results.entries) == 1 else "s"
    name = re.sub(r"[^a-z0-9]+", "-", f"{group.data} {level}".lower()).strip("-")
    return Section(
        slug=f"{number}-{name}",
        title=f"{group.data}, {level}",
        fit=None if isinstance(results.halving, NoResult) else results.halving,
        about=f"{group.tier}, {group.estimand}{digest}; {len(results.entries)} run{plural}",
        parts=parts(results),
        charts={chart.part: chart for chart in charts(results)},
        run_ids=tuple(entry.run_id for entry in results.entries),
    )


def _left_out(shown: int, total: int, most: int) -> list[str]:
    """Say which runs are not on the page."""
    if shown == total:
        return []
    return [
        f"{shown:,} of {total:,} runs shown: those whose curves are drawn, then evenly spaced ones."
        f" Tables show at most {most:,} rows. Fits use all runs; all are in: efficiency-bench"
        " ledger export --table runs"
    ]


def _html(
    sections: Sequence[Section],
    entries: Sequence[Entry],
    source: str,
    remarks: Sequence[str],
    most: int,
) -> str:
    """The page with at most ``most`` runs, remarks, and rows of each table."""
    by_runs = sorted(sections, key=lambda section: -len(section.run_ids))
    largest = {section.slug for section in by_runs[: -(-most // RUNS_A_SET)]}
    shown = [
        replace(section, parts=tuple(part.shortened(most) for part in section.parts))
        for section in sections
        if section.slug in largest
    ]
    drawn = {run_id for s in shown for chart in s.charts.values() for run_id, _ in chart.curves}
    drawn |= {section.run_ids[0] for section in shown}
    listed = runs(entries, source, most, drawn)
    further = len(remarks) - most
    remarks = [*remarks[:most], *_left_out(len(listed.lines), len(entries), most)]
    if further > 0:
        remarks.append(f"{further:,} further remarks are left out.")
    if len(shown) < len(sections):
        remarks.append(f"{len(shown)} of {len(sections)} sets shown: those with the most runs.")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("efficiency_bench.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    library, script = chart_library(), template_text("page.js")
    filters = {
        name: sorted({getattr(line, name) for line in listed.lines})
        for name in ("suite", "data", "tier")
    }
    return environment.get_template("page.html").render(
        sections=shown,
        side_by_side=page_table(sets_table((s.title, s.fit) for s in sections)).shortened(most),
        runs=listed.lines,
        total=len(entries),
        filters=filters,
        source=source,
        remarks=remarks,
        fold_from=FOLD_FROM,
        version=__version__,
        data=page_data(
            {s.slug: s.charts for s in shown},
            listed,
            {s.slug: s.run_ids for s in shown},
            len(entries),
        ),
        styles=styles(),
        library=library,
        script=script,
        policy=policy((library, script)),
    )


@cache
def chart_library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, escaped for a script element."""
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle.replace("</script", r"<\/script").replace("\r\n", "\n")


def template_text(name: str) -> str:
    """The text of a file in the templates folder."""
    folder = resources.files("efficiency_bench.report").joinpath("templates")
    return folder.joinpath(name).read_text(encoding="utf-8")


def styles() -> str:
    """The page's style sheet, including chart colours for dark mode."""
    swaps = "\n".join(
        f'  .chart svg [{attribute}="{light}"] {{ {attribute}: {dark}; }}'
        for light, dark in ON_DARK.items()
        for attribute in ("fill", "stroke")
    )
    dark = f"@media (prefers-color-scheme: dark) {{\n{swaps}\n}}\n"
    return template_text("page.css") + dark


def policy(scripts: Iterable[str]) -> str:
    """A Content-Security-Policy that allows only these scripts and no network requests."""
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
