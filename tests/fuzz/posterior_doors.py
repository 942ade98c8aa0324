"""The functions that read a posterior, the figures, and the sampler itself with few draws."""

import tempfile
import traceback
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from fuzz.em_cases import STRUCTURES
from fuzz.posterior_cases import UNUSABLE, fit_near, ordinary, posterior_cases
from fuzz.properties import Refused, ask, check_covariances, check_finite, check_probabilities
from fuzz.results import check_numbers, check_shown
from fuzz.runner import door
from fuzz.tables import all_recipes, plain_recipes
from helpers.paths import PACKAGE
from hypothesis import strategies as st

import bayesgmm as bg

MARGINAL = [0]
# Functions of (posterior, em, X), in the order of the reference. A function that needs no fit ignores it.
READERS = {
    "diagnose": lambda posterior, em, X: bg.diagnose(posterior),
    "align": lambda posterior, em, X: bg.align(posterior, em.parameters),
    "label_report": lambda posterior, em, X: bg.label_report(bg.align(posterior, em.parameters)),
    "predict": lambda posterior, em, X: bg.predict(posterior, X),
    "predict_density": lambda posterior, em, X: bg.predict_density(posterior, X),
    "marginal": lambda posterior, em, X: bg.marginal(posterior, MARGINAL),
    "conditional": lambda posterior, em, X: bg.conditional(posterior, {0: float(X[0, 0])}),
    "loo": lambda posterior, em, X: bg.loo(posterior),
    "add_log_likelihood": lambda posterior, em, X: bg.add_log_likelihood(posterior),
    "predictive_check": lambda posterior, em, X: bg.predictive_check(posterior, n_draws=20, rng=1),
    "add_posterior_predictive": lambda posterior, em, X: bg.add_posterior_predictive(posterior, n_draws=5, rng=1),
    "co_clustering": lambda posterior, em, X: bg.co_clustering(posterior),
    "point_partition": lambda posterior, em, X: bg.point_partition(posterior, rng=1),
    "compare": lambda posterior, em, X: bg.compare(em, posterior),
    "density_distances": lambda posterior, em, X: bg.density_distances(em, posterior, n_points=128),
    "density_difference": lambda posterior, em, X: bg.density_difference(em, posterior),
    "partition_agreement": lambda posterior, em, X: bg.partition_agreement(em, posterior, rng=1),
    "row_uncertainty": lambda posterior, em, X: bg.row_uncertainty(em, posterior),
}
# Numbers that may be NaN, each with the place where that is documented.
DOCUMENTED_NAN = {
    "diagnose": ("label_free", "parameters", "label_clear", "labels", "modes", "bfmi"),  # R-hat of one chain; Diagnosis
    "label_report": ("table", "share_changed", "label_clear"),  # LabelReport.table: what the posterior does not provide
    "loo": ("pareto_k",),  # LOO.pareto_k: a row without a tail
    "align": ("sample_stats", "alignment"),  # margins of one component
    "compare": ("se", "z", "partition_agreement", "table"),  # Comparison.table
    "density_difference": ("[z]", "[sd]"),  # one draw has no spread
}


def _read(name, case):
    posterior, center, X = case.build()
    em = fit_near(X, center)
    result = ask(lambda: READERS[name](posterior, em, X))
    if case.draws in UNUSABLE:
        if name == "diagnose":
            assert result.problems, f"{case.draws}: no problem was found"
        elif name == "compare":
            assert result.verdict == "not comparable", f"{case.draws}: verdict {result.verdict}"
        return result
    check_numbers(result, may_be_nan=DOCUMENTED_NAN.get(name, ()))
    check_shown(result)
    return result


def _register_readers():
    for reader in READERS:
        door(f"{reader}, given draws", 70, posterior_cases)(lambda case, reader=reader: _read(reader, case))


_register_readers()


@door("predict, any rows", 150, all_recipes.map(lambda table: replace(table, n_columns=2)))
def predict_anything(table):
    posterior, _, _ = ordinary()
    X = table.build().X
    prediction = ask(lambda: bg.predict(posterior, X))
    check_probabilities(prediction.probabilities)
    assert not np.isnan(prediction.log_density).any()
    check_shown(prediction)


PLOTS = {
    "plot_fit": lambda posterior, em: bg.plots.plot_fit(em, posterior),
    "plot_comparison": lambda posterior, em: bg.plots.plot_comparison(bg.compare(em, posterior)),
    "plot_labels": lambda posterior, em: bg.plots.plot_labels(em, posterior),
    "plot_density_difference": lambda posterior, em: bg.plots.plot_density_difference(em, posterior),
    "plot_trace": lambda posterior, em: bg.plots.plot_trace(posterior),
    "plot_rank": lambda posterior, em: bg.plots.plot_rank(posterior),
    "plot_energy": lambda posterior, em: bg.plots.plot_energy(posterior),
    "plot_convergence": lambda posterior, em: bg.plots.plot_convergence(em),
    "plot_uncertainty": lambda posterior, em: bg.plots.plot_uncertainty(em, posterior),
    "plot_predictive_check": lambda posterior, em: bg.plots.plot_predictive_check(posterior, n_draws=20, rng=1),
    "plot_density": lambda posterior, em: bg.plots.plot_density(em, em),
}


@door("plots, given draws", 120, st.tuples(st.sampled_from(list(PLOTS)), posterior_cases))
def plots(case):
    name, posterior_case = case
    posterior, center, X = posterior_case.build()
    em = fit_near(X, center)
    try:
        figure = ask(lambda: PLOTS[name](posterior, em))
        figure.canvas.draw()
    finally:
        plt.close("all")


WRONG = {
    "None": lambda posterior, em, X: None,
    "a number": lambda posterior, em, X: 3,
    "text": lambda posterior, em, X: "posterior",
    "rows": lambda posterior, em, X: X,
    "a fit": lambda posterior, em, X: em,
    "parameters": lambda posterior, em, X: em.parameters,
    "a posterior": lambda posterior, em, X: posterior,
    "a group": lambda posterior, em, X: posterior["posterior"],
    "a data set": lambda posterior, em, X: posterior["posterior"].to_dataset(),
    "an empty tree": lambda posterior, em, X: xr.DataTree(),
    "a list": lambda posterior, em, X: [],
    "an array of two": lambda posterior, em, X: np.ones(2),
}
TAKERS = {
    **READERS,
    **{name: lambda posterior, em, X, plot=plot: plot(posterior, em) for name, plot in PLOTS.items()},
    "fit_em, start": lambda posterior, em, X: bg.fit_em(X, 2, start=em),
    "sample_posterior, start": lambda posterior, em, X: bg.sample_posterior(X, 2, start=em, draws=4, progress=False),
    "sample_posterior, prior": lambda posterior, em, X: bg.sample_posterior(X, 2, prior=em, draws=4, progress=False),
    "compare, diagnosis": lambda posterior, em, X: bg.compare(ordinary()[1], ordinary()[0], diagnosis=em),
    "compare, thresholds": lambda posterior, em, X: bg.compare(ordinary()[1], ordinary()[0], thresholds=em),
    "point_partition, start": lambda posterior, em, X: bg.point_partition(ordinary()[0], start=em, rng=1),
    "plot_comparison, comparison": lambda posterior, em, X: bg.plots.plot_comparison(em),
    "plot_iterations": lambda posterior, em, X: bg.plots.plot_iterations(em),
    "plot_prior": lambda posterior, em, X: bg.plots.plot_prior(posterior, em),
    "Analysis.load": lambda posterior, em, X: bg.Analysis.load(em),
    "read_table": lambda posterior, em, X: bg.read_table(em),
    "build_model, prior": lambda posterior, em, X: bg.build_model(X, 2, prior=em),
    "EMFit.from_dict": lambda posterior, em, X: bg.results.EMFit.from_dict(em),
}


@door("results in place of others", 400, st.tuples(*[st.sampled_from(list(WRONG))] * 3, st.sampled_from(list(TAKERS))))
def wrong_objects(case):
    *kinds, taker = case
    objects = [WRONG[kind](*ordinary()) for kind in kinds]
    # An X that is right keeps the case to the other two arguments.
    try:
        ask(lambda: TAKERS[taker](objects[0], objects[1], ordinary()[2]), is_expected=_is_of_this_file)
    finally:
        plt.close("all")


def _is_of_this_file(error):
    """The lambda of READERS looked up an attribute that the wrong object does not have; the package was not called."""
    frames = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    return isinstance(error, AttributeError) and not any(path.is_relative_to(PACKAGE) for path in frames)


@st.composite
def sampled(draw):
    table = draw(st.one_of(plain_recipes, all_recipes))
    options = {
        "n_components": draw(st.integers(1, 3)),
        "covariance": draw(st.sampled_from(STRUCTURES)),
        "sampler": draw(st.sampled_from(["auto", "auto", "independent", "nuts", "gibbs"])),
        "draws": draw(st.sampled_from([4, 10, 50])),
        "tune": draw(st.sampled_from([10, 50, None])),
        "chains": draw(st.integers(1, 3)),
        "rng": draw(st.integers(0, 99)),
    }
    return table, options


def check_draws(posterior):
    draws = posterior["posterior"].to_dataset()
    check_probabilities(draws["weights"].values)
    check_finite(means=draws["means"], stds=draws["stds"])
    check_covariances(draws["covariances"].values)
    assert (draws["stds"].values > 0).all()


@door("sample_posterior", 150, sampled())
def sample_posterior(case):
    table, options = case
    X = table.build().X
    posterior = ask(lambda: bg.sample_posterior(X, **options, progress=False))
    assert posterior["posterior"].sizes["draw"] == options["draws"]
    check_draws(posterior)
    check_shown(bg.diagnose(posterior))


@door("analyze, save and load", 60, sampled())
def analyze(case):
    table, options = case
    X = table.build().X
    analysis = ask(lambda: bg.analyze(X, n_init=5, **options, progress=False))
    check_draws(analysis.posterior)
    check_shown(analysis)
    with tempfile.TemporaryDirectory() as parent:
        loaded = bg.Analysis.load(analysis.save(Path(parent) / "folder"))
        if analysis.em_error is None:
            assert loaded.em.log_likelihood == analysis.em.log_likelihood
            assert loaded.comparison.verdict == analysis.comparison.verdict
        else:
            assert str(loaded.em_error) == str(analysis.em_error)
        for name in ("weights", "means", "covariances"):
            np.testing.assert_array_equal(loaded.posterior["posterior"][name], analysis.posterior["posterior"][name])


@door("BayesianGaussianMixture", 40, st.tuples(plain_recipes, st.integers(1, 2), st.sampled_from(STRUCTURES)))
def bayesian_gaussian_mixture(case):
    table, K, covariance = case
    X = table.build().X
    if len(X) < 10:
        raise Refused("too few rows")
    mixture = ask(
        lambda: bg.BayesianGaussianMixture(
            K, covariance_type=covariance, n_init=3, draws=20, tune=50, chains=2, random_state=1
        ).fit(X)
    )
    check_draws(mixture.posterior_)
    check_probabilities(mixture.predict_proba(X))
    check_finite(score=mixture.score(X), rows=mixture.sample(4)[0], precisions=mixture.precisions_)
    assert mixture.predict(X).shape == (len(X),)
