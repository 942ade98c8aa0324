"""How many starts a fit makes, and what it says about the best of them."""

import warnings

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.em.search import restarts


@pytest.fixture(scope="module")
def rugged():
    """Eighty rows for four full components: the likelihood has dozens of maxima, and 100 starts reach the best once."""
    return np.random.default_rng(0).normal(size=(80, 2)) + np.repeat([[0.0, 0.0], [4.0, 0.0]], 40, axis=0)


def fit_quietly(X, K, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bg.errors.BayesgmmWarning)
        return bg.fit_em(X, K, **options)


def n_starts(em):
    """Number of starts: one that collapses in its short run, of 20 iterations, is replaced by another."""
    return sum(run.status is not bg.results.Status.COLLAPSED or len(run.history) > 20 for run in em.restarts)


def test_starts_go_on_to_a_limit_until_the_best_maximum_recurs(rugged, faithful):
    em = fit_quietly(rugged, 4, rng=1)
    assert n_starts(em) == restarts._MOST_STARTS
    assert em.optima[0].n_runs < 3
    assert n_starts(bg.fit_em(faithful, 2, rng=1)) == 100


@pytest.mark.parametrize("n_init", [1, 7, 100])
def test_an_explicit_number_of_starts_is_kept(n_init, rugged):
    assert n_starts(fit_quietly(rugged, 4, n_init=n_init, rng=1)) == n_init


def test_more_starts_never_end_lower(rugged):
    """The first hundred starts of the default are those of n_init=100."""
    for seed in range(5):
        few, many = (fit_quietly(rugged, 4, n_init=n_init, rng=seed) for n_init in (100, None))
        assert many.log_likelihood >= few.log_likelihood - 1e-9


def test_a_best_maximum_that_one_start_reached_is_a_problem(rugged, faithful):
    em = fit_quietly(rugged, 4, n_init=100, rng=1)
    [problem] = [problem for problem in em.problems if problem.kind == "reached once"]
    n_ended = sum(run.status is not bg.results.Status.COLLAPSED for run in em.restarts)
    assert f"by 1 of {n_ended} runs" in problem.text
    assert "raise n_init" in problem.text
    assert em.optima[0].n_runs == 1
    assert bg.fit_em(faithful, 2, rng=1).problems == ()


def test_a_start_that_was_given_is_the_only_one(faithful, faithful_em):
    em = bg.fit_em(faithful, 2, start=faithful_em.parameters)
    assert len(em.restarts) == 1
    assert em.problems == ()
