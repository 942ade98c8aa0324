"""The prior's marginal density of one number of a mixture."""

import numpy as np
from scipy import stats

from bayesgmm.bayes.model.prior import Prior, resolution_factor
from bayesgmm.bayes.model.resolution import factor_of_correlation, factor_of_std
from bayesgmm.mixture.covariance import CovarianceStructure
from bayesgmm.mixture.scalars import Scalar
from bayesgmm.types import FloatArray

# The interval in which each parameter lies.
SUPPORTS = {
    "weights": (0.0, 1.0),
    "means": (-np.inf, np.inf),
    "stds": (0.0, np.inf),
    "correlations": (-1.0, 1.0),
}


def marginal_density(
    prior: Prior, entry: Scalar, x: FloatArray, n_components: int, structure: CovarianceStructure
) -> FloatArray:
    """Return the prior density (n,) of one number of a mixture at points x (n,) inside its support.

    A weight of a symmetric Dirichlet(a) is Beta(a, (K - 1) a). A correlation of LKJ(eta) is Beta(b, b) on (-1, 1) with
    b = eta - 1 + D / 2 (Lewandowski, Kurowicka and Joe 2009, section 1, doi:10.1016/j.jmva.2009.04.008). Standard
    deviations and correlations have the mean factor of the resolution too. prior: from `Prior.for_features`.
    """
    if entry.parameter == "weights":
        a = prior.concentration
        return np.asarray(stats.beta(a, (n_components - 1) * a).pdf(x))
    if entry.parameter == "means":
        location, scale = (np.asarray(value)[entry.index[1]] for value in (prior.mean_location, prior.mean_scale))
        return np.asarray(stats.norm(location, scale).pdf(x))
    resolution = resolution_factor(prior, structure)
    if entry.parameter == "stds":
        d = entry.index[1]
        densities = np.exp(prior.std.of_feature(d).log_density(x[:, np.newaxis, np.newaxis]))
        return np.asarray(densities * factor_of_std(resolution, d, x))
    b = prior.correlation_eta - 1 + len(np.asarray(prior.mean_location)) / 2
    i, j = entry.index[1:]
    return np.asarray(stats.beta(b, b, loc=-1, scale=2).pdf(x) * factor_of_correlation(resolution, i, j, x))
