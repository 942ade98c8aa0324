"""Where chains start around a mode."""

from collections.abc import Callable

import numpy as np

from bayesgmm.types import FloatArray

# Half width of the uniform distribution of starting points, in standard deviations of the posterior around its mode:
# wider than the posterior, so that R-hat can see a chain that has not found it.
_HALF_WIDTH = 2.0

type StartingPoint = Callable[[int], FloatArray]


def start_within(n_dim: int, half_width: float = _HALF_WIDTH) -> StartingPoint:
    """Function from a seed to a point z (P,), uniform in (-half_width, half_width)."""
    return lambda seed: np.random.default_rng(seed).uniform(-half_width, half_width, n_dim)
