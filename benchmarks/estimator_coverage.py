"""Coverage of the estimator's 95 % interval of the halving time, in the design that is used.

Ladders of the 14 networks of suite=history are simulated: seven budgets, rungs of under 50 steps
left out, rows open below and above as the ladder makes them, rows that scatter about their line,
one seed per rung, a target measured by five baseline seeds.  Beside it stands the method of 2020 on
the same ladders: least squares on the frontier of the rows that arrived, each at the cheapest
budget that reached the target.  Prints Markdown tables, or JSON rows with --json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import numpy as np

from efficiency_bench.fitting.censored_regression import ENDS, STATED_MONTHS
from efficiency_bench.fitting.fit_row import DAYS_PER_MONTH
from efficiency_bench.fitting.ladder_design import (
    LadderDesign,
    rejected,
    simulate,
    slope_probabilities,
)
from efficiency_bench.fitting.regression import Array, fit_line
from efficiency_bench.fitting.robustness.bootstrap import running_minimum

NETWORKS: dict[str, tuple[str, float]] = {
    "alexnet": ("2012-06-01", 714.2),
    "vgg11": ("2014-09-04", 7609.1),
    "googlenet": ("2014-09-17", 1498.4),
    "resnet18": ("2015-12-10", 1814.1),
    "squeezenet1_1": ("2016-02-24", 349.2),
    "densenet121": ("2016-08-25", 2834.2),
    "mobilenet_v1": ("2017-04-17", 568.7),
    "shufflenet_v1": ("2017-07-03", 137.5),
    "mobilenet_v2": ("2018-01-13", 300.8),
    "shufflenet_v2_x1_0": ("2018-06-30", 144.9),
    "mobilenet_v3_small": ("2019-05-06", 56.5),
    "efficientnet_b0": ("2019-05-28", 385.8),
    "regnet_y_400mf": ("2020-03-30", 401.8),
    "convnext_tiny": ("2022-01-10", 4456.4),
}
"""Date, and forward MMACs per image at 224 px: small forms have the same share of these."""

BASELINE = "alexnet"
BASELINE_STEPS = 15 * 10_000 / 32
"""Of the baseline's whole schedule: 15 epochs of 10,000 images in batches of 32."""

BUDGETS = tuple(2.0**power for power in range(-6, 1))
LEAST_STEPS = 50

SEED_SCATTER = 0.2
"""Doublings of compute.  AlexNet's seeds scatter by 1.5 points on the CIFAR-10 subset, where
VGG-11 and ResNet-18 gain 12 to 14 points per doubling: 0.12.  The rest is room for flatter rows."""

TRUE_MONTHS = (12.0, 16.0, 28.0, 50.0, None)
SCATTERS = (0.6, 0.8)
"""Of rows about their line, log2 of compute."""

SEED = 19
INTERVALS = 200
"""Draws of which the interval itself is found."""

BISECTIONS = 24
STEEPEST = 0.5
"""Slope, log2 per month, beyond which an interval counts as open."""

Row = dict[str, Any]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = list(coverage(arguments.draws))
    print(json.dumps(rows, indent=2) if arguments.json else markdown(rows))


def design() -> LadderDesign:
    """The ladders of the 14 networks."""
    first = date.fromisoformat(NETWORKS[BASELINE][0])
    days = [(date.fromisoformat(day) - first).days for day, _ in NETWORKS.values()]
    base_macs = NETWORKS[BASELINE][1]
    return LadderDesign(
        months=tuple(day / DAYS_PER_MONTH for day in days),
        budgets=tuple(
            tuple(b for b in BUDGETS if b * BASELINE_STEPS * base_macs / macs >= LEAST_STEPS)
            for _, macs in NETWORKS.values()
        ),
        baseline=list(NETWORKS).index(BASELINE),
        seed_scatter=SEED_SCATTER,
    )


def coverage(draws: int) -> Iterator[Row]:
    """Return one row per true halving time and scatter."""
    plan = design()
    for months in TRUE_MONTHS:
        for scatter in SCATTERS:
            slope = _slope(months)
            low, high = simulate(plan, slope, scatter, draws, np.random.default_rng(SEED))
            stated = [slope, *map(_slope, STATED_MONTHS)]
            below = slope_probabilities(plan.months, low, high, stated)
            yield {
                "true_months": months,
                "scatter_log2": scatter,
                "draws": draws,
                **_open_rows(low, high),
                **_shares("", below[0]),
                **_intervals(plan, low[:INTERVALS], high[:INTERVALS]),
                "rejects_16": float(rejected(below[1]).mean()),
                "rejects_24": float(rejected(below[2]).mean()),
                "rejects_none": float(rejected(below[3]).mean()),
                **_frontier(plan, high, slope),
            }


def _slope(months: float | None) -> float:
    return 0.0 if months is None else -1 / months


def _open_rows(low: Array, high: Array) -> Row:
    """Mean number of rows that are open on each side at the measured level."""
    middle = low.shape[1] // 2
    return {
        "open_below": float(np.isinf(low[:, middle]).sum(axis=1).mean()),
        "open_above": float(np.isinf(high[:, middle]).sum(axis=1).mean()),
    }


def _shares(prefix: str, below: Array) -> Row:
    """Coverage and misses, from the probability that each fit gives to slopes below the true one.

    An interval that lies wholly below the true slope says that compute falls too fast.
    """
    outside = rejected(below)
    return {
        f"{prefix}coverage": float(1 - outside.mean()),
        f"{prefix}too_fast": float((outside & (below > 0.5)).mean()),
        f"{prefix}too_slow": float((outside & (below < 0.5)).mean()),
    }


def _intervals(plan: LadderDesign, low: Array, high: Array) -> Row:
    """Median ends of the halving time's interval, months; a slow end of None includes no fall."""
    fast, slow = (_ends(plan, low, high, share) for share in ENDS)
    return {
        "median_low_months": _months(float(np.median(fast))),
        "median_high_months": _months(float(np.median(slow))),
    }


def _ends(plan: LadderDesign, low: Array, high: Array, share: float) -> Array:
    """The slope of each draw below which lies that probability, by bisection."""
    under, over = np.full((2, len(low)), [[-STEEPEST], [STEEPEST]])
    for _ in range(BISECTIONS):
        middle = (under + over) / 2
        short = slope_probabilities(plan.months, low, high, [middle])[0] < share
        under, over = np.where(short, middle, under), np.where(short, over, middle)
    return np.asarray((under + over) / 2)


def _months(slope: float) -> float | None:
    return -1 / slope if slope < 0 else None


def _frontier(plan: LadderDesign, high: Array, slope: float) -> Row:
    """The method of 2020 on the same ladders, at the measured level."""
    dates = np.array(plan.months)
    held, fast, slow = 0, 0, 0
    for computes in high[:, high.shape[1] // 2]:
        arrived = np.isfinite(computes)
        if arrived.sum() < 3:
            continue
        x, y = dates[arrived], computes[arrived]
        best = running_minimum(y[None])[0]
        line = fit_line(x[best].tolist(), y[best].tolist())
        held += line.slope_low <= slope <= line.slope_high
        fast += line.slope_high < slope
        slow += line.slope_low > slope
    fitted = held + fast + slow
    return {
        "frontier_fits": fitted,
        "frontier_coverage": held / fitted,
        "frontier_too_fast": fast / fitted,
        "frontier_too_slow": slow / fitted,
    }


def markdown(rows: Sequence[Row]) -> str:
    """Two tables: coverage, and the chance to reject a stated rate."""
    lines = [
        "| true | scatter | open below / above | held | too fast / slow | median interval |"
        " frontier held | too fast / slow |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        lines.append(
            f"| {_name(row)} | {row['scatter_log2']} |"
            f" {row['open_below']:.1f} / {row['open_above']:.1f} | {_percent(row['coverage'])} |"
            f" {100 * row['too_fast']:.1f} / {_percent(row['too_slow'])} |"
            f" {_end(row['median_low_months'])} to {_end(row['median_high_months'])} |"
            f" {_percent(row['frontier_coverage'])} |"
            f" {100 * row['frontier_too_fast']:.1f} / {_percent(row['frontier_too_slow'])} |"
        )
    lines += [
        "",
        "| true | scatter | rejects 16 months | rejects 24 months | rejects no change |",
        "|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        chances = [_percent(row[f"rejects_{stated}"]) for stated in ("16", "24", "none")]
        lines.append(f"| {_name(row)} | {row['scatter_log2']} | {' | '.join(chances)} |")
    fits = sum(row["frontier_fits"] for row in rows) / sum(row["draws"] for row in rows)
    note = f"{rows[0]['draws']} draws a line; {100 * fits:.1f} % of them had a frontier to fit."
    return "\n".join([*lines, "", note])


def _name(row: Row) -> str:
    months = row["true_months"]
    return "none" if months is None else f"{months:.0f} months"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _end(months: float | None) -> str:
    return "no fall" if months is None else f"{months:.1f}"


if __name__ == "__main__":
    main()
