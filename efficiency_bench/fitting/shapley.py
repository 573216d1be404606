"""Shapley values, and intervals of weighted sums of means."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

from scipy.special import stdtrit

from efficiency_bench.fitting.regression import CONFIDENCE

Player = TypeVar("Player", bound=Hashable)


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its 95 % interval; None where nothing repeats."""

    value: float
    low: float | None
    high: float | None


def shapley(
    players: Sequence[Player], value: Callable[[frozenset[Player]], float]
) -> dict[Player, float]:
    """Each player's share of ``value(all) - value(none)``, averaged over all orders.

    A coalition of size s precedes a player in s! (n - s - 1)! of the n! orders.  The shares add
    up to the whole.  Source: Shapley 1953, "A value for n-person games".
    """
    n = len(players)
    shares = {}
    for player in players:
        others = [other for other in players if other != player]
        shares[player] = math.fsum(
            (value(frozenset(before) | {player}) - value(frozenset(before)))
            / (n * math.comb(n - 1, size))
            for size in range(n)
            for before in combinations(others, size)
        )
    return shares


def weighted_sum(
    samples: Mapping[Player, Sequence[float]], weights: Mapping[Player, float]
) -> Interval:
    """The sum of weight times mean over groups of replicates, with Welch's t-interval.

    The groups may differ in scatter and number; the degrees of freedom are Satterthwaite's.
    Two or three seeds are too few for a bootstrap, which cannot draw a scatter wider than
    theirs.  A group of one has no scatter of its own: the interval is then None.
    Source: Welch 1947, "The generalization of Student's problem".
    """
    value = math.fsum(w * _mean(samples[group]) for group, w in weights.items())
    used = {group: samples[group] for group, w in weights.items() if w}
    if any(len(sample) < 2 for sample in used.values()):
        return Interval(value, None, None)
    parts = {g: weights[g] ** 2 * _variance(sample) / len(sample) for g, sample in used.items()}
    variance = math.fsum(parts.values())
    if variance == 0:
        return Interval(value, value, value)
    shares = [(part / variance) ** 2 / (len(used[group]) - 1) for group, part in parts.items()]
    quantile = float(stdtrit(1 / math.fsum(shares), 0.5 + CONFIDENCE / 2))
    half_width = quantile * math.sqrt(variance)
    return Interval(value, value - half_width, value + half_width)


def _mean(sample: Sequence[float]) -> float:
    return math.fsum(sample) / len(sample)


def _variance(sample: Sequence[float]) -> float:
    mean = _mean(sample)
    return math.fsum((x - mean) ** 2 for x in sample) / (len(sample) - 1)
