"""Row weights of an EM fit: a row of weight 2 is a row that is there twice, and a row of weight 0 is no row."""

import numpy as np
import pandas as pd
import pytest

import bayesgmm as bg
from bayesgmm.em.search import start
from bayesgmm.kernel.rows import rows_of

STARTS = ["k-means++", "random"]


def cluster_of_twelve_rows():
    """Twelve rows of weight 1 beside 120 rows of weight 100."""
    rng = np.random.default_rng(0)
    near, far = rng.standard_normal((60, 2)), rng.normal((0.0, 4.0), size=(60, 2))
    small = 0.7 * rng.standard_normal((12, 2)) + 20
    return np.vstack([near, far, small]), np.r_[np.full(120, 100), np.ones(12, int)]


@pytest.mark.parametrize("strategy", STARTS)
@pytest.mark.parametrize("covariance", ["full", "diag"])
def test_a_small_cluster_beside_heavy_rows_is_found_as_in_the_repeated_rows(covariance, strategy):
    X, counts = cluster_of_twelve_rows()
    options = {"start": strategy, "n_init": 30, "rng": 1}
    repeated = bg.fit_em(np.repeat(X, counts, axis=0), 3, covariance, **options)
    weighted = bg.fit_em(X, 3, covariance, sample_weight=counts, **options)
    assert weighted.log_likelihood == pytest.approx(repeated.log_likelihood, abs=1e-5)
    assert weighted.parameters.weights[-1] * counts.sum() == pytest.approx(12, abs=1e-3)


@pytest.mark.parametrize("strategy", STARTS)
def test_rows_of_weight_zero_change_nothing(strategy):
    X, counts = cluster_of_twelve_rows()
    stray = np.vstack([X, np.full((300, 2), 1e90)])
    em = bg.fit_em(X, 3, sample_weight=counts, start=strategy, n_init=10, rng=1)
    padded = bg.fit_em(stray, 3, sample_weight=np.r_[counts, np.zeros(300)], start=strategy, n_init=10, rng=1)
    assert padded.log_likelihood == pytest.approx(em.log_likelihood, abs=1e-6)
    assert len(padded.restarts) == len(em.restarts)


def test_a_component_needs_more_rows_than_features_counted_by_weight():
    """Four rows of weight 1/2 are two rows, no more than there are features; four rows of weight 1 are enough."""
    rng = np.random.default_rng(0)
    X = np.vstack([rng.standard_normal((40, 2)), rng.standard_normal((4, 2)) + 20])
    responsibilities = np.repeat(np.eye(2), [40, 4], axis=0)
    assert bg.fit_em(X, 2, sample_weight=np.r_[np.full(40, 2.0), np.ones(4)], start=responsibilities).converged
    with pytest.raises(bg.errors.InputError, match="too few rows"):
        bg.fit_em(X, 2, sample_weight=np.r_[np.full(40, 2.0), np.full(4, 0.5)], start=responsibilities)


def test_the_sample_for_starts_keeps_the_weights_of_few_rows_and_draws_heavy_rows_as_often_as_they_count(monkeypatch):
    monkeypatch.setattr(start, "_MOST_ROWS", 1000)
    values, weights = np.arange(3000.0)[:, np.newaxis], np.zeros(3000)
    weights[:500] = 3.0
    few = start.sample_of(rows_of(values, weights), np.random.default_rng(1))
    assert few.n_samples == 500
    assert few.weights.tolist() == [3.0] * 500
    many = start.sample_of(rows_of(values, np.r_[[3000.0], np.ones(2999)]), np.random.default_rng(1))
    assert many.n_samples == 1000
    assert abs((many.values == 0).sum() - 500) < 80  # five standard errors


@pytest.mark.parametrize("strategy", STARTS)
@pytest.mark.parametrize(
    ("X", "weights"),
    [
        (np.r_[np.arange(5) * 1e-17, 1.0, 2.0, 3.0], None),
        (np.arange(10.0), np.r_[1e90, 1e90, np.full(8, 1e-300)]),
    ],
    ids=["rows equal after centring", "weights that underflow"],
)
def test_rows_that_rounding_cannot_tell_apart_end_in_an_error_of_the_package(X, weights, strategy):
    with pytest.raises((bg.errors.FitError, bg.errors.InputError), match=r"collapsed|constant"):
        bg.fit_em(X, 6, sample_weight=weights, start=strategy, n_init=3, rng=1)


def test_random_starts_are_drawn_among_all_copies_of_a_row():
    """The first copies have weight 0, the second do not."""
    X = np.tile([0.0, 1.0, 2.0, 10.0, 11.0, 12.5], 2)
    weights = np.r_[np.zeros(6), np.ones(6)]
    em = bg.fit_em(X, 2, sample_weight=weights, start="random", n_init=5, rng=1)
    assert em.log_likelihood == pytest.approx(bg.fit_em(X[:6], 2, start="random", n_init=5, rng=1).log_likelihood)


def test_weights_with_another_index_than_the_rows_are_refused():
    """Taken by position they would count other rows than their own."""
    X = bg.datasets.load_faithful()
    weights = pd.Series(np.linspace(0.5, 2.0, len(X)), index=X.index)
    by_series = bg.fit_em(X, 2, sample_weight=weights, n_init=3, rng=1)
    by_array = bg.fit_em(X, 2, sample_weight=weights.to_numpy(), n_init=3, rng=1)
    assert by_series.log_likelihood == by_array.log_likelihood
    for other in (weights[::-1], weights.set_axis(np.arange(1, len(X) + 1))):
        with pytest.raises(bg.errors.InputError, match=r"the index of X.*reindex\(X.index\)"):
            bg.fit_em(X, 2, sample_weight=other, n_init=3, rng=1)
        bg.fit_em(X.to_numpy(), 2, sample_weight=other, n_init=3, rng=1)
