"""Data with many equal values, and rows far from all others, have valid draws or an error that says why."""

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.bayes.sampling.draws import Draws


def clipped(seed):
    return np.clip(np.random.default_rng(seed).normal([[50, 60]], 40, (60, 2)), 0, 100)


def zeros(n, D=1):
    rng = np.random.default_rng(n)
    return np.concatenate([np.zeros((n, D)), rng.normal(5, 1, (200, D))])


def scores(seed):
    return np.random.default_rng(seed).integers(1, 6, (150, 3)).astype(float)


def flag(seed):
    rng = np.random.default_rng(seed)
    groups = rng.random(120) < 0.5
    return np.column_stack([rng.normal(3.0 * groups), rng.random(120) < 0.1 + 0.8 * groups]).astype(float)


DATA = {
    "clipped": clipped(60),
    "10 zeros": zeros(10),
    "100 zeros in two features": zeros(100, 2),
    "500 zeros": zeros(500),
    "scores": scores(1),
    "a flag": flag(1),
}


def assert_valid(posterior):
    draws = posterior["posterior"].to_dataset()
    assert all(np.isfinite(values).all() for values in draws.values())
    assert np.isfinite(posterior["sample_stats"]["lp"]).all()
    assert (np.linalg.eigvalsh(draws["correlations"].values) > 0).all()


@pytest.mark.parametrize("sampler", ["auto", "nuts", "gibbs", "independent"])
@pytest.mark.parametrize("data", DATA)
def test_equal_values_have_valid_draws(data, sampler):
    X, refusal = DATA[data], ""
    try:
        posterior = bg.sample_posterior(X, 2, sampler=sampler, rng=1, draws=100, progress=False)
    except bg.errors.SamplingError as error:
        refusal = str(error)
    if refusal:
        assert sampler == "independent"
        assert "do not suit this posterior" in refusal
        return
    assert_valid(posterior)
    spacing = bg.Prior.for_data(X).resolution
    # The posterior's sd of n equal rows is about spacing / sqrt(12 n); a fifth of it is never reached.
    assert (posterior["posterior"]["stds"].values.min(axis=(0, 1, 2)) > 0.2 * spacing / np.sqrt(12 * len(X))).all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_equal_values_have_valid_draws_for_any_seed(seed):
    for X, K in (
        (clipped(seed), 2),
        (clipped(seed), 3),
        (scores(seed), 4),
        (flag(seed), 3),
        (zeros(20 * seed + 10, 2), 3),
    ):
        assert_valid(bg.sample_posterior(X, K, rng=seed, draws=50, progress=False))


@pytest.mark.parametrize("n", [30, 400])
def test_a_diagnosis_names_the_equal_rows(n):
    x = np.r_[np.zeros(n), np.random.default_rng(0).normal(5, 1, 400)]
    reference = bg.MixtureParameters([0.5, 0.5], [[5.0], [0.0]], [[[1.0]], [[0.01]]])
    posterior = bg.align(bg.sample_posterior(x, 2, rng=1, draws=500, progress=False), reference)
    (problem,) = [problem for problem in bg.diagnose(posterior).problems if problem.kind == "equal rows"]
    assert problem.text.startswith(f"{n} rows have x0 equal to 0, on which component 1 sits")


def test_scores_that_no_component_sits_on_are_no_problem():
    posterior = bg.sample_posterior(
        np.random.default_rng(2).integers(1, 8, 200) * 1.0, 1, rng=1, draws=200, progress=False
    )
    assert "equal rows" not in {problem.kind for problem in bg.diagnose(posterior).problems}


@pytest.mark.parametrize("outlier", [1e-8, 1e4, 3e5, 1e7])
@pytest.mark.parametrize("D", [1, 2, 3, 5])
@pytest.mark.parametrize("covariance", ["full", "tied", "diag"])
def test_one_row_far_from_all_others_gets_a_component_of_its_own(covariance, D, outlier):
    X = np.concatenate([np.random.default_rng(D).normal(0, 1, (200, D)), np.full((1, D), outlier)])
    posterior = bg.sample_posterior(X, 2, covariance, rng=1, draws=50, chains=2, progress=False)
    assert_valid(posterior)
    if outlier > 1:
        smaller = posterior["posterior"]["weights"].values.min(axis=2)
        assert smaller.max() < 0.1  # Beta(2, 201) has 1e-8 above: once in 20,000 runs of 3600 draws


def test_a_row_beyond_the_digits_of_float64_is_refused_with_the_reason():
    X = np.concatenate([np.random.default_rng(1).normal(0, 1, (200, 2)), np.full((1, 2), 1e9)])
    with pytest.raises(bg.errors.InputError, match="single rows are extremely far from all others"):
        bg.sample_posterior(X, 2, rng=1, progress=False)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_draws_that_are_not_finite_are_refused_and_attached(wrong):
    theta = np.zeros((2, 5, 3))
    theta[1, 3:, 2] = wrong
    with pytest.raises(bg.errors.SamplingError, match=r"2 of 10 draws hold NaN or infinity: Do this") as caught:
        Draws(theta, np.zeros((2, 5))).check_finite("Do this.")
    assert caught.value.draws["posterior"]["theta"].shape == (2, 5, 3)
    Draws(np.zeros((2, 5, 3)), np.zeros((2, 5))).check_finite("Do this.")
