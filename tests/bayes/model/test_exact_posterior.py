"""Two components and a handful of rows: the posterior against the sum over all allocations."""

import numpy as np
import pytest
from helpers.broken import WithoutJacobian
from helpers.data import prepared
from helpers.exact import Model, exact_posterior, side
from helpers.monte_carlo import assert_means
from helpers.ways import sample_by
from scipy import stats
from scipy.integrate import dblquad
from scipy.special import logsumexp

import bayesgmm as bg
from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.sampling.gibbs import Gibbs
from bayesgmm.bayes.sampling.nuts_ways import DiagonalNUTS
from bayesgmm.mixture.covariance import structure_named

DISTINCT = np.array([-2.1, -1.4, -0.9, 0.6, 1.7, 2.0, 2.9, -0.2])
TIED = np.array([-1.5, -1.5, -1.5, 0.5, 0.5, 2.0, 2.0, 2.0])
# Off the rows: at one, or at several equal ones, the density has no finite variance under priors of the standard
# deviation that do not vanish fast enough at 0, and then no Monte Carlo error.
POINTS = np.array([-3.0, -1.2, 0.1, 1.1, 2.4])
LOCATION, SCALE = 0.3, 2.0
# Ours and SciPy's. Half-normal and gamma are proper under at most one and four equal rows.
STDS = {
    "log-normal": (bg.priors.LogNormal(0.8, 0.5), stats.lognorm(0.5, scale=0.8)),
    "gamma": (bg.priors.Gamma(4.0, 4.0), stats.gamma(4.0, scale=0.25)),
    "uniform": (bg.priors.Uniform(0.3, 3.0), stats.uniform(0.3, 2.7)),
    "half-normal": (bg.priors.HalfNormal(1.5), stats.halfnorm(scale=1.5)),
    "inverse-gamma": (bg.priors.InverseGamma(6.0, 5.0), stats.invgamma(6.0, scale=5.0)),
}
# The two samplers: NUTS, and Gibbs with allocations.
WAYS = (DiagonalNUTS, Gibbs)
QUICK = [("log-normal", "distinct"), ("gamma", "distinct"), ("uniform", "distinct"), ("log-normal", "tied")]
FULL = [(std, data) for data in ("distinct", "tied") for std in STDS if (std, data) != ("half-normal", "tied")]


def model_of(std, a=1.5):
    return Model(STDS[std][1], LOCATION, SCALE, a)


def prior_of(std, a=1.5):
    return bg.Prior(LOCATION, SCALE, STDS[std][0], concentration=a)


def rows_of(data, n):
    return {"distinct": DISTINCT, "tied": TIED}[data][:n]


def quantities(x, rows, prior, way=DiagonalNUTS, draws=4000):
    """The exact quantities' counterparts, functions of each draw given `x`: {name: (chain, draw)}.

    Which rows are in one component is asked of `rows`.
    """
    posterior = sample_by(way, x, 2, prior=prior, draws=draws, rng=1)["posterior"]
    w, means, stds = posterior["weights"].values, posterior["means"].values[..., 0], posterior["stds"].values[..., 0]

    def joint(at):
        return w * stats.norm.pdf(at, means, stds)

    found = {f"density at {at}": joint(at).sum(axis=-1) for at in POINTS}
    found |= {"mean": (w * means).sum(axis=-1), "second moment": (w * (means**2 + stds**2)).sum(axis=-1)}
    r = [joint(row) / joint(row).sum(axis=-1, keepdims=True) for row in rows]
    return found | {
        f"rows {j} and {i} together": (r[i] * r[j]).sum(axis=-1) for i in range(len(rows)) for j in range(i)
    }


def expected(x, model):
    exact = exact_posterior(x, model, POINTS)
    found = {f"density at {at}": value for at, value in zip(POINTS, exact.predictive, strict=True)}
    found |= {"mean": exact.mean, "second moment": exact.second_moment}
    n = len(x)
    return found | {f"rows {j} and {i} together": exact.co_clustering[i, j] for i in range(n) for j in range(i)}


@pytest.mark.parametrize("std", STDS)
def test_the_quadrature_is_right_to_1e_9(std):
    """Twice the panels change nothing; and an integral over (mean, s) by SciPy's adaptive rule, to its 1e-6."""
    x, model = rows_of("distinct", 6), model_of(std)
    coarse, fine = (exact_posterior(x, model, POINTS, panels) for panels in (60, 120))
    assert coarse.log_evidence == pytest.approx(fine.log_evidence, abs=1e-9)
    assert coarse.second_moment == pytest.approx(fine.second_moment, rel=1e-9)
    np.testing.assert_allclose(coarse.co_clustering, fine.co_clustering, atol=1e-9)
    np.testing.assert_allclose(coarse.predictive, fine.predictive, rtol=1e-9)
    rows = x[[0, 1, 4]]

    def joint(mean, s):
        squares = np.square((rows - mean) / s).sum() + ((mean - LOCATION) / SCALE) ** 2
        return np.exp(-0.5 * squares - 3 * np.log(s)) * model.std.pdf(s) / ((2 * np.pi) ** 2 * SCALE)

    low, high = max(model.std.ppf(1e-8), 1e-3), min(model.std.isf(1e-8), 60.0)
    integral, _ = dblquad(joint, low, high, -15, 15, epsabs=1e-10, epsrel=1e-7)
    assert np.log(integral) == pytest.approx(side(rows, model, POINTS)[0], abs=1e-6)


def test_the_enumeration_has_what_must_hold_of_it():
    """No rows: the prior's own moments. One row: its density. Both components alike: shares sum to the whole."""
    model = model_of("log-normal")
    none = exact_posterior(np.empty(0), model, POINTS)
    assert none.log_evidence == pytest.approx(0, abs=1e-12)
    assert none.mean == pytest.approx(LOCATION)
    assert none.second_moment == pytest.approx(LOCATION**2 + SCALE**2 + model.std.moment(2))
    one = exact_posterior(POINTS[:1], model, POINTS)
    assert one.log_evidence == pytest.approx(np.log(none.predictive[0]))
    grid = np.linspace(-20, 20, 401)
    assert exact_posterior(rows_of("distinct", 5), model, grid).predictive.sum() * 0.1 == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.sampler)
@pytest.mark.parametrize(("std", "data"), QUICK)
def test_the_sampler_has_the_exact_posterior_of_six_rows(std, data, way):
    """22 means within 4 Monte Carlo errors of at most 0.02 sd.

    Eight cases fail by chance once in 90 seeds; what is off by 0.1 sd is seen for sure. Ties mix more slowly.
    """
    x, draws = rows_of(data, 6), {"distinct": 4000, "tied": 12_000}[data]
    assert_means(quantities(x, x, prior_of(std), way, draws=draws), expected(x, model_of(std)))


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.sampler)
@pytest.mark.parametrize(("std", "data"), FULL)
def test_the_sampler_has_the_exact_posterior_of_eight_rows(std, data, way):
    """35 means within 4 Monte Carlo errors of at most 0.01 sd, 0.02 sd with ties.

    Eighteen cases fail by chance once in 25 seeds; what is off by 0.05 sd, 0.1 sd with ties, is seen for sure.
    """
    x, largest_error = rows_of(data, 8), {"distinct": 0.01, "tied": 0.02}[data]
    assert_means(quantities(x, x, prior_of(std), way, draws=40_000), expected(x, model_of(std)), largest_error)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.sampler)
@pytest.mark.parametrize(
    ("rows", "prior"),
    [
        (slice(None), prior_of("log-normal", a=2.5)),
        (slice(0, 6, 2), prior_of("log-normal")),
        (slice(None), bg.Prior(LOCATION, SCALE, WithoutJacobian(0.8, 0.5), concentration=1.5)),
    ],
    ids=["alpha raised by 1", "half the rows dropped", "a Jacobian left out"],
)
def test_a_wrong_sampler_would_be_noticed(rows, prior, way):
    """Deliberately broken versions of the tests above."""
    x = rows_of("distinct", 6)
    with pytest.raises(AssertionError, match=r"\d Monte Carlo errors"):
        assert_means(quantities(x[rows], x, prior, way), expected(x, model_of("log-normal")))


def importance_sampled_evidence(x, prior, n):
    """Return the log of the integral of the density over unconstrained space, and its relative error.

    Proposals are Student t around the components of an EM fit to a posterior sample, wider than it.
    """
    density = MixtureDensity.of(prepared(x), 2, structure_named("full"), prior)
    draws = bg.sample_posterior(x, 2, prior=prior, draws=1000, rng=1, progress=False)["posterior"].to_dataset()
    w, means, stds = (draws[name].values.reshape(4000, 2) for name in ("weights", "means", "stds"))
    if isinstance(prior.std, bg.priors.Uniform):
        share = (stds - prior.std.lower) / (prior.std.upper - prior.std.lower)
        logs = np.log(share / (1 - share))
    else:
        logs = np.log(stds)
    thetas = np.column_stack([np.log(w[:, 0] / w[:, 1]) / 2, (means - LOCATION) / SCALE, logs])
    em = bg.fit_em(thetas, 4, rng=1, n_init=5).parameters
    rng = np.random.default_rng(1)
    proposals = [
        stats.multivariate_t(mean, 1.3 * covariance, df=5)
        for mean, covariance in zip(em.means, em.covariances, strict=True)
    ]
    labels = rng.choice(4, n, p=em.weights)
    points = np.stack([proposals[k].rvs(n, random_state=rng) for k in range(4)])[labels, np.arange(n)]
    log_q = logsumexp([p.logpdf(points) for p in proposals], axis=0, b=em.weights[:, None])
    log_ratios = np.array([density(point)[0] for point in points]) - log_q
    ratios = np.exp(log_ratios - log_ratios.max())
    return np.log(ratios.mean()) + log_ratios.max(), ratios.std() / ratios.mean() / np.sqrt(n)


def assert_evidence(x, prior, model, n=20_000):
    found, error = importance_sampled_evidence(x, prior, n)
    assert error < 0.02
    exact = exact_posterior(x, model, POINTS).log_evidence
    assert abs(found - exact) < 4 * error, f"{found:.4f}, expected {exact:.4f}, error {error:.4f}"


@pytest.mark.parametrize(("std", "data"), QUICK)
def test_the_density_integrates_to_the_evidence(std, data):
    """Within 4 errors of at most 2 %: four cases fail by chance once in 4000 seeds; a factor of 1.1 is seen for sure.

    So every constant and Jacobian is in it.
    """
    assert_evidence(rows_of(data, 6), prior_of(std), model_of(std))


@pytest.mark.parametrize(
    "prior",
    [
        bg.Prior(LOCATION, SCALE, WithoutJacobian(0.8, 0.5), concentration=1.5),
        bg.Prior(LOCATION, 1.5 * SCALE, STDS["log-normal"][0], concentration=1.5),
    ],
    ids=["a Jacobian left out", "a wider prior of means"],
)
def test_a_wrong_density_would_be_noticed(prior):
    """Deliberately broken versions of the test above; the Jacobian is worth 2 % here, eight errors."""
    with pytest.raises(AssertionError, match="expected"):
        assert_evidence(rows_of("distinct", 6), prior, model_of("log-normal"), n=100_000)
