"""The default model's log posterior and its gradient as C functions, compiled once for every N, K and D.

The unconstrained parameters theta, in order: weights, K - 1 numbers with softmax(theta, -sum theta) = weights; means,
(K, D), standardised by their prior; standard deviations, logarithms (logit of the position between the bounds under
a uniform prior); for full and tied covariances the logits of the vine's partial correlations, see `model.py`.

Two C functions, each compiled when it is first asked for. The pass over the rows is one for each type of number that
rows have. The posterior calls it by its address: what Numba compiles into another function it optimises again there.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import carray, cfunc, njit, types
from numpy.typing import NDArray

from bayesgmm.bayes.model.native_calls import call_density, call_rows, doubles_at, singles_at
from bayesgmm.kernel import passes
from bayesgmm.kernel.jit import inner
from bayesgmm.kernel.score import add_gradient, fill_kernel_parameters
from bayesgmm.types import FloatArray

LOG_SCALE, INTERVAL, FIXED = 0, 1, 2
# Rows of the table that says the prior of standard deviations, a column a feature.
STD_ROWS = 7

# What the C functions find behind their `user_data`: sizes and switches, then addresses.
_N_ROWS, _N_FEATURES, _N_COMPONENTS, _N_DIM, _DIAGONAL, _SHARED, _SPHERICAL, _STD_KIND, _DENSE, _VALUE_ONLY = range(10)
_ROWS_FUNCTION, _X, _ORIGIN, _LOCATION, _MEAN_SCALE, _STD, _NUMBERS, _CENTRE, _SCALE = range(10, 19)
_HEADER = 19


def header(
    n_dim: int,
    n_components: int,
    switches: tuple[bool, bool, bool, int],
    X: NDArray[Any],
    arrays: tuple[FloatArray, ...],
    centre: FloatArray,
    scale: FloatArray,
    value_only: bool,
) -> NDArray[np.int64]:
    """What to pass as `user_data`. It holds addresses: the arrays, in C order, must outlive it.

    arrays: origin (D,), prior's location and scale of means (D,), its table for standard deviations (STD_ROWS, D),
    concentration, eta and constant (3,); theta = centre + scale z, scale (P,) or (P, P); value_only: the gradient is
    not wanted.
    """
    N, D = X.shape
    sizes = (N, D, n_components, n_dim, *map(int, switches), int(scale.ndim == 2), int(value_only))
    addresses = (rows_function(X.dtype).address, *(array.ctypes.data for array in (X, *arrays, centre, scale)))
    return np.array([*sizes, *addresses], dtype=np.int64)


@inner()
def _mixture_views(work, K, D):
    """Views (K,), (K, D) and (K, D, D) of consecutive numbers."""
    means, matrices = K, K + K * D
    return work[:means], work[means:matrices].reshape(K, D), work[matrices:].reshape(K, D, D)


@njit(error_model="numpy", inline="always")  # inlined before it is compiled: once, not twice
def _pass(X, sizes, work):
    """The kernel's one pass: from the first half of `work` (log scales, means, whiteners) to the other (N, t, T)."""
    D, K = sizes[_N_FEATURES], sizes[_N_COMPONENTS]
    half = work.size // 2
    log_scales, means, whiteners = _mixture_views(work[:half], K, D)
    counts, first, second = _mixture_views(work[half:], K, D)
    if sizes[_VALUE_ONLY]:
        counts = counts[:0]
    origin = carray(doubles_at(sizes[_ORIGIN]), (D,))
    return passes.statistics_of_rows(
        X,
        np.empty(0),
        np.int64(0),  # not the literal, which Numba would compile the kernel for anew
        sizes[_N_ROWS],
        origin,
        log_scales,
        means,
        whiteners,
        sizes[_DIAGONAL] != 0,
        counts,
        first,
        second,
    )


def _rows_of_doubles(user_data, work_pointer):
    sizes = carray(user_data, (_HEADER,), np.int64)
    N, D, K = sizes[_N_ROWS], sizes[_N_FEATURES], sizes[_N_COMPONENTS]
    return _pass(
        carray(doubles_at(sizes[_X]), (N, D)), sizes, carray(work_pointer, (2 * K * (1 + D + D * D),), np.float64)
    )


def _rows_of_singles(user_data, work_pointer):
    sizes = carray(user_data, (_HEADER,), np.int64)
    N, D, K = sizes[_N_ROWS], sizes[_N_FEATURES], sizes[_N_COMPONENTS]
    return _pass(
        carray(singles_at(sizes[_X]), (N, D)), sizes, carray(work_pointer, (2 * K * (1 + D + D * D),), np.float64)
    )


@cache
def rows_function(dtype: np.dtype[Any]) -> Any:
    """The C function double(void *user_data, void *work) for rows of float64 or float32."""
    function: Callable[..., Any] = {"f8": _rows_of_doubles, "f4": _rows_of_singles}[dtype.str[1:]]
    return cfunc(types.float64(types.voidptr, types.voidptr), cache=True, error_model="numpy")(function)


@inner()
def _vine_row(unconstrained, i, at, row, partial, rest):
    """Row i of a correlation's Cholesky factor from i logits; partial correlations and running products kept."""
    product = 1.0
    for j in range(i):
        half = 0.5 * unconstrained[at + j]
        partial[j] = np.tanh(half)
        rest[j] = product
        row[j] = partial[j] * product
        product /= np.cosh(half)  # sqrt(1 - p^2)
    row[i] = product


@inner()
def log_std_at(t, std_kind, std, d):
    """Logarithm of the standard deviation of feature d that t stands for."""
    if std_kind == LOG_SCALE:
        return t
    share = 1.0 / (1.0 + np.exp(-t))
    return np.log(std[0, d] * (1.0 - share) + std[1, d] * share)


@inner()
def log_scale_prior(u, up, down, std, d):
    """Log density of log sd at v0 + u, with up = e^u and down = e^-u; two parts, to be added (`StdPrior`)."""
    of_logarithm = std[1, d] + std[2, d] * u + std[3, d] * u * u
    return of_logarithm, std[4, d] * up + std[5, d] * down + std[6, d] * up * up


@inner()
def log_logistic(t):
    """Log density of a standard logistic variable, what a uniform one on (0, 1) is on the scale of logits."""
    return -(abs(t) + 2.0 * np.log1p(np.exp(-abs(t))))


@inner()
def natural_values_at(
    theta, K, D, shared, spherical, std_kind, location, mean_scale, std, log_weights, means, log_stds
):
    """Fill log weights (K,), means (K, D), log standard deviations (K, D); returns where the vine begins."""
    largest = 0.0
    last = 0.0
    for k in range(K - 1):
        log_weights[k] = theta[k]
        last -= theta[k]
        largest = max(largest, theta[k])
    log_weights[K - 1] = last
    largest = max(largest, last)
    total = 0.0
    for k in range(K):
        total += np.exp(log_weights[k] - largest)
    for k in range(K):
        log_weights[k] -= largest + np.log(total)
    at = K - 1
    for k in range(K):
        for d in range(D):
            means[k, d] = location[d] + mean_scale[d] * theta[at]
            at += 1
    for k in range(K):
        for d in range(D):
            if std_kind == FIXED:
                log_stds[k, d] = std[0, d]
                continue
            t = theta[at + (k if spherical else d if shared else k * D + d)]
            log_stds[k, d] = log_std_at(t, std_kind, std, d)
    if std_kind != FIXED:
        at += K if spherical else D if shared else K * D
    return at


@inner()
def vine_choleskys(theta, at, diagonal, shared, correlation_choleskys, partial, rest):
    """Cholesky factors (K, D, D) of the correlations; partial, rest (K, D, D) as in `_vine_row`."""
    K, D, _ = correlation_choleskys.shape
    pairs = D * (D - 1) // 2
    for k in range(K):
        start = at if shared else at + k * pairs
        for i in range(D):
            if diagonal:
                correlation_choleskys[k, i, i] = 1.0
            else:
                _vine_row(theta, i, start + i * (i - 1) // 2, correlation_choleskys[k, i], partial[k, i], rest[k, i])


@inner()
def _theta_at(z, centre, scale, theta):
    """Theta (P,) = centre + scale z, scale (P,) or (P P,)."""
    P = len(theta)
    for i in range(P):
        theta[i] = centre[i]
        if len(scale) == P:
            theta[i] += scale[i] * z[i]
        else:
            for j in range(P):
                theta[i] += scale[i * P + j] * z[j]


@inner()
def _slope_of_z(slope, scale, gradient):
    """The gradient (P,) with respect to z; whether it is finite."""
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


def _whitened_log_posterior(n_dim, z_pointer, gradient_pointer, value_pointer, user_data):
    sizes = carray(user_data, (_HEADER,), np.int64)
    D, K, P = sizes[_N_FEATURES], sizes[_N_COMPONENTS], sizes[_N_DIM]
    diagonal, shared, spherical, std_kind, wants_gradient = (
        sizes[_DIAGONAL] != 0,
        sizes[_SHARED] != 0,
        sizes[_SPHERICAL] != 0,
        sizes[_STD_KIND],
        sizes[_VALUE_ONLY] == 0,
    )
    location, mean_scale = carray(doubles_at(sizes[_LOCATION]), (D,)), carray(doubles_at(sizes[_MEAN_SCALE]), (D,))
    std, numbers = carray(doubles_at(sizes[_STD]), (STD_ROWS, D)), carray(doubles_at(sizes[_NUMBERS]), (3,))
    concentration, eta, value = numbers[0], numbers[1], numbers[2]
    origin, scale = (
        carray(doubles_at(sizes[_ORIGIN]), (D,)),
        carray(doubles_at(sizes[_SCALE]), (P * P if sizes[_DENSE] else P,)),
    )
    # One allocation for all that is needed on the way: with few rows each would cost as much as the work.
    natural, half = K * (1 + 2 * D), K * (1 + D + D * D)
    space = np.zeros(natural + 5 * K * D * D + 2 * half + K * D + 2 * P)
    log_weights, means = space[:K], space[K : K + K * D].reshape(K, D)
    log_stds = space[K + K * D : natural].reshape(K, D)
    matrices = space[natural : natural + 5 * K * D * D].reshape(5, K, D, D)
    factors, partial, rest, choleskys, d_choleskys = matrices[0], matrices[1], matrices[2], matrices[3], matrices[4]
    work = space[natural + 5 * K * D * D : -K * D - 2 * P]  # what the pass over the rows is given, and what it gives
    d_means, theta, gradient = space[-K * D - 2 * P : -2 * P].reshape(K, D), space[-2 * P : -P], space[-P:]
    _theta_at(carray(z_pointer, (P,)), carray(doubles_at(sizes[_CENTRE]), (P,)), scale, theta)
    at = natural_values_at(
        theta, K, D, shared, spherical, std_kind, location, mean_scale, std, log_weights, means, log_stds
    )
    vine_choleskys(theta, at, diagonal, shared, factors, partial, rest)
    for k in range(K):
        for i in range(D):
            s = np.exp(log_stds[k, i])
            for j in range(i + 1):
                choleskys[k, i, j] = s * factors[k, i, j]

    log_scales, centred, whiteners = _mixture_views(work[:half], K, D)
    fill_kernel_parameters(log_weights, means, choleskys, origin, log_scales, centred, whiteners)
    value += call_rows(sizes[_ROWS_FUNCTION], sizes.ctypes.data, work.ctypes.data)
    counts, first, second = _mixture_views(work[half:], K, D)
    if wants_gradient:
        add_gradient(counts, first, second, whiteners, d_means, d_choleskys)

    # Weights: the Dirichlet's alpha - 1 and the simplex transform's Jacobian, prod w, make alpha sum log w.
    n_rows = 0.0
    for k in range(K):
        value += concentration * log_weights[k]
        n_rows += counts[k]
    last = counts[K - 1] + concentration - np.exp(log_weights[K - 1]) * (n_rows + K * concentration)
    for k in range(K - 1):
        gradient[k] = counts[k] + concentration - np.exp(log_weights[k]) * (n_rows + K * concentration) - last

    at = K - 1
    for k in range(K):
        for d in range(D):
            value -= 0.5 * theta[at] * theta[at]
            gradient[at] = mean_scale[d] * d_means[k, d] - theta[at]
            at += 1

    if std_kind != FIXED:
        for k in range(K if wants_gradient else 0):
            for d in range(D):
                index = at + (k if spherical else d if shared else k * D + d)
                slope = 0.0  # d log-likelihood / d log sd
                for j in range(d + 1):
                    slope += d_choleskys[k, d, j] * choleskys[k, d, j]
                if std_kind == INTERVAL:
                    share = 1.0 / (1.0 + np.exp(-theta[index]))
                    slope *= (std[1, d] - std[0, d]) * share * (1.0 - share) / np.exp(log_stds[k, d])
                gradient[index] += slope
        n_stds = K if spherical else D if shared else K * D
        for m in range(n_stds):
            t = theta[at + m]
            if std_kind == INTERVAL:
                value += log_logistic(t)
                gradient[at + m] -= np.tanh(0.5 * t)
            else:
                d = 0 if spherical else m % D
                u = t - std[0, d]
                up, down = np.exp(u), np.exp(-u)
                of_logarithm, of_powers = log_scale_prior(u, up, down, std, d)
                value += of_logarithm
                value += of_powers
                gradient[at + m] += (
                    std[2, d] + 2.0 * std[3, d] * u + std[4, d] * up - std[5, d] * down + 2.0 * std[6, d] * up * up
                )
        at += n_stds

    if not diagonal:
        pairs = D * (D - 1) // 2
        for k in range(K if wants_gradient else 0):
            start = at if shared else at + k * pairs
            for i in range(1, D):
                s = np.exp(log_stds[k, i])
                row = start + i * (i - 1) // 2
                beyond = s * d_choleskys[k, i, i] * factors[k, i, i]
                for j in range(i - 1, -1, -1):
                    slope = s * d_choleskys[k, i, j]
                    p = partial[k, i, j]
                    gradient[row + j] += 0.5 * (slope * (1.0 - p * p) * rest[k, i, j] - p * beyond)
                    beyond += slope * factors[k, i, j]
        for group in range(1 if shared else K):
            index = at + group * pairs
            for i in range(1, D):
                for j in range(i):
                    b = eta + 0.5 * (D - 2 - j)
                    value += b * log_logistic(theta[index])
                    gradient[index] -= b * partial[group, i, j]  # tanh(theta / 2)
                    index += 1

    carray(value_pointer, (1,))[0] = value
    if wants_gradient and not _slope_of_z(gradient, scale, carray(gradient_pointer, (P,))):
        return 3
    return 0 if np.isfinite(value) else 4


def _keep_draw(n_dim, n_expanded, z_pointer, out_pointer, user_data):
    z, out = carray(z_pointer, (n_dim,)), carray(out_pointer, (n_expanded,))
    for i in range(n_dim):
        out[i] = z[i]
    return 0


_DOUBLES = types.CPointer(types.double)


@cache
def whitened_log_posterior() -> Any:
    """The sampler's C function: log posterior at centre + scale z. 0 when fine, 3 and 4 where not finite."""
    signature = types.int64(types.uint64, _DOUBLES, _DOUBLES, _DOUBLES, types.voidptr)
    return cfunc(signature, cache=True, error_model="numpy")(_whitened_log_posterior)


@njit(nogil=True, cache=True, error_model="numpy")
def values_of_draws(function, user_data, thetas, gradient, values):
    """The C function's values (S,) at thetas (S, P), one after the other; gradient (P,) is scratch."""
    P = thetas.shape[1]
    for s in range(thetas.shape[0]):
        call_density(
            function, P, thetas[s].ctypes.data, gradient.ctypes.data, values[s:].ctypes.data, user_data.ctypes.data
        )


@cache
def keep_draw() -> Any:
    """The sampler's C function for what is stored of a draw: z itself."""
    signature = types.int64(types.uint64, types.uint64, _DOUBLES, _DOUBLES, types.voidptr)
    return cfunc(signature, cache=True)(_keep_draw)
