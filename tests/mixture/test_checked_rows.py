"""Rows are checked and prepared once: what a public function passes on."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from bayesgmm.errors import InputError
from bayesgmm.mixture.checked_rows import as_rows

X = np.random.default_rng(1).normal([3.0, -40.0], [1.0, 10.0], size=(500, 2))
WEIGHTS = np.random.default_rng(2).uniform(0.5, 2.0, size=500)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_floats_in_c_order_are_not_copied(dtype):
    values = X.astype(dtype)
    assert np.shares_memory(as_rows(values).values, values)
    assert values.flags.writeable


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda X: np.repeat(X, 2, axis=0)[::2], pd.DataFrame])
def test_any_other_layout_is_brought_to_c_order_and_has_the_same_moments(layout):
    rows, expected = as_rows(layout(X)), as_rows(X)
    assert rows.values.flags.c_contiguous
    assert_array_equal(rows.origin, expected.origin)
    for moment, of_array in zip(rows.moments, expected.moments, strict=True):
        assert_array_equal(moment, of_array)


def test_the_origin_is_the_weighted_mean_and_the_moments_are_those_of_numpy():
    rows = as_rows(X, WEIGHTS)
    assert_allclose(rows.origin, np.average(X, axis=0, weights=WEIGHTS), rtol=1e-12)
    mean, covariance = rows.moments
    assert_allclose(mean, 0.0, atol=1e-12)
    assert_allclose(covariance, np.cov(X, rowvar=False, ddof=0, aweights=WEIGHTS), rtol=1e-12)


def test_rows_without_weights_have_an_array_of_none():
    assert as_rows(X).weights.shape == (0,)
    assert as_rows(X).total_weight == 500


def test_features_are_the_column_names_or_those_expected_or_numbered():
    assert as_rows(X).features == ("x0", "x1")
    assert as_rows(X, features=("a", "b")).features == ("a", "b")
    assert as_rows(pd.DataFrame(X, columns=["c", "d"])).features == ("c", "d")
    assert next(as_rows(X, features=("a", "b")).pieces()).features == ("a", "b")


def test_rows_of_other_columns_than_expected_are_refused():
    with pytest.raises(InputError, match=r"X has 2 columns \(c, d\); this mixture was fitted on 2 \(a, b\)"):
        as_rows(pd.DataFrame(X, columns=["c", "d"]), features=("a", "b"))


def test_the_arrays_of_rows_are_read_only():
    rows = as_rows(X, WEIGHTS)
    for array in (rows.values, rows.weights, rows.origin):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0
