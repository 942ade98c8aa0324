"""The share of a posterior in which some component holds no row: the posterior of one component fewer."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import gammaln

from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.modes.find import Mode, expected_evidences, find_modes
from bayesgmm.errors import SamplingError
from bayesgmm.mixture.parameters import MixtureParameters


def empty_component_share(density: MixtureDensity, modes: Sequence[Mode], rng: np.random.Generator) -> float:
    """Return the share of the posterior in which some component holds no row, next to the given modes.

    EM never empties a component, so none of its optima lies in this region, and chains started at them may never reach
    it. All evidences are Laplace's approximations, see `log_evidence_with_empty_component`; the share is NaN if one
    cannot be computed.
    """
    if density.n_components == 1:
        return 0.0
    try:
        log_evidence = log_evidence_with_empty_component(density, modes[0], rng)
    except SamplingError:  # one component fewer has no mode with covariances of full rank
        return float("nan")
    return float(np.exp(log_evidence - np.logaddexp.reduce([log_evidence, *expected_evidences(modes)])))


def log_evidence_with_empty_component(density: MixtureDensity, mode: Mode, rng: np.random.Generator) -> float:
    """Return the log of the evidence summed over all allocations that leave some component without rows.

    Given the number of the empty component, the allocations to the others have the likelihood of K - 1 components.
    Under a Dirichlet prior with concentration a, their probability is the one that they have with K - 1 components,
    times the ratio of the two Dirichlet-multinomial distributions,

        G(K a) G((K - 1) a + N) / (G(K a + N) G((K - 1) a)),

    where G is the gamma function. The evidence of K - 1 components is Laplace's, summed over the modes reached from the
    K mixtures that the given mode leaves when one of its components is removed.
    """
    K, N, a = density.n_components, len(density.values), density.prior.concentration
    smaller = replace(density, n_components=K - 1)
    weights, means, covariances = mode.components
    searches = []
    for removed in range(K):
        kept = np.arange(K) != removed
        mixture = MixtureParameters(weights[kept] / weights[kept].sum(), means[kept], covariances[kept])
        searches.append([smaller.unconstrain(mixture)])
    log_evidence = np.logaddexp.reduce(expected_evidences(find_modes(smaller, searches, rng)))
    log_ratio = gammaln(K * a) + gammaln((K - 1) * a + N) - gammaln(K * a + N) - gammaln((K - 1) * a)
    return float(np.log(K) + log_ratio + log_evidence)
