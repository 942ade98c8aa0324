"""Distances between densities against closed forms and quadrature; differences point by point against SciPy."""

import dataclasses

import numpy as np
import pytest
from helpers.posteriors import em_claiming, permuted, posterior_of, similar_draws
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

import bayesgmm as bg
from bayesgmm.comparison import densities
from bayesgmm.mixture import draws as draws_module
from bayesgmm.mixture.draws import MixtureDraws


def repeated(mean, covariance, n=5):
    """A posterior of one draw repeated: it is its own predictive."""
    return MixtureDraws(np.ones((n, 1)), np.tile(mean, (n, 1, 1)), np.tile(covariance, (n, 1, 1, 1)), ())


def gaussian_distances(m0, S0, m1, S1):
    """Hellinger distance, KL(0 || 1), KL(1 || 0) of two Gaussians (Pardo 2006, sections 1.2 and 2.1)."""

    def kl(m, S, n, T):
        solved = np.linalg.solve(T, S)
        d = n - m
        return 0.5 * (np.trace(solved) - len(m) + d @ np.linalg.solve(T, d) - np.log(np.linalg.det(solved)))

    M, d = (S0 + S1) / 2, m1 - m0
    affinity = (np.linalg.det(S0) * np.linalg.det(S1)) ** 0.25 / np.sqrt(np.linalg.det(M))
    return np.sqrt(1 - affinity * np.exp(-d @ np.linalg.solve(M, d) / 8)), kl(m0, S0, m1, S1), kl(m1, S1, m0, S0)


CASES = {
    "one feature": (np.array([0.0]), np.array([[1.0]]), np.array([0.8]), np.array([[1.7]])),
    "nearly equal": (np.array([5.0]), np.array([[4.0]]), np.array([5.01]), np.array([[4.05]])),
    "three features": (
        np.zeros(3),
        np.diag([1.0, 4.0, 0.25]),
        np.array([0.5, -1.0, 0.2]),
        np.array([[1.2, 0.5, 0.1], [0.5, 3.0, 0.0], [0.1, 0.0, 0.3]]),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_distances_of_two_gaussians_have_closed_forms(case):
    """To 6 of their standard errors, of 8 shifts: below 1e-3 of chance under Student's t with 7 degrees of freedom."""
    m0, S0, m1, S1 = CASES[case]
    em = bg.MixtureParameters([1.0], [m0], [S0])
    distances = densities.density_distances_of(em, repeated(m1, S1), 2048)
    hellinger, from_em, from_predictive = gaussian_distances(m0, S0, m1, S1)
    for distance, expected in (
        (distances.hellinger, hellinger),
        (distances.kl_from_em, from_em),
        (distances.kl_from_predictive, from_predictive),
    ):
        assert abs(distance.value - expected) < 6 * distance.se + 1e-12
        assert distance.se < 0.01 * expected
        assert distance.typical == pytest.approx(0, abs=1e-12)
        assert distance.share_beyond == 0
    if case != "nearly equal":  # exchanging the two directions would be noticed
        assert abs(from_em - from_predictive) > 20 * distances.kl_from_em.se


def test_yardsticks_are_the_same_distances_of_the_draws():
    """One feature, three draws, against quadrature."""
    rng = np.random.default_rng(1)
    draws = similar_draws(3, 2, 1, rng)
    em = bg.MixtureParameters(*(array[0] for array in similar_draws(1, 2, 1, np.random.default_rng(1), spread=0.8)))
    distances = densities.density_distances_of(em, MixtureDraws(*draws, ()), 2048)

    def density(weights, means, covariances):
        return lambda x: weights @ norm.pdf(x, means[:, 0], np.sqrt(covariances[:, 0, 0]))

    each = [density(*(array[s] for array in draws)) for s in range(3)]

    def q(x):
        return sum(p(x) for p in each) / 3

    def integrals(p):
        def integral(f):
            return quad(f, -20, 20, limit=500, epsabs=1e-10)[0]

        return (
            np.sqrt(0.5 * integral(lambda x: (np.sqrt(p(x)) - np.sqrt(q(x))) ** 2)),
            integral(lambda x: p(x) * np.log(p(x) / q(x)) if p(x) > 1e-300 else 0.0),
            integral(lambda x: q(x) * np.log(q(x) / p(x)) if p(x) > 1e-300 else 0.0),
        )

    of_em, of_draws = integrals(density(em.weights, em.means, em.covariances)), [integrals(p) for p in each]
    for i, distance in enumerate((distances.hellinger, distances.kl_from_em, distances.kl_from_predictive)):
        own = np.array([values[i] for values in of_draws])
        assert abs(distance.value - of_em[i]) < 6 * distance.se
        assert distance.typical == pytest.approx(np.quantile(own, 0.95), rel=0.02)
        assert distance.share_beyond == (own > distance.value).mean()


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(8)
    draws = similar_draws(40, 3, 2, rng, spread=0.2)
    X = 3 * rng.normal(size=(50, 2))
    parameters = bg.MixtureParameters(*(array[0] for array in draws))
    return em_claiming(parameters, X), draws, X


def test_labels_do_not_matter(case):
    em, draws, X = case
    mixed = posterior_of(*permuted(draws, np.random.default_rng(1)), X, aligned=False)
    one, two = (bg.density_distances(em, posterior) for posterior in (posterior_of(*draws, X), mixed))
    assert one.hellinger.value == pytest.approx(two.hellinger.value, abs=6 * one.hellinger.se)
    assert one.n_draws == two.n_draws == 40
    np.testing.assert_allclose(
        bg.density_difference(em, posterior_of(*draws, X)).drop(columns="inside"),
        bg.density_difference(em, mixed).drop(columns="inside"),
        rtol=1e-7,
        atol=1e-9,
    )


def test_two_calls_give_the_same_numbers(case):
    em, draws, X = case
    posterior = posterior_of(*draws, X)
    assert bg.density_distances(em, posterior) == bg.density_distances(em, posterior)


def test_differences_are_scipys(case, monkeypatch):
    em, draws, X = case
    monkeypatch.setattr(draws_module, "PIECE_BYTES", 7 * 8 * 40)  # rows in several pieces, 7 in each
    table = bg.density_difference(em, posterior_of(*draws, X), ci_prob=0.8)
    weights, means, covariances = draws
    values = np.array(
        [
            sum(weights[s, k] * multivariate_normal(means[s, k], covariances[s, k]).pdf(X) for k in range(3))
            for s in range(40)
        ]
    )
    logs = np.log(values)
    np.testing.assert_allclose(table["em"], logs[0], rtol=1e-8)
    np.testing.assert_allclose(table["predictive"], np.log(values.mean(axis=0)), rtol=1e-8)
    np.testing.assert_allclose(table["mean"], logs.mean(axis=0), rtol=1e-8)
    np.testing.assert_allclose(table["sd"], logs.std(axis=0, ddof=1), rtol=1e-8)
    np.testing.assert_allclose(table["eti80_lb"], np.quantile(logs, 0.1, axis=0), rtol=1e-8)
    np.testing.assert_allclose(table["eti80_ub"], np.quantile(logs, 0.9, axis=0), rtol=1e-8)
    np.testing.assert_allclose(table["z"], (logs[0] - logs.mean(axis=0)) / logs.std(axis=0, ddof=1), rtol=1e-6)
    assert (table["inside"] == ((table["eti80_lb"] <= table["em"]) & (table["em"] <= table["eti80_ub"]))).all()


def test_any_points_can_be_asked_about(case):
    em, draws, X = case
    posterior = posterior_of(*draws, X)
    table = bg.density_difference(em, posterior, [[0.0, 0.0], [1e3, 1e3]])
    assert len(table) == 2
    assert np.isfinite(table.to_numpy(dtype=float)).all()  # also where the density underflows


def test_the_summary_names_units_and_yardstick(faithful_em, faithful_posterior):
    distances = bg.density_distances(faithful_em, faithful_posterior, n_points=256)
    text = distances.summary()
    assert "nats" in text and "95 % of draws up to" in text and "200 posterior draws" in text
    assert distances.table.loc["hellinger"].to_dict() == dataclasses.asdict(distances.hellinger)


def test_wrong_arguments_are_refused(case):
    em, draws, X = case
    posterior = posterior_of(*draws, X)
    with pytest.raises(bg.errors.InputError, match="n_points must be a power of 2"):
        bg.density_distances(em, posterior, n_points=1000)
    with pytest.raises(bg.errors.InputError, match="X has 1 column"):
        bg.density_difference(em, posterior, [0.0, 1.0])
    with pytest.raises(bg.errors.InputError, match="n_draws"):
        bg.density_difference(em, posterior, n_draws=1)
    other = em_claiming(bg.MixtureParameters([1.0], [[0.0, 0.0]], [np.eye(2)]), X)
    for function in (bg.density_distances, bg.density_difference):
        with pytest.raises(bg.errors.InputError, match="of 2 features; the posterior has 3 of 2"):
            function(other, posterior)
