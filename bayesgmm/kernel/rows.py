"""Where the rows live, and the map-reduce of the kernel over them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from bayesgmm.frozen import freeze
from bayesgmm.kernel import passes
from bayesgmm.kernel.passes import KernelParameters
from bayesgmm.kernel.triangular import log_scales_and_whiteners
from bayesgmm.parallel import on_threads
from bayesgmm.types import FloatArray

# Rows are cut into ranges by their number alone, so that sums do not depend on the number of threads.
_RANGES = 8
_SINGLE_RANGE = 2048
_LARGEST_RANGE = 65_536
# Several mixtures share a piece of this many rows while it is in the cache.
_SHARED_PIECE = 8192


class SufficientStatistics(NamedTuple):
    """What one pass over the rows leaves, with y = L_k^-1 (x - mu_k) and r the responsibilities.

    log_likelihood = sum w log p(x); counts (K,) = sum w r; first (K, D) = sum w r y;
    second (K, D, D) = sum w r y y' (its diagonal, for diagonal covariances).
    """

    log_likelihood: float
    counts: FloatArray
    first: FloatArray
    second: FloatArray

    def plus(self, other: Self) -> "SufficientStatistics":
        return SufficientStatistics(
            self.log_likelihood + other.log_likelihood,
            self.counts + other.counts,
            self.first + other.first,
            self.second + other.second,
        )


@dataclass(frozen=True)
class Rows:
    """Rows in memory (memory-mapped files among them).

    values (N, D) float64 or float32; weights (N,), or (0,) when every row counts once; features: the D column names,
    or () where nobody needs them;
    origin (D,): the kernel works with x - origin, so that data far from 0 lose no digits. It is near the data's
    mean; means in `KernelParameters` are relative to it.
    """

    values: NDArray[Any]
    weights: FloatArray
    origin: FloatArray
    features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Read-only, as some callers' arrays are, so that the kernel is compiled for one kind of array and not for two.
        freeze(self, values=self.values, weights=self.weights, origin=np.ascontiguousarray(self.origin))

    @cached_property
    def moments(self) -> tuple[FloatArray, FloatArray]:
        """Weighted mean (D,), relative to the origin, and maximum-likelihood covariance (D, D)."""
        return moments(self)

    @property
    def stds(self) -> FloatArray:
        return np.sqrt(np.diagonal(self.moments[1]))

    @property
    def n_samples(self) -> int:
        return int(self.values.shape[0])

    @property
    def n_features(self) -> int:
        return int(self.values.shape[1])

    @property
    def total_weight(self) -> float:
        return float(self.weights.sum()) if self.weights.size else float(self.n_samples)

    def statistics(self, parameters: KernelParameters) -> SufficientStatistics:
        """One pass: log-likelihood and sufficient statistics under `parameters`."""
        return self.statistics_of([parameters])[0]

    def statistics_of(self, several: Sequence[KernelParameters]) -> list[SufficientStatistics]:
        """One pass for several mixtures of the same shape: each piece of the rows is read once for all of them."""
        K, D = several[0].means.shape

        def over(start: int, stop: int) -> list[SufficientStatistics]:
            found = [SufficientStatistics(0.0, np.zeros(K), np.zeros((K, D)), np.zeros((K, D, D))) for _ in several]
            length = _SHARED_PIECE if len(several) > 1 else stop - start
            for first in range(start, stop, length):
                for i, parameters in enumerate(several):
                    log_likelihood = passes.sufficient_statistics(
                        self.values,
                        self.weights,
                        first,
                        min(first + length, stop),
                        self.origin,
                        *parameters,
                        *found[i][1:],
                    )
                    found[i] = found[i]._replace(log_likelihood=found[i].log_likelihood + log_likelihood)
            return found

        parts = self._map(over, several[0])
        totals = next(parts)
        for part in parts:
            totals = [total.plus(more) for total, more in zip(totals, part, strict=True)]
        return totals

    def log_densities(self, parameters: KernelParameters) -> FloatArray:
        """(N,) log density of every row."""
        out = np.empty(self.n_samples)
        self._fill(parameters, out, np.empty((0, 0)))
        return out

    def responsibilities(self, parameters: KernelParameters) -> FloatArray:
        """(N, K) responsibilities; the one place where such an array is made, for a user who asks for it."""
        out = np.empty((self.n_samples, len(parameters.means)))
        self._fill(parameters, np.empty(0), out)
        return out

    def _fill(self, parameters: KernelParameters, log_densities: FloatArray, responsibilities: FloatArray) -> None:
        def over(start: int, stop: int) -> None:
            passes.rows_under(self.values, start, stop, self.origin, *parameters, log_densities, responsibilities)

        for _ in self._map(over, parameters):
            pass

    def pieces(self) -> Iterator["Rows"]:
        """The rows in consecutive pieces of at most 65,536, for steps that need arrays of a piece's length."""
        for start, stop in _ranges(self.n_samples):
            yield Rows(self.values[start:stop], self.weights[start:stop], self.origin, self.features)

    def _map[T](self, over: Callable[[int, int], T], parameters: KernelParameters) -> Iterator[T]:
        K, D = parameters.means.shape
        ranges = _ranges(self.n_samples)
        work = multiplications(self.n_samples, K, D)
        yield from on_threads(lambda edges: over(*edges), ranges, work)


def multiplications(n_samples: int, n_components: int, n_features: int) -> int:
    """About how many one pass over rows takes."""
    return n_samples * n_components * n_features * (n_features + 8)


def _ranges(n_samples: int) -> list[tuple[int, int]]:
    n_ranges = 1 if n_samples <= _SINGLE_RANGE else _RANGES
    while n_samples > n_ranges * _LARGEST_RANGE:
        n_ranges *= 2
    edges = [n_samples * i // n_ranges for i in range(n_ranges + 1)]
    return list(pairwise(edges))


def rows_of(values: NDArray[Any], weights: FloatArray | None = None, features: tuple[str, ...] = ()) -> Rows:
    """`Rows` over an array (N, D), with the origin at the weighted mean."""
    weights = np.empty(0) if weights is None else weights
    # Relative to the first row, so that the mean of data far from 0 is exact enough to be the centre.
    about_first = Rows(values, weights, values[0].astype(np.float64))
    return Rows(values, weights, about_first.origin + moments(about_first)[0], features)


def moments(rows: Rows) -> tuple[FloatArray, FloatArray]:
    """Weighted mean (D,), relative to the origin, and maximum-likelihood covariance (D, D) of all rows."""
    D = rows.n_features
    total, first, second = 0.0, np.zeros(D), np.zeros((D, D))
    for piece in rows.pieces():
        x = piece.values - rows.origin
        wx = x * piece.weights[:, np.newaxis] if rows.weights.size else x
        total += piece.total_weight
        first += wx.sum(axis=0)
        second += wx.T @ x
    mean = first / total
    return mean, second / total - np.outer(mean, mean)


def spaced(n: int, most: int) -> NDArray[np.intp]:
    """At most `most` of the numbers 0 to n - 1, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.intp))


def kernel_parameters(
    weights: FloatArray, means: FloatArray, choleskys: FloatArray, *, diagonal: bool = False
) -> KernelParameters:
    """What the kernel reads. weights (K,), means (K, D) relative to the rows' origin, choleskys (K, D, D) lower."""
    with np.errstate(divide="ignore"):  # a weight of 0 is a component that no row belongs to
        log_weights = np.log(weights)
    log_scales, whiteners = log_scales_and_whiteners(log_weights, np.ascontiguousarray(choleskys))
    return KernelParameters(log_scales, np.ascontiguousarray(means), whiteners, diagonal)
