"""Starting values for EM.

A strategy picks one row a component, its mean, by distances in the metric of the data's total covariance. That
metric makes every start, like the full fit itself, unchanged under invertible affine maps of the data.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from bayesgmm.em.search.steps import Point
from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import Rows
from bayesgmm.mixture.covariance import CovarianceStructure
from bayesgmm.types import FloatArray

# Starts are looked for among this many rows at most.
_MOST_ROWS = 16_384


class StartStrategy(NamedTuple):
    """pick(points (M, D) whitened, weights (M,), K, rng) -> indices (K,) of the seeds."""

    name: str
    pick: Callable[[FloatArray, FloatArray, int, np.random.Generator], NDArray[np.intp]]


def _k_means_plus_plus(
    points: FloatArray, weights: FloatArray, n_components: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Each next seed with probability proportional to its squared distance from the seeds so far.

    Arthur and Vassilvitskii (2007), k-means++: the advantages of careful seeding.
    """
    seeds = [int(rng.choice(len(points), p=weights / weights.sum()))]
    distances = np.full(len(points), np.inf)
    while len(seeds) < n_components:
        distances = np.minimum(distances, np.square(points - points[seeds[-1]]).sum(axis=1))
        mass = weights * distances
        mass = mass if mass.any() else weights  # fewer distinct rows among those looked at than seeds
        seeds.append(int(rng.choice(len(points), p=mass / mass.sum())))
    return np.array(seeds)


def _random_points(
    points: FloatArray, weights: FloatArray, n_components: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    _, first = np.unique(points, axis=0, return_index=True)  # repeated rows would give two components one seed
    mass = weights[first]
    return np.asarray(first[rng.choice(len(first), size=n_components, replace=False, p=mass / mass.sum())])


STRATEGIES = {
    strategy.name: strategy
    for strategy in (StartStrategy("k-means++", _k_means_plus_plus), StartStrategy("random", _random_points))
}


def strategy_named(start: str) -> StartStrategy:
    """Look a strategy up by its name."""
    if start not in STRATEGIES:
        raise InputError(
            f"start must be one of {', '.join(STRATEGIES)}, a MixtureParameters or responsibilities; "
            f"received {start!r}."
        )
    return STRATEGIES[start]


def sample_of(rows: Rows, rng: np.random.Generator) -> Rows:
    """The rows that starts are looked for among: all of them, or 16,384 drawn in proportion to their weights."""
    if rows.n_samples <= _MOST_ROWS:
        return rows
    if rows.weights.size:
        size = min(_MOST_ROWS, int(np.count_nonzero(rows.weights)))
        index = rng.choice(rows.n_samples, size=size, replace=False, p=rows.weights / rows.weights.sum())
    else:
        index = rng.choice(rows.n_samples, size=_MOST_ROWS, replace=False)
    return Rows(rows.values[np.sort(index)], np.empty(0), rows.origin)


def whitened(rows: Rows, total_cholesky: FloatArray) -> FloatArray:
    """The rows (N, D) in the metric of their total covariance."""
    return np.asarray(solve_triangular(total_cholesky, (rows.values - rows.origin).T, lower=True).T)


def draw(
    strategy: StartStrategy,
    rows: Rows,
    points: FloatArray,
    total_cholesky: FloatArray,
    structure: CovarianceStructure,
    n_components: int,
    rng: np.random.Generator,
) -> Point:
    """A starting mixture: equal weights, the seeds as means, and the total covariance shrunk to K equal volumes."""
    weights = rows.weights if rows.weights.size else np.ones(rows.n_samples)
    seeds = strategy.pick(points, weights, n_components, rng)
    counts = np.full(n_components, 1 / n_components)
    covariance = total_cholesky @ total_cholesky.T * n_components ** (-2 / rows.n_features)
    scatter = covariance * counts[:, np.newaxis, np.newaxis]
    choleskys = np.linalg.cholesky(structure.project(scatter, counts))
    return Point(counts, np.ascontiguousarray(rows.values[seeds] - rows.origin), choleskys)


def from_responsibilities(rows: Rows, responsibilities: FloatArray, structure: CovarianceStructure) -> Point:
    """The M-step for given responsibilities (N, K): what EM starts from when the user has a partition.

    Raises LinAlgError when a covariance is singular.
    """
    K, D = responsibilities.shape[1], rows.n_features
    counts, first, second = np.zeros(K), np.zeros((K, D)), np.zeros((K, D, D))
    begin = 0
    for piece in rows.pieces():
        r = responsibilities[begin : begin + piece.n_samples]
        r = r * piece.weights[:, np.newaxis] if piece.weights.size else r
        x = piece.values - piece.origin
        counts += r.sum(axis=0)
        first += r.T @ x
        second += np.stack([(x * r[:, k, np.newaxis]).T @ x for k in range(K)])
        begin += piece.n_samples
    means = first / counts[:, np.newaxis]
    scatter = second - counts[:, np.newaxis, np.newaxis] * means[:, :, np.newaxis] * means[:, np.newaxis, :]
    return Point(counts / counts.sum(), means, np.linalg.cholesky(structure.project(scatter, counts)))
