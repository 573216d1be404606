"""The smooth learning curve near a target, and how probably it is over it at each place.

Around the target the expected accuracy is taken as a cubic in the logarithm of training, on
the angle scale, where a proportion of ``n`` images has the variance ``1 / (4n + 2)``
whatever it is (Anscombe 1948).  How strongly it bends and how far the evaluations scatter
beyond the binomial are not known: every combination of a short list is fitted, and each counts
as much as the evaluations speak for it.  Bends and scatter thus widen the answer, as a wide
gap between evaluations does, in closed form.
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
"""How far from the crossing evaluations count: a factor e of training either way."""
NEAR_ANGLE = 0.2
"""And in accuracy: 0.2 rad, 16 to 20 points between 50 % and 80 %, where a cubic still follows."""
LEAST_POINTS = 5
"""The nearest so many count in any case: a line, a bend and two to judge the scatter by."""
TIE = 1e-9
"""Relative difference of two distances that are one: rounding is a millionth of it."""
DEGREE = 3
FACTORIALS = np.array([math.factorial(k) for k in range(DEGREE + 1)], dtype=float)
BENDS = (0.5, 1.0, 2.0)
"""Change of slope per unit of log x, relative to the slope: power laws have about their
exponent (0.3-1), a logistic curve in x itself has 1, the end of a schedule more."""
DISPERSIONS = (1.0, 1.5, 2.5, 5.0, 12.0, 30.0)
"""Variance of an evaluation over its binomial one; 30 is one point at 50,000 images."""
DISPERSION_PRIOR_POWER = 3.0
"""A priori a dispersion d counts d**-3: plain binomial scatter unless evaluations say more."""


@dataclass(frozen=True)
class SmoothCurve:
    """Cubics in ``u = log(x / centre)``, angle less the target's, one a combination."""

    centre: float
    """Isotonic crossing, or the nearest evaluation, in the unit of the curve's x."""
    reach: float
    """Largest ``|u|`` for which it speaks."""
    image_variance: float
    """Angle variance of one evaluation by the binomial alone, at its mean image count."""
    weights: Array
    """Posterior weight of each of the K combinations, shape (K,)."""
    coefficients: Array
    """Taylor coefficients, shape (K, DEGREE + 1)."""
    covariances: Array
    """Their posterior covariances, shape (K, DEGREE + 1, DEGREE + 1)."""

    def probability_over(self, u: Array, shared: bool) -> Array:
        """Probability that the true curve is at or over the target at each ``u``, shape (n,).

        ``shared``: as if the error of one evaluation were common to all of them, which no
        averaging removes; the evaluations of a run look at the same validation images.
        """
        basis = _taylor(u)
        means = basis @ self.coefficients.T
        products = (basis[:, :, None] * basis[:, None, :]).reshape(len(u), -1)
        variances = products @ self.covariances.reshape(len(self.weights), -1).T
        if shared:
            variances = np.maximum(variances, self.image_variance)
        return np.asarray(ndtr(means / np.sqrt(variances)) @ self.weights)


def fit_smooth_curve(target: Target, curve: LearningCurve) -> SmoothCurve | None:
    """The curve near ``target``; None with fewer than two evaluations after x = 0."""
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
    """Log x, angle less the target's, its variance at the evaluations that count; the centre."""
    x, n = np.asarray(curve.x), np.asarray(curve.val_images, dtype=float)
    rising = isotonic(curve.accuracies, curve.val_images)
    angles = np.arcsin(np.sqrt((np.asarray(curve.accuracies) * n + 0.375) / (n + 0.75)))
    threshold = math.asin(math.sqrt(max(target.threshold, 0.0)))
    centre = crossing_of("isotonic", target, curve, False) or (curve.x[-1] if curve.x else 0.0)
    started = x > 0  # the untrained network has no place on a logarithmic axis
    if centre <= 0 or not started.any():
        return np.empty(0), np.empty(0), np.empty(0), 0.0
    u = np.log(x[started] / centre)
    height = np.arcsin(np.sqrt(rising[started])) - threshold
    distance = np.abs(u)
    # epochs 4 and 9 are as near to 6 as each other: rounding must not choose between them
    nearest = np.sort(distance)[:LEAST_POINTS][-1] * (1 + TIE)
    # the isotonic height, not the evaluation's own: its noise must not choose the evaluations
    counts = ((distance <= NEAR_LOG_X) & (np.abs(height) <= NEAR_ANGLE)) | (distance <= nearest)
    variances = 1 / (4 * n[started] + 2)
    return u[counts], angles[started][counts] - threshold, variances[counts], float(centre)


def _taylor(u: Array) -> Array:
    """``u**k / k!`` for k = 0 ... DEGREE, shape (n, DEGREE + 1)."""
    return np.asarray(u[:, None] ** np.arange(DEGREE + 1) / FACTORIALS)


def _slope(u: Array, angles: Array) -> float:
    """Size of the slope at the crossing, angle per log x, nearer evaluations counting more."""
    weights = 1 - 0.98 * (u / np.abs(u).max()) ** 2
    du = u - np.average(u, weights=weights)
    slope = np.sum(weights * du * angles) / np.sum(weights * du**2)
    return max(abs(float(slope)), 1e-6)
