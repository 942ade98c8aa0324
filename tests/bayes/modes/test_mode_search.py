"""The search for modes: in units of about the posterior's widths, on several threads, ended when interrupted."""

import time

import numpy as np
import pytest
from helpers.data import prepared

import bayesgmm as bg
from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.modes.curvature import find_maxima, find_mode, negative_hessian
from bayesgmm.mixture.covariance import STRUCTURES, structure_named

STDS = {"log-normal": None, "uniform": bg.priors.Uniform(0.05, 20.0), "fixed": bg.priors.Fixed(1.0)}
WORTH_THREADS = 10**9


def density_of(X, K, covariance="full", std=None):
    prior = bg.Prior.for_data(X, covariance, **({} if std is None else {"std": std}))
    return MixtureDensity.of(prepared(X), K, structure_named(covariance), prior)


def ratios(density, theta):
    """Widths over those that the curvature at a mode says, the other parameters fixed."""
    return density.widths(theta) * np.sqrt(np.diagonal(negative_hessian(density, theta)))


@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize("std", STDS)
@pytest.mark.parametrize("D", [1, 3])
def test_widths_are_the_curvatures_where_components_are_apart(covariance, std, D):
    """A factor of two in any of them, up or down, is out of the bounds."""
    simulation = bg.datasets.simulate(2000, 3, D, separation=8.0, rng=1)
    density = density_of(simulation.X, 3, covariance, STDS[std])
    theta = find_mode(density, [density.unconstrain(simulation.parameters)])
    found = ratios(density, theta)
    assert found.shape == (density.n_dim,)
    assert found.min() > 0.8
    assert found.max() < 1.5


def test_a_search_in_widths_takes_a_quarter_of_the_gradients():
    simulation = bg.datasets.simulate(2000, 4, 5, rng=1)
    density, counts = density_of(simulation.X, 4), []
    start = density.unconstrain(bg.fit_em(simulation.X, 4, rng=1).parameters)
    ends = []
    for widths in (np.ones_like, density.widths):
        calls = []

        def counted(theta, calls=calls):
            calls.append(theta)
            return density(theta)

        ends.append(density(find_maxima(counted, [[start]], widths=widths)[0])[0])
        counts.append(len(calls))
    assert ends[1] == pytest.approx(ends[0], abs=1e-6)
    assert 4 * counts[1] < counts[0]


def test_searches_and_curvature_are_the_same_on_threads():
    simulation = bg.datasets.simulate(500, 3, 2, rng=1)
    density = density_of(simulation.X, 3)
    at = density.unconstrain(simulation.parameters)
    searches = [[at], [0.5 * at, at + 0.1]]
    alone, together = (find_maxima(density, searches, work, density.widths) for work in (0, WORTH_THREADS))
    np.testing.assert_array_equal(alone, together)
    hessians = [negative_hessian(density, alone[0], work=work) for work in (0, WORTH_THREADS)]
    np.testing.assert_array_equal(*hessians)


def test_an_interrupted_search_ends_those_of_other_threads():
    calls = []

    def log_density(theta):
        calls.append(theta)
        time.sleep(0.005)
        if theta[1] > 0 and len(calls) > 4:
            raise KeyboardInterrupt
        return -np.log1p(theta @ theta), -2 * theta / (1 + theta @ theta)

    with pytest.raises(KeyboardInterrupt):
        find_maxima(log_density, [[np.array([1e6, 1.0])], [np.array([1e6, -1.0])]], WORTH_THREADS)
    time.sleep(0.02)
    n = len(calls)
    time.sleep(0.1)
    assert len(calls) == n
