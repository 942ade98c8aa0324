"""The data that several tables share."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_iris

import bayesgmm as bg


class Data(NamedTuple):
    """A name, what makes X (N, D), and the number of components."""

    name: str
    load: Callable[[], np.ndarray]
    n_components: int


def faithful() -> np.ndarray:
    return bg.datasets.load_faithful().to_numpy()


def galaxies() -> np.ndarray:
    """Velocities in 1000 km/s."""
    return bg.datasets.load_galaxies().to_numpy()


def iris() -> np.ndarray:
    return load_iris().data


def simulated(n_samples: int, n_components: int, n_features: int, separation: float = 4.0) -> Callable[[], np.ndarray]:
    return lambda: bg.datasets.simulate(n_samples, n_components, n_features, separation=separation, rng=1).X
