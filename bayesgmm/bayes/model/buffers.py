"""Memory of one evaluation of the log posterior: named views of the numbers behind an address, compiled."""

from functools import partial
from typing import NamedTuple

from numba import carray, njit

from bayesgmm.bayes.model.native_calls import doubles_at
from bayesgmm.types import FloatArray

# Decorator of the steps of one evaluation. Numba inlines them before it compiles, so that each is optimised once; see
# docs/decisions/0030.
step = partial(njit, error_model="numpy", inline="always")

BYTES = 8  # of a float64


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
def kernel_buffers(address: int, K: int, D: int) -> KernelBuffers:
    """Return views of the 2 K (1 + D + D^2) numbers at the address."""
    half = K * (1 + D + D * D)
    return KernelBuffers(
        vector_at(address, 0, K),
        matrix_at(address, K, K, D),
        matrices_at(address, K + K * D, K, D),
        vector_at(address, half, K),
        matrix_at(address, half + K, K, D),
        matrices_at(address, half + K + K * D, K, D),
    )


@step()
def vector_at(address: int, offset: int, n: int) -> FloatArray:
    """Return a view (n,) of the numbers that begin `offset` numbers after the address."""
    return carray(doubles_at(address + BYTES * offset), (n,))


@step()
def matrix_at(address: int, offset: int, n: int, m: int) -> FloatArray:
    """Return a view (n, m), as `vector_at`."""
    return carray(doubles_at(address + BYTES * offset), (n, m))


@step()
def matrices_at(address: int, offset: int, K: int, D: int) -> FloatArray:
    """Return a view (K, D, D), as `vector_at`."""
    return carray(doubles_at(address + BYTES * offset), (K, D, D))


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
def scratch_size(K: int, D: int, P: int) -> int:
    """Return how many numbers `make_scratch` needs."""
    return 2 * P + K + 3 * K * D + 5 * K * D * D


@step()
def make_scratch(address: int, K: int, D: int, P: int) -> Scratch:
    """Return views of the `scratch_size` numbers at the address."""
    tables = 2 * P + K
    matrices, size = tables + 3 * K * D, K * D * D
    return Scratch(
        vector_at(address, 0, P),
        vector_at(address, P, P),
        vector_at(address, 2 * P, K),
        matrix_at(address, tables, K, D),
        matrix_at(address, tables + K * D, K, D),
        matrix_at(address, tables + 2 * K * D, K, D),
        matrices_at(address, matrices, K, D),
        matrices_at(address, matrices + size, K, D),
        matrices_at(address, matrices + 2 * size, K, D),
        matrices_at(address, matrices + 3 * size, K, D),
        matrices_at(address, matrices + 4 * size, K, D),
    )
