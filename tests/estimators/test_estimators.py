"""The estimators keep scikit-learn's contract, and say what scikit-learn and the floors below say."""

import copy
import pickle
import warnings
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn.mixture
import xarray as xr
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_inplace_ensure_writeable,
    check_param_validation,
    check_readonly_memmap_input,
    estimator_checks_generator,
)

import bayesgmm as bg

STRUCTURES = ["full", "tied", "diag", "spherical"]
PER_STRUCTURE = ("covariances_", "precisions_", "precisions_cholesky_")
# Few draws, and the structure whose posterior needs no pilots on a handful of rows.
SHORT = bg.BayesianGaussianMixture(covariance_type="spherical", n_init=3, draws=20, tune=20, chains=2, random_state=0)
FURTHER = [
    check_dataframe_column_names_consistency,
    check_param_validation,
    check_inplace_ensure_writeable,
    check_readonly_memmap_input,
]


def checks_of(*estimators):
    """A parameter for each check that `check_estimator` makes of each of these."""
    return [
        pytest.param(
            estimator,
            check,
            id=f"{type(estimator).__name__}-{estimator.n_components}-{estimator.covariance_type}-{check.func.__name__}",
        )
        for each in estimators
        for estimator, check in estimator_checks_generator(each)
    ]


def quietly(check, estimator):
    """Run a check; twenty draws of two chains are known not to have converged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bg.errors.BayesgmmWarning)
        check(estimator)


@pytest.mark.parametrize(
    ("estimator", "check"),
    checks_of(
        bg.GaussianMixture(),
        *(bg.GaussianMixture(2, covariance_type=structure, n_init=3) for structure in ("full", "tied", "spherical")),
        bg.GaussianMixture(2, covariance_type="diag"),  # on tables of a few whole numbers nearly all starts collapse
        SHORT,
    ),
)
def test_scikit_learn_finds_no_fault(estimator, check):
    quietly(check, estimator)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "check"),
    checks_of(clone(SHORT).set_params(covariance_type="full"), clone(SHORT).set_params(n_components=2)),
)
def test_scikit_learn_finds_no_fault_in_other_posteriors(estimator, check):
    quietly(check, estimator)


@pytest.mark.parametrize("check", FURTHER)
@pytest.mark.parametrize("estimator", [bg.GaussianMixture(2, n_init=3), SHORT], ids=["em", "posterior"])
def test_scikit_learn_finds_no_fault_in_names_parameters_and_writing(estimator, check):
    quietly(partial(check, type(estimator).__name__), estimator)


@pytest.fixture(scope="module")
def em_and_posterior(faithful):
    """Mixtures of Old Faithful, fitted without a warning."""
    return tuple(make(2, random_state=1).fit(faithful) for make in (bg.GaussianMixture, bg.BayesianGaussianMixture))


@pytest.fixture(scope="module")
def short(faithful):
    with pytest.warns(bg.errors.BayesgmmWarning):
        return clone(SHORT).set_params(n_components=2, covariance_type="full").fit(faithful)


def arrays_of(mixture, structure, order):
    """The attributes, components in another order."""
    found = {name: getattr(mixture, name) for name in ("weights_", "means_", *PER_STRUCTURE)}
    return {
        name: array if structure == "tied" and name in PER_STRUCTURE else array[order] for name, array in found.items()
    }


def assert_same_arrays(ours, theirs, structure, rtol, order=slice(None)):
    mine = arrays_of(ours, structure, slice(None))
    for name, array in arrays_of(theirs, structure, order).items():
        np.testing.assert_allclose(mine[name], array, rtol=rtol, atol=rtol * 1e-2, err_msg=name)


# --- EM against scikit-learn ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("structure", STRUCTURES)
def test_em_ends_at_scikit_learns_maximum(structure, faithful):
    ours = bg.GaussianMixture(2, covariance_type=structure, random_state=1).fit(faithful)
    # Without a ridge and with a tight stop scikit-learn climbs all the way.
    options = {"covariance_type": structure, "reg_covar": 0, "tol": 1e-12, "max_iter": 10_000, "random_state": 1}
    theirs = sklearn.mixture.GaussianMixture(2, **options).fit(faithful.to_numpy())
    assert ours.lower_bound_ == pytest.approx(theirs.lower_bound_, abs=1e-8)
    assert_same_arrays(ours, theirs, structure, 1e-3, np.argsort(-theirs.weights_))


@pytest.mark.parametrize("structure", STRUCTURES)
def test_at_equal_parameters_scikit_learn_says_the_same(structure, iris):
    ours = bg.GaussianMixture(3, covariance_type=structure, random_state=1).fit(iris)
    theirs = sklearn.mixture.GaussianMixture(3, covariance_type=structure)
    for name in ("weights_", "means_", *PER_STRUCTURE):
        setattr(theirs, name, getattr(ours, name))
    np.testing.assert_array_equal(ours.predict(iris), theirs.predict(iris))
    np.testing.assert_allclose(ours.predict_proba(iris), theirs.predict_proba(iris), atol=1e-9)
    np.testing.assert_allclose(ours.score_samples(iris), theirs.score_samples(iris), rtol=1e-9)
    for name in ("score", "bic", "aic"):
        assert getattr(ours, name)(iris) == pytest.approx(getattr(theirs, name)(iris), rel=1e-10), name
    assert ours.bic(iris) == pytest.approx(ours.em_.bic)
    assert ours.aic(iris) == pytest.approx(ours.em_.aic)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_one_iteration_from_a_given_start_is_scikit_learns(structure, iris):
    end = bg.GaussianMixture(3, covariance_type=structure, random_state=1).fit(iris)
    start = {
        "weights_init": [0.2, 0.3, 0.5],
        "means_init": end.means_ + 0.3,
        "precisions_init": 0.7 * end.precisions_,
        "covariance_type": structure,
        "max_iter": 1,
    }
    with pytest.warns(bg.errors.BayesgmmWarning, match="EM stopped at max_iter: raise max_iter"):
        ours = bg.GaussianMixture(3, **start).fit(iris)
    with pytest.warns(ConvergenceWarning):
        theirs = sklearn.mixture.GaussianMixture(3, reg_covar=0, random_state=0, **start).fit(iris)
    assert_same_arrays(ours, theirs, structure, 1e-7)
    assert (ours.n_iter_, len(ours.lower_bounds_), ours.converged_) == (1, 1, False)


def test_means_init_alone_is_one_run_whose_order_stays(faithful, em_and_posterior):
    em, _ = em_and_posterior
    ours = bg.GaussianMixture(2, means_init=em.means_[::-1]).fit(faithful)
    assert len(ours.em_.restarts) == 1
    np.testing.assert_allclose(ours.means_, em.means_[::-1], rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights_init": [0.5, 0.5]}, "means_init"),
        ({"precisions_init": [np.eye(2)] * 2}, "means_init"),
        ({"means_init": [[1.0, 2.0]]}, r"means_init must have shape \(2, 2\)"),
        ({"means_init": np.eye(2), "weights_init": [1.0]}, r"weights_init must have shape \(2,\)"),
        ({"means_init": np.eye(2), "precisions_init": np.eye(2)}, r"precisions_init must have shape \(2, 2, 2\)"),
        ({"means_init": np.eye(2), "precisions_init": [-np.eye(2)] * 2}, "precisions_init must be positive definite"),
    ],
)
def test_a_start_that_cannot_be_used_is_named(options, message, faithful):
    with pytest.raises(bg.errors.InputError, match=message):
        bg.GaussianMixture(2, **options).fit(faithful)


# --- both against the floors below ------------------------------------------------------------------------------------


def test_a_whole_random_state_is_the_rng_of_fit_em_and_of_analyze(faithful, short):
    em = bg.fit_em(faithful, 2, rng=3)
    ours = bg.GaussianMixture(2, random_state=np.int64(3)).fit(faithful)
    np.testing.assert_array_equal(ours.means_, em.parameters.means)
    options = {"n_init": 3, "draws": 20, "tune": 20, "chains": 2}
    analysis = bg.analyze(faithful, 2, rng=0, progress=False, **options)
    for name in ("weights", "means", "covariances"):
        xr.testing.assert_identical(short.posterior_["posterior"][name], analysis.posterior["posterior"][name])


@pytest.mark.parametrize("seeded", [lambda: np.random.RandomState(5), lambda: np.random.seed(5)])  # noqa: NPY002
def test_scikit_learns_other_random_states_mean_what_they_mean_there(seeded, em_and_posterior):
    rows = [clone(mixture).set_params(random_state=seeded())._generator().random(3) for mixture in em_and_posterior]
    np.testing.assert_array_equal(*rows)
    assert not np.array_equal(rows[0], em_and_posterior[0]._generator().random(3))


def test_the_posteriors_predictions_are_averages_over_the_draws(faithful, short):
    X = faithful[:5]
    draws = short.posterior_["posterior"]
    weights = draws["weights"].values.reshape(-1, 2)
    means, covariances = draws["means"].values.reshape(-1, 2, 2), draws["covariances"].values.reshape(-1, 2, 2, 2)
    joint = np.array(
        [
            [w * stats.multivariate_normal(m, c).pdf(X) for w, m, c in zip(*mixture, strict=True)]
            for mixture in zip(weights, means, covariances, strict=True)
        ]
    )
    shares = joint / joint.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(short.predict_proba(X), shares.mean(axis=0).T, rtol=1e-8)
    np.testing.assert_allclose(short.score_samples(X), np.log(joint.sum(axis=1).mean(axis=0)), rtol=1e-8)
    np.testing.assert_array_equal(short.predict(X), shares.mean(axis=0).argmax(axis=0))
    assert short.score(X) == pytest.approx(short.score_samples(X).mean())
    np.testing.assert_allclose(short.weights_, weights.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(short.covariances_, covariances.mean(axis=0), rtol=1e-12)


def test_drawn_rows_have_the_moments_of_the_predictive_density(short):
    drawn = clone(short)
    drawn.__dict__ |= vars(short) | {"random_state": 4}
    X, labels = drawn.sample(100_000)
    draws = short.posterior_["posterior"]
    w, m, c = (draws[name].values for name in ("weights", "means", "covariances"))
    mean = (w[..., np.newaxis] * m).sum(axis=2).mean(axis=(0, 1))
    second = (w[..., np.newaxis, np.newaxis] * (c + m[..., :, np.newaxis] * m[..., np.newaxis, :])).sum(axis=2)
    covariance = second.mean(axis=(0, 1)) - np.outer(mean, mean)
    error = np.sqrt(np.diagonal(covariance) / len(X))
    assert (abs(X.mean(axis=0) - mean) < 4 * error).all()
    np.testing.assert_allclose(np.cov(X.T), covariance, rtol=0.02)
    assert abs((labels == 0).mean() - short.weights_[0]) < 4 * np.sqrt(0.25 / len(X))
    first = X[labels == 0].mean(axis=0)
    np.testing.assert_allclose(
        first, np.average(m[..., 0, :], axis=(0, 1), weights=np.repeat(w[..., :1], 2, -1)), rtol=0.01
    )


def test_a_posterior_that_is_not_to_be_trusted_says_what_to_do(faithful):
    with pytest.warns(bg.errors.BayesgmmWarning, match=r"chains disagree(.|\n)*Raise tune and draws") as caught:
        mixture = clone(SHORT).fit(faithful)
    assert caught[0].filename == __file__
    assert not mixture.converged_
    assert [p.text in str(caught[0].message) for p in mixture.diagnosis_.problems] == [True] * len(
        mixture.diagnosis_.problems
    )


def test_a_posterior_that_can_be_trusted_is_one_step_from_the_verdict(em_and_posterior):
    em, posterior = em_and_posterior
    assert posterior.converged_
    assert posterior.diagnosis_.ok
    assert bg.compare(em.em_, posterior.posterior_).verdict == "agree"
    np.testing.assert_allclose(posterior.means_, em.means_, rtol=0.05)


def test_where_em_has_no_maximum_the_posterior_is_sampled_from_other_starts():
    """A stray row: every start of EM shrinks onto it."""
    X = np.vstack([np.random.default_rng(0).normal(size=(100, 2)), [[1e3, 1e3]]])
    mixture = clone(SHORT).set_params(n_components=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mixture.fit(X)
    message = str(caught[0].message)
    assert message.startswith("EM found no maximum")
    assert "onto row 100 (counted from 0) alone" in message
    assert "sample_posterior" not in message  # which is what follows
    assert caught[0].filename == __file__
    assert mixture.em_ is None
    assert sorted(mixture.weights_) == pytest.approx([1 / 101, 100 / 101], abs=0.02)
    labels = mixture.predict(X)
    assert (labels[:100] == 1 - labels[100]).all()
    assert mixture.covariances_.shape == (2,)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(mixture)).means_, mixture.means_)


# --- columns, parameters, copies --------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_columns_keep_their_names(frame, faithful):
    X = frame(faithful.to_dict(orient="list"))
    mixture = bg.GaussianMixture(2, n_init=3).fit(X)
    assert mixture.feature_names_in_.tolist() == list(mixture.em_.parameters.features) == ["eruptions", "waiting"]
    with pytest.raises(ValueError, match="same order"):
        mixture.predict(X[["waiting", "eruptions"]])
    mixture.fit(X[["waiting"]]).predict(X[["waiting"]])
    assert mixture.n_features_in_ == 1


@pytest.mark.parametrize("mixture", [bg.GaussianMixture(), SHORT], ids=["em", "posterior"])
def test_what_would_be_ignored_is_refused(mixture, faithful):
    mixture = clone(mixture)
    with pytest.raises(TypeError, match="sample_weight"):
        mixture.fit(faithful, sample_weight=np.ones(len(faithful)))
    for name in ("reg_covar", "warm_start", "verbose", "verbose_interval"):
        with pytest.raises(TypeError, match=rf"has no {name}, unlike scikit-learn's class.*\.$"):
            type(mixture)(**{name: 1})
        with pytest.raises(bg.errors.InputError, match=f"has no {name}"):
            clone(mixture).set_params(**{name: 1})
    with pytest.raises(bg.errors.InputError, match="masked"):
        mixture.fit(np.ma.masked_greater(faithful.to_numpy(), 90))
    for ask in (mixture.sample, lambda: mixture.predict(faithful)):  # a failed fit is none
        with pytest.raises(NotFittedError):
            ask()
    assert not hasattr(mixture, "means_")


@pytest.mark.parametrize("start", ["kmeans", "random"])
def test_other_starts_of_scikit_learn_are_refused_with_a_sentence(start, faithful):
    with pytest.raises(bg.errors.InputError, match=rf"init_params='{start}' is not available.*k-means\+\+"):
        bg.GaussianMixture(2, init_params=start).fit(faithful)


@pytest.mark.parametrize("name", ["GaussianMixture", "BayesianGaussianMixture"])
def test_every_parameter_of_scikit_learn_is_taken_or_refused_with_a_sentence(name):
    ours = getattr(bg, name)
    for parameter, default in getattr(sklearn.mixture, name)().get_params().items():
        if parameter in ours().get_params():
            continue
        with pytest.raises(bg.errors.InputError, match=f"{name} has no {parameter}, unlike"):
            ours(**{parameter: default})


def test_a_fit_cannot_be_edited(em_and_posterior):
    for mixture in em_and_posterior:
        for name in ("weights_", "means_", *PER_STRUCTURE):
            with pytest.raises(ValueError, match="read-only"):
                getattr(mixture, name)[0] = 0
            with pytest.raises(AttributeError):
                setattr(mixture, name, 0)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda mixture: pickle.loads(pickle.dumps(mixture))])
def test_a_copy_says_the_same(copied, faithful, em_and_posterior):
    for mixture in em_and_posterior:
        other = copied(mixture)
        np.testing.assert_array_equal(other.predict_proba(faithful), mixture.predict_proba(faithful))
        np.testing.assert_array_equal(other.sample(3)[0], mixture.sample(3)[0])
        np.testing.assert_array_equal(
            other.em_.standard_errors().table["se"], mixture.em_.standard_errors().table["se"]
        )
        assert clone(mixture).get_params() == mixture.get_params()
        assert not hasattr(clone(mixture), "em_")


@pytest.mark.parametrize("mixture", [bg.GaussianMixture(n_init=5, random_state=0), SHORT], ids=["em", "posterior"])
@pytest.mark.filterwarnings("ignore::bayesgmm.errors.BayesgmmWarning")
def test_a_search_finds_the_number_of_components_behind_a_scaler(mixture, faithful):
    pipeline = make_pipeline(StandardScaler(), clone(mixture)).set_output(transform="pandas")
    name = type(mixture).__name__.lower()
    search = GridSearchCV(pipeline, {f"{name}__n_components": [1, 2]}, cv=KFold(3, shuffle=True, random_state=0))
    search.fit(faithful)
    assert search.best_params_ == {f"{name}__n_components": 2}
    best = search.best_estimator_
    assert best[-1].feature_names_in_.tolist() == ["eruptions", "waiting"]
    assert best.score(faithful) == pytest.approx(best.score_samples(faithful).mean())
    np.testing.assert_array_equal(best.fit_predict(faithful), best.predict(faithful))


def test_the_pages_repr_needs_no_fit_and_survives_one(em_and_posterior):
    for mixture in em_and_posterior:
        assert "n_components=2" in repr(mixture)
        assert "fitted" in mixture._repr_html_()


@pytest.mark.parametrize("estimator", [bg.GaussianMixture(1), bg.BayesianGaussianMixture(1, progress=False)])
def test_missing_values_among_objects_are_refused_in_words(estimator):
    with pytest.raises(bg.errors.InputError, match="X must hold real numbers, without missing values"):
        estimator.fit(pd.DataFrame({"a": [1, 2, pd.NA, 4], "b": [1.0, 2.0, 3.0, 4.0]}))
