"""The components of unconstrained parameters one by one: which numbers are whose, and another order of them."""

import numpy as np
from numpy.typing import NDArray

from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.mixture.matching import best_assignments
from bayesgmm.types import FloatArray


def split(density: MixtureDensity, thetas: FloatArray) -> FloatArray:
    """(S, K, Q) the Q numbers of each component in thetas (S, P): its logit, means, standard deviations, vine.

    What components share is in none. The logits are all K, the last of them minus the others' sum.
    """
    K, S = density.n_components, len(thetas)
    logits = thetas[:, : K - 1]
    pieces = [np.column_stack([logits, -logits.sum(axis=1)])[..., np.newaxis]]
    at = K - 1
    for name, shape in list(density.shapes.items())[1:]:
        size = int(np.prod(shape))
        if _is_each_components(density, name):
            pieces.append(thetas[:, at : at + size].reshape(S, K, -1))
        at += size
    return np.concatenate(pieces, axis=-1)


def relabelled(density: MixtureDensity, thetas: FloatArray, orders: NDArray[np.intp]) -> FloatArray:
    """Thetas (S, P) with component orders[s, k] at place k; the log posterior is the same there."""
    K, S = density.n_components, len(thetas)
    numbers = np.take_along_axis(split(density, thetas), orders[..., np.newaxis], axis=1)
    result = thetas.copy()
    result[:, : K - 1] = numbers[:, :-1, 0]
    at, used = K - 1, 1
    for name, shape in list(density.shapes.items())[1:]:
        size = int(np.prod(shape))
        if _is_each_components(density, name):
            each = size // K
            result[:, at : at + size] = numbers[..., used : used + each].reshape(S, size)
            used += each
        at += size
    return result


def nearest_orders(
    density: MixtureDensity, thetas: FloatArray, mode: FloatArray, units: FloatArray
) -> NDArray[np.intp]:
    """(S, K) the order of each draw's components that brings it nearest to a mode (P,).

    Squares of the differences, in units (P,), are summed over each component's numbers. `relabelled` by it, every
    draw is in one and the same part of the space, of which there are K! without overlap.
    """
    widths = split(density, np.abs(units)[np.newaxis])[0]
    widths[:, 0] = 1.0  # a logit's width is not that of the last one
    at_mode, numbers = split(density, mode[np.newaxis])[0] / widths, split(density, thetas)
    costs = np.stack(
        [np.square(numbers / widths[j] - at_mode[j]).sum(axis=-1) for j in range(density.n_components)], axis=1
    )
    return best_assignments(costs)


def _is_each_components(density: MixtureDensity, name: str) -> bool:
    structure = density.structure
    return not structure.shared or name not in (structure.std_variable, structure.vine_variable)
