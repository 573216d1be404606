"""The smooth learning curve near a target, and the probability that it is above the target.

Near the target, the expected accuracy is modelled as a cubic in the logarithm of training.  It is
modelled on the angle scale, where a proportion of ``n`` images has the variance ``1 / (4n + 2)``
whatever its value (Anscombe 1948).  The curvature, and the scatter of evaluations beyond the
binomial, are not known.  Every combination from a short list is fitted and weighted by its
posterior probability, so that both widen the interval.  Everything is in closed form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr  # not scipy.stats: half a second of import for one function

from efficiency_bench.fitting.regression import Array
from efficiency_bench.records import Target
from efficiency_bench.target_crossing import LearningCurve, crossing_of, isotonic

NEAR_LOG_X = 1.0
"""Largest distance from the crossing at which evaluations are used: a factor e either way."""
NEAR_ANGLE = 0.2
"""The same in accuracy: 0.2 rad, 16 to 20 points between 50 % and 80 %, where a cubic fits."""
LEAST_POINTS = 5
"""The nearest evaluations, used at any distance: three for a line with a bend, two for scatter."""
TIE = 1e-9
"""Relative difference below which two distances are equal; rounding is a millionth of it."""
DEGREE = 3
FACTORIALS = np.array([math.factorial(k) for k in range(DEGREE + 1)], dtype=float)
BENDS = (0.5, 1.0, 2.0)
"""Change of slope per unit of log x, relative to the slope.  It is about the exponent for a power
law (0.3-1), 1 for a logistic curve in x, and more at the end of a schedule."""
DISPERSIONS = (1.0, 1.5, 2.5, 5.0, 12.0, 30.0)
"""Variance of an evaluation over its binomial variance; 30 is one point at 50,000 images."""
DISPERSION_PRIOR_POWER = 3.0
"""Prior weight of a dispersion d is d**-3: binomial scatter unless the evaluations show more."""


@dataclass(frozen=True)
class SmoothCurve:
    """Cubics of (angle - target's angle) in ``u = log(x / centre)``, one per combination."""

    centre: float
    """Isotonic crossing, or the last evaluation if there is none, in the unit of the curve's x."""
    reach: float
    """Largest ``|u|`` at which the curve is valid."""
    image_variance: float
    """Binomial variance of one evaluation on the angle scale, at the mean number of images."""
    weights: Array
    """Posterior weight of each of the K combinations, shape (K,)."""
    coefficients: Array
    """Taylor coefficients, shape (K, DEGREE + 1)."""
    covariances: Array
    """Their posterior covariances, shape (K, DEGREE + 1, DEGREE + 1)."""

    def probability_over(self, u: Array, shared: bool) -> Array:
        """Return the probability that the true curve meets the target at each ``u``, shape (n,).

        ``shared``: assume that all evaluations share one error, which averaging cannot reduce,
        since the evaluations of a run use the same validation images.
        """
        basis = _taylor(u)
        means = basis @ self.coefficients.T
        products = (basis[:, :, None] * basis[:, None, :]).reshape(len(u), -1)
        variances = products @ self.covariances.reshape(len(self.weights), -1).T
        if shared:
            variances = np.maximum(variances, self.image_variance)
        return np.asarray(ndtr(means / np.sqrt(variances)) @ self.weights)


def fit_smooth_curve(target: Target, curve: LearningCurve) -> SmoothCurve | None:
    """Fit the curve near ``target``; None with fewer than two evaluations after x = 0."""
    u, angles, variances, centre = _around_target(target, curve)
    if len(u) < 2 or u[-1] == u[0]:
        return None
    slope = _slope(u, angles)
    basis = _taylor(u)
    bends, dispersions = (grid.ravel() for grid in np.meshgrid(BENDS, DISPERSIONS))
    order = np.arange(2, DEGREE + 1)
    priors = (slope * bends[:, None] ** (order - 1)) ** -2.0
    precisions = (basis.T / variances @ basis) / dispersions[:, None, None]
    precisions[:, order, order] += priors
    covariances = np.linalg.inv(precisions)
    projections = (basis.T @ (angles / variances)) / dispersions[:, None]
    coefficients = np.einsum("kij,kj->ki", covariances, projections)
    misfits = np.sum(angles**2 / variances) / dispersions - np.sum(coefficients * projections, 1)
    log_weights = 0.5 * (
        -misfits
        - (len(u) - 2) * np.log(dispersions)
        - np.linalg.slogdet(precisions)[1]
        + np.log(priors).sum(axis=1)
    ) - DISPERSION_PRIOR_POWER * np.log(dispersions)
    weights = np.exp(log_weights - log_weights.max())
    return SmoothCurve(
        centre=centre,
        reach=max(NEAR_LOG_X, float(np.abs(u).max())),
        image_variance=float(1 / np.mean(1 / variances)),
        weights=weights / weights.sum(),
        coefficients=coefficients,
        covariances=covariances,
    )


def _around_target(target: Target, curve: LearningCurve) -> tuple[Array, Array, Array, float]:
    """Return log x, angle - target's angle and its variance near the target; and the centre."""
    x, n = np.asarray(curve.x), np.asarray(curve.val_images, dtype=float)
    rising = isotonic(curve.accuracies, curve.val_images)
    angles = np.arcsin(np.sqrt((np.asarray(curve.accuracies) * n + 0.375) / (n + 0.75)))
    threshold = math.asin(math.sqrt(max(target.threshold, 0.0)))
    centre = crossing_of("isotonic", target, curve, False) or (curve.x[-1] if curve.x else 0.0)
    started = x > 0  # x = 0, the untrained network, has no logarithm
    if centre <= 0 or not started.any():
        return np.empty(0), np.empty(0), np.empty(0), 0.0
    u = np.log(x[started] / centre)
    height = np.arcsin(np.sqrt(rising[started])) - threshold
    distance = np.abs(u)
    # epochs 4 and 9 are equally near to 6: rounding must not choose between them
    nearest = np.sort(distance)[:LEAST_POINTS][-1] * (1 + TIE)
    # isotonic accuracy, so that an evaluation's noise does not decide whether it is used
    counts = ((distance <= NEAR_LOG_X) & (np.abs(height) <= NEAR_ANGLE)) | (distance <= nearest)
    variances = 1 / (4 * n[started] + 2)
    return u[counts], angles[started][counts] - threshold, variances[counts], float(centre)


def _taylor(u: Array) -> Array:
    """Return ``u**k / k!`` for k = 0 ... DEGREE, shape (n, DEGREE + 1)."""
    return np.asarray(u[:, None] ** np.arange(DEGREE + 1) / FACTORIALS)


def _slope(u: Array, angles: Array) -> float:
    """Return the absolute slope at the crossing, angle per log x; near evaluations weigh more."""
    weights = 1 - 0.98 * (u / np.abs(u).max()) ** 2
    du = u - np.average(u, weights=weights)
    slope = np.sum(weights * du * angles) / np.sum(weights * du**2)
    return max(abs(float(slope)), 1e-6)
