"""Input: bad input is refused with a reason and a remedy, and unusual input gives the right answer."""

import datetime
import hashlib
import re
import warnings
from decimal import Decimal
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

import bayesgmm as bg

FRAME = bg.datasets.load_faithful()
ROWS = FRAME.to_numpy(dtype=np.float64)
NAMES = ("eruptions", "waiting")
WEIGHTS, MEANS = np.array([0.36, 0.64]), np.array([[2.0, 54.0], [4.3, 80.0]])
COVARIANCES = np.array([[[0.1, 0.5], [0.5, 36.0]], [[0.2, 0.9], [0.9, 36.0]]])
START = bg.MixtureParameters(WEIGHTS, MEANS, COVARIANCES)
NAMED = bg.MixtureParameters(WEIGHTS, MEANS, COVARIANCES, NAMES)
STRUCTURES = ("full", "tied", "diag", "spherical")


def fit(X, **options):
    """EM from one start, run far beyond the tolerances below."""
    return bg.fit_em(X, 2, **({"start": START, "tol": 1e-10} | options))


def sample(X, n_components=2, **options):
    quick = {"draws": 10, "tune": 10, "chains": 2, "rng": 1, "progress": False}
    return bg.sample_posterior(X, n_components, **(quick | options))


def refuses(call, *pieces):
    """Assert that the call raises InputError with a one-line message that has every piece."""
    with pytest.raises(bg.errors.InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for piece in pieces:
        assert piece in message, f"{piece!r} is not in: {message}"


# Values that no function accepts: name of the fault, rows, and pieces that the message must have.


def with_values(values, where, rows=ROWS):
    changed = np.array(rows)
    for (i, j), value in zip(where, values, strict=True):
        changed[i, j] = value
    return changed


def nullable():
    frame = FRAME.astype("Float64")
    frame.loc[[5, 9], "waiting"] = pd.NA
    return frame


def masked():
    return np.ma.masked_where(ROWS > 95, ROWS)


CANNOT_BE_READ = "X must be an array or a data frame of numbers, (n_samples, n_features); received {}, which cannot"
BAD_VALUES = {
    "one NaN": (with_values([np.nan], [(3, 1)]), ["1 value that is NaN or infinite", "x1", ": 3.", "leave those rows"]),
    "NaN and infinities": (
        with_values([np.nan, np.inf, -np.inf], [(7, 1), (3, 0), (3, 1)]),
        ["3 values that are NaN or infinite", "column(s) x0, x1", "counted from 0: 3, 7.", "Fill them"],
    ),
    "NaN in many rows": (
        with_values([np.nan] * 272, [(i, 0) for i in range(272)]),
        ["272 values", "column(s) x0;", ": 0, 1, 2, 3, 4."],
    ),
    "NaN beyond the first chunk": (
        with_values([np.nan], [(70_001, 1)], rows=np.zeros((70_002, 2))),
        ["1 value", "column(s) x1", ": 70001."],
    ),
    "NaN in a frame": (
        FRAME.assign(waiting=FRAME["waiting"].where(FRAME.index != 4)),
        ["1 value", "column(s) waiting", ": 4."],
    ),
    "float32 NaN": (with_values([np.nan], [(3, 1)]).astype(np.float32), ["1 value", "column(s) x1"]),
    "missing in a nullable column": (nullable(), ["2 values", "column(s) waiting", ": 5, 9."]),
    "missing in a nullable boolean column": (
        pd.DataFrame({"eruptions": pd.array([True, None, False], dtype="boolean"), "waiting": [1.0, 2.0, 3.0]}),
        ["1 value", "column(s) eruptions", ": 1."],
    ),
    "null in Polars": (
        pl.DataFrame({"eruptions": [1.0, None, 2.0], "waiting": [1, 2, None]}),
        ["2 values", "column(s) eruptions, waiting", ": 1, 2."],
    ),
    "null in a Polars boolean": (
        pl.DataFrame({"eruptions": [True, None, False], "waiting": [1, 2, 3]}),
        ["1 value", "column(s) eruptions", ": 1."],
    ),
    "values whose squares overflow": (
        with_values([1e101], [(2, 0)]),
        ["1 value that is beyond 1e100", "column(s) x0", ": 2.", "Change the units"],
    ),
    "long double beyond float64": (
        with_values([np.longdouble("1e4000")], [(2, 0)], rows=ROWS.astype(np.longdouble)),
        ["1 value that is NaN or infinite", "x0"],
    ),
    "masked": (masked(), ["X has 1 masked value", "leave their rows out"]),
    "empty array": (np.empty((0, 2)), ["X is empty: shape (0, 2)", "At least one row and one column"]),
    "no columns": (np.empty((5, 0)), ["X is empty: shape (5, 0)"]),
    "empty list": ([], ["X is empty: shape (0,)"]),
    "empty frame": (FRAME[:0], ["X is empty: shape (0, 2)"]),
    "frame without anything": (pd.DataFrame(), ["X is empty: shape (0, 0)"]),
    "empty Polars frame": (pl.DataFrame(FRAME.to_dict("list"))[:0], ["X is empty: shape (0, 2)"]),
    "strings": (np.array([["a", "b"], ["c", "d"]]), ["X must hold numbers; it has dtype <U1", "dtype=float"]),
    "numbers as strings": (ROWS.astype(str), ["X must hold numbers", "numpy.asarray(X, dtype=float)"]),
    "objects": (ROWS.astype(object), ["X must hold numbers; it has dtype object", "dtype=float"]),
    "decimals": ([[Decimal(1), Decimal(2)], [Decimal(3), Decimal(4)]], ["dtype object"]),
    "integers beyond any machine type": ([[10**30, 1], [2, 3]], ["dtype object", "dtype=float"]),
    "string column": (
        FRAME.assign(waiting="a"),
        ["X must hold numbers only; not numeric: waiting (", "Select the numeric columns or convert them"],
    ),
    "object column": (FRAME.astype({"eruptions": object}), ["not numeric: eruptions (object)"]),
    "date column": (
        FRAME.assign(waiting=pd.date_range("2020-01-01", periods=272)),
        ["not numeric: waiting (datetime64"],
    ),
    "category column": (FRAME.assign(waiting=pd.Categorical(["a", "b"] * 136)), ["not numeric: waiting (category)"]),
    "category column of numbers": (
        FRAME.assign(waiting=pd.Categorical([1, 2] * 136)),
        ["not numeric: waiting (category)"],
    ),
    "complex column": (FRAME.assign(waiting=1j), ["not numeric: waiting (complex128)"]),
    "category series": (pd.Series([1, 2, 3] * 9, dtype="category"), ["X must hold numbers; it has dtype category"]),
    "object series": (pd.Series([1.0, 2.0, "a"]), ["X must hold numbers; it has dtype object"]),
    "dates": (np.arange("2020-01", "2020-03", dtype="datetime64[D]"), ["dtype datetime64[D]"]),
    "Polars strings": (pl.DataFrame({"a": ["x", "y"], "b": [1, 2]}), ["not numeric: a (String)"]),
    "Polars dates": (pl.DataFrame({"a": [datetime.date(2020, 1, 1)] * 3, "b": [1, 2, 3]}), ["not numeric: a (Date)"]),
    "complex": (ROWS + 0j, ["X holds complex numbers", "real and imaginary parts as columns"]),
    "sparse matrix": (scipy.sparse.csr_matrix(ROWS), ["X is a sparse matrix", "X.toarray()"]),
    "sparse array": (scipy.sparse.csc_array(ROWS), ["X is a sparse matrix", "X.toarray()"]),
    "named fields": (FRAME.to_records(index=False), ["X is a structured array", "pandas.DataFrame(X)"]),
    "three dimensions": (ROWS[np.newaxis], ["two-dimensional", "3 dimensions, shape (1, 272, 2)"]),
    "three labelled dimensions": (xr.DataArray(ROWS[np.newaxis]), ["3 dimensions, shape (1, 272, 2)"]),
    "no dimension": (np.array(3.0), [CANNOT_BE_READ.format("ndarray")]),
    "a number": (3.0, [CANNOT_BE_READ.format("float")]),
    "ragged rows": ([[1.0, 2.0], [3.0]], ["X is not a table: its rows differ in length", "(n_samples, n_features)"]),
    "None": (None, [CANNOT_BE_READ.format("NoneType")]),
    "dictionary": ({"eruptions": [1, 2], "waiting": [2, 3]}, [CANNOT_BE_READ.format("dict")]),
    "generator": ((row for row in ROWS), [CANNOT_BE_READ.format("generator")]),
    "name of a file": ("faithful.csv", [CANNOT_BE_READ.format("str")]),
    "lazy Polars frame": (pl.DataFrame({"a": [1.0]}).lazy(), [CANNOT_BE_READ.format("LazyFrame")]),
    "xarray data set": (xr.Dataset({"a": ("row", ROWS[:, 0])}), [CANNOT_BE_READ.format("Dataset")]),
    "repeated column names": (
        pd.DataFrame(ROWS, columns=["waiting", "waiting"]),
        ["X has several columns called waiting", "a name of its own"],
    ),
    "column names that are equal as text": (pd.DataFrame(ROWS, columns=[1, "1"]), ["several columns called 1"]),
    "integers that float64 cannot tell apart": (
        np.arange(40).reshape(20, 2) ** 2 + 2**60,
        ["X holds whole numbers beyond 2**53", "Subtract an offset before the call, such as X.min(axis=0)"],
    ),
    "nanoseconds since 1970": (
        pd.Timestamp("2024-01-01").value + np.arange(20) * 10**6,
        ["whole numbers beyond 2**53"],
    ),
}
PUBLIC_FUNCTIONS = {
    "fit_em": lambda X: bg.fit_em(X, 2, n_init=1, rng=1),
    "sample_posterior": sample,
    "build_model": lambda X: bg.build_model(X, 2),
    "Prior.for_data": bg.Prior.for_data,
    "log_density": START.log_density,
    "responsibilities": NAMED.responsibilities,
    "predict": NAMED.predict,
}


@pytest.mark.parametrize("function", PUBLIC_FUNCTIONS)
@pytest.mark.parametrize("problem", BAD_VALUES)
def test_bad_values_are_refused_by_every_public_function_with_the_fault_its_place_and_a_remedy(problem, function):
    X, pieces = BAD_VALUES[problem]
    if function in ("responsibilities", "predict"):  # whose mixture has names
        pieces = [re.sub(r"\bx([01])\b", lambda found: NAMES[int(found[1])], piece) for piece in pieces]
    refuses(lambda: PUBLIC_FUNCTIONS[function](X), *pieces)


# Data to which K components cannot be fitted.

COLLINEAR = ROWS @ np.array([[1.0, 0.0, 1.0], [0.0, 1.0, -2.0]])
BAD_DATA = {
    "one row": (ROWS[:1], 1, ["X has one row", "at least two", "Pass more rows"]),
    "fewer rows than components": (
        ROWS[:3],
        4,
        ["X has 3 rows, fewer than n_components=4", "Pass more rows or ask for fewer components"],
    ),
    "fewer distinct rows than components": (
        np.repeat(ROWS[:3], 50, axis=0),
        4,
        ["X has only 3 distinct rows", "fewer than n_components=4", "at most 3 components"],
    ),
    "one distinct row": (np.repeat(ROWS[:1], 50, axis=0), 2, ["only 1 distinct row (", "at most 1 component."]),
    "constant column": (
        np.column_stack([ROWS, np.full(272, 0.1)]),
        2,
        ["column(s) x2 of X are constant", "Leave them"],
    ),
    "constant columns of a frame": (
        FRAME.assign(day=3, hour=0.0),
        2,
        ["column(s) day, hour of X are constant", "Leave them out"],
    ),
    "column without a square": (ROWS * [1e-150, 1.0], 2, ["column(s) x0 of X are constant", "1e-100"]),
    "constant far from 0": (np.column_stack([ROWS, np.full(272, 1e16 / 3)]), 2, ["column(s) x2 of X are constant"]),
    "collinear columns": (
        pd.DataFrame(COLLINEAR, columns=["a", "b", "c"]),
        2,
        ["columns of X depend linearly on each other", " a ", " b ", " c = constant", "covariance='diag'"],
    ),
    "repeated column": (ROWS[:, [0, 1, 0]], 2, ["1 x0 -1 x2 = constant"]),
    "repeated column in other units": (
        pd.DataFrame({"metres": ROWS[:, 0], "waiting": ROWS[:, 1], "picometres": ROWS[:, 0] * 1e12}),
        2,
        ["1 metres -1e-12 picometres = constant"],
    ),
    "collinear 1e8 standard deviations from the origin": (ROWS[:, [0, 1, 0]] + 1e8, 2, ["1 x0 -1 x2 = constant"]),
    "two collinear directions": (ROWS[:, [0, 1, 0, 1]], 2, ["= constant; ", "x3 = constant"]),
    "no more rows than columns": (ROWS[:2], 1, ["There are 2 rows for 2 columns", "Leave columns out"]),
    "K of 0": (ROWS, 0, ["n_components must be a whole number of at least 1; received 0"]),
    "K of -1": (ROWS, -1, ["at least 1; received -1"]),
    "K as a float": (ROWS, 2.0, ["n_components must be a whole number", "received 2.0"]),
    "K as a bool": (ROWS, True, ["received True"]),
    "K as text": (ROWS, "2", ["received '2'"]),
    "K as an array": (ROWS, np.array([2]), ["received array([2])"]),
    "K that is NaN": (ROWS, np.nan, ["received nan"]),
    "no K": (ROWS, None, ["n_components must be a whole number", "received None"]),
}
FITS = {"fit_em": partial(bg.fit_em, rng=1), "sample_posterior": sample, "build_model": bg.build_model}


@pytest.mark.parametrize("function", FITS)
@pytest.mark.parametrize("problem", BAD_DATA)
def test_data_to_which_the_components_cannot_be_fitted_are_refused(problem, function):
    X, n_components, pieces = BAD_DATA[problem]
    refuses(lambda: FITS[function](X, n_components), *pieces)


def test_constant_columns_are_refused_by_a_prior_scaled_to_them():
    refuses(lambda: bg.Prior.for_data(FRAME.assign(day=3)), "column(s) day of X are constant", "Leave them out")


def test_constant_columns_are_refused_when_the_prior_is_given_too():
    prior = bg.Prior(0.0, 100.0, bg.priors.LogNormal(1.0))
    for function in (sample, bg.build_model):
        refuses(
            lambda function=function: function(FRAME.assign(day=3), 2, prior=prior), "column(s) day of X are constant"
        )


@pytest.mark.parametrize("covariance", ["diag", "spherical"])
def test_collinear_columns_are_accepted_for_a_covariance_without_correlations(covariance):
    X = ROWS[:, [0, 1, 0]]
    assert bg.fit_em(X, 2, covariance, n_init=3, rng=1).converged
    assert np.isfinite(sample(X, covariance=covariance)["posterior/weights"]).all()


@pytest.mark.parametrize("seed", range(5))
def test_a_column_that_is_constant_where_the_weights_are_positive_is_refused(seed):
    X = np.column_stack([ROWS, np.full(272, 0.1)])
    X[:5, 2] = [5.3, -1.7, 2.9, 8.8, 1e3]  # the rounded mean of the rest must not pass for a variance
    weights = np.random.default_rng(seed).uniform(0.1, 1.0, 272)
    weights[:5] = 0.0
    refuses(lambda: bg.fit_em(X, 2, sample_weight=weights), "column(s) x2 of X are constant")


def test_rows_of_weight_zero_do_not_count_as_distinct_rows():
    refuses(
        lambda: bg.fit_em(ROWS, 4, sample_weight=np.arange(272) < 3),
        "only 3 distinct rows (the others repeat them or have weight 0)",
        "at most 3 components",
    )


# Options.

NOT_A_COUNT = [0, -1, 1.5, 2.0, True, "3", None, np.nan, np.inf, [3], np.array([3])]
NOT_POSITIVE = [0, -1e-6, np.nan, np.inf, "1e-6", None, True, [1e-6], 1j]
NOT_A_SEED = [-1, 1.5, "1", True, np.nan, {}, np.random.RandomState(1)]


@pytest.mark.parametrize("value", NOT_A_COUNT, ids=repr)
@pytest.mark.parametrize("option", ["max_iter", "n_init", "draws", "max_draws", "chains"])
def test_counts_are_whole_numbers(option, value):
    if option in ("draws", "n_init") and value is None:
        pytest.skip("None leaves the choice to the function")
    function = fit if option in ("max_iter", "n_init") else sample
    refuses(
        lambda: function(ROWS, **{option: value}), f"{option} must be a whole number of at least", f"received {value!r}"
    )


@pytest.mark.parametrize("value", NOT_POSITIVE, ids=repr)
def test_the_tolerance_is_a_positive_number(value):
    refuses(lambda: fit(ROWS, tol=value), "tol must be a finite number above 0", f"received {value!r}")


def test_the_number_of_tuning_draws_is_a_whole_number():
    refuses(lambda: sample(ROWS, tune=0), "tune must be a whole number of at least 1; received 0")


def test_fewer_draws_than_can_be_diagnosed_are_refused():
    refuses(lambda: sample(ROWS, draws=3), "draws must be a whole number of at least 4; received 3")


@pytest.mark.parametrize("value", NOT_A_SEED, ids=lambda value: type(value).__name__ + repr(value)[:4])
def test_seeds_are_whole_numbers_or_generators(value):
    pieces = ("rng must be a whole number of at least 0, a numpy.random.Generator or None", f"received {value!r}")
    for function in (fit, sample, partial(START.sample, 5)):
        call = (
            partial(function, rng=value)
            if function is not fit and function is not sample
            else partial(function, ROWS, rng=value)
        )
        refuses(call, *pieces)


def test_every_kind_of_seed_that_numpy_takes_is_taken():
    seeds = [1, np.int64(1), np.random.default_rng(1), np.random.SeedSequence(1), np.random.PCG64(1), None]
    fits = [bg.fit_em(ROWS, 2, n_init=1, rng=seed) for seed in seeds]
    for em in fits[:-1]:
        assert em.log_likelihood == fits[0].log_likelihood


@pytest.mark.parametrize("value", ["Full", "", "full ", None, 0, ["full"]], ids=repr)
def test_a_mistyped_covariance_is_refused_with_the_choices(value):
    pieces = ("covariance must be one of full, tied, diag, spherical", f"received {value!r}")
    for function in (fit, sample, partial(bg.build_model, n_components=2), bg.Prior.for_data):
        refuses(lambda function=function: function(ROWS, covariance=value), *pieces)


@pytest.mark.parametrize("function", [sample, bg.build_model], ids=["sample_posterior", "build_model"])
def test_a_prior_that_is_none_is_refused(function):
    refuses(lambda: function(ROWS, 2, prior="weak"), "prior must be a Prior, such as Prior.for_data(X); received str")
    refuses(
        lambda: function(ROWS, 2, prior=bg.Prior([0.0, 1.0, 2.0], 1.0, bg.priors.LogNormal(1.0))),
        "Prior.mean_location must be one number or have shape (2,); it has shape (3,)",
    )


def test_a_prior_24_orders_of_magnitude_off_ends_in_a_reason_and_not_in_linear_algebra():
    prior = bg.Prior(1e12, 1e-12, bg.priors.LogNormal(1e-12))
    reasons = []
    for seed in range(6):  # what such draws overflow to is a matter of chance
        try:
            sample(ROWS, prior=prior, rng=seed)
        except bg.errors.SamplingError as error:
            reasons.append(str(error))
    assert reasons and all("Check the prior's scales against the data" in reason for reason in reasons)


# Starts.

RESPONSIBILITIES = np.where((ROWS[:, 0] < 3)[:, np.newaxis], [0.9, 0.1], [0.2, 0.8])
BAD_STARTS = {
    "mistyped name": ("kmeans", ["start must be one of k-means++, random, ", "received 'kmeans'"]),
    "wrong K": (
        bg.MixtureParameters([0.3, 0.3, 0.4], [[1.0, 2.0], [2.0, 3.0], [3.0, 4.0]], np.stack([np.eye(2)] * 3)),
        ["start has 3 components of 2 features", "need 2 of 2"],
    ),
    "wrong D": (START.marginal([0]), ["start has 2 components of 1 features", "need 2 of 2"]),
    "other features": (
        NAMED.marginal(["waiting", "eruptions"]),
        ["start describes waiting, eruptions; the columns of X are eruptions, waiting", "same order"],
    ),
    "a component of weight 0": (
        bg.MixtureParameters([0.0, 1.0], MEANS, COVARIANCES),
        ["start must give every component a weight above 0", "received [0.0, 1.0]"],
    ),
    "transposed responsibilities": (RESPONSIBILITIES.T, ["must have shape (272, 2); it has shape (2, 272)"]),
    "labels": ((ROWS[:, 0] > 3).astype(int), ["must have shape (272, 2); it has shape (272,)"]),
    "rows that do not sum to 1": (RESPONSIBILITIES * 1.01, ["start, as responsibilities", "must sum to 1"]),
    "negative responsibilities": (RESPONSIBILITIES * [2, 2] - [0.5, 0.5], ["not negative"]),
    "NaN responsibilities": (np.where(RESPONSIBILITIES > 0.8, np.nan, RESPONSIBILITIES), ["must be finite"]),
    "complex responsibilities": (RESPONSIBILITIES + 0j, ["start", "must be real numbers", "complex128"]),
    "an empty component": (np.tile([1.0, 0.0], (272, 1)), ["too few rows", "more rows than there are features"]),
    "None": (None, ["start", "must have shape (272, 2)"]),
    "a fit": (bg.fit_em(ROWS, 1), ["start, unless it is a strategy's name or a MixtureParameters", "received EMFit"]),
}


@pytest.mark.parametrize("problem", BAD_STARTS)
def test_starts_that_fit_neither_data_nor_components_are_refused(problem):
    start, pieces = BAD_STARTS[problem]
    refuses(lambda: bg.fit_em(FRAME, 2, start=start), *pieces)


@pytest.mark.parametrize("problem", ["wrong K", "wrong D", "other features"])
def test_the_sampler_refuses_the_same_starts(problem):
    start, pieces = BAD_STARTS[problem]
    refuses(lambda: sample(FRAME, start=start), *pieces)


def test_the_sampler_refuses_the_name_of_a_start():
    refuses(lambda: sample(ROWS, start="k-means++"), "start must be a MixtureParameters", "received str")


def test_a_start_that_collapses_is_blamed_and_not_the_number_of_components():
    far = bg.MixtureParameters(WEIGHTS, np.add(MEANS, [[1e9], [0.0]]), COVARIANCES)
    with pytest.raises(bg.errors.FitError, match=r"The start that was given collapsed.*start='k-means\+\+'"):
        bg.fit_em(ROWS, 2, start=far)


# Weights.

ONES = np.ones(272)
BAD_WEIGHTS = {
    "negative": (
        with_values([-1.0], [(3, 0)], ONES[:, np.newaxis])[:, 0],
        ["1 is negative", "row(s) 3", "weight of 0"],
    ),
    "NaN": (
        with_values([np.nan, np.nan], [(3, 0), (5, 0)], ONES[:, np.newaxis])[:, 0],
        ["2 are NaN or infinite", "row(s) 3, 5"],
    ),
    "infinite": (np.where(np.arange(272) == 3, np.inf, 1.0), ["1 is NaN or infinite"]),
    "zero": (0 * ONES, ["sample_weight is zero for every row", "at least one row must count"]),
    "too few": (ONES[1:], ["shape (272,); it has shape (271,)"]),
    "a column": (ONES[:, np.newaxis], ["shape (272,); it has shape (272, 1)", "1-D array"]),
    "one number": (1.0, ["shape (272,); it has shape ()"]),
    "too large to add up": (ONES * 1e307, ["272 are beyond 1e100"]),
    "text": (["1"] * 272, ["sample_weight must be real numbers", "<U1"]),
    "complex": (ONES + 0j, ["sample_weight must be real numbers", "complex128"]),
    "masked": (np.ma.masked_equal(np.arange(272.0), 7), ["sample_weight", "1 masked value"]),
    "dictionary": ({}, ["sample_weight must be real numbers; received dict"]),
    "missing": (pd.Series([None] + [1.0] * 271, dtype="Float64"), ["1 is NaN or infinite", "row(s) 0"]),
}


@pytest.mark.parametrize("problem", BAD_WEIGHTS)
def test_weights_that_cannot_count_rows_are_refused(problem):
    weights, pieces = BAD_WEIGHTS[problem]
    refuses(lambda: fit(ROWS, sample_weight=weights), "sample_weight", *pieces)


@pytest.mark.parametrize(
    "weights",
    [
        pd.Series(ONES),
        pl.Series(ONES),
        ONES.astype(int),
        ONES.astype(bool),
        ONES.tolist(),
        pd.Series(ONES, dtype="Int64"),
    ],
    ids=["pandas", "Polars", "integers", "booleans", "list", "nullable"],
)
def test_weights_of_one_equal_no_weights_in_any_container(weights):
    assert_allclose(fit(ROWS, sample_weight=weights).log_likelihood, fit(ROWS).log_likelihood, rtol=1e-12)


# Prediction.


def test_other_columns_than_those_fitted_are_refused_by_name():
    refuses(
        lambda: NAMED.log_density(FRAME.rename(columns={"waiting": "wait"})),
        "X has 2 columns (eruptions, wait); this mixture was fitted on 2 (eruptions, waiting)",
        "Pass the same columns: a data frame by name, an array in the same order",
    )
    refuses(lambda: NAMED.predict(np.c_[ROWS, ROWS]), "X has 4 columns; this mixture was fitted on 2")
    refuses(lambda: NAMED.responsibilities(ROWS[:, :1]), "X has 1 column; this mixture was fitted on 2")
    refuses(lambda: NAMED.log_density(ROWS[0]), "X has 1 column; this mixture was fitted on 2")
    both = pd.concat([FRAME, FRAME[["waiting"]]], axis=1)
    refuses(lambda: NAMED.predict(both), "X has several columns called waiting")


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "Polars"])
def test_a_frame_is_read_by_the_names_of_its_columns(frame):
    more = frame({"site": ["a"] * len(ROWS), "waiting": ROWS[:, 1], "day": ROWS[:, 0], "eruptions": ROWS[:, 0]})
    assert_array_equal(NAMED.log_density(more), NAMED.log_density(ROWS))
    assert_array_equal(NAMED.predict(more), NAMED.predict(ROWS))
    posterior = bg.align(sample(FRAME), fit(FRAME).parameters)
    for function in (bg.predict, bg.predict_density):
        assert_array_equal(function(posterior, more).log_density, function(posterior, ROWS).log_density)


def test_columns_without_names_match_any_names():
    assert_array_equal(NAMED.log_density(ROWS), NAMED.log_density(FRAME))
    assert_array_equal(START.log_density(FRAME), NAMED.log_density(FRAME))


# Unusual input that is accepted.


@pytest.fixture(scope="module")
def reference():
    em = fit(ROWS)
    # The log-likelihood that mclust 6 (model VVV, G = 2) and scikit-learn reach on these data.
    assert em.converged and round(em.log_likelihood, 3) == -1130.264
    return em


def assert_same_fit(em, other, rtol=1e-12):
    """Rounding aside, the same numbers."""
    assert_allclose(em.log_likelihood, other.log_likelihood, rtol=rtol)
    assert_allclose(em.parameters.weights, other.parameters.weights, rtol=rtol)
    assert_allclose(em.parameters.means, other.parameters.means, rtol=rtol)
    assert_allclose(em.parameters.covariances, other.parameters.covariances, rtol=1e2 * rtol)


def memory_mapped(tmp_path):
    np.save(tmp_path / "rows.npy", ROWS)
    return np.load(tmp_path / "rows.npy", mmap_mode="r")


def read_only():
    values = ROWS.copy()
    values.flags.writeable = False
    return values


def strided():
    wide = np.full((272 * 3, 5), np.nan)
    wide[1::3, 1::3] = ROWS
    return wide[1::3, 1::3]


def matrix():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # NumPy discourages its own class
        return np.asmatrix(ROWS)


SAME_VALUES = {
    "Fortran order": np.asfortranarray(ROWS),
    "read-only": read_only(),
    "strided view": strided(),
    "other byte order": ROWS.astype(">f8"),
    "long double": ROWS.astype(np.longdouble),
    "numpy matrix": matrix(),
    "masked array without a mask": np.ma.array(ROWS),
    "list of lists": ROWS.tolist(),
    "tuple of arrays": tuple(ROWS),
    "pandas": FRAME,
    "pandas, nullable": FRAME.astype("Float64"),
    "pandas, nullable integers beside floats": FRAME.astype({"eruptions": "Float64", "waiting": "Int64"}),
    "pandas, Arrow": FRAME.astype("float64[pyarrow]"),
    "pandas, sparse columns": FRAME.astype(pd.SparseDtype(float, 0.0)),
    "pandas, another index": FRAME.set_index(np.arange(272)[::-1]),
    "pandas, columns with two levels": pd.DataFrame(ROWS, columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])),
    "pandas, numbers as names": pd.DataFrame(ROWS),
    "Polars": pl.DataFrame(FRAME.to_dict("list")),
    "Polars, decimals": pl.DataFrame(FRAME.astype(str).to_dict("list")).cast(pl.Decimal(12, 6)),
    "Arrow table": __import__("pyarrow").table(FRAME.to_dict("list")),
    "xarray": xr.DataArray(ROWS, dims=("row", "feature"), name="faithful"),
}


@pytest.mark.parametrize("form", SAME_VALUES)
def test_the_container_of_the_rows_does_not_change_the_fit(form, reference):
    assert_same_fit(fit(SAME_VALUES[form]), reference)


def test_a_memory_mapped_file_gives_the_fit_of_its_rows(tmp_path, reference):
    mapped = memory_mapped(tmp_path)
    assert isinstance(mapped, np.memmap)
    assert_same_fit(fit(mapped), reference)
    assert_array_equal(START.log_density(mapped), START.log_density(ROWS))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_short_floats_give_the_fit_of_their_exact_values(dtype, order):
    short = np.asarray(ROWS.astype(dtype), order=order)
    assert_same_fit(fit(short), fit(short.astype(np.float64)))


INTEGERS = np.round(ROWS * 60).astype(np.int64)  # eruptions in seconds


@pytest.mark.parametrize("dtype", ["i2", "u2", "i4", ">i4", "i8", "u8", "Int64", "UInt16"])
def test_integers_give_the_fit_of_their_values(dtype):
    start = bg.MixtureParameters(WEIGHTS, MEANS * 60, COVARIANCES * 3600)
    X = pd.DataFrame(INTEGERS, dtype=dtype) if dtype[0].isupper() else INTEGERS.astype(dtype)
    assert_same_fit(fit(X, start=start), fit(INTEGERS.astype(np.float64), start=start))


def test_integers_beyond_2_53_are_fine_where_rounding_is_small_beside_their_range():
    X = INTEGERS * 2**45
    assert np.abs(X).max() > 2**53
    start = bg.MixtureParameters(WEIGHTS, MEANS * 60 * 2.0**45, COVARIANCES * 3600 * 2.0**90)
    assert_same_fit(fit(X, start=start), fit(X.astype(np.float64), start=start))


def test_booleans_are_zeros_and_ones():
    X = np.random.default_rng(1).random((50, 2)) < [0.3, 0.6]
    parameters = bg.fit_em(X, 1).parameters
    assert_allclose(parameters.means[0], X.mean(axis=0), rtol=1e-12)
    assert_allclose(parameters.covariances[0], np.cov(X.T.astype(float), bias=True), rtol=1e-12)


@pytest.mark.parametrize(
    "X",
    [
        ROWS[:, 1],
        ROWS[:, 1].tolist(),
        ROWS[:, 1:],
        FRAME["waiting"],
        FRAME[["waiting"]],
        pl.Series("waiting", ROWS[:, 1]),
    ],
    ids=["1-D", "list", "column", "pandas series", "pandas frame", "Polars series"],
)
def test_one_feature_may_have_one_dimension(X):
    start = NAMED.marginal([1])
    em, reference = fit(X, start=start), fit(ROWS[:, 1].reshape(-1, 1), start=start)
    assert_same_fit(em, reference)
    assert em.parameters.features == (("waiting",) if hasattr(X, "to_numpy") else ("x0",))


def test_column_names_become_features():
    assert fit(FRAME).parameters.features == NAMES
    assert fit(pl.DataFrame(FRAME.to_dict("list"))).parameters.features == NAMES
    assert fit(pd.DataFrame(ROWS)).parameters.features == ("0", "1")
    assert fit(ROWS).parameters.features == ("x0", "x1")
    assert list(sample(FRAME).posterior.feature.values) == list(NAMES)


# Scales and shifts.


def mapped_start(scales, shift=0.0):
    scales = np.broadcast_to(scales, 2)
    return bg.MixtureParameters(WEIGHTS, MEANS * scales + shift, COVARIANCES * np.outer(scales, scales))


# The mapped rows are rounded (1e-16 of a value), so that the number of iterations may differ by one, and with it the
# estimates: by 1.4e-5 standard errors at tol = 1e-10, and a standard error here is below a tenth of each number.
@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize("scale", [1e-90, 1e-12, 1e12, 1e90])
def test_a_change_of_units_changes_nothing_but_the_units(scale, covariance):
    em, reference = (fit(ROWS * s, covariance=covariance, start=mapped_start(s)) for s in (scale, 1.0))
    assert_allclose(em.log_likelihood, reference.log_likelihood - ROWS.size * np.log(scale), rtol=1e-12, atol=1e-9)
    assert_allclose(em.parameters.weights, reference.parameters.weights, rtol=2e-6)
    assert_allclose(em.parameters.means / scale, reference.parameters.means, rtol=2e-6)
    # In two steps: a power of the scale may be no number.
    assert_allclose(em.parameters.covariances / scale / scale, reference.parameters.covariances, rtol=2e-6)


@pytest.mark.parametrize("covariance", ["full", "tied", "diag"])
def test_columns_may_have_units_24_orders_of_magnitude_apart(covariance):
    scales = np.array([1e12, 1e-12])
    em, reference = (fit(ROWS * s, covariance=covariance, start=mapped_start(s)) for s in (scales, 1.0))
    assert_allclose(em.log_likelihood, reference.log_likelihood, rtol=1e-12, atol=1e-9)  # the scales' product is 1
    assert_allclose(em.parameters.means / scales, reference.parameters.means, rtol=2e-6)
    assert_allclose(
        em.parameters.covariances / np.outer(scales, scales), reference.parameters.covariances, rtol=2e-6, atol=1e-9
    )


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_rows_1e8_standard_deviations_from_the_origin_lose_only_the_digits_that_they_do_not_have(covariance):
    stds = ROWS.std(axis=0)
    shift = 1e8 * stds
    shifted = ROWS + shift
    kept = shifted - shift  # exact: what is left of the rows, to about 8 digits of a standard deviation
    assert 1e-10 < np.abs((kept - ROWS) / stds).max() < 1e-7
    em = fit(shifted, covariance=covariance, start=mapped_start(1.0, shift))
    # The same rows without the shift: all but rounding. The means themselves are rounded to 1e-8 sd.
    exact = fit(kept, covariance=covariance)
    assert_allclose(em.log_likelihood, exact.log_likelihood, atol=1e-8)
    assert_allclose((em.parameters.means - shift) / stds, exact.parameters.means / stds, atol=1e-7)
    assert_allclose(em.parameters.covariances, exact.parameters.covariances, rtol=2e-6)
    # The rows before rounding: N = 272 terms, each off by at most 1e-7 sd times its slope of a few per sd.
    original = fit(ROWS, covariance=covariance)
    assert_allclose(em.log_likelihood, original.log_likelihood, atol=1e-4)
    assert_allclose(em.parameters.covariances, original.parameters.covariances, rtol=1e-5)


def test_densities_far_from_the_origin_lose_only_the_digits_that_the_rows_do_not_have():
    shift = 1e8 * ROWS.std(axis=0)
    mixture = mapped_start(1.0, shift)
    kept = bg.MixtureParameters(WEIGHTS, mixture.means - shift, COVARIANCES)
    assert_allclose(mixture.log_density(ROWS + shift), kept.log_density((ROWS + shift) - shift), rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_sampler_works_in_any_units(scale):
    # Same seed, so the same draws but for the units; rounding is amplified along a trajectory, hence the tolerance.
    posteriors = [sample(ROWS * s, start=mapped_start(s))["posterior"].to_dataset() for s in (scale, 1.0)]
    assert_allclose(posteriors[0]["weights"], posteriors[1]["weights"], rtol=1e-4)
    assert_allclose(posteriors[0]["means"] / scale, posteriors[1]["means"], rtol=1e-4)
    assert_allclose(posteriors[0]["stds"] / scale, posteriors[1]["stds"], rtol=1e-4)


def test_the_sampler_works_1e8_standard_deviations_from_the_origin():
    shift = 1e8 * ROWS.std(axis=0)
    posteriors = [
        sample(X, start=mapped_start(1.0, s))["posterior"].to_dataset()
        for X, s in ((ROWS + shift, shift), ((ROWS + shift) - shift, 0.0))
    ]
    assert_allclose(posteriors[0]["means"] - shift, posteriors[1]["means"], rtol=1e-3)
    assert_allclose(posteriors[0]["covariances"], posteriors[1]["covariances"], rtol=1e-3, atol=1e-3)


# No function writes to its arguments.


def fingerprint(array):
    array = np.asarray(array)
    return hashlib.sha256(array.tobytes()).hexdigest(), array.flags.writeable, array.strides, array.dtype


@pytest.mark.parametrize(
    "X",
    [ROWS.copy(), np.asfortranarray(ROWS), ROWS.astype(np.float32), FRAME.copy()],
    ids=["C", "F", "float32", "pandas"],
)
def test_no_argument_is_changed(X):
    weights, start = np.linspace(0.5, 1.5, 272), RESPONSIBILITIES.copy()
    scale = np.array([3.0, 30.0])
    passed = [X, weights, start, scale]
    before = [fingerprint(array) for array in passed]
    em = bg.fit_em(X, 2, sample_weight=weights, start=start)
    bg.fit_em(X, 2, n_init=2, rng=1)
    em.parameters.log_density(X), em.parameters.responsibilities(X), em.parameters.predict(X)
    prior = bg.Prior.for_data(X, mean_scale=scale)
    bg.build_model(X, 2, prior=prior)
    sample(X, prior=prior, start=em.parameters)
    assert [fingerprint(array) for array in passed] == before


def test_results_share_no_memory_with_the_arguments():
    weights, means, covariances = WEIGHTS.copy(), MEANS.copy(), COVARIANCES.copy()
    mixture = bg.MixtureParameters(weights, means, covariances)
    means[:] = 0.0
    assert_array_equal(mixture.means, MEANS)


def test_messages_state_the_fault_and_then_the_remedy():
    with pytest.raises(bg.errors.InputError) as caught:
        fit(np.empty((0, 2)))
    assert re.fullmatch(r"[^.]+\. [^.]+\.", str(caught.value))
    assert isinstance(caught.value, ValueError)


HUGE = 10**400


@pytest.mark.parametrize(
    "call",
    [
        lambda: bg.MixtureParameters([1], [[HUGE]], [[[1]]]),
        lambda: bg.fit_em(ROWS, 1, sample_weight=[HUGE] + [1] * (len(ROWS) - 1)),
        lambda: bg.fit_em(ROWS, 1, tol=HUGE),
        lambda: bg.fit_em(ROWS, HUGE),
        lambda: bg.fit_em(ROWS, 2, n_init=HUGE),
        lambda: bg.Prior(mean_location=HUGE, mean_scale=1, std=bg.priors.HalfNormal(1)),
        lambda: bg.Thresholds(max_z=HUGE),
    ],
    ids=["means", "sample_weight", "tol", "n_components", "n_init", "Prior", "Thresholds"],
)
def test_whole_numbers_beyond_float64_are_refused_in_a_short_message(call):
    with pytest.raises(bg.errors.InputError) as refusal:
        call()
    assert len(str(refusal.value)) < 400


@pytest.mark.parametrize("n_columns", [60, 200])
def test_the_refusal_of_more_columns_than_rows_is_short(n_columns):
    with pytest.raises(bg.errors.InputError, match="There are 40 rows") as refusal:
        bg.fit_em(np.random.default_rng(0).normal(size=(40, n_columns)), 2)
    assert len(str(refusal.value)) < 1000
