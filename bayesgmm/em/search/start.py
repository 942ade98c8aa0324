"""Starting points of EM: drawn by a strategy, or made from the start that the user passed.

A strategy picks one row per component as the mean of that component. It measures distances in the metric of the data's
total covariance (`collapse.bounds_of`), so that every start, like the fit itself, follows invertible affine maps of the
data: all of them if the covariances are full or tied, other units of the features if they are diagonal, rotations and
one common unit if they are spherical.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solve_triangular

from bayesgmm.em.search.steps import Point
from bayesgmm.em.search.task import Task
from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import Rows
from bayesgmm.mixture.covariance import CovarianceStructure
from bayesgmm.mixture.data_covariance import split_into_equal_volumes
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import FloatArray, IntArray
from bayesgmm.validation import as_numbers
from bayesgmm.wording import shown

type StartName = Literal["k-means++", "random"]

# Largest number of rows among which starts are drawn and compared.
_MOST_ROWS = 16_384


class StartStrategy(NamedTuple):
    """A way to draw starts: pick(points (M, D) whitened, weights (M,), K, rng) -> row indices (K,) of the seeds."""

    name: StartName
    pick: Callable[[FloatArray, FloatArray, int, np.random.Generator], IntArray]


def _k_means_plus_plus(
    points: FloatArray, weights: FloatArray, n_components: int, rng: np.random.Generator
) -> IntArray:
    """Draw each seed with probability proportional to its squared distance from the nearest of the seeds before it.

    Arthur and Vassilvitskii (2007), k-means++: the advantages of careful seeding.
    """
    seeds = [int(rng.choice(len(points), p=weights / weights.sum()))]
    distances = np.full(len(points), np.inf)
    while len(seeds) < n_components:
        with np.errstate(over="ignore", invalid="ignore"):
            distances = np.minimum(distances, np.square(points - points[seeds[-1]]).sum(axis=1))
            mass = weights * distances
        # The sample may have fewer distinct rows than seeds, and weights of very different sizes overflow.
        mass = mass if 0 < mass.sum() < np.inf else weights
        seeds.append(int(rng.choice(len(points), p=mass / mass.sum())))
    return np.array(seeds)


def _random_points(points: FloatArray, weights: FloatArray, n_components: int, rng: np.random.Generator) -> IntArray:
    """Draw seeds among the distinct rows: repeated rows would give two components the same seed.

    Each distinct row is as likely as any other, whatever its weight: a row of weight 2 is a row that is there twice.
    """
    _, first = np.unique(points, axis=0, return_index=True)
    distinct = np.sort(first)  # in the order of the rows, which no map of the data changes
    n_distinct = len(distinct)
    n_drawn = min(n_components, n_distinct)
    seeds = distinct[rng.choice(n_distinct, size=n_drawn, replace=False, p=np.full(n_distinct, 1 / n_distinct))]
    # Rows that differ by less than rounding are one row here, and a sample may have fewer distinct rows than seeds.
    return np.asarray(np.resize(seeds, n_components))


STRATEGIES: dict[str, StartStrategy] = {
    strategy.name: strategy
    for strategy in (StartStrategy("k-means++", _k_means_plus_plus), StartStrategy("random", _random_points))
}


def strategy_named(start: str) -> StartStrategy:
    """Look a strategy up by its name."""
    if start not in STRATEGIES:
        raise InputError(
            f"start must be one of {', '.join(STRATEGIES)}, a MixtureParameters or responsibilities; "
            f"received {shown(start)}."
        )
    return STRATEGIES[start]


def sample_of(rows: Rows, rng: np.random.Generator) -> Rows:
    """The rows among which starts are drawn: all of them, or 16,384 drawn in proportion to their weights.

    Weighted rows are drawn with replacement, as if each row were there as often as its weight says.
    """
    if rows.n_samples <= _MOST_ROWS:
        return rows
    if rows.weights.size:
        positive = np.flatnonzero(rows.weights)
        if len(positive) <= _MOST_ROWS:
            return Rows(rows.values[positive], rows.weights[positive], rows.origin)
        index = rng.choice(rows.n_samples, size=_MOST_ROWS, p=rows.weights / rows.weights.sum())
    else:
        index = rng.choice(rows.n_samples, size=_MOST_ROWS, replace=False)
    return Rows(rows.values[np.sort(index)], np.empty(0), rows.origin)


def whitened(rows: Rows, total_cholesky: FloatArray) -> FloatArray:
    """The rows (N, D) in the metric of their total covariance."""
    return np.asarray(solve_triangular(total_cholesky, (rows.values - rows.origin).T, lower=True).T)


def draw_start(task: Task, strategy: StartStrategy, points: FloatArray, rng: np.random.Generator) -> Point:
    """Draw a start: equal weights, the seeds as means, and the total covariance shrunk to K equal volumes.

    points (N, D): the rows of the task, whitened.
    """
    rows, K = task.rows, task.n_components
    total_cholesky = task.settings.bounds.total_cholesky
    if rows.weights.size:
        positive = np.flatnonzero(rows.weights)  # a row of weight 0 is no row
        seeds = positive[strategy.pick(points[positive], rows.weights[positive], K, rng)]
    else:
        seeds = strategy.pick(points, np.ones(rows.n_samples), K, rng)
    shares = np.full(K, 1 / K)
    covariance = split_into_equal_volumes(total_cholesky @ total_cholesky.T, K, rows.n_features)
    scatter = covariance * shares[:, np.newaxis, np.newaxis]
    choleskys = np.linalg.cholesky(task.structure.project(scatter, shares))
    return Point(shares, np.ascontiguousarray(rows.values[seeds] - rows.origin), choleskys)


def given_start(task: Task, start: MixtureParameters | ArrayLike) -> tuple[Point, str]:
    """The point of the user's start, and the form of that start: "parameters" or "responsibilities"."""
    if isinstance(start, MixtureParameters):
        return _point_of_parameters(task, start), "parameters"
    return _point_of_responsibilities(task, start), "responsibilities"


def _point_of_parameters(task: Task, start: MixtureParameters) -> Point:
    start.check_start(task.n_components, task.rows.features)
    if not start.weights.all():
        raise InputError(
            f"start must give every component a weight above 0, or no row could join it; received "
            f"{start.weights.tolist()}. Leave that component out, or give it a weight."
        )
    counts = start.weights * task.rows.n_samples
    # The start must have the structure that is fitted: its covariances are projected as in an M-step.
    covariances = task.structure.project(start.covariances * counts[:, np.newaxis, np.newaxis], counts)
    means = np.ascontiguousarray(start.means - task.rows.origin)
    return Point(start.weights, means, np.linalg.cholesky(covariances))


def _point_of_responsibilities(task: Task, start: ArrayLike) -> Point:
    responsibilities = as_numbers(start, "start, unless it is a strategy's name or a MixtureParameters,")
    shape = (task.rows.n_samples, task.n_components)
    if responsibilities.shape != shape:
        raise InputError(
            f"start, as responsibilities, must have shape {shape}; it has shape {responsibilities.shape}. Give each "
            f"row of X one number for each component."
        )
    if (
        not np.isfinite(responsibilities).all()
        or responsibilities.min() < 0
        or abs(responsibilities.sum(axis=1) - 1).max() > 1e-6
    ):
        raise InputError(
            "start, as responsibilities, must be finite and not negative, and each row must sum to 1. Divide each row "
            "by its sum."
        )
    try:
        with np.errstate(all="ignore"):
            point = from_responsibilities(task.rows, responsibilities, task.structure)
        collapsed = task.settings.parameters_unless_collapsed(point) is None
    except np.linalg.LinAlgError:
        collapsed = True
    if collapsed:
        raise InputError(
            "start, as responsibilities, gives some component too few rows for a covariance. Give every component "
            "more rows than there are features."
        )
    return point


def from_responsibilities(rows: Rows, responsibilities: FloatArray, structure: CovarianceStructure) -> Point:
    """The M-step for responsibilities (N, K) that the user passed.

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
