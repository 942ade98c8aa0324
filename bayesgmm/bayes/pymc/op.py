"""The kernel as a PyTensor Op: the log-likelihood of all rows, with its exact gradient from the same pass."""

import hashlib
import inspect
from typing import Any

import numpy as np
import pytensor.tensor as pt
from numba import njit
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import register_funcify_and_cache_key

from bayesgmm.kernel import passes, score, simd, tiles, triangular
from bayesgmm.kernel.score import log_likelihood_and_gradient
from bayesgmm.types import FloatArray


class MixtureLogLikelihood(Op):
    """sum_i log sum_k w_k N(x_i | mu_k, L_k L_k').

    Inputs: X (N, D), origin (D,) near the data's mean, log weights (K,), means (K, D), Cholesky factors (K, D, D).
    Outputs: the log-likelihood, then its gradient with respect to the last three inputs. One pass over the rows
    computes them all, and the pullback is a product.
    """

    __props__ = ("diagonal",)

    def __init__(self, diagonal: bool = False) -> None:
        self.diagonal = diagonal

    def make_node(self, *inputs: Any) -> Apply:
        """Check the inputs' dimensions and types, and return the node."""
        X, origin, log_weights, means, choleskys = (pt.as_tensor_variable(value) for value in inputs)
        for variable, ndim in ((X, 2), (origin, 1), (log_weights, 1), (means, 2), (choleskys, 3)):
            if variable.ndim != ndim or not str(variable.dtype).startswith("float"):
                raise TypeError(
                    f"MixtureLogLikelihood takes float tensors of 2, 1, 1, 2 and 3 dimensions; got {variable.type}."
                )
        outputs = [pt.dscalar(), log_weights.type(), means.type(), choleskys.type()]
        return Apply(self, [X, origin, log_weights, means, choleskys], outputs)

    def perform(self, node: Apply, inputs: Any, output_storage: Any) -> None:
        """Compute the outputs."""
        values = log_likelihood_and_gradient(*map(np.ascontiguousarray, inputs), self.diagonal)
        for storage, value in zip(output_storage, values, strict=True):
            storage[0] = np.asarray(value)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Say that the outputs have no gradient in X and the origin."""
        return [[False] * 4, [False] * 4, *([True] * 4 for _ in range(3))]

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Variable]:
        """Return the gradients with respect to the inputs: cotangent times gradient."""
        if not all(isinstance(c.type, DisconnectedType) for c in cotangents[1:]):
            raise NotImplementedError("The gradient of MixtureLogLikelihood has no gradient of its own.")
        disconnected = [DisconnectedType()() for _ in range(2)]
        return [*disconnected, *(cotangents[0] * gradient for gradient in outputs[1:])]


# Part of the key of PyTensor's cache, so that a change of the kernel does not run an old binary.
_SOURCE_KEY = hashlib.sha256(
    "".join(map(inspect.getsource, (passes, score, tiles, simd, triangular))).encode()
).hexdigest()


@register_funcify_and_cache_key(MixtureLogLikelihood)
def _funcify(op: MixtureLogLikelihood, node: Any = None, **kwargs: Any) -> tuple[Any, str]:
    diagonal = op.diagonal

    @njit
    def mixture_log_likelihood(
        X: FloatArray, origin: FloatArray, log_weights: FloatArray, means: FloatArray, choleskys: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        value, d_log_weights, d_means, d_choleskys = log_likelihood_and_gradient(
            X,
            origin,
            np.ascontiguousarray(log_weights),
            np.ascontiguousarray(means),
            np.ascontiguousarray(choleskys),
            diagonal,
        )
        return np.asarray(value), d_log_weights, d_means, d_choleskys

    return mixture_log_likelihood, f"{_SOURCE_KEY}-{diagonal}"
