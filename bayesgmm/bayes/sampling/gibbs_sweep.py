"""Gibbs sampling with allocations, compiled: sweeps of one chain over the default model's unconstrained parameters.

A sweep gives each row to one component, drawn by its responsibilities, and draws weights and means from their
distributions given that (Diebolt and Robert 1994, doi:10.1111/j.2517-6161.1994.tb01985.x); then, one by one, the logits
of the vine's partial correlations and the standard deviations, by slice sampling (Neal 2003, section 4,
doi:10.1214/aos/1056562461). After the pass over the rows nothing depends on their number: what is known of a component
are its count n and, with y = L^-1 (x - mu) of the parameters that the sweep began with, t = sum y and T = sum y y'.

What does not depend on the rows is `log_posterior.py`'s, function by function.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from bayesgmm.bayes.model.log_posterior import (
    FIXED,
    LOG_SCALE,
    log_logistic,
    log_scale_prior,
    log_std_at,
    natural_values_at,
    vine_choleskys,
)
from bayesgmm.kernel.jit import inner
from bayesgmm.kernel.passes import allocated_statistics
from bayesgmm.kernel.score import fill_kernel_parameters
from bayesgmm.kernel.triangular import cholesky
from bayesgmm.types import FloatArray

# An interval is widened by at most this many widths, and narrowed at most so often.
_MOST_STEPS, _MOST_CUTS = 100, 200
# First widths of intervals, in about the standard deviation that n rows leave: of log s, of a partial correlation's
# logit. A width that is wrong costs evaluations and nothing else.
_STD_WIDTH, _VINE_WIDTH = 2.0, 6.0


class Model(NamedTuple):
    """The model but for its rows, as `MixtureDensity` holds it."""

    n_components: int
    diagonal: bool
    shared: bool
    spherical: bool
    std_kind: int
    origin: FloatArray
    location: FloatArray
    mean_scale: FloatArray
    std: FloatArray
    numbers: FloatArray


class Space(NamedTuple):
    """Numbers on the way. Per component: the mixture, what the kernel takes and gives. For one: matrices, vectors."""

    log_weights: FloatArray
    means: FloatArray
    log_stds: FloatArray
    factors: FloatArray
    partial: FloatArray
    rest: FloatArray
    choleskys: FloatArray
    log_scales: FloatArray
    centred: FloatArray
    whiteners: FloatArray
    counts: FloatArray
    first: FloatArray
    second: FloatArray
    inverse: FloatArray
    precision: FloatArray
    scatter: FloatArray
    vectors: FloatArray


@inner()
def _space(K, D):
    return Space(
        np.empty(K),
        np.empty((K, D)),
        np.empty((K, D)),
        np.zeros((K, D, D)),
        np.zeros((K, D, D)),
        np.zeros((K, D, D)),
        np.zeros((K, D, D)),
        np.empty(K),
        np.empty((K, D)),
        np.zeros((K, D, D)),
        np.empty(K),
        np.empty((K, D)),
        np.empty((K, D, D)),
        np.zeros((D, D)),
        np.zeros((D, D)),
        np.zeros((D, D)),
        np.empty((3, D)),
    )


@inner()
def _log_gamma(rng, shape):
    """Logarithm of a Gamma(shape, 1) variable, also where it is too small for a number."""
    if shape >= 1.0:
        return np.log(rng.standard_gamma(shape))
    return np.log(rng.standard_gamma(shape + 1.0)) - rng.standard_exponential() / shape


@inner()
def draw_weights(rng, counts, concentration, theta):
    """Theta's first K - 1: weights ~ Dirichlet(concentration + counts), as logarithms less their mean."""
    K = counts.size
    mean = 0.0
    for k in range(K):
        log_weight = _log_gamma(rng, concentration + counts[k])
        mean += log_weight / K
        if k < K - 1:
            theta[k] = log_weight
    for k in range(K - 1):
        theta[k] -= mean


@inner()
def draw_mean(rng, count, t, T, whitener, scale, mean, precision, factor, vectors):
    """One component's standardised mean (D,), normal given the rest; T (D, D), its lower triangle, about the new mean.

    With m = (mu - location) / scale and M = L^-1 diag(scale): precision n M'M + I, and a move of Q^-1 (M't - m) in the
    mean. precision, factor (D, D; zero above the diagonal), vectors (3, D): scratch.
    """
    D = mean.size
    move, shift = vectors[0], vectors[1]
    for i in range(D):
        move[i] = -mean[i]
        for m in range(i, D):
            move[i] += whitener[m, i] * scale[i] * t[m]
        for j in range(i + 1):
            total = 0.0
            for m in range(i, D):
                total += whitener[m, i] * whitener[m, j]
            precision[i, j] = count * total * scale[i] * scale[j]
        precision[i, i] += 1.0
    cholesky(precision, factor)
    for i in range(D):
        for j in range(i):
            move[i] -= factor[i, j] * move[j]
        move[i] /= factor[i, i]
    for i in range(D):
        move[i] += rng.standard_normal()
    for i in range(D - 1, -1, -1):
        for j in range(i + 1, D):
            move[i] -= factor[j, i] * move[j]
        move[i] /= factor[i, i]
        mean[i] += move[i]
    for i in range(D):
        shift[i] = 0.0
        for j in range(i + 1):
            shift[i] += whitener[i, j] * scale[j] * move[j]
    for i in range(D):
        for j in range(i + 1):
            T[i, j] += count * shift[i] * shift[j] - t[i] * shift[j] - shift[i] * t[j]


@inner()
def log_conditional_of_std(t, n, squares, products, now, kind, std, d):
    """Log density of the unconstrained standard deviation t, up to a constant, given all else.

    At log sd = now + u the rows' density is exp(-n u - squares e^-2u / 2 - products e^-u).
    """
    log_std = log_std_at(t, kind, std, d)
    narrowing = np.exp(now - log_std)
    value = -n * (log_std - now) - narrowing * (0.5 * squares * narrowing + products)
    if kind == LOG_SCALE:
        u = t - std[0, d]
        of_logarithm, of_powers = log_scale_prior(u, np.exp(u), np.exp(-u), std, d)
        return value + of_logarithm + of_powers
    return value + log_logistic(t)


@inner()
def log_conditional_of_vine(t, n, b, now, forms):
    """Log density of the logit t of a partial correlation, up to a constant, given all else.

    With p = tanh(t / 2), q = sqrt(1 - p^2) and their changes dp, dq from p0, q0 = now, a component's row of the
    correlations' Cholesky factor F moves by dp v + dq w, its diagonal entry by the factor c = q / q0, and with
    g = F^-1 e_i and Z = sum y y' of the rows whitened by F (Sherman and Morrison's formula)

        trace = trace0 - 2 g'Z(dp v + dq w) / c + g'g (dp v + dq w)'Z(dp v + dq w) / c^2.

    forms: g'Zv, g'Zw, g'g v'Zv, g'g v'Zw, g'g w'Zw.
    """
    small = np.exp(-abs(t))
    p, q = (1.0 - small) / (1.0 + small), 2.0 * np.sqrt(small) / (1.0 + small)
    dp, dq = (p if t >= 0.0 else -p) - now[0], q - now[1]
    inverse = now[1] / q
    linear = dp * forms[0] + dq * forms[1]
    square = dp * dp * forms[2] + 2.0 * dp * dq * forms[3] + dq * dq * forms[4]
    return (b - 0.5 * n) * log_logistic(t) + inverse * (linear - 0.5 * inverse * square)


@inner()
def _log_conditional(t, of_vine, n, arguments, kind, std, d):
    if of_vine:
        return log_conditional_of_vine(t, n, arguments[0], arguments[1:3], arguments[3:8])
    return log_conditional_of_std(t, n, arguments[0], arguments[1], arguments[2], kind, std, d)


@inner()
def _slice(rng, t, width, of_vine, n, arguments, kind, std, d):
    """The next t: an interval of steps outwards, narrowed to t until a point of it is in the slice."""
    level = _log_conditional(t, of_vine, n, arguments, kind, std, d) - rng.standard_exponential()
    left = t - width * rng.random()
    right = left + width
    steps = int(rng.random() * _MOST_STEPS)
    for _ in range(steps):
        if not _log_conditional(left, of_vine, n, arguments, kind, std, d) > level:
            break
        left -= width
    for _ in range(_MOST_STEPS - 1 - steps):
        if not _log_conditional(right, of_vine, n, arguments, kind, std, d) > level:
            break
        right += width
    for _ in range(_MOST_CUTS):
        new = left + rng.random() * (right - left)
        if _log_conditional(new, of_vine, n, arguments, kind, std, d) > level:
            return new
        if new < t:
            left = new
        else:
            right = new
    return t  # the interval is t itself to the last digit


@inner()
def draw_vine(rng, theta, n, eta, factor, partial, rest, Z, G, vectors, arguments, kind, std):
    """The logits theta (pairs,) of one correlation matrix in turn, with its Cholesky factor and what hangs on it.

    factor, partial, rest (D, D) as in `log_posterior.py`; Z (D, D), both triangles, the scatter whitened by the factor;
    G (D, D) its inverse. All are kept up to date but `partial`.
    """
    D = factor.shape[0]
    w, Zg, move = vectors[0], vectors[1], vectors[2]
    for i in range(1, D):
        for j in range(i):
            at = i * (i - 1) // 2 + j
            t, b = theta[at], eta + 0.5 * (D - 2 - j)
            p, q = np.tanh(0.5 * t), 1.0 / np.cosh(0.5 * t)
            norm = 0.0
            for m in range(i, D):
                norm += G[m, i] * G[m, i]
            v, wZw, vZw, gZw = rest[i, j], 0.0, 0.0, 0.0
            for m in range(j, i + 1):
                w[m] = factor[i, m] / q if m > j else 0.0
                Zg[m] = 0.0
                for a in range(i, D):
                    Zg[m] += Z[m, a] * G[a, i]
            for m in range(j + 1, i + 1):
                gZw += w[m] * Zg[m]
                vZw += v * Z[j, m] * w[m]
                for a in range(j + 1, i + 1):
                    wZw += w[m] * Z[m, a] * w[a]
            arguments[0], arguments[1], arguments[2] = b, p, q
            arguments[3], arguments[4] = v * Zg[j], gZw
            arguments[5], arguments[6], arguments[7] = norm * v * Z[j, j] * v, norm * vZw, norm * wZw
            width = _VINE_WIDTH / np.sqrt(n + 2.0 * b)
            new = _slice(rng, t, width, True, n, arguments, kind, std, 0)
            theta[at] = new
            dp, dq = np.tanh(0.5 * new) - p, 1.0 / np.cosh(0.5 * new) - q
            for m in range(j, i + 1):
                move[m] = (dp * v if m == j else 0.0) + dq * w[m]
            _move_row(i, j, 1.0 + dq / q, norm, factor, rest, Z, G, move, w, Zg)


@inner()
def _move_row(i, j, ratio, norm, factor, rest, Z, G, move, h, Zm):
    """Row i of the factor moved by move (D,), not 0 in j..i, its diagonal by `ratio`; Z and G with it."""
    D = factor.shape[0]
    mZm = 0.0
    for a in range(D):
        Zm[a] = 0.0
        for m in range(j, i + 1):
            Zm[a] += Z[a, m] * move[m]
    for m in range(j, i + 1):
        mZm += move[m] * Zm[m]
        factor[i, m] += move[m]
        if m > j:
            rest[i, m] *= ratio
    for a in range(i + 1):
        h[a] = 0.0
        for m in range(max(a, j), i + 1):
            h[a] += move[m] * G[m, a]
    for a in range(D):
        for c in range(D):
            g_a, g_c = G[a, i] if a >= i else 0.0, G[c, i] if c >= i else 0.0
            Z[a, c] += (g_a * g_c * mZm / ratio - g_a * Zm[c] - Zm[a] * g_c) / ratio
    for a in range(D - 1, i - 1, -1):
        g_a = G[a, i] / ratio
        for c in range(i + 1):
            G[a, c] -= g_a * h[c]


@inner()
def _scaled_scatter(factor, T, products, scatter):
    """Scatter = F T F' (D, D), both triangles, of T's lower one: of rows less the mean, in standard deviations."""
    D = factor.shape[0]
    for i in range(D):
        for j in range(D):
            products[i, j] = 0.0
            for m in range(i + 1):
                products[i, j] += factor[i, m] * (T[m, j] if m >= j else T[j, m])
    for i in range(D):
        for j in range(i + 1):
            scatter[i, j] = 0.0
            for m in range(j + 1):
                scatter[i, j] += products[i, m] * factor[j, m]
            scatter[j, i] = scatter[i, j]


@inner()
def _draw_stds(rng, theta, n, scatter, precision, log_stds, arguments, kind, std):
    """One component's unconstrained standard deviations theta (D,) in turn.

    scatter (D, D) in units of exp(log_stds), kept up to date with them; precision: inverse of the correlations.
    """
    D = theta.size
    for d in range(D):
        products = 0.0
        for m in range(D):
            if m != d:
                products += precision[d, m] * scatter[d, m]
        arguments[0], arguments[1], arguments[2] = precision[d, d] * scatter[d, d], products, log_stds[d]
        theta[d] = _slice(rng, theta[d], _STD_WIDTH / np.sqrt(n + 1.0), False, n, arguments, kind, std, d)
        log_std = log_std_at(theta[d], kind, std, d)
        narrowing = np.exp(log_stds[d] - log_std)
        log_stds[d] = log_std
        for m in range(D):
            scatter[d, m] *= narrowing
            scatter[m, d] *= narrowing


@inner()
def draw_covariance(rng, model, k, n, at_std, at_vine, theta, space, arguments):
    """Correlations and standard deviations of component k, or of all where shared, given n rows and second[k]."""
    D, diagonal = model.origin.size, model.diagonal
    T, factor = space.second[k], space.factors[k]
    if model.spherical:
        squares = 0.0
        for d in range(D):
            squares += T[d, d]
        arguments[0], arguments[1], arguments[2] = squares, 0.0, space.log_stds[k, 0]
        width = _STD_WIDTH / np.sqrt(n * D + 1.0)
        if model.std_kind != FIXED:
            theta[at_std] = _slice(rng, theta[at_std], width, False, n * D, arguments, model.std_kind, model.std, 0)
        return
    precision, scatter, inverse = space.precision, space.scatter, space.inverse
    if diagonal:
        for d in range(D):
            for m in range(D):
                precision[d, m] = 1.0 if d == m else 0.0
                scatter[d, m] = T[d, d] if d == m else 0.0
    else:
        _scaled_scatter(factor, T, inverse, scatter)
        for i in range(D):
            for j in range(i + 1):
                inverse[i, j] = space.whiteners[k, i, j] * np.exp(space.log_stds[k, j])
                inverse[j, i] = inverse[i, j] if i == j else 0.0
                T[j, i] = T[i, j]
        draw_vine(
            rng,
            theta[at_vine : at_vine + D * (D - 1) // 2],
            n,
            model.numbers[1],
            factor,
            space.partial[k],
            space.rest[k],
            T,
            inverse,
            space.vectors,
            arguments,
            model.std_kind,
            model.std,
        )
        for i in range(D):
            for j in range(D):
                precision[i, j] = 0.0
                for m in range(max(i, j), D):
                    precision[i, j] += inverse[m, i] * inverse[m, j]
    if model.std_kind != FIXED:
        stds = theta[at_std : at_std + D]
        _draw_stds(rng, stds, n, scatter, precision, space.log_stds[k], arguments, model.std_kind, model.std)


@inner()
def _unpack(model, theta, space):
    """The mixture at theta, as the kernel takes it, whiteners 0 before; returns where the vine begins."""
    K, D = space.means.shape
    at = natural_values_at(
        theta,
        K,
        D,
        model.shared,
        model.spherical,
        model.std_kind,
        model.location,
        model.mean_scale,
        model.std,
        space.log_weights,
        space.means,
        space.log_stds,
    )
    vine_choleskys(theta, at, model.diagonal, model.shared, space.factors, space.partial, space.rest)
    for k in range(K):
        for i in range(D):
            s = np.exp(space.log_stds[k, i])
            for j in range(i + 1):
                space.choleskys[k, i, j] = s * space.factors[k, i, j]
    fill_kernel_parameters(
        space.log_weights, space.means, space.choleskys, model.origin, space.log_scales, space.centred, space.whiteners
    )
    return at


@inner()
def _clear(space):
    """What the kernel adds to, set to 0. Numba compiles loops in a fraction of the time that array statements take."""
    K, D = space.first.shape
    for k in range(K):
        space.counts[k] = 0.0
        for i in range(D):
            space.first[k, i] = 0.0
            for j in range(D):
                space.second[k, i, j] = space.whiteners[k, i, j] = 0.0


@inner()
def _pool(counts, second):
    """The scatter of all components into that of the first; the number of rows."""
    K, D, _ = second.shape
    n = counts[0]
    for k in range(1, K):
        n += counts[k]
        for i in range(D):
            for j in range(i + 1):
                second[0, i, j] += second[k, i, j]
    return n


@njit(error_model="numpy", inline="always")  # inlined before it is compiled: the kernel in it once, not twice
def _sweep(rng, X, model, theta, space, arguments):
    K, D = space.means.shape
    _clear(space)
    at_vine = _unpack(model, theta, space)
    counts, first, second = space.counts, space.first, space.second
    allocated_statistics(
        rng, X, model.origin, space.log_scales, space.centred, space.whiteners, model.diagonal, counts, first, second
    )
    draw_weights(rng, counts, model.numbers[0], theta)
    for k in range(K):
        at = K - 1 + k * D
        draw_mean(
            rng,
            counts[k],
            first[k],
            second[k],
            space.whiteners[k],
            model.mean_scale,
            theta[at : at + D],
            space.precision,
            space.scatter,
            space.vectors,
        )
    n_all = _pool(counts, second) if model.shared else 0.0
    at_std, n_stds, pairs = K - 1 + K * D, 1 if model.spherical else D, D * (D - 1) // 2
    for k in range(1 if model.shared else K):
        n = n_all if model.shared else counts[k]
        draw_covariance(rng, model, k, n, at_std + k * n_stds, at_vine + k * pairs, theta, space, arguments)


@njit(nogil=True, cache=True, error_model="numpy")
def advance(rng, X, model, sweeps, theta, draws):
    """Sweeps of one chain from theta (P,), which moves along: into each row of draws (S, P), `sweeps` of them later."""
    space, arguments = _space(model.n_components, model.origin.size), np.empty(8)
    for s in range(draws.shape[0]):
        for _ in range(sweeps):
            _sweep(rng, X, model, theta, space, arguments)
        for i in range(theta.size):
            draws[s, i] = theta[i]
