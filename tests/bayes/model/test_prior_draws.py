"""The priors are those that are stated: forward draws, draws without data, and the density's integral."""

from math import prod

import numpy as np
import pymc as pm
import pytest
from helpers.broken import WithoutJacobian
from helpers.data import prepared
from helpers.monte_carlo import assert_means
from scipy import stats
from scipy.integrate import quad

import bayesgmm as bg
from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.pymc.model import build_model
from bayesgmm.bayes.sampling import nuts
from bayesgmm.bayes.sampling.run import RunSettings
from bayesgmm.bayes.sampling.starts import start_within
from bayesgmm.mixture.covariance import STRUCTURES, structure_named

# PyTensor's C and Numba back ends compile for seconds; the graphs are the same without.
FAST = "FAST_COMPILE"
ETA, ALPHA, LOCATION, SCALE, K = 1.5, 2.0, 1.0, 3.0, 3
# Ours and SciPy's.
STDS = {
    "log-normal": (bg.priors.LogNormal(2.0, 0.5), stats.lognorm(0.5, scale=2.0)),
    "gamma": (bg.priors.Gamma(2.0, 1.5), stats.gamma(2.0, scale=1 / 1.5)),
    "uniform": (bg.priors.Uniform(0.2, 4.0), stats.uniform(0.2, 3.8)),
    "inverse-gamma": (bg.priors.InverseGamma(3.0, 2.0), stats.invgamma(3.0, scale=2.0)),
    "half-normal": (bg.priors.HalfNormal(2.0), stats.halfnorm(scale=2.0)),
    "exponential": (bg.priors.Exponential(2.0), stats.expon(scale=2.0)),
}
CASES = [(2, "log-normal"), (3, "gamma"), (4, "uniform"), (5, "inverse-gamma"), (2, "half-normal"), (3, "exponential")]


def prior_of(std):
    return bg.Prior(LOCATION, SCALE, STDS[std][0], ALPHA, ETA)


def stated(D, std, eta=ETA, alpha=ALPHA):
    """{variable: its marginal distribution}; each correlation by Lewandowski, Kurowicka and Joe (2009), section 1."""
    b = eta - 1 + D / 2
    return {
        "weights": stats.beta(alpha, (K - 1) * alpha),
        "means": stats.norm(LOCATION, SCALE),
        "stds": STDS[std][1],
        "correlations": stats.beta(b, b, loc=-1, scale=2),
    }


def marginals(values, distributions):
    """{name: values through their stated distribution function}, uniform on (0, 1): every number of the last component.

    values[variable] (..., K, D or D, D).
    """
    D = values["means"].shape[-1]
    found = {"weights": distributions["weights"].cdf(values["weights"][..., -1])}
    for i in range(D):
        for name in ("means", "stds"):
            found[f"{name}[{i}]"] = distributions[name].cdf(values[name][..., -1, i])
        for j in range(i):
            found[f"r[{i}, {j}]"] = distributions["correlations"].cdf(values["correlations"][..., -1, i, j])
    return found


def assert_uniform(found):
    """Kolmogorov-Smirnov of independent draws, p > 1e-4 for each."""
    for name, values in found.items():
        p = stats.kstest(values, "uniform").pvalue
        assert p > 1e-4, f"{name}: p = {p:.1g}"


def assert_moments_of_uniform(found):
    """Mean and variance of draws (chain, draw) within 4 Monte Carlo errors of those of a uniform distribution."""
    centred = {name: values - 0.5 for name, values in found.items()}
    assert_means(centred, dict.fromkeys(centred, 0.0))
    assert_means({name: values**2 for name, values in centred.items()}, dict.fromkeys(centred, 1 / 12))


@pytest.mark.parametrize(("D", "std"), CASES)
def test_forward_draws_of_the_model_follow_the_stated_prior(D, std):
    """4000 draws, 68 Kolmogorov-Smirnov tests: fails by chance once in 147 seeds.

    A distribution function off by 0.06 anywhere is seen for sure. The last lines are deliberately broken: an eta
    wrong by 2 or an alpha wrong by 1.
    """
    X = np.random.default_rng(0).normal(size=(10, D))
    model = build_model(X, K, prior=prior_of(std))
    names = list(stated(D, std))
    draws = pm.draw([model[name] for name in names], draws=4000, random_seed=1, mode=FAST)
    values = dict(zip(names, draws, strict=True))
    assert_uniform(marginals(values, stated(D, std)))
    for wrong in ({"eta": ETA + 2}, {"alpha": ALPHA + 1}):
        with pytest.raises(AssertionError, match="p = "):
            assert_uniform(marginals(values, stated(D, std, **wrong)))


class WithoutRows(MixtureDensity):
    """The same C function, given no rows."""

    def user_data(self, centre, scale, rows=None):
        return super().user_data(centre, scale, self.values[:0])


def prior_draws(D, std, draws=4000):
    """{variable: (chain, draw, ...)} that the sampler makes of the density without rows."""
    X = np.random.default_rng(0).normal(size=(10, D))
    density = WithoutRows.of(prepared(X), K, structure_named("full"), prior_of(std))
    P = density.n_dim
    model = nuts.density_model(density, np.zeros(P), np.ones(P), start_within(P, 1.0))
    settings = RunSettings(500, draws, 4, seed=1, progress=False)
    values = density.constrain(nuts.NUTSChains(model, np.zeros(P), np.ones(P), settings).first(draws).flat_theta)
    return {name: value.reshape(4, draws, *value.shape[1:]) for name, value in values.items()}


@pytest.mark.parametrize(("D", "std"), CASES)
def test_the_sampler_without_data_draws_the_stated_prior(D, std):
    """Mean and variance of 68 probability integral transforms, 4 Monte Carlo errors: once in 116 seeds by chance.

    A mean off by 0.1 sd is seen for sure. The last lines are deliberately broken: an eta or an alpha wrong by
    1/2.
    """
    values = prior_draws(D, std)
    assert_moments_of_uniform(marginals(values, stated(D, std)))
    for wrong in ({"eta": ETA + 0.5}, {"alpha": ALPHA + 0.5}):
        with pytest.raises(AssertionError, match="Monte Carlo errors"):
            assert_moments_of_uniform(marginals(values, stated(D, std, **wrong)))


def log_integral(log_prior, n_dim):
    """Log of the integral of exp(log_prior(thetas (S, P))) over R^P, of a density that is a product over coordinates.

    That it is one is checked at random points.
    """
    origin = log_prior(np.zeros((1, n_dim)))[0]

    def lines(t, i):
        return log_prior(np.outer(np.atleast_1d(t), np.eye(n_dim)[i])) - origin

    points = np.random.default_rng(0).normal(size=(5, n_dim))
    products = origin + sum(lines(points[:, i], i) for i in range(n_dim))
    np.testing.assert_allclose(log_prior(points), products, rtol=1e-10, atol=1e-10)
    integrals = [quad(lambda t, i=i: np.exp(lines(t, i)[0]), -40, 40, limit=400, points=[0])[0] for i in range(n_dim)]
    return origin + np.log(integrals).sum()


@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize(("D", "std"), [(1, "log-normal"), *CASES])
def test_the_prior_density_integrates_to_one(D, std, covariance):
    """To 1e-6, two components, where all coordinates are independent a priori."""
    X = np.random.default_rng(0).normal(size=(10, D))
    density = MixtureDensity.of(prepared(X), 2, structure_named(covariance), prior_of(std))
    assert density.n_dim == sum(map(prod, density.shapes.values()))
    assert log_integral(density.log_priors, density.n_dim) == pytest.approx(0, abs=1e-6)


def test_a_prior_density_without_its_jacobian_would_be_noticed():
    """A deliberately broken version of the test above."""
    prior = bg.Prior(LOCATION, SCALE, WithoutJacobian(2.0, 0.5))
    density = MixtureDensity.of(prepared(np.arange(5.0)), 2, structure_named("full"), prior)
    assert abs(log_integral(density.log_priors, density.n_dim)) > 0.1


def test_the_prior_density_of_three_weights_integrates_to_one():
    """By the trapezoid rule in both weights' coordinates, to 1e-8, the rest as above."""
    density = MixtureDensity.of(prepared(np.arange(5.0)), K, structure_named("full"), prior_of("log-normal"))
    t = np.arange(-20, 20, 0.1)
    plane = np.zeros((len(t) ** 2, density.n_dim))
    plane[:, :2] = np.stack(np.meshgrid(t, t), axis=-1).reshape(-1, 2)
    weights = np.log(np.exp(density.log_priors(plane)).sum() * 0.1**2)
    # In the other coordinates the density is a product, of which `weights` has the value at 0.
    rest = MixtureDensity.of(prepared(np.arange(5.0)), 1, structure_named("full"), prior_of("log-normal"))
    at_zero = rest.log_priors(np.zeros((1, 2)))[0]
    assert weights == pytest.approx(K * at_zero, abs=1e-8)
