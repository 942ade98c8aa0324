"""The default model's log posterior and its gradient as C functions, compiled once for every N, K and D.

There are two C functions, each compiled when it is first needed. One passes over the rows; it exists once per type of
the rows' numbers. The other is the log posterior. It calls the first through its address, because Numba would otherwise
compile and optimise the pass a second time inside the log posterior.

`transforms` says what the unconstrained parameters theta are.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from numba import carray, cfunc, njit, types

from bayesgmm.bayes.model.arguments import Header, ModelArguments, read_header, read_model
from bayesgmm.bayes.model.native_calls import call_density, call_rows, doubles_at, singles_at
from bayesgmm.bayes.model.std_priors import FIXED, INTERVAL
from bayesgmm.bayes.model.transforms import (
    fill_choleskys,
    fill_log_stds,
    fill_log_weights,
    fill_means,
    fill_vine_choleskys,
    log_logistic,
    log_scale_prior,
)
from bayesgmm.kernel import passes
from bayesgmm.kernel.score import add_gradient, fill_kernel_parameters
from bayesgmm.types import FloatArray, RowArray

# Decorator of the steps of one evaluation. Numba inlines them before it compiles, so that each is optimised once.
step = partial(njit, error_model="numpy", inline="always")

# Results of the C function, by nutpie's convention.
_FINE, _GRADIENT_NOT_FINITE, _VALUE_NOT_FINITE = 0, 3, 4
_BYTES = 8  # of a float64


class KernelBuffers(NamedTuple):
    """What the pass over the rows reads (log_scales (K,), centred (K, D), whiteners (K, D, D)) and adds to.

    counts (K,), first (K, D), second (K, D, D) are N_k, t_k and T_k of `SufficientStatistics`.
    """

    log_scales: FloatArray
    centred: FloatArray
    whiteners: FloatArray
    counts: FloatArray
    first: FloatArray
    second: FloatArray


@step()
def _kernel_buffers(address: int, K: int, D: int) -> KernelBuffers:
    """Return views of the 2 K (1 + D + D^2) numbers at the address."""
    half = K * (1 + D + D * D)
    return KernelBuffers(
        _vector(address, 0, K),
        _matrix(address, K, K, D),
        _matrices(address, K + K * D, K, D),
        _vector(address, half, K),
        _matrix(address, half + K, K, D),
        _matrices(address, half + K + K * D, K, D),
    )


@step()
def _vector(address: int, offset: int, n: int) -> FloatArray:
    """Return a view (n,) of the numbers that begin `offset` numbers after the address."""
    return carray(doubles_at(address + _BYTES * offset), (n,))


@step()
def _matrix(address: int, offset: int, n: int, m: int) -> FloatArray:
    """Return a view (n, m), as `_vector`."""
    return carray(doubles_at(address + _BYTES * offset), (n, m))


@step()
def _matrices(address: int, offset: int, K: int, D: int) -> FloatArray:
    """Return a view (K, D, D), as `_vector`."""
    return carray(doubles_at(address + _BYTES * offset), (K, D, D))


@step()
def _pass(X: RowArray, header: Header, kernel_address: int) -> float:
    """Return the log-likelihood; one pass from the first half of the kernel's buffers to the second."""
    buffers = _kernel_buffers(kernel_address, header.n_components, header.n_features)
    counts = buffers.counts
    if header.value_only != 0:
        counts = counts[:0]
    return passes.statistics_of_rows(
        X,
        np.empty(0),
        np.int64(0),  # a literal 0 would have a type of its own, and the kernel be compiled for it
        header.n_rows,
        carray(doubles_at(header.origin), (header.n_features,)),
        buffers.log_scales,
        buffers.centred,
        buffers.whiteners,
        header.diagonal != 0,
        counts,
        buffers.first,
        buffers.second,
    )


def _rows_of_doubles(user_data: int, kernel_address: int) -> float:
    header = read_header(user_data)
    return _pass(carray(doubles_at(header.rows), (header.n_rows, header.n_features)), header, kernel_address)


def _rows_of_singles(user_data: int, kernel_address: int) -> float:
    header = read_header(user_data)
    return _pass(carray(singles_at(header.rows), (header.n_rows, header.n_features)), header, kernel_address)


@cache
def rows_function(dtype: np.dtype[Any]) -> Any:
    """Return the C function double(void *user_data, int64 kernel_address) for rows of float64 or float32."""
    function: Callable[..., Any] = {"f8": _rows_of_doubles, "f4": _rows_of_singles}[dtype.str[1:]]
    return cfunc(types.float64(types.voidptr, types.int64), cache=True, error_model="numpy")(function)


class Scratch(NamedTuple):
    """Intermediate values of one evaluation, all 0 at first.

    theta, slope (P,): the parameters and the gradient with respect to them; log_weights (K,); means, log_stds, d_means
    (K, D); factors, partial, residual (K, D, D): see `fill_vine_choleskys`; choleskys, d_choleskys (K, D, D): factors
    of the covariances. d_means and d_choleskys are derivatives of the log-likelihood.
    """

    theta: FloatArray
    slope: FloatArray
    log_weights: FloatArray
    means: FloatArray
    log_stds: FloatArray
    d_means: FloatArray
    factors: FloatArray
    partial: FloatArray
    residual: FloatArray
    choleskys: FloatArray
    d_choleskys: FloatArray


@step()
def _scratch_size(K: int, D: int, P: int) -> int:
    return 2 * P + K + 3 * K * D + 5 * K * D * D


@step()
def _scratch(address: int, K: int, D: int, P: int) -> Scratch:
    """Return views of the `_scratch_size` numbers at the address."""
    tables = 2 * P + K
    matrices, size = tables + 3 * K * D, K * D * D
    return Scratch(
        _vector(address, 0, P),
        _vector(address, P, P),
        _vector(address, 2 * P, K),
        _matrix(address, tables, K, D),
        _matrix(address, tables + K * D, K, D),
        _matrix(address, tables + 2 * K * D, K, D),
        _matrices(address, matrices, K, D),
        _matrices(address, matrices + size, K, D),
        _matrices(address, matrices + 2 * size, K, D),
        _matrices(address, matrices + 3 * size, K, D),
        _matrices(address, matrices + 4 * size, K, D),
    )


@step()
def _fill_theta(z: FloatArray, centre: FloatArray, scale: FloatArray, theta: FloatArray) -> None:
    """Fill theta (P,) = centre + scale z; scale holds P numbers, or the P P of a matrix row by row."""
    P = len(theta)
    for i in range(P):
        theta[i] = centre[i]
        if len(scale) == P:
            theta[i] += scale[i] * z[i]
        else:
            for j in range(P):
                theta[i] += scale[i * P + j] * z[j]


@step()
def _fill_gradient_of_z(slope: FloatArray, scale: FloatArray, gradient: FloatArray) -> bool:
    """Fill the gradient (P,) with respect to z; return whether it is finite. scale is as in `_fill_theta`."""
    P = len(slope)
    for j in range(P):
        gradient[j] = scale[j] * slope[j] if len(scale) == P else 0.0
    if len(scale) > P:
        for i in range(P):
            for j in range(P):
                gradient[j] += scale[i * P + j] * slope[i]
    finite = True
    for j in range(P):
        finite &= np.isfinite(gradient[j])
    return finite


@step()
def _add_weights(
    value: float, concentration: float, log_weights: FloatArray, counts: FloatArray, slope: FloatArray
) -> float:
    """Return value plus the log prior of the weights; fill slope[: K - 1], of prior and likelihood.

    The Dirichlet has exponents a - 1, a the concentration; the softmax has the Jacobian prod w. Together they are
    a sum log w. counts (K,) are the expected numbers of rows N_k, 0 if only the value is wanted.
    """
    K = log_weights.size
    n_rows = 0.0
    for k in range(K):
        value += concentration * log_weights[k]
        n_rows += counts[k]
    last = counts[K - 1] + concentration - np.exp(log_weights[K - 1]) * (n_rows + K * concentration)
    for k in range(K - 1):
        slope[k] = counts[k] + concentration - np.exp(log_weights[k]) * (n_rows + K * concentration) - last
    return value


@step()
def _add_means(
    value: float, start: int, mean_scale: FloatArray, theta: FloatArray, d_means: FloatArray, slope: FloatArray
) -> float:
    """Return value plus the log prior of the means; fill slope[start : start + K D], of prior and likelihood.

    The prior is standard normal in theta. d_means (K, D) is the derivative of the log-likelihood.
    """
    K, D = d_means.shape
    index = start
    for k in range(K):
        for d in range(D):
            value -= 0.5 * theta[index] * theta[index]
            slope[index] = mean_scale[d] * d_means[k, d] - theta[index]
            index += 1
    return value


@step()
def _add_slopes_of_stds(
    start: int,
    model: ModelArguments,
    theta: FloatArray,
    log_stds: FloatArray,
    choleskys: FloatArray,
    d_choleskys: FloatArray,
    slope: FloatArray,
) -> None:
    """Add the derivatives of the log-likelihood to the slopes of the standard deviations at theta[start:].

    d log-likelihood / d log sd_kd = sum_j L_dj d log-likelihood / d L_dj, as sd_kd scales row d of L_k. Under a uniform
    prior d sd / d theta = (upper - lower) share (1 - share).
    """
    K, D = log_stds.shape
    for k in range(K):
        for d in range(D):
            index = start + (k if model.spherical else d if model.shared else k * D + d)
            d_log_std = 0.0
            for j in range(d + 1):
                d_log_std += d_choleskys[k, d, j] * choleskys[k, d, j]
            if model.std_kind == INTERVAL:
                share = 1.0 / (1.0 + np.exp(-theta[index]))
                width = model.std_table[1, d] - model.std_table[0, d]
                d_log_std *= width * share * (1.0 - share) / np.exp(log_stds[k, d])
            slope[index] += d_log_std


@step()
def _add_prior_of_stds(
    value: float, start: int, stop: int, model: ModelArguments, theta: FloatArray, slope: FloatArray
) -> float:
    """Return value plus the log prior of the standard deviations at theta[start:stop]; add to their slopes."""
    D, table = model.origin.size, model.std_table
    for index in range(start, stop):
        t = theta[index]
        if model.std_kind == INTERVAL:
            value += log_logistic(t)
            slope[index] -= np.tanh(0.5 * t)
        else:
            d = 0 if model.spherical else (index - start) % D
            u = t - table[0, d]
            up, down = np.exp(u), np.exp(-u)
            polynomial, powers = log_scale_prior(u, up, down, table, d)
            value += polynomial
            value += powers
            slope[index] += (
                table[2, d]
                + 2.0 * table[3, d] * u
                + table[4, d] * up
                - table[5, d] * down
                + 2.0 * table[6, d] * up * up
            )
    return value


@step()
def _add_slopes_of_vine(
    start: int,
    shared: bool,
    log_stds: FloatArray,
    factors: FloatArray,
    partial: FloatArray,
    residual: FloatArray,
    d_choleskys: FloatArray,
    slope: FloatArray,
) -> None:
    """Add the derivatives of the log-likelihood to the slopes of the vine's logits at theta[start:].

    With p = tanh(t / 2), dp / dt = (1 - p^2) / 2. Row i of the factor F has F_ij = p_ij residual_ij; an entry beyond j
    has the factor sqrt(1 - p_ij^2), so that d F_im / d p_ij = -p_ij F_im / (1 - p_ij^2) for m > j.
    """
    K, D = log_stds.shape
    pairs = D * (D - 1) // 2
    for k in range(K):
        vine = start if shared else start + k * pairs
        for i in range(1, D):
            s = np.exp(log_stds[k, i])
            row = vine + i * (i - 1) // 2
            beyond = s * d_choleskys[k, i, i] * factors[k, i, i]  # sum over m > j of F_im d log-likelihood / d F_im
            for j in range(i - 1, -1, -1):
                d_factor = s * d_choleskys[k, i, j]
                p = partial[k, i, j]
                slope[row + j] += 0.5 * (d_factor * (1.0 - p * p) * residual[k, i, j] - p * beyond)
                beyond += d_factor * factors[k, i, j]


@step()
def _add_prior_of_vine(
    value: float, start: int, n_vines: int, eta: float, partial: FloatArray, theta: FloatArray, slope: FloatArray
) -> float:
    """Return value plus the log prior of the vines' logits at theta[start:]; add to their slopes.

    Partial correlations of columns i > j (counted from 0) are Beta(b, b) on (-1, 1) with b = eta + (D - 2 - j) / 2
    (Lewandowski, Kurowicka and Joe 2009, section 2.4, doi:10.1016/j.jmva.2009.04.008); the logit of a Beta(b, b)
    variable has the density of a logistic variable to the power b, up to a constant.
    """
    D = partial.shape[1]
    index = start
    for vine in range(n_vines):
        for i in range(1, D):
            for j in range(i):
                b = eta + 0.5 * (D - 2 - j)
                value += b * log_logistic(theta[index])
                slope[index] -= b * partial[vine, i, j]  # tanh(theta / 2)
                index += 1
    return value


def _whitened_log_posterior(
    n_dim: int, z_pointer: Any, gradient_pointer: Any, value_pointer: Any, user_data: Any
) -> int:
    header = read_header(user_data)
    model = read_model(header)
    K, D, P = header.n_components, header.n_features, header.n_dim
    with_gradient = header.value_only == 0
    # One allocation for everything: with few rows, each would cost as much as the arithmetic.
    size = _scratch_size(K, D, P)
    memory = np.zeros(size + 2 * K * (1 + D + D * D))
    scratch, kernel_address = _scratch(memory.ctypes.data, K, D, P), memory.ctypes.data + _BYTES * size
    scale = _vector(header.scale, 0, P * P if header.dense_scale != 0 else P)
    theta, slope, log_stds, factors = scratch.theta, scratch.slope, scratch.log_stds, scratch.factors
    partial, residual, choleskys, d_choleskys = (
        scratch.partial,
        scratch.residual,
        scratch.choleskys,
        scratch.d_choleskys,
    )

    _fill_theta(carray(z_pointer, (P,)), _vector(header.centre, 0, P), scale, theta)
    fill_log_weights(theta, scratch.log_weights)
    fill_means(theta, model.mean_location, model.mean_scale, scratch.means)
    vine_start = fill_log_stds(theta, model.shared, model.spherical, model.std_kind, model.std_table, log_stds)
    fill_vine_choleskys(theta, vine_start, model.diagonal, model.shared, factors, partial, residual)
    fill_choleskys(log_stds, factors, choleskys)

    buffers = _kernel_buffers(kernel_address, K, D)
    fill_kernel_parameters(
        scratch.log_weights,
        scratch.means,
        scratch.choleskys,
        model.origin,
        buffers.log_scales,
        buffers.centred,
        buffers.whiteners,
    )
    user_address = carray(user_data, (1,), np.int64).ctypes.data
    value = model.constants[2] + call_rows(header.rows_function, user_address, kernel_address)
    if with_gradient:
        add_gradient(
            buffers.counts, buffers.first, buffers.second, buffers.whiteners, scratch.d_means, scratch.d_choleskys
        )

    means_start, stds_start = K - 1, K - 1 + K * D
    value = _add_weights(value, model.constants[0], scratch.log_weights, buffers.counts, slope)
    value = _add_means(value, means_start, model.mean_scale, theta, scratch.d_means, slope)
    if model.std_kind != FIXED:
        if with_gradient:
            _add_slopes_of_stds(stds_start, model, theta, log_stds, choleskys, d_choleskys, slope)
        value = _add_prior_of_stds(value, stds_start, vine_start, model, theta, slope)
    if not model.diagonal:
        if with_gradient:
            _add_slopes_of_vine(vine_start, model.shared, log_stds, factors, partial, residual, d_choleskys, slope)
        n_vines = 1 if model.shared else K
        value = _add_prior_of_vine(value, vine_start, n_vines, model.constants[1], partial, theta, slope)

    carray(value_pointer, (1,))[0] = value
    finite = not with_gradient or _fill_gradient_of_z(slope, scale, carray(gradient_pointer, (P,)))
    memory[0] = value  # the views above do not keep the memory alive; this does
    if not finite:
        return _GRADIENT_NOT_FINITE
    return _FINE if np.isfinite(value) else _VALUE_NOT_FINITE


def _keep_draw(n_dim: int, n_expanded: int, z_pointer: Any, out_pointer: Any, user_data: Any) -> int:
    z, out = carray(z_pointer, (n_dim,)), carray(out_pointer, (n_expanded,))
    for i in range(n_dim):
        out[i] = z[i]
    return _FINE


_DOUBLES = types.CPointer(types.double)


@cache
def whitened_log_posterior() -> Any:
    """Return the C function that nutpie calls: the log posterior at theta = centre + scale z, and its gradient in z.

    int64(uint64 n_dim, double *z, double *gradient, double *value, void *user_data); user_data points to a `Header`.
    It returns 0 if all is fine, 3 if the gradient and 4 if the value is not finite.
    """
    signature = types.int64(types.uint64, _DOUBLES, _DOUBLES, _DOUBLES, types.voidptr)
    return cfunc(signature, cache=True, error_model="numpy")(_whitened_log_posterior)


@njit(nogil=True, cache=True, error_model="numpy")
def values_of_draws(
    function: int, user_data: np.ndarray, thetas: FloatArray, gradient: FloatArray, values: FloatArray
) -> None:
    """Fill values (S,) with the C function's values at thetas (S, P), one after the other; gradient (P,) is scratch."""
    P = thetas.shape[1]
    for s in range(thetas.shape[0]):
        call_density(
            function, P, thetas[s].ctypes.data, gradient.ctypes.data, values[s:].ctypes.data, user_data.ctypes.data
        )


@cache
def keep_draw() -> Any:
    """Return the C function that tells nutpie what to store of a draw: z itself."""
    signature = types.int64(types.uint64, types.uint64, _DOUBLES, _DOUBLES, types.voidptr)
    return cfunc(signature, cache=True)(_keep_draw)
