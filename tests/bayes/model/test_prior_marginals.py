"""The prior's densities of single numbers are those of the joint prior."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

import bayesgmm as bg
from bayesgmm.bayes.model.prior_marginals import SUPPORTS, marginal_density
from bayesgmm.mixture.covariance import structure_named
from bayesgmm.mixture.scalars import scalars_of

STDS = {
    "log-normal": (bg.priors.LogNormal([1.0, 2.0], 0.5), stats.lognorm(0.5, scale=2.0)),
    "half-normal": (bg.priors.HalfNormal([1.0, 2.0]), stats.halfnorm(scale=2.0)),
    "gamma": (bg.priors.Gamma(2.0, [1.0, 1.5]), stats.gamma(2.0, scale=1 / 1.5)),
    "inverse-gamma": (bg.priors.InverseGamma(3.0, [1.0, 2.0]), stats.invgamma(3.0, scale=2.0)),
    "uniform": (bg.priors.Uniform([0.1, 0.2], [1.0, 4.0]), stats.uniform(0.2, 3.8)),
    "exponential": (bg.priors.Exponential([1.0, 2.0]), stats.expon(scale=2.0)),
}


def of(prior, parameter, x, K=3, D=2, covariance="full"):
    """Density of the last number of a parameter."""
    structure = structure_named(covariance)
    names = tuple(f"x{d}" for d in range(D))
    entry = [entry for entry in scalars_of(K, names, covariance) if entry.parameter == parameter][-1]
    return marginal_density(prior.for_features(D, structure), entry, np.asarray(x), K, structure)


@pytest.mark.parametrize("family", STDS)
def test_a_standard_deviation_has_scipys_density(family):
    std, distribution = STDS[family]
    x = np.array([0.15, 0.3, 1.0, 2.0, 3.9, 5.0])
    np.testing.assert_allclose(of(bg.Prior(0.0, 1.0, std), "stds", x), distribution.pdf(x), rtol=1e-10)


def test_features_that_share_a_standard_deviation_have_one_density():
    x = np.array([0.3, 1.0, 2.0])
    density = of(bg.Prior(0.0, 1.0, bg.priors.LogNormal(2.0, 0.5)), "stds", x, covariance="spherical")
    np.testing.assert_allclose(density, stats.lognorm(0.5, scale=2.0).pdf(x))


def test_means_have_their_own_location_and_scale():
    x = np.linspace(-3, 5, 9)
    density = of(bg.Prior([0.0, 2.0], [1.0, 3.0], bg.priors.LogNormal(1.0)), "means", x)
    np.testing.assert_allclose(density, stats.norm(2, 3).pdf(x))


def test_a_weight_is_one_of_a_dirichlets():
    prior = bg.Prior(0.0, 1.0, bg.priors.LogNormal(1.0), concentration=1.7)
    drawn = np.random.default_rng(1).dirichlet(np.full(4, 1.7), 20_000)[:, -1]
    edges = np.linspace(0, 0.9, 19)
    expected = [quad(lambda w: of(prior, "weights", [w], K=4)[0], a, b)[0] for a, b in pairwise(edges)]
    shares = np.histogram(drawn, edges)[0] / len(drawn)
    np.testing.assert_allclose(shares, expected, atol=4 * 0.5 / np.sqrt(len(drawn)))
    assert sum(expected) == pytest.approx(1, abs=0.01)


def test_a_correlation_of_two_features_is_a_power_of_the_determinant():
    prior = bg.Prior(0.0, 1.0, bg.priors.LogNormal(1.0), correlation_eta=2.5)
    r = np.linspace(-0.9, 0.9, 7)
    total = quad(lambda r: (1 - r**2) ** 1.5, -1, 1)[0]
    np.testing.assert_allclose(of(prior, "correlations", r), (1 - r**2) ** 1.5 / total, rtol=1e-7)


def test_of_three_features_every_correlation_matrix_is_as_probable():
    """At eta = 1: the density of one correlation is the share of the other two that make a positive definite matrix."""
    prior, side = bg.Prior(0.0, 1.0, bg.priors.LogNormal(1.0)), np.linspace(-1, 1, 801)
    p, q = np.meshgrid(side, side)
    r = np.array([-0.8, -0.3, 0.0, 0.6])
    area = np.array([(1 + 2 * p * q * each - p**2 - q**2 - each**2 > 0).mean() for each in r])
    found = of(prior, "correlations", r, D=3)
    np.testing.assert_allclose(found / found[2], area / area[2], rtol=5e-3)


@pytest.mark.parametrize("parameter", SUPPORTS)
def test_densities_integrate_to_one_over_their_support(parameter):
    prior = bg.Prior(1.0, 2.0, bg.priors.Gamma(2.0, 1.5), 1.3, 1.4)
    assert quad(lambda x: of(prior, parameter, [x], D=3)[0], *SUPPORTS[parameter])[0] == pytest.approx(1, abs=1e-6)
