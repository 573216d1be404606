"""Made-up training runs whose true crossing is known, to check the crossing estimators."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from efficiency_bench.config import EvaluationConfig
from efficiency_bench.records import Target
from efficiency_bench.stop_rule import evaluations_per_epoch
from efficiency_bench.target_crossing import LearningCurve

Shape = Literal["logistic", "power"]
FLOOR = 0.001
"""Accuracy below which a power law is cut off: chance among 1000 classes."""


@dataclass(frozen=True)
class TrueCurve:
    """A smooth accuracy (fraction) against epochs that meets ``threshold`` at its crossing."""

    shape: Shape
    threshold: float
    crossing_epochs: float
    steepness: float
    """logistic: slope of the logit in log epochs; power: exponent of the gap to the limit."""
    limit_gap: float = 0.0
    """power: the accuracy's limit less the threshold."""

    def accuracy(self, epochs: float) -> float:
        """Expected accuracy after ``epochs`` > 0, a fraction."""
        ratio = epochs / self.crossing_epochs
        if self.shape == "logistic":
            odds = self.threshold / (1 - self.threshold) * ratio**self.steepness
            return odds / (1 + odds)
        gap = self.limit_gap * ratio**-self.steepness
        return max(self.threshold + self.limit_gap - gap, FLOOR)


@dataclass(frozen=True)
class Protocol:
    """How a run is looked at; the defaults are the trainer's."""

    val_images: int
    stops: bool
    """Whether it ends once the target is confirmed; else at ``length_epochs``."""
    length_epochs: float
    per_epoch: int = 1
    per_epoch_near: int = 4
    common: float = 0.0
    """Share of an evaluation's binomial variance that all of the run's have in common."""
    dispersion: float = 1.0
    """Variance of an evaluation over its binomial one."""


def shapes(threshold: float, crossing_epochs: float) -> dict[str, TrueCurve]:
    """Five curves through one crossing, steep to nearly flat there, by name."""

    def logistic(steepness: float) -> TrueCurve:
        return TrueCurve("logistic", threshold, crossing_epochs, steepness)

    def power(exponent: float, limit_gap: float) -> TrueCurve:
        return TrueCurve("power", threshold, crossing_epochs, exponent, limit_gap)

    return {
        "logistic, steep": logistic(3.0),
        "logistic": logistic(1.2),
        "logistic, shallow": logistic(0.4),
        "power law": power(1.0, min(0.12, 0.99 - threshold)),
        "power law, near its limit": power(0.7, 0.03),
    }


def simulate(
    curve: TrueCurve, target: Target, protocol: Protocol, generator: np.random.Generator
) -> LearningCurve:
    """One run's evaluations, x in epochs: cadence, noise and stop rule as in training."""
    epochs: list[float] = []
    accuracies: list[float] = []
    draw = _errors(protocol, generator)
    confirmed = 0
    cadence = EvaluationConfig(protocol.per_epoch, protocol.per_epoch_near)
    while not epochs or epochs[-1] < protocol.length_epochs - 1e-9:
        curve_so_far = list(zip(epochs, accuracies, strict=True))
        per_epoch = evaluations_per_epoch(cadence, target, curve_so_far, FLOOR, protocol.val_images)
        last = epochs[-1] if epochs else 0.0
        epochs.append((math.floor(last * per_epoch + 1e-9) + 1) / per_epoch)
        accuracies.append(draw(curve.accuracy(epochs[-1])))
        confirmed = confirmed + 1 if target.met_by(accuracies[-1]) else 0
        if protocol.stops and confirmed > target.confirmations:
            break
    counts = (protocol.val_images,) * len(epochs)
    return LearningCurve(tuple(epochs), tuple(accuracies), counts)


def _errors(protocol: Protocol, generator: np.random.Generator) -> Callable[[float], float]:
    """From an expected accuracy to an evaluation's, one run's errors."""
    n = protocol.val_images
    if protocol.common == 0 and protocol.dispersion == 1:
        return lambda expected: int(generator.binomial(n, expected)) / n
    common = math.sqrt(protocol.common) * generator.standard_normal()
    own = math.sqrt(1 - protocol.common)

    def draw(expected: float) -> float:
        deviation = math.sqrt(protocol.dispersion * expected * (1 - expected) / n)
        error = deviation * (common + own * generator.standard_normal())
        return min(max(round((expected + error) * n), 0), n) / n

    return draw
