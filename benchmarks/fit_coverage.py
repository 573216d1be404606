"""How often each 95 % interval of the halving time holds the true one, on simulated ledgers.

Sixteen networks stand at the dates of the 2020 paper's; compute halves every 16 months, with
normal scatter on the log2 scale.  "given": six of them, the paper's frontier, whatever they
cost; "frontier": the running minimum of all sixteen, chosen from the very numbers it is fitted
to.  Prints a Markdown table, or JSON rows with --json.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence

import numpy as np

from efficiency_bench.fitting.fit_row import FitRow
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.halving import frontier
from efficiency_bench.fitting.regression import fit_line
from efficiency_bench.fitting.robustness.bootstrap import hierarchical_bootstrap, pairs_bootstrap
from efficiency_bench.fitting.robustness.checks import logs_of, months_of
from efficiency_bench.fitting.robustness.theil_sen import theil_sen
from efficiency_bench.fitting.rows import fit_rows
from efficiency_bench.ledger.reference import published_entries

TRUE_MONTHS = 16.0
SCATTERS = (0.35, 1.0)
"""log2 units: about that of the paper's six frontier rows, and about that of all sixteen."""
SEED = 4
Interval = tuple[float, float]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = list(coverage(arguments.draws))
    print(json.dumps(rows, indent=2) if arguments.json else markdown(rows, arguments.draws))


def coverage(draws: int) -> Iterator[dict[str, object]]:
    """Coverage of every method in every setting, with its Monte-Carlo standard error."""
    published = fit_rows(published_entries(), Selection()).rows
    given = frontier(published)
    for scatter in SCATTERS:
        for setting, rows in (("given", given), ("frontier", published)):
            hits: dict[str, list[bool]] = {}
            generator = np.random.default_rng(SEED)
            for _ in range(draws):
                drawn = simulated(rows, scatter, generator)
                for method, (low, high) in intervals(drawn, setting == "frontier"):
                    hits.setdefault(method, []).append(low <= -1 / TRUE_MONTHS <= high)
            for method, found in hits.items():
                share = float(np.mean(found))
                error = math.sqrt(share * (1 - share) / len(found))
                yield {
                    "setting": setting,
                    "scatter_log2": scatter,
                    "method": method,
                    "coverage": share,
                    "standard_error": error,
                    "draws": len(found),
                }


def simulated(
    rows: Sequence[FitRow], scatter: float, generator: np.random.Generator
) -> list[FitRow]:
    """Return rows whose compute scatters around a line that halves every 16 months."""
    from dataclasses import replace

    logs = -months_of(rows) / TRUE_MONTHS + generator.normal(0, scatter, len(rows))
    computes = 2.0 ** (logs - logs.mean())
    return [
        replace(row, compute=float(c), seed_computes={row.model: float(c)})
        for row, c in zip(rows, computes, strict=True)
    ]


def intervals(rows: list[FitRow], select: bool) -> Iterator[tuple[str, Interval]]:
    """95 % intervals of the slope, log2 per month."""
    chosen = frontier(rows) if select else rows
    if len(chosen) < 3:
        chosen = rows
    x, y = months_of(chosen), logs_of(chosen)
    line = fit_line(x.tolist(), y.tolist())
    yield "least squares, t", (line.slope_low, line.slope_high)
    normal = 1.959964 * line.slope_error
    yield "least squares, normal", (line.slope - normal, line.slope + normal)
    median = theil_sen(x, y)
    yield "Theil-Sen", (median.low, median.high)
    yield "pairs bootstrap", _ends(pairs_bootstrap(x, y))
    every = hierarchical_bootstrap(rows, months_of(rows), select, {})
    yield "hierarchical bootstrap", _ends(every)
    if select:
        all_x, all_y = months_of(rows), logs_of(rows)
        whole = fit_line(all_x.tolist(), all_y.tolist())
        yield "least squares, t, all rows", (whole.slope_low, whole.slope_high)


def _ends(every: np.ndarray) -> Interval:
    low, high = np.quantile(every, [0.025, 0.975])
    return float(low), float(high)


def markdown(rows: Sequence[dict[str, object]], draws: int) -> str:
    """Return a table with one line per method and one column per setting."""
    settings = list(dict.fromkeys((row["setting"], row["scatter_log2"]) for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    titles = [f"{setting}, scatter {scatter}" for setting, scatter in settings]
    lines = [f"| method | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    for method in methods:
        cells = []
        for setting in settings:
            found = [
                row
                for row in rows
                if (row["setting"], row["scatter_log2"]) == setting and row["method"] == method
            ]
            cells.append(
                f"{100 * found[0]['coverage']:.1f} ± {100 * found[0]['standard_error']:.1f} %"  # type: ignore[operator]
                if found
                else "-"
            )
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"{draws} draws each; ± one Monte-Carlo standard error."])


if __name__ == "__main__":
    main()
