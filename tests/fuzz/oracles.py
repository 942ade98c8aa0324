"""What other packages say: SciPy's density at a mixture, and scikit-learn's fit."""

import warnings

import numpy as np
import scipy.linalg
from scipy.special import logsumexp
from scipy.stats import Covariance, multivariate_normal
from sklearn.mixture import GaussianMixture

import bayesgmm as bg

EPSILON = np.finfo(float).eps
# scikit-learn's fit is compared if no component of it collapsed by the rule that `fit_em` documents; this is the
# smallest share of the total variance, a hundred times the documented one.
_SMALLEST_VARIANCE = 1e-10


def log_densities(X, parameters):
    """(N,) by SciPy, each component in units of its own standard deviations."""
    parts = []
    for weight, mean, covariance in zip(parameters.weights, parameters.means, parameters.covariances, strict=True):
        std = np.sqrt(np.diag(covariance))
        factor = scipy.linalg.cholesky(covariance / std[:, np.newaxis] / std, lower=True)
        frozen = multivariate_normal(np.zeros(len(std)), Covariance.from_cholesky(factor))
        with np.errstate(divide="ignore"):  # a weight of 0
            log_weight = np.log(weight)
        parts.append(log_weight + np.atleast_1d(frozen.logpdf((X - mean) / std)) - np.log(std).sum())
    return logsumexp(parts, axis=0)


def tolerance(X, parameters, expected):
    """(N,) bound of the difference of two log densities: 1e-8, and rounding by the condition of the correlations."""
    stds = np.sqrt(np.einsum("kii->ki", parameters.covariances))
    correlations = parameters.covariances / stds[:, :, np.newaxis] / stds[:, np.newaxis]
    condition = max(np.linalg.cond(matrix) for matrix in correlations)
    return (1e-8 + 100 * EPSILON * condition) * (1 + np.abs(expected))


def scikit_learn_fit(X, K, covariance, seed):
    """scikit-learn's default fit without its ridge: the mixture in the units of X, or None where it has no fit."""
    center, spread = X.mean(axis=0), X.std(axis=0)
    if not (np.isfinite(spread).all() and (spread > 1e-12 * np.abs(center)).all()) or len(X) < K:
        return None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            fit = GaussianMixture(K, covariance_type=covariance, reg_covar=0, random_state=seed).fit(
                (X - center) / spread
            )
        except ValueError:  # a component collapsed
            return None
    D = X.shape[1]
    matrices = {
        "full": lambda c: c,
        "tied": lambda c: np.tile(c, (K, 1, 1)),
        "diag": lambda c: c[:, :, np.newaxis] * np.eye(D),
        "spherical": lambda c: c[:, np.newaxis, np.newaxis] * np.eye(D),
    }[covariance](fit.covariances_)
    if covariance == "spherical" and not np.allclose(spread, spread[0], rtol=1e-12, atol=0):
        return None  # spheres in standard units are no spheres in the units of X
    if not fit.converged_ or _has_collapsed(fit, matrices, (X - center) / spread, covariance):
        return None
    covariances = matrices * spread[:, np.newaxis] * spread
    return bg.MixtureParameters(
        fit.weights_ / fit.weights_.sum(),
        center + spread * fit.means_,
        0.5 * (covariances + covariances.swapaxes(1, 2)),
    )


def _has_collapsed(fit, matrices, Z, covariance):
    """By the documented rule, with a margin: too few rows, or too small a variance in some direction."""
    rows = fit.weights_ * len(Z)
    fewest = Z.shape[1] if covariance == "full" else 1
    total = np.cov(Z, rowvar=False, bias=True).reshape(Z.shape[1], -1)
    if np.linalg.cond(total) > 1e10 or (covariance != "tied" and rows.min() < fewest + 0.1):
        return True
    return min(scipy.linalg.eigvalsh(matrix, total)[0] for matrix in matrices) < _SMALLEST_VARIANCE
