"""The exact posterior of two components for a few rows of one feature: every allocation enumerated.

    p(x) = sum_z p(z) m(x_S0(z)) m(x_S1(z)),    m(x_S) = integral of prod_S N(x_i | mu, s) over the prior of (mu, s)

p(z) is Dirichlet-multinomial. The mean is integrated in closed form given s, s by Gauss-Legendre in log s. Priors come
from SciPy: nothing here is shared with the package.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, logsumexp
from scipy.stats import norm


@dataclass(frozen=True)
class Model:
    """weights ~ Dirichlet(a, a), means ~ Normal(location, scale), standard deviations ~ std, a SciPy distribution."""

    std: object
    location: float
    scale: float
    a: float


@dataclass(frozen=True)
class Exact:
    """log evidence; co_clustering (n, n); predictive density (len(points),); E sum w mu and E sum w (mu^2 + s^2)."""

    log_evidence: float
    co_clustering: np.ndarray
    predictive: np.ndarray
    mean: float
    second_moment: float


def log_std_nodes(std, panels, order=20):
    """Nodes s and log weights, the prior's density in them, for integrals over log s."""
    low, high = np.log(max(std.ppf(1e-30), 1e-12)), np.log(std.isf(1e-30))
    x, w = np.polynomial.legendre.leggauss(order)
    edges = np.linspace(low, high, panels + 1)
    half = np.diff(edges)[:, None] / 2
    u = (edges[:-1, None] + half * (1 + x)).ravel()
    return np.exp(u), np.log((half * w).ravel()) + u + std.logpdf(np.exp(u))


def side(x, model, points, panels=60):
    """Rows x in one component: log marginal likelihood, predictive density at points, E mu, E (mu^2 + s^2)."""
    s, log_weights = log_std_nodes(model.std, panels)
    precision = 1 / model.scale**2 + len(x) / s**2
    mean = (model.location / model.scale**2 + x.sum() / s**2) / precision
    # p(x | s) = p(x | mu, s) p(mu) / p(mu | x, s), at mu = mean.
    log_likelihood = (
        norm.logpdf(x[:, None], mean, s).sum(axis=0)
        + norm.logpdf(mean, model.location, model.scale)
        - norm.logpdf(mean, mean, precision**-0.5)
    )
    terms = log_weights + log_likelihood
    log_marginal = logsumexp(terms)
    p = np.exp(terms - log_marginal)
    predictive = norm.pdf(points[:, None], mean, np.sqrt(1 / precision + s**2)) @ p
    return log_marginal, predictive, mean @ p, (mean**2 + 1 / precision + s**2) @ p


def exact_posterior(x, model, points, panels=60):
    n, a = len(x), model.a
    members = (np.arange(2**n)[:, None] >> np.arange(n)) & 1 == 1  # (2^n, n), those of the second component
    log_marginals, predictive, means, seconds = map(
        np.array, zip(*(side(x[rows], model, points, panels) for rows in members), strict=True)
    )
    counts = members.sum(axis=1)
    log_prior = gammaln(a + counts) + gammaln(a + n - counts) - 2 * gammaln(a) + gammaln(2 * a) - gammaln(2 * a + n)
    log_joint = log_prior + log_marginals + log_marginals[::-1]  # the other component holds the complement
    log_evidence = logsumexp(log_joint)
    p = np.exp(log_joint - log_evidence)
    share = p * 2 * (a + counts) / (2 * a + n)  # both components are alike
    together = (members[:, :, None] == members[:, None, :]).astype(float)
    return Exact(log_evidence, np.tensordot(p, together, 1), share @ predictive, share @ means, share @ seconds)
