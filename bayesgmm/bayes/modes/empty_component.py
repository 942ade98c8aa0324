"""The share of a posterior in which some component holds no row: the posterior of fewer components."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import gammaln

from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.modes.find import Mode, expected_evidences, find_modes
from bayesgmm.errors import SamplingError
from bayesgmm.mixture.parameters import MixtureParameters

# Log evidences this far below the rest (nats) do not count.
_NEGLIGIBLE = 20.0


def empty_component_share(density: MixtureDensity, modes: Sequence[Mode], rng: np.random.Generator) -> float:
    """Return the share of the posterior in which some component holds no row, relative to the given modes.

    EM never empties a component, so none of its optima lies in this region, and chains started at them may never reach
    it. All evidences are Laplace's approximations, see `log_evidence_with_empty_component`; the share is NaN if one
    cannot be computed.
    """
    if density.n_components == 1:
        return 0.0
    log_others = float(np.logaddexp.reduce(expected_evidences(modes)))
    try:
        log_evidence = log_evidence_with_empty_component(density, modes[0], rng, negligible=log_others - _NEGLIGIBLE)
    except SamplingError:  # fewer components have no mode with covariances of full rank
        return float("nan")
    return float(np.exp(log_evidence - np.logaddexp(log_evidence, log_others)))


def log_evidence_with_empty_component(
    density: MixtureDensity, mode: Mode, rng: np.random.Generator, negligible: float = -np.inf
) -> float:
    """Return the log of the evidence summed over all allocations that leave some component without rows.

    Given which m of the K components have rows, the allocations to them have the likelihood of m components. Under a
    Dirichlet prior with concentration a, their probability is the one that they have with m components, times the ratio
    of the two Dirichlet-multinomial distributions,

        G(K a) G(m a + N) / (G(K a + N) G(m a)),

    where G is the gamma function. There are K over m choices of the components. The evidence of the allocations that
    leave none of m components empty is Laplace's, summed over the modes reached from the mixtures that the best mode of
    m + 1 components leaves when one of them is removed. m runs from K - 1 down to 1, or to the first m whose term is
    below `negligible`.
    """
    K, N, a = density.n_components, len(density.values), density.prior.concentration
    terms = []
    for m in range(K - 1, 0, -1):
        smaller = replace(density, n_components=m)
        modes = find_modes(smaller, _with_one_removed(smaller, mode), rng)
        log_ratio = gammaln(K * a) + gammaln(m * a + N) - gammaln(K * a + N) - gammaln(m * a)
        log_choices = gammaln(K + 1) - gammaln(m + 1) - gammaln(K - m + 1)
        terms.append(log_choices + log_ratio + np.logaddexp.reduce(expected_evidences(modes)))
        if terms[-1] < negligible:
            break
        mode = modes[0]
    return float(np.logaddexp.reduce(terms))


def _with_one_removed(smaller: MixtureDensity, mode: Mode) -> list[list[np.ndarray]]:
    """Return searches from the mixtures that a mode of one component more leaves without each of its components."""
    weights, means, covariances = mode.components
    searches = []
    for removed in range(len(weights)):
        kept = np.arange(len(weights)) != removed
        mixture = MixtureParameters(weights[kept] / weights[kept].sum(), means[kept], covariances[kept])
        searches.append([smaller.unconstrain(mixture)])
    return searches
