"""Maximum likelihood with a random intercept per group: scatter between and within groups.

``y_ij = x_ij beta + u_i + e_ij`` with normal ``u`` and ``e``, where ``y`` is a point, an interval
or a bound (``interval_likelihood``).  A group is a row with its seeds, or an architecture trained
with several recipes.

``u`` is integrated out by the trapezoidal rule.  Its nodes are closer together than the standard
deviation of the narrowest factor of the integrand.  The error falls as exp(-2 pi^2 / step^2), which
is 1e-13 here (Trefethen and Weideman 2014, SIAM Review 56).  Gauss-Hermite quadrature would place
its nodes by the scatter of rows only, and would miss the edges of the intervals if seeds agree far
better than rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from efficiency_bench.fitting.interval_likelihood import (
    HALF_LOG_2PI,
    LEAST_SCATTER,
    Maximum,
    Outcomes,
    end_density,
    log_mass,
)
from efficiency_bench.fitting.regression import Array

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

NODES_PER_DEVIATION = 1.25
"""Nodes per standard deviation of the narrowest factor."""

REACH = 9.0
"""Range of integration in standard deviations to either side: 1e-19 lies beyond."""

SHARPEST = 1 / 20
"""If a group has bounds on one side only, the scatter within it is at least this share of the
scatter between groups.  That adds 0.25 % to its variance and keeps the nodes to some hundreds."""

MOST_SCATTER = 30.0
"""Upper limit of both scatters, log2 of compute: a factor of 1e9."""

SMALL_SHARE, LARGE_SHARE = 0.2, 0.9
"""The search starts with these shares of the standard deviation as the scatter within groups."""


@dataclass(frozen=True)
class GroupedMaximum(Maximum):
    """The maximum-likelihood fit of each data set; ``scatter`` is the one between groups."""

    within: Array
    """[fits], standard deviation of observations about their group."""


@dataclass(frozen=True)
class GroupedLikelihood:
    """The log likelihood of one data set and its gradient."""

    design: Array
    """[observations, columns]"""
    outcomes: Outcomes
    """The outcomes of one data set."""
    groups: NDArray[np.intp]
    """[observations], group numbers 0, 1, ... in ascending order, without gaps."""

    def __call__(self, unknowns: Array) -> tuple[float, Array]:
        """Evaluate at [*coefficients, log of scatter between groups, log of scatter within]."""
        between, within = math.exp(unknowns[-2]), math.exp(unknowns[-1])
        line = self.design @ unknowns[:-2]
        blurred = self._one_sided & (within < SHARPEST * between)
        scale = np.where(blurred, SHARPEST * between, within)
        nodes, step = self._nodes(line, between, within, scale)
        value, by_line, by_scale = self._observations(line, nodes[self.groups], scale[:, None])
        starts = np.flatnonzero(np.diff(self.groups, prepend=-1))
        heights = (nodes / between) ** 2
        logs = np.add.reduceat(value, starts) - 0.5 * heights - math.log(between) - HALF_LOG_2PI
        top = logs.max(axis=1, keepdims=True)
        weights = np.exp(logs - top)
        sums = weights.sum(axis=1, keepdims=True)
        total = (top + np.log(sums * step)).sum()
        weights /= sums
        of_each = weights[self.groups]
        scales = (of_each * by_scale).sum(axis=1)
        by_between = (weights * (heights - 1)).sum() + scales[blurred].sum()
        by_scatters = [by_between, scales[~blurred].sum()]
        by_coefficients = (of_each * by_line).sum(axis=1) @ self.design
        return float(total), np.concatenate([by_coefficients, by_scatters])

    @cached_property
    def _one_sided(self) -> NDArray[np.bool_]:
        """[observations], whether their group has only lower or only upper bounds."""
        counts = [
            np.bincount(self.groups, np.isfinite(ends[0]))
            for ends in (self.outcomes.low, self.outcomes.high)
        ]
        return np.asarray((np.minimum(*counts) == 0)[self.groups])

    def _nodes(
        self, line: Array, between: float, within: float, scale: Array
    ) -> tuple[Array, Array]:
        """Return the nodes of u [groups, nodes], centred by the group's points, and their step."""
        point = self.outcomes.point[0]
        residual = np.where(point, self.outcomes.high[0] - line, 0.0)
        points = np.bincount(self.groups, point.astype(float))
        deviation = 1 / np.sqrt(1 / between**2 + points / within**2)
        centre = deviation**2 * np.bincount(self.groups, residual) / within**2
        # the product of normal densities is narrower than each of them
        edges = np.bincount(self.groups, np.where(point, 0.0, scale**-2.0))
        narrower = float(np.sqrt(1 + edges * deviation**2).max())
        count = math.ceil(2 * REACH * NODES_PER_DEVIATION * narrower) + 1
        across = np.linspace(-REACH, REACH, count)
        step = deviation * (across[1] - across[0])
        return centre[:, None] + deviation[:, None] * across, step[:, None]

    def _observations(self, line: Array, u: Array, scale: Array) -> tuple[Array, Array, Array]:
        """Return log likelihoods [observations, nodes], and derivatives by line and log scale."""
        low, high = self.outcomes.low[0][:, None], self.outcomes.high[0][:, None]
        point = self.outcomes.point[0][:, None]
        centre = line[:, None] + u
        below, above = (low - centre) / scale, (high - centre) / scale
        mass = log_mass(np.where(point, -np.inf, below), above)
        low_known, high_known = np.isfinite(low), np.isfinite(high)
        below, above = np.where(low_known, below, 0.0), np.where(high_known, above, 0.0)
        by_high = end_density(above, mass, high_known & ~point)
        by_low = end_density(below, mass, low_known & ~point)
        density = -0.5 * above**2 - np.log(scale) - HALF_LOG_2PI
        return (
            np.where(point, density, mass),
            np.where(point, above, by_low - by_high) / scale,
            np.where(point, above**2 - 1, below * by_low - above * by_high),
        )


def maximise_grouped(
    design: Array, outcomes: Outcomes, groups: NDArray[np.intp], near: GroupedMaximum | None = None
) -> GroupedMaximum:
    """Maximise the likelihood of each data set.

    ``design`` and ``outcomes`` are those of ``interval_likelihood.maximise``; ``groups`` [rows] are
    group numbers from 0 in ascending order, without gaps.  ``near``: fits whose scatters are good
    starting values.
    """
    every = range(len(outcomes.low))
    with _blas().limit(limits=1, user_api="blas"):
        found = [
            _search(design, outcomes.subset(np.array([fit])), groups, near, fit) for fit in every
        ]
    unknowns, values = np.array([u for u, _ in found]), np.array([v for _, v in found])
    return GroupedMaximum(
        coefficients=unknowns[:, :-2],
        scatter=np.exp(unknowns[:, -2]),
        log_likelihood=values,
        within=np.exp(unknowns[:, -1]),
    )


@cache
def _blas() -> ThreadpoolController:
    """The threads of numpy's and scipy's BLAS.

    The search solves systems of four unknowns.  Several threads gain nothing there, and on a busy
    machine each call waits for all of them: a report took 2.2 to 3.5 times the processor
    time.
    """
    import scipy.optimize  # noqa: F401 (the controller knows only libraries that are loaded)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _search(
    design: Array,
    outcomes: Outcomes,
    groups: NDArray[np.intp],
    near: GroupedMaximum | None,
    fit: int,
) -> tuple[Array, float]:
    from scipy.optimize import minimize

    likelihood = GroupedLikelihood(design, outcomes, groups)
    beta = np.linalg.pinv(design) @ outcomes.midpoints[0]
    spread = float(np.std(outcomes.midpoints[0] - design @ beta)) + 0.1
    least = float(outcomes.least_scatter[0])
    starts = [
        (spread * math.sqrt(1 - share**2), spread * share) for share in (SMALL_SHARE, LARGE_SHARE)
    ]
    if near is not None:
        starts = [(float(near.scatter[fit]), float(near.within[fit]))]
    limits: list[tuple[float | None, float | None]] = [(None, None)] * design.shape[1]
    limits += [(math.log(floor), math.log(MOST_SCATTER)) for floor in (LEAST_SCATTER, least)]

    def loss(unknowns: Array) -> tuple[float, Array]:
        value, gradient = likelihood(unknowns)
        return -value, -gradient

    best = min(
        (
            minimize(
                loss,
                np.concatenate([beta, np.log([max(b, LEAST_SCATTER), max(w, least)])]),
                jac=True,
                method="L-BFGS-B",
                bounds=limits,
                options={"ftol": 1e-13, "gtol": 1e-8, "maxiter": 500},
            )
            for b, w in starts
        ),
        key=lambda result: result.fun,
    )
    return best.x, -float(best.fun)
