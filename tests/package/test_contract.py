"""The contract of all public functions: whatever is passed, only a `BayesgmmError` leaves, and no foreign warning.

Each argument of each function is replaced by each of a fixed list of unsuitable values, one at a time. A value may also
be accepted, as None is by many arguments. Nothing is sampled: posteriors are made of given draws.
"""

import inspect
import warnings
from dataclasses import fields
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from helpers.figures import case
from helpers.public import public_names, resolve

import bayesgmm as bg

EM, POSTERIOR = case(2, 2, N=40)
PARAMETERS, X = EM.parameters, EM.rows.values
DIAGNOSIS = bg.diagnose(POSTERIOR)
COMPARISON = bg.compare(EM, POSTERIOR, diagnosis=DIAGNOSIS)
ANALYSIS = bg.Analysis(EM, POSTERIOR, DIAGNOSIS, COMPARISON)
PARTITION = bg.point_partition(POSTERIOR, rng=1)
PATH = bg.em_path(X, 2, rng=1)
FITTED = bg.fit_em(X, 2, start=PATH.parameters[-1])


class Bare:
    """An object without methods or attributes."""

    __slots__ = ()


def cut(**selection):
    return POSTERIOR.isel(selection)


def with_draws(change):
    """The posterior after a change of the values of its variables, each given by its name."""
    tree = POSTERIOR.copy(deep=True)
    for name, variable in tree["posterior"].to_dataset().data_vars.items():
        tree["posterior"][name] = variable.copy(data=change(name, variable.values.copy()))
    return tree


def spoilt(value, where):
    def change(_, values):
        values[where] = value
        return values

    return with_draws(change)


def with_groups(**groups):
    """The posterior with some groups replaced, or left out where the value is None."""
    kept = {name: node.to_dataset() for name, node in POSTERIOR.children.items()} | groups
    tree = xr.DataTree.from_dict({name: group for name, group in kept.items() if group is not None})
    tree.attrs |= POSTERIOR.attrs
    return tree


def with_attributes(attributes):
    tree = with_groups()
    tree.attrs = attributes
    return tree


DRAWS = POSTERIOR["posterior"].to_dataset()
POSTERIORS = {
    "a posterior": POSTERIOR,
    "a posterior without rows": with_groups(observed_data=None),
    "a posterior without statistics": with_groups(sample_stats=None),
    "a posterior with other statistics": with_groups(sample_stats=xr.Dataset({"step": ("chain", [1.0, 2.0])})),
    "a posterior with statistics of other draws": with_groups(posterior=DRAWS.isel(draw=slice(3))),
    "a posterior without attributes": with_attributes({}),
    "a posterior of strange attributes": with_attributes(
        {"aligned": 1, "covariance": "round", "empty_component_share": "x"}
    ),
    "a posterior of strange modes": with_groups(modes=xr.Dataset({"share": ("mode", [1.0, 0.0])})),
    "a posterior with rows of another shape": with_groups(observed_data=xr.Dataset({"X": ("row", X[:, 0])})),
    "a posterior with rows of other features": with_groups(
        observed_data=xr.Dataset({"X": (("row", "feature"), X)}, {"feature": ["a", "b"]})
    ),
    "a posterior with rows of NaN": with_groups(observed_data=xr.Dataset({"X": (("row", "feature"), np.nan * X)})),
    "a posterior with equal rows": with_groups(observed_data=xr.Dataset({"X": (("row", "feature"), 0 * X)})),
    "a posterior with rows of 0 and 1": with_groups(
        observed_data=xr.Dataset({"X": (("row", "feature"), np.c_[X[:, 0], X[:, 1] > X[:, 1].mean()])})
    ),
    "a posterior of one chain": cut(chain=[1]),
    "a posterior of one draw": cut(chain=[0], draw=[0]),
    "a posterior of two draws": cut(chain=[0], draw=[0, 1]),
    "a posterior without chains": cut(chain=0),
    "a posterior without draws": cut(draw=[]),
    "a posterior of every fifth draw": cut(draw=slice(None, None, 5)),
    "a posterior of one component": cut(component=[0]),
    "a posterior of one feature": cut(feature=[0]),
    "a posterior of features in another order": cut(feature=[1, 0]),
    "a posterior with NaN in a chain": spoilt(np.nan, 1),
    "a posterior of NaN": spoilt(np.nan, slice(None)),
    "a posterior with infinity": spoilt(np.inf, (0, 0)),
    "a posterior of zeros": spoilt(0.0, slice(None)),
    "a posterior padded with zeros": spoilt(0.0, (1, slice(5, None))),
    "a posterior with a stuck chain": with_draws(lambda _, values: np.r_[values[:1], 0 * values[1:] + values[1:, :1]]),
    "a posterior of equal draws": with_draws(lambda _, values: 0 * values + values[:1, :1]),
    "a posterior of complex draws": with_draws(lambda _, values: values * 1j),
    "a posterior of texts": with_draws(lambda _, values: values.astype(str)),
    "a posterior with other dimensions": with_groups(posterior=DRAWS.rename(component="cluster")),
    "a posterior with the dimensions in another order": with_groups(posterior=DRAWS.transpose()),
    "a posterior without covariances": with_groups(posterior=DRAWS.drop_vars("covariances")),
    "a posterior without standard deviations": with_groups(posterior=DRAWS.drop_vars(["stds", "correlations"])),
    "a posterior without coordinates": with_groups(posterior=DRAWS.drop_vars(list(DRAWS.coords))),
    "draws in one dimension": xr.DataTree.from_dict(
        {"posterior": DRAWS.stack(sample=("chain", "draw")).reset_index("sample", drop=True)}
    ),
    "an empty tree": xr.DataTree(),
}


UNSUITABLE = {
    "None": None,
    "a truth value": True,
    "a text": "nonsense",
    "an empty text": "",
    "bytes": b"\x00\xff",
    "zero": 0,
    "a negative number": -3,
    "a number": 7,
    "a huge number": 10**30,
    "a number of 5000 digits": 10**5000,
    "a fraction": 1.5,
    "NaN": np.nan,
    "infinity": -np.inf,
    "a complex number": 1j,
    "an empty list": [],
    "an empty mapping": {},
    "a mapping": {"eruptions": "nonsense", 3: None},
    "a set": {1.5},
    "a ragged list": [[1.0], [1.0, 2.0]],
    "a list of None": [None],
    "a list of texts": ["nonsense", "x0"],
    "a list of lists": [[[]]],
    "a generator": (i for i in range(3)),
    "an object": Bare(),
    "a class": dict,
    "a function": len,
    "a path": Path("nowhere"),
    "a date": np.datetime64("2020-01-01"),
    "an empty array": np.empty((0, 2)),
    "an array of NaN": np.full((4, 2), np.nan),
    "an array of three dimensions": np.ones((2, 2, 2)),
    "a complex array": np.ones((4, 2)) * 1j,
    "a masked array": np.ma.masked_array(np.ones((4, 2)), np.eye(4, 2)),
    "an array of objects": np.array([[Bare(), Bare()]]),
    "an array of zeros": np.zeros((4, 2)),
    "an empty frame": pd.DataFrame(),
    "a frame of texts": pd.DataFrame({"x0": ["a"], "x1": ["b"]}),
    "a fit": EM,
    "the parameters of a fit": PARAMETERS,
    "a fit of other features": case(2, 3, N=40)[0],
    "a posterior": POSTERIOR,
    "a group": POSTERIOR["posterior"],
    "a data set": DRAWS,
    "a variable": DRAWS["means"],
    "a diagnosis": DIAGNOSIS,
    "a comparison": COMPARISON,
    "an analysis": ANALYSIS,
    "an estimator": bg.GaussianMixture(2),
}

PAIR = {"em": EM, "posterior": POSTERIOR}
FIRST = {"X": X, "n_components": 2, "covariance": "full"}
FIT = {
    **FIRST,
    "sample_weight": None,
    "start": PARAMETERS,
    "tol": 1e-6,
    "max_iter": 10,
}
# Suitable arguments of each public function.
FUNCTIONS = {
    "fit_em": {**FIT, "n_init": 1, "rng": 1},
    "em_path": {**FIT, "rng": 1},
    "align": {"posterior": POSTERIOR, "reference": PARAMETERS, "method": "ecr", "max_rows": 10},
    "compare": {**PAIR, "diagnosis": DIAGNOSIS, "ci_prob": 0.9, "thresholds": None},
    "diagnose": {"posterior": POSTERIOR, "thresholds": None},
    "label_report": {"posterior": bg.align(POSTERIOR, PARAMETERS)},
    "density_distances": {**PAIR, "n_draws": 2, "n_points": 4},
    "density_difference": {**PAIR, "X": X, "ci_prob": 0.9, "n_draws": 3},
    "partition_agreement": {**PAIR, "X": X, "n_draws": 3, "rng": 1},
    "row_uncertainty": {**PAIR, "X": X, "ci_prob": 0.9, "n_draws": 3},
    "co_clustering": {"posterior": POSTERIOR, "X": X, "n_draws": 3, "max_rows": 10},
    "point_partition": {
        "posterior": POSTERIOR,
        "X": X,
        "loss": "vi",
        "start": PARAMETERS,
        "ci_prob": 0.9,
        "n_draws": 3,
        "max_rows": 10,
        "rng": 1,
    },
    "add_log_likelihood": {"posterior": POSTERIOR},
    "loo": {"posterior": POSTERIOR},
    "predict": {"posterior": POSTERIOR, "X": X, "ci_prob": 0.9, "n_draws": 3},
    "predict_density": {"posterior": POSTERIOR, "X": X, "ci_prob": 0.9, "n_draws": 3},
    "add_posterior_predictive": {"posterior": POSTERIOR, "n_rows": 3, "n_draws": 3, "rng": 1},
    "predictive_check": {"posterior": POSTERIOR, "n_draws": 3, "ci_prob": 0.9, "rng": 1},
    "conditional": {"posterior": POSTERIOR, "given": {"x0": 1.0}},
    "marginal": {"posterior": POSTERIOR, "features": ["x0"]},
    "MixtureParameters": {
        "weights": PARAMETERS.weights,
        "means": PARAMETERS.means,
        "covariances": PARAMETERS.covariances,
        "features": ("a", "b"),
    },
    "Thresholds": {field.name: getattr(bg.Thresholds(), field.name) for field in fields(bg.Thresholds)},
    "datasets.simulate": {"n_samples": 10, "n_components": 2, "n_features": 2, "separation": 4.0, "rng": 1},
    "plots.plot_iterations": {"path": PATH, "iterations": [0], "features": ["x0"]},
    "plots.animate_iterations": {"path": PATH, "iterations": [0], "features": ["x0"], "interval": 100},
    "plots.plot_density": {"em": EM, "other": EM, "features": ["x0"]},
    "plots.plot_fit": {**PAIR, "features": ["x0"], "n_draws": 3, "ci_prob": 0.9, "ax": None},
    "plots.plot_comparison": {"comparison": COMPARISON, "ax": None},
    "plots.plot_labels": {**PAIR, "features": ["x0"], "ci_prob": 0.9, "ax": None},
    "plots.plot_uncertainty": {**PAIR, "features": ["x0"]},
    "plots.plot_similarity": {**PAIR, "partition": PARTITION, "ax": None},
    "plots.plot_density_difference": {**PAIR, "features": ["x0", "x1"], "ci_prob": 0.9, "ax": None},
    "plots.plot_trace": {"posterior": POSTERIOR, "parameters": ["weights"], "features": ["x0"]},
    "plots.plot_rank": {"posterior": POSTERIOR, "parameters": ["weights"], "features": ["x0"]},
    "plots.plot_energy": {"posterior": POSTERIOR},
    "plots.plot_convergence": {"em": EM, "ax": None},
    "plots.plot_prior": {
        "posterior": POSTERIOR,
        "prior": bg.Prior.for_data(X),
        "parameters": ["weights"],
        "features": ["x0"],
    },
    "plots.plot_predictive_check": {"posterior": POSTERIOR, "features": ["x0"], "n_draws": 3, "ci_prob": 0.9, "rng": 1},
    "plots.component_style": {"component": 1},
}
METHODS = {
    "EMFit.standard_errors": (
        FITTED.standard_errors,
        {"method": "bootstrap", "n_replicates": 4, "ci_prob": 0.9, "rng": 1, "progress": False},
    ),
    "Prior": (
        bg.Prior,
        {
            "mean_location": 0.0,
            "mean_scale": 1.0,
            "std": bg.priors.LogNormal(1.0),
            "concentration": 1.0,
            "correlation_eta": 1.0,
            "resolution": 0.0,
        },
    ),
    "priors.LogNormal": (bg.priors.LogNormal, {"median": 1.0, "log_sd": 2.0}),
    "priors.HalfNormal": (bg.priors.HalfNormal, {"sigma": 1.0}),
    "priors.Gamma": (bg.priors.Gamma, {"alpha": 1.0, "beta": 2.0}),
    "priors.InverseGamma": (bg.priors.InverseGamma, {"alpha": 1.0, "beta": 2.0}),
    "priors.Uniform": (bg.priors.Uniform, {"lower": 1.0, "upper": 2.0}),
    "priors.Exponential": (bg.priors.Exponential, {"mean": 1.0}),
    "priors.Fixed": (bg.priors.Fixed, {"value": 1.0}),
    "read_table": (
        bg.read_table,
        {
            "path": Path(bg.datasets.__file__).with_name("faithful.csv"),
            "columns": ["waiting"],
            "sep": ",",
            "decimal": ".",
            "index": None,
            "exclude": ["eruptions"],
            "drop_missing": False,
        },
    ),
    "EMFit.with_rows": (EM.with_rows, {"X": X, "sample_weight": None}),
    "EMFit.from_dict": (type(EM).from_dict, {"values": EM.to_dict()}),
    "MixtureParameters.predict": (PARAMETERS.predict, {"X": X}),
    "MixtureParameters.log_density": (PARAMETERS.log_density, {"X": X}),
    "MixtureParameters.responsibilities": (PARAMETERS.responsibilities, {"X": X}),
    "MixtureParameters.sample": (PARAMETERS.sample, {"n_samples": 3, "rng": 1}),
    "MixtureParameters.marginal": (PARAMETERS.marginal, {"features": ["x0"]}),
    "MixtureParameters.conditional": (PARAMETERS.conditional, {"given": {"x0": 1.0}}),
    "MixtureParameters.permute": (PARAMETERS.permute, {"order": [1, 0]}),
    "Analysis.load": (bg.Analysis.load, {"folder": "nowhere"}),
    "Prior.for_data": (bg.Prior.for_data, {"X": X, "covariance": "full"}),
}
SAMPLING = {
    "draws": 10,
    "max_draws": 10,
    "tune": 10,
    "chains": 1,
    "sampler": "nuts",
    "max_time": 100.0,
    "thresholds": None,
    "rng": 1,
    "progress": False,
}
# Functions that sample or compile; here they only refuse.
SLOW = {
    "analyze": (bg.analyze, {**FIRST, **SAMPLING, "prior": None, "n_init": 1, "ci_prob": 0.9}),
    "sample_posterior": (bg.sample_posterior, {**FIRST, **SAMPLING, "prior": None, "start": PARAMETERS}),
    "sample_model": (bg.sample_model, {"model": "nothing", "start": PARAMETERS, **SAMPLING}),
    "build_model": (bg.build_model, {**FIRST, "prior": None}),
    "compile_all": (bg.compile_all, {"kinds": (), "pymc": False, "progress": False}),
    "Analysis.save": (ANALYSIS.save, {"folder": "", "overwrite": False, "source": "", "figures": "png"}),
}
# Of the wrong type for every argument.
WRONG = ("an object", "a class", "a complex number", "a date")
# Of the wrong type for each of these arguments.
OPTIONS = {
    *("sampler", "draws", "max_draws", "tune", "chains", "max_time", "thresholds", "rng", "progress", "prior", "start"),
    *("covariance", "n_components", "n_init", "max_iter", "tol", "ci_prob", "n_draws", "max_rows", "method", "loss"),
    *("diagnosis", "partition", "overwrite", "figures", "pymc", "kinds", "sep", "decimal", "index", "drop_missing"),
}
WRONG_OPTIONS = (
    *("bytes", "a mapping", "a set", "a ragged list", "an array of objects", "an array of three dimensions"),
    *("a masked array", "a frame of texts", "a group", "a data set", "a number of 5000 digits"),
)
# What is tested elsewhere, because it samples, compiles or reads files, and what takes no argument or is no function.
ELSEWHERE = {
    "analyze",
    "Analysis",
    "sample_posterior",
    "sample_model",
    "build_model",
    "compile_all",
    "read_table",
    "Prior",
    "BayesianGaussianMixture",
    "GaussianMixture",
    "datasets.load_faithful",
    "datasets.load_galaxies",
    "plots.ComponentStyle",
}


def leaks(function, arguments):
    """The arguments and values for which something else than a `BayesgmmError` leaves the function."""
    found = []
    for name in arguments:
        values = UNSUITABLE | POSTERIORS if name == "posterior" else UNSUITABLE
        for kind, value in values.items():
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.simplefilter("ignore", bg.errors.BayesgmmWarning)
                warnings.filterwarnings("ignore", "Animation was deleted")
                try:
                    function(**(arguments | {name: value}))
                except bg.errors.BayesgmmError as error:
                    if len(str(error)) > 1500:
                        found.append(f"{name} = {kind}: a message of {len(str(error))} characters")
                except Exception as error:
                    found.append(f"{name} = {kind}: {type(error).__name__}: {error!s:.150}")
                finally:
                    plt.close("all")
    return found


@pytest.mark.filterwarnings("ignore:Animation was deleted")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_only_errors_of_the_package_leave_a_public_function(name):
    found = leaks(resolve(name), FUNCTIONS[name])
    assert not found, "\n".join(found)


CALLS = {name: (resolve(name), arguments) for name, arguments in FUNCTIONS.items()} | METHODS | SLOW


@pytest.mark.parametrize("name", CALLS)
def test_a_value_of_the_wrong_type_is_refused_by_the_name_of_its_argument(name):
    function, arguments = CALLS[name]
    found = []
    for argument in arguments:
        for kind in WRONG:
            try:
                function(**(arguments | {argument: UNSUITABLE[kind]}))
                found.append(f"{argument} = {kind}: accepted")
            except bg.errors.InputError as error:
                if argument not in str(error) or "received" not in str(error):
                    found.append(f"{argument} = {kind}: {error}")
            finally:
                plt.close("all")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", CALLS)
def test_an_option_of_the_wrong_type_is_refused(name):
    function, arguments = CALLS[name]
    for argument in OPTIONS & arguments.keys():
        for kind in WRONG_OPTIONS[: -1 if argument == "rng" else None]:  # a seed may have 5000 digits
            with pytest.raises(bg.errors.InputError, match=argument) as refused:
                function(**(arguments | {argument: UNSUITABLE[kind]}))
            assert len(str(refused.value)) < 1500
            plt.close("all")


def test_a_table_goes_to_a_file_or_is_refused(tmp_path):
    for path in (None, 3, "", tmp_path, tmp_path / "none" / "table.csv", "a\0b"):
        with pytest.raises(bg.errors.InputError):
            COMPARISON.to_csv(path)


@pytest.mark.parametrize("name", METHODS)
def test_only_errors_of_the_package_leave_a_method(name):
    found = leaks(*METHODS[name])
    assert not found, "\n".join(found)


def test_every_public_function_is_in_the_contract():
    named = {*FUNCTIONS, *ELSEWHERE}
    classes = {name for name in public_names() if name.startswith(("errors.", "results.", "priors."))}
    assert set(public_names()) - classes == named
    for name, (function, arguments) in CALLS.items():
        parameters = inspect.signature(function).parameters
        taken = [name for name, parameter in parameters.items() if parameter.kind is not parameter.VAR_KEYWORD]
        assert set(arguments) == set(taken), name
