"""Many mixtures of one shape, such as the draws of a posterior, over the same rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.kernel import passes
from bayesgmm.kernel.rows import KernelParameters, Rows
from bayesgmm.parallel import on_threads
from bayesgmm.types import FloatArray
from bayesgmm.validation import as_generator, check_count

# What is known of a piece of the rows under all mixtures takes at most this many bytes (or one row's share).
PIECE_BYTES = 8_000_000


@dataclass(frozen=True, eq=False)
class MixtureDraws:
    """S mixtures: weights (S, K), means (S, K, D), covariances (S, K, D, D); the names of the D features."""

    weights: FloatArray
    means: FloatArray
    covariances: FloatArray
    features: tuple[str, ...]

    @property
    def n_draws(self) -> int:
        return int(self.means.shape[0])

    @property
    def n_components(self) -> int:
        return int(self.means.shape[1])

    @property
    def n_features(self) -> int:
        return int(self.means.shape[2])

    @property
    def arrays(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        return self.weights, self.means, self.covariances

    @cached_property
    def choleskys(self) -> FloatArray:
        """(S, K, D, D) lower factors of the covariances."""
        return np.linalg.cholesky(self.covariances)

    def some(self, index: NDArray[np.intp]) -> "MixtureDraws":
        """Those mixtures, in that order."""
        return MixtureDraws(self.weights[index], self.means[index], self.covariances[index], self.features)

    def marginal(self, index: list[int]) -> "MixtureDraws":
        """The mixtures of some of the features, by their numbers, in that order."""
        covariances = self.covariances[:, :, index][..., index]
        return MixtureDraws(self.weights, self.means[:, :, index], covariances, tuple(self.features[i] for i in index))

    def sample(self, n_samples: int, rng: Any = None) -> tuple[FloatArray, NDArray[np.intp]]:
        """Draw rows (n_samples, D), each from a mixture picked at random, and the component (n_samples,) of each."""
        n, generator = check_count(n_samples, "n_samples"), as_generator(rng)
        picked = generator.integers(self.n_draws, size=n)
        cumulative = self.weights.cumsum(axis=1)[picked]
        labels = (generator.random(n)[:, np.newaxis] * cumulative[:, -1:] >= cumulative).sum(axis=1)
        noise = generator.standard_normal((n, self.n_features))
        return self.means[picked, labels] + np.einsum("nij,nj->ni", self.choleskys[picked, labels], noise), labels

    def log_densities(self, s: int, values: NDArray[Any]) -> FloatArray:
        """(N,) log density of rows (N, D) under mixture s, on the calling thread."""
        origin = values[0].astype(np.float64)
        rows, out = Rows(values, np.empty(0), origin), np.empty(len(values))
        parameters = KernelParameters.of(self.weights[s], self.means[s] - origin, self.choleskys[s])
        passes.rows_under(rows.values, 0, len(values), rows.origin, *parameters, out, np.empty((0, 0)))
        return out

    def over(
        self,
        values: NDArray[Any],
        finish: Callable[[slice, FloatArray, FloatArray], None],
        *,
        responsibilities: bool = False,
    ) -> None:
        """Call finish(rows, log_densities, responsibilities) for piece after piece of the rows `values` (N, D).

        log_densities (n, S) and responsibilities (n, K, S), or (0, K, S) when not asked for, are those of the piece
        under every mixture; `finish` may change them, and runs on several threads. 8 MB a thread are in memory, or
        what one row takes when that is more; no row's result depends on how the rows are cut.
        """
        origin = values[0].astype(np.float64)
        rows, stacked = Rows(values, np.empty(0), origin), self._stacked(origin)
        S, K, _ = self.means.shape
        length = max(1, PIECE_BYTES // (8 * S * (1 + K * responsibilities)))
        edges = [*range(0, len(values), length), len(values)]

        def piece(ends: tuple[int, int]) -> None:
            start, stop = ends
            log_densities = np.empty((stop - start, S))
            r = np.empty((stop - start if responsibilities else 0, K, S))
            passes.rows_under_draws(rows.values, start, stop, rows.origin, *stacked, log_densities, r)
            finish(slice(start, stop), log_densities, r)

        for _ in on_threads(piece, list(pairwise(edges)), S * rows.cost(K)):
            pass

    def _stacked(self, origin: FloatArray) -> KernelParameters:
        """What the kernel reads, of all mixtures: an axis for them before the others."""
        off_diagonal = ~np.eye(self.n_features, dtype=bool)
        diagonal = not self.covariances[..., off_diagonal].any()
        each = [
            KernelParameters.of(w, mean, cholesky)
            for w, mean, cholesky in zip(self.weights, self.means - origin, self.choleskys, strict=True)
        ]
        return KernelParameters(
            np.array([p.log_scales for p in each]),
            np.array([p.means for p in each]),
            np.array([p.whiteners for p in each]),
            diagonal,
        )


def log_densities_of_draws(
    values: NDArray[Any], weights: FloatArray, means: FloatArray, covariances: FloatArray
) -> Iterator[FloatArray]:
    """Log density (N,) of the rows `values` (N, D) under each of S mixtures in turn.

    weights (S, K), means (S, K, D), covariances (S, K, D, D). Yields one array a mixture, so that S x N numbers
    are never in memory together.
    """
    for rows, parameters in _at_draws(values, weights, means, covariances):
        yield rows.log_densities(parameters)


def responsibilities_of_draws(
    values: NDArray[Any], weights: FloatArray, means: FloatArray, covariances: FloatArray
) -> Iterator[FloatArray]:
    """Responsibilities (N, K) of the rows `values` (N, D) under each of S mixtures in turn, as above."""
    for rows, parameters in _at_draws(values, weights, means, covariances):
        yield rows.responsibilities(parameters)


def _at_draws(
    values: NDArray[Any], weights: FloatArray, means: FloatArray, covariances: FloatArray
) -> Iterator[tuple[Rows, KernelParameters]]:
    origin = values[0].astype(np.float64)
    rows = Rows(values, np.empty(0), origin)
    for w, mean, cholesky in zip(weights, means - origin, np.linalg.cholesky(covariances), strict=True):
        yield rows, KernelParameters.of(w, mean, cholesky)
