"""Gibbs sampling with allocations, compiled: sweeps of one chain over the default model's unconstrained parameters.

A sweep draws, in turn,

1. the component of each row, by its responsibilities;
2. weights and means from their full conditional distributions (Diebolt and Robert 1994,
   doi:10.1111/j.2517-6161.1994.tb01985.x);
3. partial correlations and standard deviations one by one, by slice sampling (`gibbs_slices`).

The cost of steps 2 and 3 does not depend on the number of rows. They need three statistics of each component: its count
n, and with y = L^-1 (x - mu) of the parameters at the beginning of the sweep, t = sum y and T = sum y y'. The prior's
factor for the resolution is added to T as scatter.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from bayesgmm.bayes.model.arguments import ModelArguments
from bayesgmm.bayes.model.transforms import (
    add_rounding,
    fill_choleskys,
    fill_log_stds,
    fill_log_weights,
    fill_means,
    fill_vine_choleskys,
)
from bayesgmm.bayes.sampling.gibbs_slices import draw_correlations, draw_shared_std, draw_stds
from bayesgmm.kernel.jit import inner
from bayesgmm.kernel.passes import allocated_statistics
from bayesgmm.kernel.score import fill_kernel_parameters
from bayesgmm.kernel.triangular import cholesky
from bayesgmm.types import FloatArray, RowArray


class Workspace(NamedTuple):
    """Scratch arrays of a sweep.

    The mixture: log_weights (K,); means, log_stds (K, D); factors, partial, residual (K, D, D) of the correlations, see
    `fill_vine_choleskys`; choleskys (K, D, D) of the covariances. Input of the kernel: log_scales (K,), centred (K, D),
    whiteners (K, D, D). Its output: counts (K,), first (K, D), second (K, D, D), which are n, t and T. For one
    component at a time: inverse, precision, scatter (D, D), vectors (3, D). arguments (8,): constants of the
    conditional density that is sampled.
    """

    log_weights: FloatArray
    means: FloatArray
    log_stds: FloatArray
    factors: FloatArray
    partial: FloatArray
    residual: FloatArray
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
    arguments: FloatArray


@inner()
def make_workspace(K: int, D: int) -> Workspace:
    """Return arrays whose entries that no sweep writes are 0."""
    return Workspace(
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
        np.empty(8),
    )


@inner()
def log_gamma_variate(rng: np.random.Generator, shape: float) -> float:
    """Return the logarithm of a Gamma(shape, 1) variable, finite even if the variable itself would underflow."""
    if shape >= 1.0:
        return np.log(rng.standard_gamma(shape))
    return np.log(rng.standard_gamma(shape + 1.0)) - rng.standard_exponential() / shape


@inner()
def draw_weights(rng: np.random.Generator, counts: FloatArray, concentration: float, theta: FloatArray) -> None:
    """Draw weights ~ Dirichlet(concentration + counts) into theta[: K - 1]: log weights minus their mean."""
    K = counts.size
    mean = 0.0
    for k in range(K):
        log_weight = log_gamma_variate(rng, concentration + counts[k])
        mean += log_weight / K
        if k < K - 1:
            theta[k] = log_weight
    for k in range(K - 1):
        theta[k] -= mean


@inner()
def draw_mean(rng: np.random.Generator, k: int, scale: FloatArray, mean: FloatArray, workspace: Workspace) -> None:
    """Draw component k's standardised mean (D,) from its normal conditional, and update T to the new mean.

    With m = (mu - location) / scale and M = L^-1 diag(scale), the precision is Q = n M'M + I, and the conditional's
    centre is m + Q^-1 (M't - m). Of T only the lower triangle is used.
    """
    count, t, T, whitener = workspace.counts[k], workspace.first[k], workspace.second[k], workspace.whiteners[k]
    precision, factor = workspace.precision, workspace.scatter
    move, shift = workspace.vectors[0], workspace.vectors[1]
    D = mean.size
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
    _draw_move(rng, factor, move)
    for i in range(D):
        mean[i] += move[i]
    for i in range(D):
        shift[i] = 0.0
        for j in range(i + 1):
            shift[i] += whitener[i, j] * scale[j] * move[j]
    for i in range(D):
        for j in range(i + 1):
            T[i, j] += count * shift[i] * shift[j] - t[i] * shift[j] - shift[i] * t[j]


@inner()
def _draw_move(rng: np.random.Generator, factor: FloatArray, move: FloatArray) -> None:
    """Replace b in move (D,) by a draw from Normal(Q^-1 b, Q^-1) with Q = F F', F (D, D) the factor."""
    D = move.size
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


@inner()
def _unpack(model: ModelArguments, theta: FloatArray, workspace: Workspace) -> int:
    """Fill the mixture at theta and the kernel's input, whose whiteners are 0; return where theta's vine begins."""
    log_stds, factors = workspace.log_stds, workspace.factors
    fill_log_weights(theta, workspace.log_weights)
    fill_means(theta, model.mean_location, model.mean_scale, workspace.means)
    vine_start = fill_log_stds(theta, model.shared, model.spherical, model.std_kind, model.std_table, log_stds)
    fill_vine_choleskys(theta, vine_start, model.diagonal, model.shared, factors, workspace.partial, workspace.residual)
    fill_choleskys(log_stds, factors, workspace.choleskys)
    fill_kernel_parameters(
        workspace.log_weights,
        workspace.means,
        workspace.choleskys,
        model.origin,
        workspace.log_scales,
        workspace.centred,
        workspace.whiteners,
    )
    return vine_start


@inner()
def _clear(workspace: Workspace) -> None:
    """Set to 0 what the kernel adds to. Numba compiles these loops much faster than array statements."""
    K, D = workspace.first.shape
    for k in range(K):
        workspace.counts[k] = 0.0
        for i in range(D):
            workspace.first[k, i] = 0.0
            for j in range(D):
                workspace.second[k, i, j] = workspace.whiteners[k, i, j] = 0.0


@inner()
def _pool(counts: FloatArray, second: FloatArray) -> float:
    """Add the scatter of all components to that of the first; return the number of rows."""
    K, D, _ = second.shape
    n = counts[0]
    for k in range(1, K):
        n += counts[k]
        for i in range(D):
            for j in range(i + 1):
                second[0, i, j] += second[k, i, j]
    return n


@inner()
def _draw_covariance(
    rng: np.random.Generator,
    model: ModelArguments,
    k: int,
    n: float,
    stds: FloatArray,
    vine: FloatArray,
    workspace: Workspace,
) -> None:
    """Draw the correlations and standard deviations of component k, or of all if shared, given the scatter of n rows.

    stds and vine are their numbers in theta.
    """
    D = model.origin.size
    T, log_stds = workspace.second[k], workspace.log_stds[k]
    if model.spherical:
        draw_shared_std(rng, stds, n * D, T, log_stds[0], model.std_kind, model.std_table, workspace.arguments)
        return
    if model.diagonal:
        for d in range(D):
            for m in range(D):
                workspace.precision[d, m] = 1.0 if d == m else 0.0
                workspace.scatter[d, m] = T[d, d] if d == m else 0.0
    else:
        draw_correlations(rng, vine, n, model.constants[1], k, workspace)
    draw_stds(rng, stds, n, log_stds, model.std_kind, model.std_table, workspace)


@njit(error_model="numpy", inline="always")  # inlined before compilation: the kernel is optimised once, not twice
def _sweep(
    rng: np.random.Generator, X: RowArray, model: ModelArguments, theta: FloatArray, workspace: Workspace
) -> None:
    K, D = workspace.means.shape
    _clear(workspace)
    vine_start = _unpack(model, theta, workspace)
    allocated_statistics(
        rng,
        X,
        model.origin,
        workspace.log_scales,
        workspace.centred,
        workspace.whiteners,
        model.diagonal,
        workspace.counts,
        workspace.first,
        workspace.second,
    )
    add_rounding(model.rounding, model.shared, workspace.whiteners, workspace.second)
    draw_weights(rng, workspace.counts, model.constants[0], theta)
    for k in range(K):
        start = K - 1 + k * D
        draw_mean(rng, k, model.mean_scale, theta[start : start + D], workspace)
    n_all = _pool(workspace.counts, workspace.second) if model.shared else 0.0
    stds_start, n_stds, pairs = K - 1 + K * D, 1 if model.spherical else D, D * (D - 1) // 2
    for k in range(1 if model.shared else K):
        n = n_all if model.shared else workspace.counts[k]
        stds = theta[stds_start + k * n_stds : stds_start + (k + 1) * n_stds]
        vine = theta[vine_start + k * pairs : vine_start + (k + 1) * pairs]
        _draw_covariance(rng, model, k, n, stds, vine, workspace)


@njit(nogil=True, cache=True, error_model="numpy")
def advance(
    rng: np.random.Generator, X: RowArray, model: ModelArguments, sweeps: int, theta: FloatArray, draws: FloatArray
) -> None:
    """Move a chain from theta (P,), in place; fill draws (S, P), with `sweeps` sweeps from each draw to the next."""
    workspace = make_workspace(model.n_components, model.origin.size)
    for s in range(draws.shape[0]):
        for _ in range(sweeps):
            _sweep(rng, X, model, theta, workspace)
        for i in range(theta.size):
            draws[s, i] = theta[i]
