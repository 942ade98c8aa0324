"""An EM fit is the same in other units, far from 0, and in another order of rows, features and labels."""

import numpy as np
import pytest

import bayesgmm as bg
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
    np.testing.assert_allclose(scaled.parameters.means / scale, em.parameters.means, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(
        scaled.parameters.covariances / scale**2, em.parameters.covariances, rtol=1e-6, atol=1e-9
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
