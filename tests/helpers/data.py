"""Data that several tests share."""

import numpy as np
from sklearn.datasets import load_iris

from bayesgmm.kernel.rows import Rows
from bayesgmm.mixture.checked_rows import as_rows


def prepared(X) -> Rows:
    """Rows as the sampler's functions take them."""
    return as_rows(X)


def iris() -> np.ndarray:
    return np.asarray(load_iris().data)


def nearly_empty(n_per_cluster: int = 300, n_stray: int = 4) -> np.ndarray:
    """Two clusters of `n_per_cluster` rows six standard deviations apart, and `n_stray` rows far from both."""
    rng = np.random.default_rng(5)
    return np.concatenate(
        [
            rng.normal(size=(n_per_cluster, 2)),
            rng.normal([6, 0], size=(n_per_cluster, 2)),
            rng.normal([0, 9], 0.5, size=(n_stray, 2)),
        ]
    )
