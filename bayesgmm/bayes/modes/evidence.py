"""The log evidence of a region of the posterior: by Laplace's formula at its mode, or by bridge sampling of draws."""

from collections.abc import Callable

import numpy as np

from bayesgmm.bayes.modes.curvature import Curvature
from bayesgmm.convergence import convergence
from bayesgmm.types import FloatArray

# The bridge is iterated until the log evidence changes by less than the tolerance, at most so often.
_MOST_STEPS, _TOLERANCE = 1000, 1e-9
# exp of a larger number than this overflows.
_LARGEST_EXPONENT = 700.0
_UNKNOWN = float("nan"), float("inf")


def laplace(log_posterior: float, curvature: Curvature) -> float:
    """Return log p(mode) + P/2 log 2 pi - log det(H) / 2, H the negative Hessian at the mode; NaN without a whitening.

    Tierney and Kadane (1986, doi:10.1080/01621459.1986.10478240), in unconstrained space.
    """
    if curvature.whitening is None:
        return float("nan")
    half_log_volume = np.linalg.slogdet(curvature.whitening)[1]
    return float(log_posterior + 0.5 * len(curvature.mode) * np.log(2 * np.pi) + half_log_volume)


def bridge(
    log_posteriors: Callable[[FloatArray], FloatArray], thetas: FloatArray, values: FloatArray, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the log of the integral of a density, estimated by bridge sampling from its draws, and its standard error.

    The second density of the bridge is the Gaussian with the mean and covariance of the first half of the draws; the
    second half of the draws makes the bridge (Overstall and Forster 2010, doi:10.1016/j.csda.2010.03.008). It is the
    optimal bridge of Meng and Wong (1996, Statistica Sinica 6, 831-860), with effective numbers of draws. The error is
    that of Fruehwirth-Schnatter (2004, doi:10.1111/j.1368-423X.2004.00125.x).

    Parameters
    ----------
    log_posteriors : log density (S,) at points (S, P), minus infinity where the density is 0.
    thetas : draws (chain, draw, P).
    values : log density at the draws (chain, draw).
    rng : for draws from the Gaussian.

    Notes
    -----
    The result is NaN and infinity if the draws have no covariance or the iteration does not converge.
    """
    n_draws, P = thetas.shape[1:]
    first_half = thetas[:, : n_draws // 2].reshape(-1, P)
    second_half, log_p = thetas[:, n_draws // 2 :], values[:, n_draws // 2 :]
    try:
        mean, cholesky = first_half.mean(axis=0), np.linalg.cholesky(np.atleast_2d(np.cov(first_half, rowvar=False)))
    except np.linalg.LinAlgError:
        return _UNKNOWN
    log_volume = np.log(np.diagonal(cholesky)).sum() + 0.5 * P * np.log(2 * np.pi)
    z = rng.standard_normal((log_p.size, P))
    at_gaussian = log_posteriors(mean + z @ cholesky.T) + 0.5 * np.square(z).sum(axis=1) + log_volume
    z = np.linalg.solve(cholesky, (second_half.reshape(-1, P) - mean).T).T
    at_draws = log_p.ravel() + 0.5 * np.square(z).sum(axis=1) + log_volume
    # Log ratios minus their median, so that none overflows.
    middle = float(np.median(at_draws))
    log_ratio, error = _optimal_bridge(at_draws - middle, at_gaussian - middle, log_p.shape)
    return (middle + log_ratio, error) if np.isfinite(log_ratio) else _UNKNOWN


def _optimal_bridge(
    at_draws: FloatArray, at_gaussian: FloatArray, chains_and_draws: tuple[int, ...]
) -> tuple[float, float]:
    """Return log of the mean ratio p / q under q, and its standard error; NaN if the iteration does not converge.

    at_draws, at_gaussian: log p / q at draws from p and from the Gaussian q.
    """
    n_effective, n_gaussian = _effective(at_draws.reshape(chains_and_draws)), float(len(at_gaussian))
    share = n_effective / (n_effective + n_gaussian)
    log_ratio = 0.0
    for _ in range(_MOST_STEPS):
        of_gaussian, of_draws = _bridge_terms(at_draws, at_gaussian, share, log_ratio)
        step = float(np.log(np.mean(of_gaussian)) - np.log(np.mean(of_draws)))
        log_ratio += step
        if not np.isfinite(log_ratio) or abs(step) < _TOLERANCE:
            break
    else:
        return _UNKNOWN
    if not np.isfinite(log_ratio):
        return _UNKNOWN
    of_gaussian, of_draws = _bridge_terms(at_draws, at_gaussian, share, log_ratio)
    square = np.var(of_gaussian) / np.mean(of_gaussian) ** 2 / n_gaussian
    square += np.var(of_draws) / np.mean(of_draws) ** 2 / _effective(of_draws.reshape(chains_and_draws))
    return log_ratio, float(np.sqrt(square))


def _bridge_terms(
    at_draws: FloatArray, at_gaussian: FloatArray, share: float, log_ratio: float
) -> tuple[FloatArray, FloatArray]:
    """Return the summands of the bridge's numerator, at Gaussian points, and of its denominator, at draws."""
    of_gaussian = 1 / (share + (1 - share) * np.exp(np.minimum(log_ratio - at_gaussian, _LARGEST_EXPONENT)))
    of_draws = 1 / (share * np.exp(np.minimum(at_draws - log_ratio, _LARGEST_EXPONENT)) + (1 - share))
    return of_gaussian, of_draws


def _effective(values: FloatArray) -> float:
    """Return the number of effective draws of values (chain, draw), at most all and 1 if it cannot be computed."""
    n_effective = float(convergence(values[..., np.newaxis], ["value"])["ess_bulk"].iloc[0])
    return min(n_effective, float(values.size)) if np.isfinite(n_effective) else 1.0
