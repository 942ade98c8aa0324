"""An EM fit is the same in other units, far from 0, and in another order of rows, features and labels."""

import warnings

import numpy as np
import pytest
from scipy.stats import special_ortho_group

import bayesgmm as bg
from bayesgmm.em.search import climb
from bayesgmm.mixture.covariance import STRUCTURES


@pytest.fixture(scope="module")
def dyadic(iris):
    """Iris in multiples of 2^-20 standard deviations: adding 2^27 (1.3e8) standard deviations rounds nothing."""
    return np.round((iris - iris.mean(axis=0)) / iris.std(axis=0) * 2**20) / 2**20


@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize("scale", [2.0**-40, 2.0**40, 1e-12, 1e12])
def test_units_do_not_matter(covariance, scale, dyadic):
    """The maximum and the parameters are the same in units from 1e-12 to 1e12."""
    em, scaled = (bg.fit_em(X, 3, covariance, rng=1) for X in (dyadic, dyadic * scale))
    log_volume = dyadic.size * np.log(scale)
    assert scaled.log_likelihood == pytest.approx(em.log_likelihood - log_volume, abs=1e-8 * dyadic.size)
    np.testing.assert_allclose(scaled.parameters.weights, em.parameters.weights, rtol=1e-7)
    np.testing.assert_allclose(scaled.parameters.means / scale, em.parameters.means, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(
        scaled.parameters.covariances / scale**2, em.parameters.covariances, rtol=1e-6, atol=1e-7
    )


@pytest.mark.parametrize("covariance", ["full", "tied", "diag"])
def test_every_feature_may_have_its_own_unit(covariance, dyadic):
    scales = np.array([1e-12, 1.0, 1e12, 1e3])
    em, scaled = (bg.fit_em(X, 3, covariance, rng=1) for X in (dyadic, dyadic * scales))
    log_volume = len(dyadic) * np.log(scales).sum()
    assert scaled.log_likelihood == pytest.approx(em.log_likelihood - log_volume, abs=1e-5)
    np.testing.assert_allclose(scaled.parameters.means / scales, em.parameters.means, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize("shift", [2.0**27, -(2.0**27)])
def test_the_origin_does_not_matter(covariance, shift, dyadic):
    """The data are 1.3e8 standard deviations from 0, where a mean itself has an error of 1.5e-8."""
    em, moved = (bg.fit_em(X, 3, covariance, rng=1) for X in (dyadic, dyadic + shift))
    assert moved.log_likelihood == pytest.approx(em.log_likelihood, abs=1e-7)
    np.testing.assert_allclose(moved.parameters.means - shift, em.parameters.means, atol=1e-7)
    np.testing.assert_allclose(moved.parameters.covariances, em.parameters.covariances, rtol=1e-6, atol=1e-9)


def test_variances_taken_far_from_the_rows_would_be_noticed(dyadic):
    """A deliberately broken version: E x^2 - (E x)^2 has no correct digit at that distance from 0."""
    X = dyadic + 2.0**27
    naive = (X**2).mean(axis=0) - X.mean(axis=0) ** 2
    assert (np.abs(naive / dyadic.var(axis=0) - 1) > 0.1).all()


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_the_order_of_rows_features_and_labels_does_not_matter(covariance, dyadic):
    start = bg.fit_em(dyadic, 3, covariance, rng=1).parameters
    # Start at a point that is not an optimum, so that EM has to move.
    start = bg.MixtureParameters(start.weights, start.means + 0.1, start.covariances)
    em = bg.fit_em(dyadic, 3, covariance, start=start)
    rows, columns, labels = np.random.default_rng(1).permutation(len(dyadic)), [2, 0, 3, 1], [2, 0, 1]
    other = bg.fit_em(dyadic[rows][:, columns], 3, covariance, start=start.marginal(columns).permute(labels))
    assert other.log_likelihood == pytest.approx(em.log_likelihood, abs=1e-8)
    np.testing.assert_allclose(other.parameters.means, em.parameters.means[labels][:, columns], atol=1e-7)
    np.testing.assert_allclose(other.parameters.weights, em.parameters.weights[labels], atol=1e-8)


def affine_maps(covariance, D, rng):
    """Maps under which the fits of a structure are equivalent: another order of the columns, and a random map."""
    order, scales = np.eye(D)[rng.permutation(D)], np.exp(rng.uniform(-3, 3, D))
    rotation = special_ortho_group.rvs(D, random_state=rng)
    further = {
        "full": rotation @ np.diag(scales) @ special_ortho_group.rvs(D, random_state=rng),
        "tied": rotation @ np.diag(scales) @ special_ortho_group.rvs(D, random_state=rng),
        "diag": np.diag(scales) @ order,
        "spherical": 7.0 * rotation,
    }
    return np.eye(D)[::-1], order, further[covariance]


@pytest.mark.parametrize("start", ["k-means++", "random"])
@pytest.mark.parametrize("covariance", STRUCTURES)
def test_a_fit_from_drawn_starts_follows_the_maps_that_its_model_allows(covariance, start):
    """Twenty data sets with more components than groups, where another path leads to another maximum."""
    for seed in range(20):
        X = bg.datasets.simulate(80, 3, 3, separation=3, rng=seed).X
        em = fit_quietly(X, 5, covariance, start=start, n_init=30, rng=1)
        for A in affine_maps(covariance, 3, np.random.default_rng(seed)):
            mapped = fit_quietly(X @ A.T, 5, covariance, start=start, n_init=30, rng=1)
            log_volume = len(X) * np.linalg.slogdet(A)[1]
            assert mapped.log_likelihood == pytest.approx(em.log_likelihood - log_volume, abs=1e-6)
            np.testing.assert_allclose(mapped.parameters.weights, em.parameters.weights, atol=1e-4)


def fit_quietly(*arguments, **options):
    """A fit of few rows per component, which may warn that its maximum is spurious."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bg.errors.BayesgmmWarning)
        return bg.fit_em(*arguments, **options)


def test_steps_along_cholesky_factors_would_be_noticed(monkeypatch):
    """A deliberately broken version: frames that are Cholesky factors at every point depend on the order of columns."""
    right = climb.moves.point_after

    def wrong(point, rotations, move, shape):
        return right(point, rotations, move, shape)[0], climb.moves.first_rotations(point, shape)

    monkeypatch.setattr(climb.moves, "point_after", wrong)
    differences = []
    for seed in range(20):
        X = bg.datasets.simulate(80, 3, 3, separation=3, rng=seed).X
        one, other = (fit_quietly(rows, 5, n_init=30, rng=1).log_likelihood for rows in (X, X[:, ::-1]))
        differences.append(abs(one - other))
    assert max(differences) > 1e-6
