"""How much mass is under the log posterior around a mode: by Laplace's formula, or from draws."""

from collections.abc import Callable

import numpy as np

from bayesgmm.bayes.modes.curvature import Curvature
from bayesgmm.convergence import convergence
from bayesgmm.types import FloatArray

_MOST_STEPS, _TOLERANCE = 1000, 1e-9


def laplace(log_posterior: float, curvature: Curvature) -> float:
    """Log p(mode) + P/2 log 2 pi - log det(H) / 2 with H the negative Hessian at the mode; NaN where H has no inverse.

    Tierney and Kadane (1986, doi:10.1080/01621459.1986.10478240), in unconstrained space.
    """
    if curvature.whitening is None:
        return float("nan")
    half_log_volume = np.linalg.slogdet(curvature.whitening)[1]
    return float(log_posterior + 0.5 * len(curvature.mode) * np.log(2 * np.pi) + half_log_volume)


def bridge(
    log_posteriors: Callable[[FloatArray], FloatArray], thetas: FloatArray, values: FloatArray, rng: np.random.Generator
) -> tuple[float, float]:
    """Log of the integral of the density that draws come from, and its standard error, by bridge sampling.

    log_posteriors: (S,) log of that density at (S, P), minus infinity where it is 0; thetas (chain, draw, P) the
    draws, values (chain, draw) the log density there. The other density is the Gaussian with the mean and covariance
    of the first half of the draws; the second half makes the bridge (Overstall and Forster 2010,
    doi:10.1016/j.csda.2010.03.008), the optimal one of Meng and Wong (1996, Statistica Sinica 6, 831-860) with
    effective in place of all draws. The error is that of Fruehwirth-Schnatter (2004,
    doi:10.1111/j.1368-423X.2004.00125.x). NaN and infinity when the draws have no covariance or the bridge does not
    settle.
    """
    draws, P = thetas.shape[1:]
    first = thetas[:, : draws // 2].reshape(-1, P)
    later, log_p = thetas[:, draws // 2 :], values[:, draws // 2 :]
    try:
        mean, cholesky = first.mean(axis=0), np.linalg.cholesky(np.atleast_2d(np.cov(first, rowvar=False)))
    except np.linalg.LinAlgError:
        return float("nan"), float("inf")
    log_volume = np.log(np.diagonal(cholesky)).sum() + 0.5 * P * np.log(2 * np.pi)
    z = rng.standard_normal((log_p.size, P))
    of_gaussian = log_posteriors(mean + z @ cholesky.T) + 0.5 * np.square(z).sum(axis=1) + log_volume
    z = np.linalg.solve(cholesky, (later.reshape(-1, P) - mean).T).T
    of_draws = log_p.ravel() + 0.5 * np.square(z).sum(axis=1) + log_volume

    # Ratios p / q relative to their middle, so that none overflows.
    middle = float(np.median(of_draws))
    of_draws, of_gaussian = of_draws - middle, of_gaussian - middle
    n_effective = _effective(of_draws.reshape(log_p.shape))
    n_gaussian = float(len(of_gaussian))
    share = n_effective / (n_effective + n_gaussian)
    ratio = 0.0  # log of the integral, relative to `middle`
    for _ in range(_MOST_STEPS):
        above = np.mean(1 / (share + (1 - share) * np.exp(np.minimum(ratio - of_gaussian, 700.0))))
        below = np.mean(1 / (share * np.exp(np.minimum(of_draws - ratio, 700.0)) + (1 - share)))
        step = float(np.log(above) - np.log(below))
        ratio += step
        if not np.isfinite(ratio) or abs(step) < _TOLERANCE:
            break
    else:
        return float("nan"), float("inf")
    if not np.isfinite(ratio):
        return float("nan"), float("inf")
    at_gaussian = 1 / (share + (1 - share) * np.exp(np.minimum(ratio - of_gaussian, 700.0)))
    at_draws = 1 / (share * np.exp(np.minimum(of_draws - ratio, 700.0)) + (1 - share))
    n_draws = _effective(at_draws.reshape(log_p.shape))
    square = np.var(at_gaussian) / np.mean(at_gaussian) ** 2 / n_gaussian
    square += np.var(at_draws) / np.mean(at_draws) ** 2 / n_draws
    return middle + ratio, float(np.sqrt(square))


def _effective(values: FloatArray) -> float:
    """Effective draws of values (chain, draw); one where they cannot be counted."""
    found = float(convergence(values[..., np.newaxis], ["value"])["ess_bulk"].iloc[0])
    return min(found, float(values.size)) if np.isfinite(found) else 1.0
