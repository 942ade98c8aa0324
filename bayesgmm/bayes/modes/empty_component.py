"""How much of a posterior has a component without rows, which is the posterior of one component fewer."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import gammaln

from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.modes.find import Mode, expected_evidences, find_modes
from bayesgmm.mixture.parameters import MixtureParameters


def empty_component_share(density: MixtureDensity, modes: Sequence[Mode], rng: np.random.Generator) -> float:
    """Share of the posterior where some component holds no row, beside the modes given; by Laplace's formula.

    EM never empties a component, so that no mode of its optima is there, and chains that start elsewhere may not go
    there. See `log_evidence_of_an_empty_component`. NaN where an evidence has no number.
    """
    if density.n_components == 1:
        return 0.0
    empty = log_evidence_of_an_empty_component(density, modes[0], rng)
    return float(np.exp(empty - np.logaddexp.reduce([empty, *expected_evidences(modes)])))


def log_evidence_of_an_empty_component(density: MixtureDensity, mode: Mode, rng: np.random.Generator) -> float:
    """Log of the sum over all allocations that leave some component without rows.

    Given which component it is, allocations to the others have the likelihood of K - 1 components, and under the
    Dirichlet prior (concentration a) the probability that they have there times

        G(K a) G((K - 1) a + N) / (G(K a + N) G((K - 1) a)),

    the ratio of the two Dirichlet-multinomial distributions, G the gamma function. The evidence of K - 1 components is
    Laplace's, of the modes that the K mixtures without one of the given mode's components lead to.
    """
    K, N, a = density.n_components, len(density.values), density.prior.concentration
    smaller = replace(density, n_components=K - 1)
    weights, means, covariances = mode.components
    searches = []
    for left_out in range(K):
        kept = np.arange(K) != left_out
        mixture = MixtureParameters(weights[kept] / weights[kept].sum(), means[kept], covariances[kept])
        searches.append([smaller.unconstrain(mixture)])
    evidence = np.logaddexp.reduce(expected_evidences(find_modes(smaller, searches, rng)))
    ratio = gammaln(K * a) + gammaln((K - 1) * a + N) - gammaln(K * a + N) - gammaln((K - 1) * a)
    return float(np.log(K) + ratio + evidence)
