"""A mixture at checked rows: log densities, responsibilities and labels, by the kernel."""

from typing import Protocol

import numpy as np

from bayesgmm.kernel.rows import KernelParameters, Rows
from bayesgmm.types import FloatArray, IntArray, RowArray


class Mixture(Protocol):
    """Weights (K,), means (K, D) and covariances (K, D, D), such as those of a `MixtureParameters`."""

    @property
    def weights(self) -> FloatArray: ...  # noqa: D102

    @property
    def means(self) -> FloatArray: ...  # noqa: D102

    @property
    def covariances(self) -> FloatArray: ...  # noqa: D102


def log_densities_at(mixture: Mixture, values: RowArray) -> FloatArray:
    """Log density (N,) of checked rows (N, D)."""
    rows, parameters = _for_kernel(mixture, values)
    return rows.log_densities(parameters)


def responsibilities_at(mixture: Mixture, values: RowArray) -> FloatArray:
    """Responsibilities (N, K) of checked rows (N, D)."""
    rows, parameters = _for_kernel(mixture, values)
    return rows.responsibilities(parameters)


def labels_at(mixture: Mixture, values: RowArray) -> IntArray:
    """Most probable component (N,) of checked rows (N, D)."""
    rows, parameters = _for_kernel(mixture, values)
    return np.concatenate([piece.responsibilities(parameters).argmax(axis=1) for piece in rows.pieces()])


def _for_kernel(mixture: Mixture, values: RowArray) -> tuple[Rows, KernelParameters]:
    """The rows and the mixture in the coordinates of the kernel."""
    # Any origin near the mixture keeps the digits of data far from 0.
    origin = mixture.means[0]
    choleskys = np.linalg.cholesky(mixture.covariances)
    return Rows(values, np.empty(0), origin), KernelParameters.of(mixture.weights, mixture.means - origin, choleskys)
