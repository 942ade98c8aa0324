"""The default model's log posterior and its gradient as a C function, compiled once for every N, K and D.

`transforms` says what the unconstrained parameters theta are, `arguments` what the C function receives. The pass over
the rows is a C function of its own, in `rows_pass`.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import carray, cfunc, njit, types

from bayesgmm.bayes.model.arguments import ModelArguments, read_header, read_model
from bayesgmm.bayes.model.buffers import (
    BYTES,
    Scratch,
    kernel_buffers,
    make_scratch,
    scratch_size,
    step,
    vector_at,
)
from bayesgmm.bayes.model.native_calls import call_density, call_rows
from bayesgmm.bayes.model.std_priors import FIXED, INTERVAL
from bayesgmm.bayes.model.transforms import (
    add_rounding,
    fill_choleskys,
    fill_log_stds,
    fill_log_weights,
    fill_means,
    fill_vine_choleskys,
    log_logistic,
    log_scale_prior,
)
from bayesgmm.kernel.score import add_gradient, fill_kernel_parameters
from bayesgmm.types import FloatArray

# Results of the C function, by nutpie's convention.
_FINE, _GRADIENT_NOT_FINITE, _VALUE_NOT_FINITE = 0, 3, 4


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
def _add_lkj_prior(
    value: float, start: int, n_vines: int, eta: float, partial: FloatArray, theta: FloatArray, slope: FloatArray
) -> float:
    """Return value plus the log LKJ prior, as that of the vines' logits at theta[start:]; add to their slopes.

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


@step()
def _fill_mixture(model: ModelArguments, scratch: Scratch) -> int:
    """Fill the mixture at scratch.theta; return where the vine begins in theta."""
    theta, log_stds, factors = scratch.theta, scratch.log_stds, scratch.factors
    fill_log_weights(theta, scratch.log_weights)
    fill_means(theta, model.mean_location, model.mean_scale, scratch.means)
    vine_start = fill_log_stds(theta, model.shared, model.spherical, model.std_kind, model.std_table, log_stds)
    fill_vine_choleskys(theta, vine_start, model.diagonal, model.shared, factors, scratch.partial, scratch.residual)
    fill_choleskys(log_stds, factors, scratch.choleskys)
    return vine_start


@step()
def _add_priors(
    value: float, vine_start: int, with_gradient: bool, model: ModelArguments, counts: FloatArray, scratch: Scratch
) -> float:
    """Return value plus the log prior; fill scratch.slope, of prior and likelihood."""
    K, D = scratch.means.shape
    theta, slope, log_stds, partial_correlations = scratch.theta, scratch.slope, scratch.log_stds, scratch.partial
    stds_start = K - 1 + K * D
    value = _add_weights(value, model.constants[0], scratch.log_weights, counts, slope)
    value = _add_means(value, K - 1, model.mean_scale, theta, scratch.d_means, slope)
    if model.std_kind != FIXED:
        if with_gradient:
            _add_slopes_of_stds(stds_start, model, theta, log_stds, scratch.choleskys, scratch.d_choleskys, slope)
        value = _add_prior_of_stds(value, stds_start, vine_start, model, theta, slope)
    if not model.diagonal:
        if with_gradient:
            _add_slopes_of_vine(
                vine_start,
                model.shared,
                log_stds,
                scratch.factors,
                partial_correlations,
                scratch.residual,
                scratch.d_choleskys,
                slope,
            )
        n_vines, eta = 1 if model.shared else K, model.constants[1]
        value = _add_lkj_prior(value, vine_start, n_vines, eta, partial_correlations, theta, slope)
    return value


def _whitened_log_posterior(
    n_dim: int, z_pointer: Any, gradient_pointer: Any, value_pointer: Any, user_data: Any
) -> int:
    header = read_header(user_data)
    model = read_model(header)
    K, D, P = header.n_components, header.n_features, header.n_dim
    with_gradient = header.value_only == 0
    # One allocation for everything: with few rows, each would cost as much as the arithmetic.
    size = scratch_size(K, D, P)
    memory = np.zeros(size + 2 * K * (1 + D + D * D))
    scratch, kernel_address = make_scratch(memory.ctypes.data, K, D, P), memory.ctypes.data + BYTES * size
    scale = vector_at(header.scale, 0, P * P if header.dense_scale != 0 else P)
    _fill_theta(carray(z_pointer, (P,)), vector_at(header.centre, 0, P), scale, scratch.theta)
    vine_start = _fill_mixture(model, scratch)

    kernel = kernel_buffers(kernel_address, K, D)
    fill_kernel_parameters(
        scratch.log_weights,
        scratch.means,
        scratch.choleskys,
        model.origin,
        kernel.log_scales,
        kernel.centred,
        kernel.whiteners,
    )
    user_address = carray(user_data, (1,), np.int64).ctypes.data
    value = model.constants[2] + call_rows(header.rows_function, user_address, kernel_address)
    value += add_rounding(model.rounding, model.shared, kernel.whiteners, kernel.second)
    if with_gradient:
        add_gradient(kernel.counts, kernel.first, kernel.second, kernel.whiteners, scratch.d_means, scratch.d_choleskys)

    value = _add_priors(value, vine_start, with_gradient, model, kernel.counts, scratch)
    carray(value_pointer, (1,))[0] = value
    finite = not with_gradient or _fill_gradient_of_z(scratch.slope, scale, carray(gradient_pointer, (P,)))
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
