"""The prior's marginal density of one number of a mixture."""

from dataclasses import fields, replace

import numpy as np
from scipy import stats

from bayesgmm.bayes.model.prior import Prior
from bayesgmm.bayes.model.std_priors import StdPrior
from bayesgmm.mixture.scalars import Scalar
from bayesgmm.types import FloatArray

# The interval in which each parameter lies.
SUPPORTS = {
    "weights": (0.0, 1.0),
    "means": (-np.inf, np.inf),
    "stds": (0.0, np.inf),
    "correlations": (-1.0, 1.0),
}


def marginal_density(prior: Prior, entry: Scalar, x: FloatArray, n_components: int, n_features: int) -> FloatArray:
    """Return the prior density (n,) of one number of a mixture at points x (n,) inside its support.

    A weight of a symmetric Dirichlet(a) is Beta(a, (K - 1) a). A correlation of LKJ(eta) is Beta(b, b) on (-1, 1) with
    b = eta - 1 + D / 2 (Lewandowski, Kurowicka and Joe 2009, section 1, doi:10.1016/j.jmva.2009.04.008). Means and
    standard deviations are independent of each other. prior: from `Prior.for_features`.
    """
    if entry.parameter == "weights":
        a = prior.concentration
        return np.asarray(stats.beta(a, (n_components - 1) * a).pdf(x))
    if entry.parameter == "means":
        location, scale = (np.asarray(value)[entry.index[1]] for value in (prior.mean_location, prior.mean_scale))
        return np.asarray(stats.norm(location, scale).pdf(x))
    if entry.parameter == "stds":
        return np.exp(_of_feature(prior.std, entry.index[1]).log_density(x[:, np.newaxis, np.newaxis]))
    b = prior.correlation_eta - 1 + n_features / 2
    return np.asarray(stats.beta(b, b, loc=-1, scale=2).pdf(x))


def _of_feature(std: StdPrior, d: int) -> StdPrior:
    """Return the prior of feature d's standard deviation, or of the one that all features share."""
    values = {field.name: np.ravel(getattr(std, field.name)) for field in fields(std)}
    return replace(std, **{name: value[d if value.size > 1 else 0] for name, value in values.items()})
