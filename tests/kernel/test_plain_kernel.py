"""The LLVM kernel does what its specification, the same functions as plain loops, does."""

import numpy as np
import pytest
from helpers import plain_kernel
from helpers.kernel_cases import (
    assert_close,
    densities_by,
    statistics_by,
    well_conditioned,
    well_conditioned_mixture,
)

from bayesgmm.kernel import passes, score
from bayesgmm.kernel.rows import Rows

FEATURES = [*range(1, 13), 17, 33]
# Around the ends of vectors, strips, half blocks and blocks.
SIZES = [1, 7, 8, 9, 31, 32, 33, 127, 128, 129, 255, 256, 257, 383, 385, 511, 512, 513]
BLOCK = passes.BLOCK


def rows_like(rng, n, D, dtype=np.float64, weighted=False, far=0.0):
    """Rows (n, D) near the point (far, ..., far), which is near the origin of `Rows`."""
    values = (far + rng.normal(size=(n, D))).astype(dtype)
    weights = rng.uniform(0, 3, n) if weighted else np.empty(0)
    return Rows(values, weights, far + 0.1 * rng.normal(size=D))


def assert_same_kernel(rows, parameters):
    assert_close(
        statistics_by(passes.sufficient_statistics, rows, parameters),
        statistics_by(plain_kernel.sufficient_statistics, rows, parameters),
    )
    assert_close(
        densities_by(passes.rows_under, rows, parameters), densities_by(plain_kernel.rows_under, rows, parameters)
    )


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("D", FEATURES)
def test_in_any_number_of_features_and_components(D, diagonal):
    for K in range(1, 10):
        rng = np.random.default_rng([D, K])
        rows = rows_like(rng, BLOCK + 41 * K, D, weighted=K % 2 == 0)
        assert_same_kernel(rows, well_conditioned(rng, K, D, diagonal))


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("n", SIZES)
def test_a_block_may_end_anywhere(n, diagonal):
    for D in (2, 6, 9):
        rng = np.random.default_rng([n, D])
        assert_same_kernel(rows_like(rng, n, D, weighted=D == 6), well_conditioned(rng, 2, D, diagonal))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("far", [0.0, 1e3, -1e7])
def test_in_both_precisions_and_far_from_zero(far, dtype, weighted):
    """Values of float32 are rounded, to 1 at 1e7: both kernels are given the rounded ones."""
    for D in (1, 3, 5, 13):
        rng = np.random.default_rng(D)
        assert_same_kernel(rows_like(rng, 300, D, dtype, weighted, far), well_conditioned(rng, 3, D))


@pytest.mark.parametrize("bounds", [(0, 0), (3, 4), (5, 300), (256, 300)])
def test_of_a_range_of_the_rows(bounds):
    rng = np.random.default_rng(4)
    rows, parameters = rows_like(rng, 300, 3, weighted=True), well_conditioned(rng, 2, 3)

    def of_range(kernel):
        sums = np.zeros(2), np.zeros((2, 3)), np.zeros((2, 3, 3))
        outputs = np.full(300, 7.0), np.full((300, 2), 7.0)
        log_likelihood = kernel.sufficient_statistics(
            rows.values, rows.weights, *bounds, rows.origin, *parameters, *sums
        )
        kernel.rows_under(rows.values, *bounds, rows.origin, *parameters, *outputs)
        return log_likelihood, *sums, *outputs

    assert_close(of_range(passes), of_range(plain_kernel))


def test_of_the_log_likelihood_alone():
    rng = np.random.default_rng(5)
    rows, parameters = rows_like(rng, 300, 6), well_conditioned(rng, 3, 6)
    arguments = (rows.values, rows.weights, 0, 300, rows.origin, *parameters)
    nothing = np.empty(0), np.empty((0, 0)), np.empty((0, 0, 0))
    result = passes.sufficient_statistics(*arguments, *nothing)
    assert result == pytest.approx(plain_kernel.sufficient_statistics(*arguments, *nothing), rel=1e-12)


def gradients_by(function, rows, mixture, diagonal):
    weights, means, choleskys = mixture
    return function(rows.values, rows.origin, np.log(weights), means + rows.origin, choleskys, diagonal)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("D", FEATURES)
def test_of_the_gradient(D, diagonal):
    for K in (1, 2, 5):
        rng = np.random.default_rng([D, K])
        rows, mixture = rows_like(rng, BLOCK + 77, D, far=5.0), well_conditioned_mixture(rng, K, D, diagonal)
        assert_close(
            gradients_by(score.log_likelihood_and_gradient, rows, mixture, diagonal),
            gradients_by(plain_kernel.log_likelihood_and_gradient, rows, mixture, diagonal),
        )


def with_a_padding_row(X, row_weights, start, stop, *others):
    plain = plain_kernel.sufficient_statistics(X, row_weights, start, stop, *others)
    return plain + plain_kernel.sufficient_statistics(X, row_weights, stop - 1, stop, *others)


def without_a_block_edge(X, row_weights, start, stop, *others):
    plain = plain_kernel.sufficient_statistics(X, row_weights, start, BLOCK - 1, *others)
    return plain + plain_kernel.sufficient_statistics(X, row_weights, BLOCK, stop, *others)


def without_a_rectangle(*arguments):
    log_likelihood = plain_kernel.sufficient_statistics(*arguments)
    arguments[-1][:, 5:, :5] = 0.0
    return log_likelihood


def without_the_upper_triangle(*arguments):
    log_likelihood = plain_kernel.sufficient_statistics(*arguments)
    arguments[-1][:] = np.tril(arguments[-1])
    return log_likelihood


def without_weights(X, row_weights, *others):
    return plain_kernel.sufficient_statistics(X, np.empty(0), *others)


def in_single_precision(X, row_weights, start, stop, origin, *others):
    differences = (X - origin.astype(np.float32)).astype(np.float64)
    return plain_kernel.sufficient_statistics(differences, row_weights, start, stop, np.zeros_like(origin), *others)


FAULTS = [
    with_a_padding_row,
    without_a_block_edge,
    without_a_rectangle,
    without_the_upper_triangle,
    without_weights,
    in_single_precision,
]


@pytest.mark.parametrize("broken", FAULTS)
def test_a_broken_kernel_would_be_noticed(broken):
    rng = np.random.default_rng(6)
    rows = rows_like(rng, BLOCK + 44, 9, np.float32, weighted=True, far=100.0)
    parameters = well_conditioned(rng, 3, 9)
    right = statistics_by(passes.sufficient_statistics, rows, parameters)
    assert_close(right, statistics_by(plain_kernel.sufficient_statistics, rows, parameters))
    with pytest.raises(AssertionError):
        assert_close(right, statistics_by(broken, rows, parameters))


def test_a_broken_gradient_would_be_noticed():
    """Without the derivative of -log|L|."""
    rng = np.random.default_rng(7)
    rows, mixture = rows_like(rng, 300, 3), well_conditioned_mixture(rng, 2, 3)
    right = gradients_by(score.log_likelihood_and_gradient, rows, mixture, False)
    value, d_log_weights, d_means, d_choleskys = gradients_by(
        plain_kernel.log_likelihood_and_gradient, rows, mixture, False
    )
    diagonals = np.einsum("kii->ki", d_choleskys)
    diagonals += d_log_weights[:, np.newaxis] / np.einsum("kii->ki", mixture[2])
    with pytest.raises(AssertionError):
        assert_close(right, (value, d_log_weights, d_means, d_choleskys))
