"""How often the horizon's 95 % interval holds the true one, and what a search costs.

Synthetic learners with a known final accuracy at every schedule length; a trial draws a seed's
own scatter and then its validation images.  Each search runs as the verb does.  The plain grid
beside it trains every seed at every rung between the shortest and the longest one tried.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from efficiency_bench.horizon.decide import Done, Plan, answer, decide
from efficiency_bench.records import Target

SEED = 7
OWN_EPOCHS = 16.0
STEPS_PER_EPOCH = 100
SEEDS = 4
TARGET = 0.9

Learner = Callable[[float], float]
"""log2 of epochs less that of the horizon -> expected logit of accuracy less the target's."""

SHAPES: dict[str, Learner] = {
    "straight": lambda u: 1.0 * u,
    "steep": lambda u: 2.0 * u,
    "power law": lambda u: _log_odds(1 - 0.1 * 2.0 ** (-0.7 * u)) - _log_odds(0.9),
    "saturating at 95 %": lambda u: _log_odds(0.95 - 0.05 * 2.0 ** (-1.2 * u)) - _log_odds(0.9),
    "bent": lambda u: 1.2 * u - 0.2 * u * abs(u),
}
SCATTERS = ((1000, 0.05), (10_000, 0.05), (50_000, 0.02))
"""Validation images, and a seed's own scatter in logits: 0.05 is half a point at 90 %."""


def _log_odds(p: float) -> float:
    inside = min(max(p, 0.001), 0.999)
    return math.log(inside / (1 - inside))


def searched(
    learner: Learner, true: float, val_images: int, scatter: float, rng: np.random.Generator
) -> tuple[bool, Done, dict[int, list[float | None]], Plan, float]:
    """One search: whether the interval holds ``true`` (epochs), its end, its trials."""
    target = Target(metric="top1", value=TARGET)
    plan = Plan(target, OWN_EPOCHS, STEPS_PER_EPOCH, val_images, SEEDS)
    outcomes: dict[int, list[float | None]] = {}
    while not isinstance(step := decide(plan, outcomes), Done):
        height = _log_odds(TARGET) + learner(math.log2(plan.epochs(step.rung) / true))
        p = 1 / (1 + math.exp(-height - rng.normal(0, scatter)))
        right = rng.binomial(val_images, p)
        outcomes.setdefault(step.rung, []).append(float(right) / val_images)
    found = answer(plan, outcomes)
    high = math.inf if found.high_epochs is None else found.high_epochs
    width = found.log2_width
    return found.low_epochs <= true <= high, step, outcomes, plan, width


def rows(draws: int) -> Iterator[dict[str, Any]]:
    """Coverage and cost of every shape at every scatter."""
    for name, learner in SHAPES.items():
        for val_images, scatter in SCATTERS:
            rng = np.random.default_rng(SEED)
            hits, trials, epochs, grid, decided, widths = [], [], [], [], [], []
            for _ in range(draws):
                true = OWN_EPOCHS * 2.0 ** rng.uniform(-3, 1)
                hit, step, outcomes, plan, width = searched(learner, true, val_images, scatter, rng)
                hits.append(hit)
                decided.append(step.decided)
                widths.append(width)
                trials.append(sum(map(len, outcomes.values())))
                epochs.append(sum(plan.epochs(r) * len(s) for r, s in outcomes.items()) / true)
                grid.append(SEEDS * (max(outcomes) - min(outcomes) + 1))
            yield {
                "shape": name,
                "val_images": val_images,
                "scatter_logits": scatter,
                "coverage": float(np.mean(hits)),
                "decided": float(np.mean(decided)),
                "median_factor": float(2.0 ** np.median(widths)),
                "trials": float(np.mean(trials)),
                "grid_trials": float(np.mean(grid)),
                "epochs_per_horizon": float(np.mean(epochs)),
                "draws": draws,
            }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = list(rows(arguments.draws))
    print(json.dumps(found, indent=2) if arguments.json else markdown(found))


def markdown(found: list[dict[str, Any]]) -> str:
    """A line a shape and scatter."""
    lines = [
        "| final accuracy | validation images | held | decided | interval | trials | plain grid |"
        " epochs trained, in horizons |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in found:
        lines.append(
            f"| {row['shape']} | {row['val_images']} | {100 * row['coverage']:.1f} % |"
            f" {100 * row['decided']:.0f} % | x{row['median_factor']:.2f} | {row['trials']:.1f} |"
            f" {row['grid_trials']:.0f} | {row['epochs_per_horizon']:.1f} |"
        )
    return "\n".join([*lines, "", f"{found[0]['draws']} draws a line."])


if __name__ == "__main__":
    main()
