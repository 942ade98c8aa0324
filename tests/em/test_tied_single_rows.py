"""A tied covariance has a bounded likelihood, so that a component of a single stray row is a maximum like any other."""

import numpy as np
import pytest

import bayesgmm as bg

GOOD = np.random.default_rng(0).normal(size=(200, 2)) + np.repeat([[0.0], [8.0]], 100, axis=0)


def log_likelihood_of_groups(X, labels):
    """Log-likelihood at the groups' shares, means and pooled covariance, a lower bound of the maximum."""
    K = labels.max() + 1
    means = np.array([X[labels == k].mean(axis=0) for k in range(K)])
    residuals = X - means[labels]
    covariance = residuals.T @ residuals / len(X)
    groups = bg.MixtureParameters(np.bincount(labels) / len(X), means, np.broadcast_to(covariance, (K, 2, 2)))
    return groups.log_density(X).sum()


@pytest.mark.parametrize("distance", [50.0, 300.0, 1e4, 1e6, 1e7])
@pytest.mark.parametrize("n_groups", [1, 2])
def test_one_stray_row_gets_a_component_of_its_own(distance, n_groups):
    X = np.vstack([GOOD, [[distance, distance]]])
    labels = np.r_[np.repeat([0, n_groups - 1], 100), n_groups]
    em = bg.fit_em(X, n_groups + 1, "tied", rng=1)
    assert em.converged
    assert em.log_likelihood >= log_likelihood_of_groups(X, labels) - 1e-6
    assert em.parameters.weights[-1] * len(X) == pytest.approx(1.0, abs=0.01)


def test_two_stray_rows_get_components_of_their_own_for_every_seed():
    X = np.vstack([GOOD[:100], [[1e6, 1e6], [-1e6, 5e5]]])
    reachable = log_likelihood_of_groups(X, np.r_[np.zeros(100, int), 1, 2])
    for seed in range(20):
        assert bg.fit_em(X, 3, "tied", rng=seed).log_likelihood >= reachable - 1e-6


def test_a_component_of_one_row_is_found_when_the_row_has_a_weight():
    X = np.vstack([GOOD[:100], [[50.0, 50.0]]])
    weights = np.r_[np.full(100, 3.0), 1.0]
    weighted = bg.fit_em(X, 2, "tied", sample_weight=weights, rng=1)
    repeated = bg.fit_em(np.repeat(X, weights.astype(int), axis=0), 2, "tied", rng=1)
    assert weighted.log_likelihood == pytest.approx(repeated.log_likelihood, abs=1e-5)


def test_a_tied_covariance_that_is_singular_has_still_collapsed():
    X = np.repeat([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], 4, axis=0)
    with pytest.raises(bg.errors.FitError, match="collapsed") as caught:
        bg.fit_em(X, 3, "tied", n_init=2, rng=1)
    assert "covariance='tied';" not in str(caught.value)  # the advice names nothing that was done already
    assert "fewer components" in str(caught.value)


def test_a_tied_covariance_that_is_singular_has_no_maximum():
    """Five rows in four components leave one pair, whose covariance has rank 1 in two dimensions."""
    X = np.array([[0.15, 0.06], [0.08, 3.01], [-0.24, 0.32], [0.17, 1.24], [-0.86, -0.57]])
    with pytest.raises(bg.errors.FitError, match="has no bound"):
        bg.fit_em(X, 4, "tied", n_init=5, rng=0)
