"""`fit_em`, everything on an `EMFit`, `em_path` and the estimator of EM."""

import json
from dataclasses import replace

import numpy as np
from fuzz import oracles
from fuzz.em_cases import STRUCTURES, EMCase, em_cases, wild_em_cases
from fuzz.properties import Refused, ask, check_close, check_finite, check_mixture, check_probabilities
from fuzz.runner import door
from fuzz.tables import all_recipes, numeric_recipes, plain_recipes
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import InvalidParameterError

import bayesgmm as bg
from bayesgmm.em.runs import Status
from bayesgmm.errors import FitError

# Nats by which a fit may be below that of scikit-learn.
BELOW = 1e-3


def fit(case):
    X, numbers, keywords = case.build()
    em = ask(lambda: bg.fit_em(X, case.K, case.covariance, **keywords))
    return em, numbers, keywords


def weighted(numbers, keywords):
    """The rows of positive weight, and the weights."""
    weights = keywords["sample_weight"]
    weights = np.ones(len(numbers)) if weights is None else np.asarray(weights, dtype=float)
    return numbers[weights > 0], weights[weights > 0]


def check_fit(em, X, weights):
    """Everything that holds for any fit of these rows."""
    check_mixture(em.parameters)
    n_rows = weights.sum()
    densities = oracles.log_densities(X, em.parameters)
    expected, tolerance = weights @ densities, weights @ oracles.tolerance(X, em.parameters, densities)
    check_close(em.log_likelihood, expected, tolerance, "log_likelihood")
    K, D = em.parameters.means.shape
    in_covariances = {"full": K * D * (D + 1) // 2, "tied": D * (D + 1) // 2, "diag": K * D, "spherical": K}
    assert em.n_free == K - 1 + K * D + in_covariances[em.covariance]
    check_close(em.n_samples, n_rows, 1e-9 * n_rows, "n_samples")
    check_close(em.aic, -2 * em.log_likelihood + 2 * em.n_free, 1e-9 * abs(em.aic), "aic")
    check_close(em.bic, -2 * em.log_likelihood + em.n_free * np.log(n_rows), 1e-9 * abs(em.bic), "bic")
    check_close(em.icl, em.bic + 2 * em.entropy, 1e-9 * abs(em.icl), "icl")
    assert -1e-9 * n_rows <= em.entropy <= n_rows * (np.log(em.parameters.n_components) + 1e-9)
    check_finite(history=em.history)
    steps = np.diff(em.history)
    assert (steps >= -1e-8 * (np.abs(em.history[1:]) + n_rows)).all(), f"the log-likelihood falls: {em.history}"
    assert em.optima[0].log_likelihood == em.log_likelihood
    assert all(a.log_likelihood >= b.log_likelihood - 1e-6 for a, b in zip(em.optima[1:], em.optima[2:], strict=False))


@door("fit_em", 2400, em_cases)
def fit_em(case):
    em, numbers, keywords = fit(case)
    X, weights = weighted(numbers, keywords)
    check_fit(em, X, weights)
    if case.start in ("k-means++", "random"):
        assert (np.diff(em.parameters.weights) <= 1e-12).all(), "components are not in order of weight"


@door("fit_em, any argument", 700, wild_em_cases)
def fit_em_of_anything(case):
    em, numbers, keywords = fit(case)
    check_mixture(em.parameters)
    if numbers is not None:
        check_fit(em, *weighted(numbers, keywords))


@door("fit_em, ordinary rows", 400, st.tuples(plain_recipes, st.sampled_from(STRUCTURES), st.integers(0, 9)))
def fit_of_plain_rows(case):
    """One component: no refusal is right, and the fit is known in closed form."""
    table, covariance, seed = case
    X = table.build().numbers
    if len(X) <= X.shape[1] + 1:
        raise Refused("too few rows")
    em = bg.fit_em(X, 1, covariance, rng=seed)
    check_fit(em, X, np.ones(len(X)))
    np.testing.assert_allclose(em.parameters.means[0], X.mean(axis=0), rtol=1e-9, atol=1e-9 * X.std(axis=0).max())
    expected = np.cov(X, rowvar=False, bias=True).reshape(X.shape[1], -1)
    if covariance == "spherical":
        expected = np.eye(len(expected)) * np.trace(expected) / len(expected)
    elif covariance == "diag":
        expected = np.diag(np.diag(expected))
    std = np.sqrt(np.diag(expected))
    scaled = (em.parameters.covariances[0] - expected) / std[:, np.newaxis] / std
    np.testing.assert_allclose(scaled, 0, atol=1e-6 if table.offset > 1e3 else 1e-9)


@st.composite
def against_scikit_learn(draw):
    covariance = draw(st.sampled_from(STRUCTURES))
    many_rows = plain_recipes.map(lambda table: replace(table, n_rows=100 + 3 * table.n_rows))
    table = draw(st.one_of(many_rows, numeric_recipes))
    return EMCase(table, draw(st.integers(1, 5)), covariance, options=(), seed=draw(st.integers(0, 99)))


@door("fit_em against scikit-learn", 700, against_scikit_learn())
def fit_not_below_scikit_learn(case):
    """From scikit-learn's fit EM never falls; from its own hundred starts it is not below where rows are enough.

    Where there are few rows for each number, the likelihood has many spurious maxima, and no search from drawn starts
    finds the highest of them every time. There the fit from scikit-learn's end alone is compared.
    """
    X, numbers, keywords = case.build()
    em = ask(lambda: bg.fit_em(X, case.K, case.covariance, **keywords))
    check_fit(em, numbers, np.ones(len(numbers)))
    other = oracles.scikit_learn_fit(numbers, case.K, case.covariance, case.seed)
    if other is None:
        return
    densities = oracles.log_densities(numbers, other)
    reached, tolerance = densities.sum(), BELOW + oracles.tolerance(numbers, other, densities).sum()
    many_rows = len(numbers) >= 10 * em.n_free
    if many_rows:
        assert em.log_likelihood >= reached - tolerance, f"{em.log_likelihood} is below scikit-learn's {reached}"
    try:
        climbed = bg.fit_em(numbers, case.K, case.covariance, start=other)
    except FitError:  # scikit-learn stopped on the way to a collapse: where rows are enough, plain EM ends in one too
        if many_rows:
            path = bg.em_path(numbers, case.K, case.covariance, start=other, max_iter=20_000)
            assert path.status is Status.COLLAPSED, f"a climb from scikit-learn's end collapses: {other}"
        return
    assert climbed.log_likelihood >= reached - tolerance, f"from {reached} EM falls to {climbed.log_likelihood}"


METHODS = ("information", "sandwich", "bootstrap", "weighted", "parametric", "jackknife")


@door("standard_errors", 500, st.tuples(em_cases, st.sampled_from(METHODS), st.sampled_from([0.9, 0.5, 0.999])))
def standard_errors(case):
    em_case, method, ci_prob = case
    em, _, _ = fit(em_case)
    keywords = {} if method in ("information", "sandwich") else {"n_replicates": 20, "rng": 1}
    errors = ask(lambda: em.standard_errors(method, ci_prob=ci_prob, progress=False, **keywords))
    table = errors.table
    check_finite(estimate=table["estimate"], se=table["se"])
    assert (table["se"] >= 0).all()
    lower, upper = table.columns[-2:]
    check_finite(lower=table[lower], upper=table[upper])
    assert (table[lower] <= table[upper]).all()
    str(errors)


@door("EMFit, stored and shown", 400, em_cases)
def stored(case):
    em, numbers, keywords = fit(case)
    again = bg.results.EMFit.from_dict(json.loads(json.dumps(em.to_dict())))
    np.testing.assert_array_equal(again.parameters.means, em.parameters.means)
    assert again.log_likelihood == em.log_likelihood and again.bic == em.bic
    again.with_rows(numbers, keywords["sample_weight"])
    for text in (str(em), em.summary(), em._repr_html_()):
        assert "nan" not in text.replace("nance", "")


@door("predictions of EM", 400, em_cases)
def predictions(case):
    em, numbers, _ = fit(case)
    p = em.parameters
    densities, expected = p.log_density(numbers), oracles.log_densities(numbers, p)
    assert (np.abs(densities - expected) <= oracles.tolerance(numbers, p, expected)).all(), (
        f"{densities} and {expected}"
    )
    responsibilities = p.responsibilities(numbers)
    check_probabilities(responsibilities)
    labels = p.predict(numbers)
    chosen = responsibilities[np.arange(len(labels)), labels]
    assert (chosen >= responsibilities.max(axis=1) - 1e-12).all()
    rows, components = p.sample(7, rng=1)
    check_finite(rows=rows)
    assert rows.shape == (7, p.n_features) and (components < p.n_components).all()


@door("em_path", 500, em_cases)
def em_path(case):
    X, numbers, keywords = case.build()
    keywords.pop("n_init", None)
    keywords["max_iter"] = min(keywords.get("max_iter", 100), 100)
    path = ask(lambda: bg.em_path(X, case.K, case.covariance, **keywords))
    X, weights = weighted(numbers, keywords)
    check_finite(history=path.history)
    assert len(path.parameters) == len(path.history) == path.n_iterations + 1
    for parameters, reported in zip(path.parameters, path.history, strict=True):
        check_mixture(parameters)
        densities = oracles.log_densities(X, parameters)
        expected, tolerance = weights @ densities, weights @ oracles.tolerance(X, parameters, densities)
        # The path keeps the log-likelihood of its points, which have more digits than the mixtures far from 0.
        offset = np.abs(parameters.means / parameters.stds).max() * oracles.EPSILON
        check_close(reported, expected, tolerance + 1e3 * offset * abs(expected), "history")
    assert (np.diff(path.history) >= -1e-8 * (np.abs(path.history[1:]) + weights.sum())).all()
    repr(path)


def is_from_scikit_learn(error):
    """Whether scikit-learn's own checks of parameters and tables raised it, as the estimators document."""
    if isinstance(error, (InvalidParameterError, NotFittedError)):
        return True
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    filename = trace.tb_frame.f_code.co_filename
    return isinstance(error, (ValueError, TypeError)) and "bayesgmm/" not in filename.split("site-packages")[-1]


@st.composite
def estimator_cases(draw):
    options = {
        "n_components": draw(st.sampled_from([2, 1, 2, 3, 5])),
        "covariance_type": draw(st.sampled_from(STRUCTURES)),
        "n_init": draw(st.sampled_from([1, 5])),
        "init_params": draw(st.sampled_from(["k-means++", "random_from_data"])),
        "random_state": draw(st.sampled_from([0, 1, None])),
        "max_iter": draw(st.sampled_from([1, 100, 10_000])),
    }
    wrong = st.sampled_from([{}, {}, {}, {"n_components": 2.0}, {"covariance_type": "round"}, {"max_iter": 0}])
    return draw(st.one_of(numeric_recipes, all_recipes)), options | draw(wrong)


@door("GaussianMixture", 500, estimator_cases())
def gaussian_mixture(case):
    table, options = case
    X, numbers = table.build()
    mixture = ask(lambda: bg.GaussianMixture(**options).fit(X), is_expected=is_from_scikit_learn)
    check_mixture(mixture.parameters_)
    assert mixture.predict(X).shape == (mixture.em_.n_samples,)
    check_probabilities(mixture.predict_proba(X))
    check_finite(
        score=mixture.score(X),
        aic=mixture.aic(X),
        bic=mixture.bic(X),
        samples=mixture.sample(3)[0],
        precisions=mixture.precisions_,
        bounds=mixture.lower_bounds_,
    )
    if numbers is not None:
        check_fit(mixture.em_, numbers, np.ones(len(numbers)))
