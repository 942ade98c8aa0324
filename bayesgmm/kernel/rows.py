"""Rows in memory, and the compiled pass run over ranges of them on all cores."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np

from bayesgmm.frozen import freeze
from bayesgmm.interrupts import deferred_interrupts
from bayesgmm.kernel import passes
from bayesgmm.kernel.triangular import log_scales_and_whiteners
from bayesgmm.parallel import on_threads
from bayesgmm.types import FloatArray, IntArray, RowArray

# Rows are cut into ranges by their number alone, so that sums do not depend on the number of threads.
_N_RANGES = 8
_SINGLE_RANGE = 2048  # rows: up to here one range
_LARGEST_RANGE = 65_536  # rows
# Rows of a piece that several mixtures read in turn while it stays in the cache.
_SHARED_PIECE = 8192


class KernelParameters(NamedTuple):
    """A mixture in the form that the kernel reads, in coordinates relative to `Rows.origin`.

    log_scales (K,) = log w_k - log|L_k| - D/2 log 2 pi; means (K, D); whiteners (K, D, D) = L_k^-1, lower triangular;
    diagonal: the whiteners are diagonal, so that D instead of D(D+1)/2 products are needed.
    """

    log_scales: FloatArray
    means: FloatArray
    whiteners: FloatArray
    diagonal: bool

    @classmethod
    def of(cls, weights: FloatArray, means: FloatArray, choleskys: FloatArray, *, diagonal: bool = False) -> Self:
        """From weights (K,), means (K, D) relative to the rows' origin, and lower Cholesky factors (K, D, D)."""
        with np.errstate(divide="ignore"):  # a weight of 0: a component without rows
            log_weights = np.log(weights)
        with deferred_interrupts():
            log_scales, whiteners = log_scales_and_whiteners(log_weights, np.ascontiguousarray(choleskys))
        return cls(log_scales, np.ascontiguousarray(means), whiteners, diagonal)


class SufficientStatistics(NamedTuple):
    """Result of one pass over the rows, with y = L_k^-1 (x - mu_k) and r the responsibilities.

    log_likelihood = sum w log p(x); counts (K,) = sum w r; first (K, D) = sum w r y;
    second (K, D, D) = sum w r y y' (its diagonal, for diagonal covariances).
    """

    log_likelihood: float
    counts: FloatArray
    first: FloatArray
    second: FloatArray

    def plus(self, other: Self) -> "SufficientStatistics":
        """Statistics of both sets of rows together."""
        return SufficientStatistics(
            self.log_likelihood + other.log_likelihood,
            self.counts + other.counts,
            self.first + other.first,
            self.second + other.second,
        )


@dataclass(frozen=True)
class Rows:
    """Rows in memory or in a memory-mapped file.

    values (N, D) float64 or float32; weights (N,), or (0,) if every row counts once; origin (D,), near the data's
    mean: the kernel works with x - origin, so that data far from 0 lose no digits. The means in `KernelParameters` are
    relative to it. features: names of the D columns, or () where nothing reports them.
    """

    values: RowArray
    weights: FloatArray
    origin: FloatArray
    features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Read-only, as some callers' arrays are: the kernel is then compiled for one kind of array instead of two.
        freeze(self, values=self.values, weights=self.weights, origin=np.ascontiguousarray(self.origin))

    @cached_property
    def moments(self) -> tuple[FloatArray, FloatArray]:
        """Weighted mean (D,), relative to the origin, and maximum-likelihood covariance (D, D)."""
        return moments(self)

    @property
    def stds(self) -> FloatArray:
        """Maximum-likelihood standard deviation (D,) of each feature."""
        return np.sqrt(np.diagonal(self.moments[1]))

    @property
    def n_samples(self) -> int:
        """Number of rows, N."""
        return int(self.values.shape[0])

    @property
    def n_features(self) -> int:
        """Number of features, D."""
        return int(self.values.shape[1])

    @property
    def total_weight(self) -> float:
        """Sum of the rows' weights."""
        return float(self.weights.sum()) if self.weights.size else float(self.n_samples)

    def cost(self, n_components: int) -> int:
        """Approximate number of multiplications in one pass over the rows."""
        return self.n_samples * n_components * self.n_features * (self.n_features + 8)

    def statistics(self, parameters: KernelParameters) -> SufficientStatistics:
        """Log-likelihood and sufficient statistics under one mixture, from one pass."""
        return self.statistics_of([parameters])[0]

    def statistics_of(self, mixtures: Sequence[KernelParameters]) -> list[SufficientStatistics]:
        """Statistics under several mixtures of the same shape, from one pass: each piece is read once for all."""
        K, D = mixtures[0].means.shape

        def statistics_of_range(start: int, stop: int) -> list[SufficientStatistics]:
            sums = [SufficientStatistics(0.0, np.zeros(K), np.zeros((K, D)), np.zeros((K, D, D))) for _ in mixtures]
            length = _SHARED_PIECE if len(mixtures) > 1 else stop - start
            for begin in range(start, stop, length):
                end = min(begin + length, stop)
                for i, parameters in enumerate(mixtures):
                    log_likelihood = passes.sufficient_statistics(
                        self.values, self.weights, begin, end, self.origin, *parameters, *sums[i][1:]
                    )
                    sums[i] = sums[i]._replace(log_likelihood=sums[i].log_likelihood + log_likelihood)
            return sums

        range_sums = self._map_ranges(statistics_of_range, K)
        totals = next(range_sums)
        for sums in range_sums:
            totals = [total.plus(more) for total, more in zip(totals, sums, strict=True)]
        return totals

    def log_densities(self, parameters: KernelParameters) -> FloatArray:
        """Log density (N,) of every row."""
        log_densities = np.empty(self.n_samples)
        self._fill(parameters, log_densities, np.empty((0, 0)))
        return log_densities

    def responsibilities(self, parameters: KernelParameters) -> FloatArray:
        """Responsibilities (N, K). Only this method makes an array of that size, for callers that ask for it."""
        responsibilities = np.empty((self.n_samples, len(parameters.means)))
        self._fill(parameters, np.empty(0), responsibilities)
        return responsibilities

    def _fill(self, parameters: KernelParameters, log_densities: FloatArray, responsibilities: FloatArray) -> None:
        def fill_range(start: int, stop: int) -> None:
            passes.rows_under(self.values, start, stop, self.origin, *parameters, log_densities, responsibilities)

        for _ in self._map_ranges(fill_range, len(parameters.means)):
            pass

    def pieces(self) -> Iterator["Rows"]:
        """The rows in consecutive pieces of at most 65,536, for computations that need arrays of a piece's length."""
        for start, stop in _ranges(self.n_samples):
            yield Rows(self.values[start:stop], self.weights[start:stop], self.origin, self.features)

    def _map_ranges[T](self, function: Callable[[int, int], T], n_components: int) -> Iterator[T]:
        """function(start, stop) of every range of rows, in order."""
        yield from on_threads(lambda ends: function(*ends), _ranges(self.n_samples), self.cost(n_components))


def _ranges(n_samples: int) -> list[tuple[int, int]]:
    n_ranges = 1 if n_samples <= _SINGLE_RANGE else _N_RANGES
    while n_samples > n_ranges * _LARGEST_RANGE:
        n_ranges *= 2
    edges = [n_samples * i // n_ranges for i in range(n_ranges + 1)]
    return list(pairwise(edges))


def rows_of(values: RowArray, weights: FloatArray | None = None, features: tuple[str, ...] = ()) -> Rows:
    """`Rows` over an array (N, D), with the origin at the weighted mean."""
    weights = np.empty(0) if weights is None else weights
    # Relative to the first row, so that the mean of data far from 0 keeps its digits.
    about_first_row = Rows(values, weights, values[0].astype(np.float64))
    return Rows(values, weights, about_first_row.origin + moments(about_first_row)[0], features)


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


def spaced(n: int, limit: int) -> IntArray:
    """At most `limit` of the numbers 0 to n - 1, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, limit)).round().astype(np.intp))
