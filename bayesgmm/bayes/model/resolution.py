"""The prior's factor for the resolution of the data, and its mean under the other factors of the prior.

The factor of a covariance Sigma is exp(-sum_d a_d (Sigma^-1)_dd / 2), where a_d = resolution_d^2 / 12 is the variance
of rounding to multiples of the resolution. (Sigma^-1)_dd is 1 / the variance of feature d given the other features. The
factor is that of one further row whose scatter is diag(a); it makes the prior vanish faster than any power of a
standard deviation, in every direction. Its mean normalises the prior.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bayesgmm.bayes.model.std_priors import StdPrior
from bayesgmm.bayes.model.vine import draw_vines, vine_choleskys
from bayesgmm.mixture.covariance import CovarianceStructure
from bayesgmm.types import FloatArray

# Correlation matrices over which the mean is taken, and their seed: the same prior has the same constant always.
_N_MATRICES, _SEED = 1000, 1
# Points of a feature's mean factor between which it is interpolated, on a logarithmic scale.
_N_POINTS = 100


class Resolution(NamedTuple):
    """The factor's arguments.

    variances (D,): of rounding, one per feature; std: prior of standard deviations with one value per feature, or one
    for all features under a spherical structure; eta: of LKJ.
    """

    variances: FloatArray
    std: StdPrior
    eta: float
    structure: CovarianceStructure


def rounding_variances(resolution: FloatArray) -> FloatArray:
    """Return the variances (D,) of rounding to multiples of the resolution (D,)."""
    return np.asarray(np.square(resolution) / 12)


def log_mean_factor(resolution: Resolution) -> float:
    """Return the log of the factor's mean under the priors of standard deviations and correlations."""
    if not resolution.variances.any():
        return 0.0
    if resolution.structure.spherical:
        return float(np.log(resolution.std.of_feature(0).mean_factors(resolution.variances.sum()[np.newaxis]))[0])
    precisions = _drawn_precisions(resolution)
    return float(np.log(_products(resolution, precisions).mean()))


def factor_of_std(resolution: Resolution, d: int, x: FloatArray) -> FloatArray:
    """Return the mean factor (n,) given standard deviations x (n,) of feature d, relative to its overall mean."""
    if not resolution.variances.any():
        return np.ones(len(x))
    if resolution.structure.spherical:
        exponents = resolution.variances.sum() / np.square(x)
        return np.asarray(np.exp(-0.5 * exponents - log_mean_factor(resolution)))
    D = len(resolution.variances)
    precisions = _drawn_precisions(resolution)
    others = _products(resolution, precisions, [e for e in range(D) if e != d])
    exponents = resolution.variances[d] * precisions[:, d] / np.square(x)[:, np.newaxis]
    return np.asarray((others * np.exp(-0.5 * exponents)).mean(axis=1) / _products(resolution, precisions).mean())


def factor_of_correlation(resolution: Resolution, i: int, j: int, x: FloatArray) -> FloatArray:
    """Return the mean factor (n,) given correlations x (n,) of features i and j, relative to its overall mean.

    With i and j as the first two features, their correlation is the vine's first partial correlation, and the other
    partial correlations are independent of it.
    """
    if not resolution.variances.any():
        return np.ones(len(x))
    D = len(resolution.variances)
    order = [i, j, *(d for d in range(D) if d not in (i, j))]
    features = [resolution.std.of_feature(d) for d in order]
    vines = draw_vines(np.random.default_rng(_SEED), resolution.eta, D, _N_MATRICES if D > 2 else 1)
    of_each = [_mean_factors(std, a) for std, a in zip(features, resolution.variances[order], strict=True)]
    products = list[float]()
    for correlation in x:
        vines[:, 0] = 2 * np.arctanh(correlation)
        precisions = _precisions(vines, D)
        products.append(np.prod([of_each[d](precisions[:, d]) for d in range(D)], axis=0).mean())
    return np.asarray(np.array(products) / np.exp(log_mean_factor(resolution)))


def _drawn_precisions(resolution: Resolution) -> FloatArray:
    """Return the diagonals (n, D) of inverse correlation matrices drawn from the prior; one matrix if it is known."""
    D = len(resolution.variances)
    if resolution.structure.diagonal or D == 1:
        return np.ones((1, D))
    return _precisions(draw_vines(np.random.default_rng(_SEED), resolution.eta, D, _N_MATRICES), D)


def _precisions(vines: FloatArray, D: int) -> FloatArray:
    """Return the diagonals (n, D) of the inverse correlation matrices."""
    return np.asarray(np.square(np.linalg.inv(vine_choleskys(vines, D))).sum(axis=1))


def _products(resolution: Resolution, precisions: FloatArray, features: list[int] | None = None) -> FloatArray:
    """Return the product over features of their mean factors (n,), given precisions (n, D)."""
    product: FloatArray = np.ones(len(precisions))
    for d in range(precisions.shape[1]) if features is None else features:
        product = product * _mean_factors(resolution.std.of_feature(d), resolution.variances[d])(precisions[:, d])
    return np.asarray(product)


def _mean_factors(std: StdPrior, variance: float) -> Callable[[FloatArray], FloatArray]:
    """Return the function from precisions (n,), at least 1, to the mean of exp(-variance precision / (2 sd^2))."""

    def means(precisions: FloatArray) -> FloatArray:
        points = np.geomspace(1.0, max(2.0, float(precisions.max())), _N_POINTS)
        return np.asarray(np.interp(np.log(precisions), np.log(points), std.mean_factors(variance * points)))

    return means
