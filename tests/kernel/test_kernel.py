"""The compiled pass over the rows, compared with SciPy, closed forms and its specification in plain loops."""

import numpy as np
import pytest
from helpers import plain_kernel
from helpers.kernel_cases import assert_close, statistics_by, well_conditioned
from numba import njit
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from bayesgmm import parallel
from bayesgmm.kernel import passes, simd, triangular
from bayesgmm.kernel.rows import KernelParameters, Rows, moments, rows_of


def compiled(function):
    """A function of vectors from `simd`, applied to an array."""

    @simd.procedure
    def apply_to_vector(builder, source, target):
        simd.store(builder, function(builder, simd.load(builder, source)), target)

    @njit
    def apply(x):
        result = np.empty_like(x)
        for b in range(0, len(x), simd.LANES):
            apply_to_vector(simd.pointer(x, b), simd.pointer(result, b))
        return result

    return lambda x: apply(np.append(x, np.ones(-len(x) % simd.LANES)))[: len(x)]


_apply_exp, _apply_log = compiled(simd.exponential), compiled(simd.logarithm)


def random_mixture(rng, K, D):
    means = 2 * rng.normal(size=(K, D))
    factors = rng.normal(size=(K, D, D)) + 2 * np.eye(D)
    return rng.dirichlet(np.full(K, 3.0)), means, factors @ factors.transpose(0, 2, 1)


def expected_statistics(X, weights, means, covariances, row_weights):
    """Log-likelihood, N, t and T by SciPy and plain sums."""
    joint = np.stack(
        [np.log(w) + multivariate_normal(m, c).logpdf(X) for w, m, c in zip(weights, means, covariances, strict=True)],
        axis=1,
    ).reshape(len(X), -1)
    log_density = logsumexp(joint, axis=1)
    r = np.exp(joint - log_density[:, None]) * row_weights[:, None]
    whiteners = np.linalg.inv(np.linalg.cholesky(covariances))
    y = np.einsum("kij,nkj->nki", whiteners, X[:, None] - means)
    second = np.einsum("nk,nki,nkj->kij", r, y, y)
    return log_density @ row_weights, r.sum(axis=0), np.einsum("nk,nki->ki", r, y), second


def test_exp_is_within_two_units_in_the_last_place():
    x = -np.concatenate([np.linspace(0, 1, 20001), np.geomspace(1e-300, 499, 20001)])
    assert np.abs(_apply_exp(x) / np.exp(x) - 1).max() < 4.5e-16


def test_exp_below_its_range_is_zero_and_nan_stays_nan():
    assert (_apply_exp(np.array([-500.1, -1e4, -np.inf])) == 0).all()
    assert np.isnan(_apply_exp(np.array([np.nan]))).all()
    assert np.isnan(_apply_log(np.array([np.nan]))).all()


def test_log_is_within_two_units_in_the_last_place():
    x = np.concatenate([np.linspace(1, 3, 20001), np.geomspace(1, 1e300, 20001)])
    assert np.abs(_apply_log(x) - np.log(x)).max() < 4.5e-16 * np.log(1e300)
    assert np.abs(_apply_log(x[1:20001]) / np.log(x[1:20001]) - 1).max() < 4.5e-16


@pytest.mark.parametrize("K", [1, 2, 5])
@pytest.mark.parametrize("D", [1, 2, 3, 4, 5, 8, 13, 20, 33])
def test_statistics_equal_scipys(K, D):
    rng = np.random.default_rng(10 * K + D)
    weights, means, covariances = random_mixture(rng, K, D)
    X = 3 * rng.normal(size=(2 * passes.BLOCK + 37, D))  # several blocks, the last of them incomplete
    row_weights = rng.uniform(0, 3, len(X))
    choleskys = np.linalg.cholesky(covariances)
    origin = rng.normal(size=D)
    parameters = KernelParameters.of(weights, means - origin, choleskys)
    statistics = Rows(X, row_weights, origin).statistics(parameters)
    expected = expected_statistics(X, weights, means, covariances, row_weights)
    np.testing.assert_allclose(statistics.log_likelihood, expected[0], rtol=1e-12)
    np.testing.assert_allclose(statistics.counts, expected[1], rtol=1e-11)
    np.testing.assert_allclose(statistics.first, expected[2], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(statistics.second, expected[3], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("D", [*range(1, 41), 64, 128])
def test_statistics_equal_plain_sums_in_any_number_of_features(D):
    rng = np.random.default_rng(D)
    parameters, origin = well_conditioned(rng, 3, D), rng.normal(size=D)
    X, row_weights = origin + rng.normal(size=(passes.BLOCK + 77, D)), rng.uniform(0, 3, passes.BLOCK + 77)
    rows = Rows(X, row_weights, origin)
    statistics = rows.statistics(parameters)
    assert_close(statistics, statistics_by(plain_kernel.sufficient_statistics, rows, parameters))
    np.testing.assert_array_equal(statistics.second, statistics.second.transpose(0, 2, 1))


def test_products_of_totals_do_not_overflow_for_many_equal_components():
    """Every row's total is K, and K^128 overflows: 128 rows share a lane of a block if registers hold two doubles."""
    K, n = 3000, passes.BLOCK
    parameters = KernelParameters.of(np.full(K, 1 / K), np.zeros((K, 1)), np.ones((K, 1, 1)))
    X = np.random.default_rng(1).normal(size=(n, 1))
    statistics = Rows(X, np.empty(0), np.zeros(1)).statistics(parameters)
    assert statistics.log_likelihood == pytest.approx(norm.logpdf(X).sum(), rel=1e-12)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("n_samples", [1, 2, 7, 8, 9, 31, 32, 33, 255, 256, 257, 300, 511, 513])
def test_a_block_may_end_anywhere(n_samples, diagonal):
    rng = np.random.default_rng(n_samples)
    parameters = well_conditioned(rng, 2, 6, diagonal)
    rows = Rows(rng.normal(size=(n_samples, 6)), np.empty(0), np.zeros(6))
    expected = statistics_by(plain_kernel.sufficient_statistics, rows, parameters)
    assert_close(rows.statistics(parameters), expected)
    np.testing.assert_allclose(rows.log_densities(parameters).sum(), expected[0], rtol=1e-12)
    np.testing.assert_allclose(rows.responsibilities(parameters).sum(axis=0), expected[1], rtol=1e-12)


@pytest.mark.parametrize("D", [1, 3, 10, 21])
@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray, lambda X: np.repeat(X, 2, axis=0)[::2]])
def test_rows_in_single_precision_or_any_layout_are_the_same_numbers(D, layout):
    rng = np.random.default_rng(D)
    parameters, origin = well_conditioned(rng, 2, D), rng.normal(size=D)
    X = rng.normal(size=(300, D)).astype(np.float32)
    expected = Rows(X.astype(np.float64), np.empty(0), origin).statistics(parameters)
    for values in (layout(X), layout(X.astype(np.float64))):
        statistics = Rows(values, np.empty(0), origin).statistics(parameters)
        for result, right in zip(statistics, expected, strict=True):
            np.testing.assert_array_equal(result, right)


def test_the_diagonal_path_equals_the_full_one():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(500, 4))
    weights, means, covariances = random_mixture(rng, 3, 4)
    choleskys = np.sqrt(covariances * np.eye(4))
    full = rows_of(X).statistics(KernelParameters.of(weights, means, choleskys))
    diagonal = rows_of(X).statistics(KernelParameters.of(weights, means, choleskys, diagonal=True))
    np.testing.assert_allclose(diagonal.log_likelihood, full.log_likelihood, rtol=1e-13)
    np.testing.assert_allclose(diagonal.first, full.first, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(np.einsum("kii->ki", diagonal.second), np.einsum("kii->ki", full.second), rtol=1e-12)


@pytest.mark.parametrize("n_samples", [2048, 2049, 100_003])
def test_sums_do_not_depend_on_the_number_of_threads(n_samples, monkeypatch):
    rng = np.random.default_rng(5)
    X = rng.normal(size=(n_samples, 3))
    weights, means, covariances = random_mixture(rng, 4, 3)
    parameters = KernelParameters.of(weights, means, np.linalg.cholesky(covariances))
    results = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(parallel.config, "NUMBA_NUM_THREADS", threads)
        monkeypatch.setattr(parallel, "_WORTH_THREADS", 0)
        results.append(rows_of(X).statistics(parameters))
    for result in results[1:]:
        for by_several_threads, by_one_thread in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(by_several_threads, by_one_thread)


def test_a_weight_of_two_is_a_row_twice():
    rng = np.random.default_rng(7)
    X = rng.normal(size=(300, 2))
    weights = rng.integers(0, 3, len(X)).astype(float)
    mixture = random_mixture(rng, 2, 2)
    parameters = KernelParameters.of(mixture[0], mixture[1], np.linalg.cholesky(mixture[2]))
    origin = np.zeros(2)
    weighted = Rows(X, weights, origin).statistics(parameters)
    repeated = Rows(np.repeat(X, weights.astype(int), axis=0), np.empty(0), origin).statistics(parameters)
    np.testing.assert_allclose(weighted.log_likelihood, repeated.log_likelihood, rtol=1e-12)
    np.testing.assert_allclose(weighted.second, repeated.second, rtol=1e-10)


def test_rows_far_from_every_component_have_finite_densities_and_responsibilities():
    parameters = KernelParameters.of(np.array([0.3, 0.7]), np.array([[0.0], [1.0]]), np.full((2, 1, 1), 1e-3))
    far = Rows(np.array([[1e6], [-1e9], [1e200]]), np.empty(0), np.zeros(1))
    assert np.isfinite(far.log_densities(parameters)).all()
    r = far.responsibilities(parameters)
    np.testing.assert_allclose(r.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(r[0], [0, 1], atol=1e-300)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("component", [0, 1, 2])
def test_a_nan_parameter_is_not_hidden(component, diagonal):
    means = np.zeros((3, 2))
    means[component, 1] = np.nan
    parameters = KernelParameters.of(np.full(3, 1 / 3), means, np.stack([np.eye(2)] * 3), diagonal=diagonal)
    rows = Rows(np.ones((5, 2)), np.empty(0), np.zeros(2))
    assert np.isnan(rows.statistics(parameters).log_likelihood)
    assert np.isnan(rows.log_densities(parameters)).all()


@pytest.mark.parametrize("D", [1, 2, 7])
def test_lower_inverses_are_inverses(D):
    factors = np.linalg.cholesky(random_mixture(np.random.default_rng(D), 3, D)[2])
    np.testing.assert_allclose(
        triangular.lower_inverses(factors) @ factors, np.broadcast_to(np.eye(D), factors.shape), atol=1e-13
    )


def test_moments_far_from_the_origin_lose_no_more_digits_than_the_data_have():
    rng = np.random.default_rng(11)
    X = rng.normal(size=(5000, 3))
    shifted = rows_of(X + 1e8)
    mean, covariance = moments(shifted)
    # The data themselves are rounded to 1.5e-8 there.
    np.testing.assert_allclose(shifted.origin + mean - 1e8, X.mean(axis=0), atol=5e-8)
    np.testing.assert_allclose(covariance, np.cov(X, rowvar=False, bias=True), atol=1e-7)
