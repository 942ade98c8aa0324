"""The resolution of a feature is the smallest spacing of its distinct values."""

import numpy as np
import pytest

from bayesgmm.mixture.resolution import resolution_of

CASES = {
    "whole numbers": ([0.0, 1.0, 2.0, 5.0], 1.0),
    "five-point scores": ([1.0, 5.0, 3.0, 3.0, 2.0], 1.0),
    "a flag": ([0.0] * 99 + [1.0], 1.0),
    "tenths with rounding": ([0.1 + 0.2, 0.3, 0.4, 0.7], 0.1),
    "zeros among others": ([0.0] * 500 + [4.0, 4.5, 6.0], 0.5),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_the_resolution_is_the_smallest_spacing_in_any_unit(case, scale):
    values, expected = CASES[case]
    found = resolution_of(scale * np.array(values)[:, np.newaxis])
    np.testing.assert_allclose(found, [scale * expected], rtol=1e-9)


def test_each_feature_has_its_own():
    X = np.column_stack([np.arange(6.0), 100.0 * np.arange(6.0)])
    np.testing.assert_allclose(resolution_of(X), [1.0, 100.0])


def test_values_that_differ_by_rounding_alone_leave_a_resolution_above_0():
    X = 1.0 + np.array([0.0, 1.0, 2.0])[:, np.newaxis] * np.finfo(float).eps
    assert 0 < resolution_of(X)[0] < 1e-12


def test_single_precision_has_its_own_rounding():
    X = np.array([0.3, 0.3, 0.7], dtype=np.float32)[:, np.newaxis]
    X[1] = np.nextafter(X[0], np.float32(1))
    np.testing.assert_allclose(resolution_of(X), [0.4], rtol=1e-6)
