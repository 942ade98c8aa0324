"""Many mixtures of one shape, such as the draws of a posterior, and their densities at the same rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from bayesgmm.kernel import passes
from bayesgmm.kernel.rows import KernelParameters, Rows
from bayesgmm.mixture.random_rows import rows_from_noise
from bayesgmm.parallel import on_threads
from bayesgmm.types import BoolArray, FloatArray, IntArray, RowArray, Seed
from bayesgmm.validation import as_generator, check_count

# Bytes, per thread, of the densities and responsibilities of one piece of the rows; one row may take more.
PIECE_BYTES = 8_000_000


@dataclass(frozen=True, eq=False)
class MixtureDraws:
    """S mixtures of K components and D features.

    Attributes
    ----------
    weights : (S, K)
    means : (S, K, D)
    covariances : (S, K, D, D)
    features : names of the D features.
    """

    weights: FloatArray
    means: FloatArray
    covariances: FloatArray
    features: tuple[str, ...]

    @property
    def n_draws(self) -> int:
        """S, the number of mixtures."""
        return int(self.means.shape[0])

    @property
    def n_components(self) -> int:
        """K, the number of components."""
        return int(self.means.shape[1])

    @property
    def n_features(self) -> int:
        """D, the number of features."""
        return int(self.means.shape[2])

    @property
    def arrays(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Weights, means and covariances."""
        return self.weights, self.means, self.covariances

    @cached_property
    def choleskys(self) -> FloatArray:
        """(S, K, D, D) lower Cholesky factors of the covariances."""
        return np.linalg.cholesky(self.covariances)

    def select(self, index: IntArray) -> "MixtureDraws":
        """Return the mixtures with these numbers, in that order."""
        return MixtureDraws(self.weights[index], self.means[index], self.covariances[index], self.features)

    def marginal(self, index: list[int]) -> "MixtureDraws":
        """Return the mixtures of the features with these numbers, in that order."""
        covariances = self.covariances[:, :, index][..., index]
        return MixtureDraws(self.weights, self.means[:, :, index], covariances, tuple(self.features[i] for i in index))

    def sample(self, n_samples: int, rng: Seed = None) -> tuple[FloatArray, IntArray]:
        """Draw rows (n_samples, D), each from a mixture picked at random, and the component (n_samples,) of each."""
        n, generator = check_count(n_samples, "n_samples"), as_generator(rng)
        draw = generator.integers(self.n_draws, size=n)
        cumulative = self.weights.cumsum(axis=1)[draw]
        labels = (generator.random(n)[:, np.newaxis] * cumulative[:, -1:] >= cumulative).sum(axis=1)
        noise = generator.standard_normal((n, self.n_features))
        return rows_from_noise(self.means[draw, labels], self.choleskys[draw, labels], noise), labels

    def log_densities_of_draw(self, s: int, values: RowArray) -> FloatArray:
        """Log density (N,) of checked rows (N, D) under mixture s, computed on the calling thread."""
        rows, log_densities = _about_first(values), np.empty(len(values))
        parameters = KernelParameters.of(self.weights[s], self.means[s] - rows.origin, self.choleskys[s])
        passes.rows_under(rows.values, 0, len(values), rows.origin, *parameters, log_densities, np.empty((0, 0)))
        return log_densities

    def score_in_pieces(
        self,
        values: RowArray,
        consume: Callable[[slice, FloatArray, FloatArray], None],
        *,
        responsibilities: bool = False,
    ) -> None:
        """Compute log densities, and responsibilities if asked for, of one piece of the rows after another.

        No row's result depends on how the rows are cut. Each thread holds at most 8 MB (or one row's share, if larger).

        Parameters
        ----------
        values : (N, D) checked rows.
        consume : consume(rows, log_densities, responsibilities) is called on several threads, once per piece. rows is
            the slice of the piece, log_densities (n, S) and responsibilities (n, K, S) are those of its rows under
            every mixture; `consume` may change both arrays.
        responsibilities : whether they are computed; if not, `consume` receives an array (0, K, S).
        """
        rows = _about_first(values)
        stacked = self._for_kernel(rows.origin)
        S, K, _ = self.means.shape
        length = max(1, PIECE_BYTES // (8 * S * (1 + K * responsibilities)))
        edges = [*range(0, len(values), length), len(values)]

        def score(ends: tuple[int, int]) -> None:
            start, stop = ends
            log_densities = np.empty((stop - start, S))
            r = np.empty((stop - start if responsibilities else 0, K, S))
            passes.rows_under_draws(rows.values, start, stop, rows.origin, *stacked, log_densities, r)
            consume(slice(start, stop), log_densities, r)

        for _ in on_threads(score, list(pairwise(edges)), S * rows.cost(K)):
            pass

    def _for_kernel(self, origin: FloatArray) -> KernelParameters:
        """Return all mixtures as the kernel reads them, with an axis for the mixtures before the others."""
        off_diagonal = ~np.eye(self.n_features, dtype=bool)
        diagonal = not self.covariances[..., off_diagonal].any()
        parameters = [
            KernelParameters.of(w, mean, cholesky)
            for w, mean, cholesky in zip(self.weights, self.means - origin, self.choleskys, strict=True)
        ]
        return KernelParameters(
            np.array([p.log_scales for p in parameters]),
            np.array([p.means for p in parameters]),
            np.array([p.whiteners for p in parameters]),
            diagonal,
        )


def log_densities_of_draws(
    values: RowArray, weights: FloatArray, means: FloatArray, covariances: FloatArray
) -> Iterator[FloatArray]:
    """Log density (N,) of the checked rows `values` (N, D) under each of S mixtures in turn.

    weights (S, K), means (S, K, D), covariances (S, K, D, D). One array per mixture is yielded, so that S x N numbers
    are never in memory together.
    """
    rows = _about_first(values)
    for parameters in _each_for_kernel(rows.origin, weights, means, covariances):
        yield rows.log_densities(parameters)


def responsibilities_of_draws(
    values: RowArray, weights: FloatArray, means: FloatArray, covariances: FloatArray
) -> Iterator[FloatArray]:
    """Responsibilities (N, K) of the checked rows `values` (N, D) under each of S mixtures in turn.

    weights (S, K), means (S, K, D), covariances (S, K, D, D). One array per mixture is yielded.
    """
    rows = _about_first(values)
    for parameters in _each_for_kernel(rows.origin, weights, means, covariances):
        yield rows.responsibilities(parameters)


def _about_first(values: RowArray) -> Rows:
    """Rows with the first of them as the origin, which saves the pass that finds their mean."""
    return Rows(values, np.empty(0), values[0].astype(np.float64))


def _each_for_kernel(
    origin: FloatArray, weights: FloatArray, means: FloatArray, covariances: FloatArray
) -> Iterator[KernelParameters]:
    for w, mean, cholesky in zip(weights, means - origin, np.linalg.cholesky(covariances), strict=True):
        yield KernelParameters.of(w, mean, cholesky)


def finite_draws(*arrays: FloatArray) -> BoolArray:
    """(S,) whether all numbers of a draw are finite; the arrays are (S, ...)."""
    return np.all([np.isfinite(array).reshape(len(array), -1).all(axis=1) for array in arrays], axis=0)
