"""Unconstrained parameters by component: which numbers belong to which component, and reordered components."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.model.variables import TIED_STDS, VINE
from bayesgmm.types import FloatArray, IntArray


def split_by_component(density: MixtureDensity, thetas: FloatArray) -> FloatArray:
    """Return the Q numbers of each component, (S, K, Q), in thetas (S, P).

    They are, in this order, the component's logit, means, standard deviations and vine. Numbers that components share
    are left out. There are K logits: the last is minus the sum of the others.
    """
    K, S = density.n_components, len(thetas)
    logits = thetas[:, : K - 1]
    pieces = [np.column_stack([logits, -logits.sum(axis=1)])[..., np.newaxis]]
    start = K - 1
    for name, shape in list(density.shapes.items())[1:]:
        size = int(np.prod(shape))
        if _is_per_component(density, name):
            pieces.append(thetas[:, start : start + size].reshape(S, K, -1))
        start += size
    return np.concatenate(pieces, axis=-1)


def relabelled(density: MixtureDensity, thetas: FloatArray, orders: IntArray) -> FloatArray:
    """Return thetas (S, P) whose component k is component orders[s, k] of the given ones; the density is the same."""
    K, S = density.n_components, len(thetas)
    numbers = np.take_along_axis(split_by_component(density, thetas), orders[..., np.newaxis], axis=1)
    result = thetas.copy()
    result[:, : K - 1] = numbers[:, :-1, 0]
    start, column = K - 1, 1
    for name, shape in list(density.shapes.items())[1:]:
        size = int(np.prod(shape))
        if _is_per_component(density, name):
            width = size // K
            result[:, start : start + size] = numbers[..., column : column + width].reshape(S, size)
            column += width
        start += size
    return result


def nearest_orders(density: MixtureDensity, thetas: FloatArray, mode: FloatArray, units: FloatArray) -> IntArray:
    """Return for each of thetas (S, P) the order of its components (S, K) that brings it nearest to a mode (P,).

    The distance is the sum of squared differences in units (P,) over the components' numbers. `relabelled` by these
    orders, all draws lie in one part of the space; there are K! such parts, and they do not overlap.
    """
    widths = split_by_component(density, np.abs(units)[np.newaxis])[0]
    widths[:, 0] = 1.0  # units has K - 1 logits only, so their widths are not used
    mode_numbers = split_by_component(density, mode[np.newaxis])[0] / widths
    numbers = split_by_component(density, thetas)
    costs = np.stack(
        [np.square(numbers / widths[j] - mode_numbers[j]).sum(axis=-1) for j in range(density.n_components)], axis=1
    )
    return np.stack([linear_sum_assignment(cost)[1] for cost in costs])


def _is_per_component(density: MixtureDensity, name: str) -> bool:
    """Return whether each component has its own numbers of this variable."""
    return name != TIED_STDS and not (name == VINE and density.structure.shared)
