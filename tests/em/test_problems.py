"""A fit says what speaks against it: in its summary, and by a warning where its meaning changes."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

import bayesgmm as bg
from bayesgmm.em.problems import spurious_component
from bayesgmm.mixture.covariance import STRUCTURES


def kinds(em):
    return [problem.kind for problem in em.problems]


def group_with_a_constant(seed):
    """Two groups of 100 rows; the third column counts, and is 0 throughout the first group."""
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1], 100)
    centres = np.array([[0.0, 0.0], [6.0, 0.0]])
    return np.c_[centres[y] + rng.normal(size=(200, 2)), np.where(y == 0, 0, rng.poisson(2, 200))]


@pytest.mark.parametrize("seed", range(20))
def test_a_column_that_is_constant_within_a_group_is_named_with_its_value(seed):
    """Either all starts collapse, or most of them."""
    X = group_with_a_constant(seed)
    n_zeros = int((X[:, 2] == 0).sum())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            em = bg.fit_em(X, 2, rng=seed)
            message = str(caught[0].message)
            assert caught[0].filename == __file__
            assert message == em.problems[0].text
            assert em.problems[0].kind == "collapsed starts"
            assert f"Problem: {message[:40]}" in em.summary()
        except bg.errors.FitError as error:
            message = str(error)
    assert f"in which column 'x2' is 0 (as it is in {n_zeros} rows of the data)" in message
    assert "Leave that column out" in message
    assert "sample_posterior" in message


def test_the_estimator_warns_as_well():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mixture = bg.GaussianMixture(2, random_state=0).fit(group_with_a_constant(0))
    assert "column 'x2' is 0" in str(caught[0].message)
    assert {warning.filename for warning in caught} == {__file__}
    assert [str(warning.message) for warning in caught] == [
        problem.text for problem in mixture.em_.problems[: len(caught)]
    ]


def test_an_error_names_the_row_onto_which_a_component_shrinks():
    X = np.vstack([np.random.default_rng(0).normal(size=(200, 2)), [[1e3, 1e3]]])
    with pytest.raises(bg.errors.FitError, match=r"onto row 200 \(counted from 0\) alone.*covariance='tied'"):
        bg.fit_em(X, 2, rng=1)


def test_an_error_names_rows_that_are_too_few_for_the_columns():
    X = np.random.default_rng(0).normal(size=(40, 30))
    with pytest.raises(bg.errors.FitError, match=r"too few for a covariance of 30 columns.*covariance='diag'"):
        bg.fit_em(X, 2, n_init=2, rng=1)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_an_error_about_columns_with_long_names_is_short(covariance):
    X = np.repeat([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], 500, axis=0)
    frame = pd.DataFrame(X, columns=[f"{'long name ' * 1000}{d}" for d in range(2)])
    with pytest.raises(bg.errors.FitError, match=r"in which column|only 2 values") as caught:
        bg.fit_em(frame, 3, covariance, n_init=2, rng=1)
    assert len(str(caught.value)) < 800


def test_few_collapsed_starts_are_no_problem(galaxies):
    em = bg.fit_em(galaxies, 4, rng=1)
    assert "collapsed starts" not in kinds(em)


@pytest.mark.parametrize(
    ("total", "warned"),
    [(1.0, True), (2.5, True), (3.0, False), (500.0, False)],
)
def test_weights_below_one_row_per_component_are_warned_of(total, warned):
    X = bg.datasets.simulate(300, 3, 2, separation=5.0, rng=1).X
    weights = np.random.default_rng(0).uniform(0.5, 1.5, 300)
    weights *= total / weights.sum()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        em = bg.fit_em(X, 3, sample_weight=weights, rng=1)
    texts = [
        str(warning.message) for warning in caught if "sample_weight * n / sample_weight.sum()" in str(warning.message)
    ]
    assert bool(texts) == warned == ("row weights" in kinds(em))


def test_one_component_under_weights_that_sum_to_one_is_warned_of():
    with pytest.warns(bg.errors.BayesgmmWarning, match="sample_weight sums to 1"):
        bg.fit_em(np.arange(10.0), 1, sample_weight=np.full(10, 0.1))


def test_fewer_rows_than_parameters_and_columns_of_few_values_are_problems():
    rng = np.random.default_rng(0)
    few_rows = bg.fit_em(rng.normal(size=(12, 4)), 1)
    assert kinds(few_rows) == ["few rows"]
    assert "12 rows for 14 free parameters" in few_rows.problems[0].text
    flag = np.c_[rng.normal(size=100), np.arange(100) % 2]
    em = bg.fit_em(flag, 1)
    assert kinds(em) == ["few values"]
    assert "x1 (2 values)" in em.problems[0].text
    assert kinds(bg.fit_em(rng.normal(size=(100, 2)), 1)) == []


def few_rows_per_component():
    """Eighty rows of two groups, for four components: the best of many maxima holds three rows."""
    return np.random.default_rng(0).normal(size=(80, 2)) + np.repeat([[0.0, 0.0], [4.0, 0.0]], 40, axis=0)


def test_a_maximum_on_three_rows_is_called_spurious_and_the_next_one_is_named():
    X = few_rows_per_component()
    with pytest.warns(bg.errors.BayesgmmWarning, match="may be spurious") as caught:
        em = bg.fit_em(X, 4, rng=1)
    message = str(caught[0].message)
    k = spurious_component(em.parameters, STRUCTURES["full"], 80.0)
    its_rows = np.flatnonzero(em.parameters.predict(X) == k)
    assert f"component {k} holds {em.parameters.weights[k] * 80:.1f} rows ({', '.join(map(str, its_rows))}," in message
    number = int(message.split("optima[")[1].split("]")[0])
    named = em.optima[number]
    assert f"{named.log_likelihood:.4f}" in message
    assert spurious_component(named.parameters, STRUCTURES["full"], 80.0) is None
    assert all(spurious_component(o.parameters, STRUCTURES["full"], 80.0) is not None for o in em.optima[:number])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = bg.fit_em(X, 4, start=named.parameters)
    assert again.log_likelihood == pytest.approx(named.log_likelihood, abs=1e-4)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_true_groups_are_not_called_spurious(covariance, iris, faithful):
    """Twenty simulations of three groups, the smallest of 12 rows, and two real data sets."""
    for X, K in ((iris, 3), (faithful, 2)):
        assert "spurious maximum" not in kinds(bg.fit_em(X, K, covariance, rng=1))
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(92, 2)) + np.repeat([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]], [40, 40, 12], axis=0)
        assert "spurious maximum" not in kinds(bg.fit_em(X, 3, covariance, n_init=20, rng=seed))


def test_a_component_is_spurious_by_its_rows_or_by_its_flatness():
    def mixture(weight, smallest):
        covariances = [np.eye(2), np.diag([1.0, smallest])]
        return bg.MixtureParameters([1 - weight, weight], [[0.0, 0.0], [9.0, 9.0]], covariances)

    full = STRUCTURES["full"]
    for weight, smallest, expected in (
        (0.034, 1.0, 1),  # 3.4 rows
        (0.036, 1.0, None),
        (0.08, 1e-3, 1),
        (0.08, 0.1, None),
        (0.3, 1e-3, None),
        (0.3, 1e-10, 1),
    ):
        assert spurious_component(mixture(weight, smallest), full, 100.0) == expected
    assert spurious_component(mixture(0.01, 1.0), STRUCTURES["tied"], 100.0) is None


def test_problems_survive_a_dictionary_of_text():
    with pytest.warns(bg.errors.BayesgmmWarning):
        em = bg.fit_em(few_rows_per_component(), 4, rng=1)
    again = bg.results.EMFit.from_dict(json.loads(json.dumps(em.to_dict())))
    assert again.problems == em.problems
    old = {name: value for name, value in em.to_dict().items() if name != "problems"}
    assert bg.results.EMFit.from_dict(old).problems == ()
    for broken in ("text", [{"kind": "unknown", "text": "x"}], [{"kind": "few rows", "text": 3}]):
        with pytest.raises(bg.errors.InputError, match=r"kind|text|problems"):
            bg.results.EMFit.from_dict(em.to_dict() | {"problems": broken})


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.3, 0.7)])
@pytest.mark.parametrize("covariance", STRUCTURES)
def test_a_start_that_does_not_tell_components_apart_leads_to_a_warning(shares, covariance):
    """Equal responsibilities of all rows: EM stays at two equal components."""
    X = bg.datasets.load_faithful()
    with pytest.warns(bg.errors.BayesgmmWarning, match="Components 0 and 1 are equal.*Pass another start"):
        em = bg.fit_em(X, 2, covariance, start=np.tile(shares, (len(X), 1)))
    assert kinds(em) == ["equal components"]
    assert em.log_likelihood == pytest.approx(bg.fit_em(X, 1, covariance).log_likelihood, abs=1e-6)
    assert "equal components" not in kinds(bg.fit_em(X, 2, covariance, rng=1))
