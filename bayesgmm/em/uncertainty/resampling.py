"""Fits of resampled rows: the bootstrap in three forms, and the jackknife.

Rows are resampled by their weights, so that no row is copied; each replicate climbs from the fit, by quasi-Newton steps
that begin with the fit's own curvature, on one thread while others do the same.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bayesgmm.display.progress import _Progress
from bayesgmm.em.search import steps
from bayesgmm.em.search.collapse import bounds_of
from bayesgmm.em.search.steps import Bounds, Point
from bayesgmm.em.uncertainty import ascent
from bayesgmm.em.uncertainty.curvature import Maximum
from bayesgmm.exceptions import FitError, InputError
from bayesgmm.kernel.rows import Rows
from bayesgmm.mixture.matching import distances_from, label_costs
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.mixture.scalars import values_of
from bayesgmm.parallel import on_threads
from bayesgmm.types import FloatArray

# What a replicate is fitted to, made when it is its turn: factors of the weights of the rows that count, or rows.
type Draw = Callable[[], FloatArray]

# Distance to the maximum before the last step, which makes it far smaller; passes over the rows at most.
_TOL, _MOST_PASSES = 1e-8, 2000
# What threads are worth is judged by so many passes a replicate.
_PASSES = 10
_MOST_TOGETHER, _NUMBERS_TOGETHER = 128, 2**15
_JACKKNIFE_GROUPS = 200


class Replicates(NamedTuple):
    """values (n, n_entries): the estimates of the replicates that ended, labelled as the fit is.

    n_collapsed, n_unfinished: others; n_ambiguous: of the n, those whose components, each given to the nearest of the
    fit's, make no permutation.
    """

    values: FloatArray
    n_collapsed: int
    n_unfinished: int
    n_ambiguous: int


def counted(rows: Rows) -> NDArray[np.intp]:
    """Numbers (n,) of the rows of positive weight: one of weight 0 is no observation."""
    return np.flatnonzero(rows.weights) if rows.weights.size else np.arange(rows.n_samples)


def bootstrap(n: int, rng: np.random.Generator) -> FloatArray:
    """How often each of n rows is among n drawn with replacement (Efron 1979, doi:10.1214/aos/1176344552)."""
    return np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64)


def weighted(n: int, rng: np.random.Generator) -> FloatArray:
    """n times a uniform Dirichlet number for each of n rows (Newton and Raftery 1994, section 3,
    doi:10.1111/j.2517-6161.1994.tb01956.x)."""
    shares = rng.standard_exponential(n)
    return np.asarray(shares / shares.mean())


def without(n: int, group: NDArray[np.intp]) -> FloatArray:
    """1 for each of n rows, and 0 for those of a group."""
    factors = np.ones(n)
    factors[group] = 0.0
    return factors


def parametric(maximum: Maximum, rng: np.random.Generator) -> FloatArray:
    """Rows from the fit, relative to the origin of its rows, as many as those are or their weights sum to."""
    weights, means, choleskys = maximum.point
    counts = rng.multinomial(round(maximum.rows.total_weight), weights / weights.sum())
    noise = rng.standard_normal((counts.sum(), maximum.rows.n_features))
    parts = np.split(noise, np.cumsum(counts)[:-1])
    return np.concatenate([m + part @ L.T for m, L, part in zip(means, choleskys, parts, strict=True)])


def check_simulated(rows: Rows) -> None:
    """Refuse, as InputError, to simulate fewer rows than a covariance needs."""
    fewest = rows.n_features + 1
    if round(rows.total_weight) < fewest:
        raise InputError(
            f"sample_weight sums to {rows.total_weight:.4g}: so few rows would be simulated, and {fewest} are "
            f"needed. Give weights that count rows, or use method='bootstrap'."
        )


def jackknife_groups(n: int, n_groups: int | None, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """Groups of n rows to leave out in turn: each row alone, up to 200 rows; beyond, 200 groups at random."""
    n_groups = n_groups or min(n, _JACKKNIFE_GROUPS)
    if n_groups > n:
        raise InputError(f"n_replicates, for the jackknife, must be at most {n}, one a row; received {n_groups}.")
    return np.array_split(np.arange(n) if n_groups == n else rng.permutation(n), n_groups)


def jackknife_covariance(estimate: FloatArray, values: FloatArray, sizes: FloatArray) -> FloatArray:
    """(n_entries, n_entries) from the estimates (g, n_entries) without each of g groups of these sizes (g,).

    Busing, Meijer and van der Leeden (1999), Delete-m jackknife for unequal m, doi:10.1023/A:1008800423698;
    for equal sizes (g - 1) / g times the sum of squares about the mean.
    """
    shares = (sizes.sum() / sizes)[:, np.newaxis]
    pseudo = shares * estimate - (shares - 1) * values
    centre = (values * (1 - 1 / shares)).sum(axis=0)
    combined = len(sizes) * estimate - centre
    apart = (pseudo - combined) / np.sqrt(shares - 1)
    return np.asarray(apart.T @ apart / len(sizes))


class Refit(NamedTuple):
    """Where the replicates of a fit begin. inverse (P, P): of the curvature there."""

    maximum: Maximum
    bounds: Bounds
    inverse: FloatArray

    def to_weights(self, drawn: Sequence[Draw]) -> tuple[Point, NDArray[np.intp]]:
        """Fits of the rows with their weights times what is drawn: n mixtures as a Point, and how each ended (n,)."""
        rows, shape = self.maximum.rows, self.maximum.structure.shape
        weights = np.stack([draw() for draw in drawn])
        if rows.weights.size:
            at, factors, weights = counted(rows), weights, np.zeros((len(drawn), rows.n_samples))
            weights[:, at] = factors * rows.weights[at]
        weights.flags.writeable = False  # as other rows' are, so that one binary serves all
        found, ends = ascent.ascend_each(
            rows.values, weights, rows.origin, self.maximum.point, shape, self.bounds, _TOL, self.inverse, _MOST_PASSES
        )
        return Point(*found), ends

    def to_rows(self, drawn: Sequence[Draw]) -> tuple[Point, NDArray[np.intp]]:
        """Fits of the rows drawn."""
        shape, points, ends = self.maximum.structure.shape, [], []
        for draw in drawn:
            rows = Rows(draw(), np.empty(0), np.zeros(self.maximum.rows.n_features))
            point, end = ascent.ascend(
                rows.values, rows.weights, rows.origin, self.maximum.point, shape, self.bounds, _TOL,
                self.inverse.copy(), _MOST_PASSES,
            )  # fmt: skip
            points.append(point)
            ends.append(end)
        return Point(*(np.stack(arrays) for arrays in zip(*points, strict=True))), np.array(ends)


def replicates(
    maximum: Maximum,
    mixture: MixtureParameters,
    inverse: FloatArray,
    drawn: Sequence[Draw],
    *,
    simulated: bool,
    progress: bool,
) -> Replicates:
    """Fit everything drawn, from the fit on: factors of the weights, or rows when `simulated`.

    Raises FitError when fewer than half of the replicates end.
    """
    K, N = len(maximum.point.means), maximum.rows.n_samples
    bounds = bounds_of(maximum.rows, mixture.features, maximum.structure)
    if simulated:
        bounds = bounds._replace(n_rows=float(round(maximum.rows.total_weight)))
    refit = Refit(maximum, bounds, inverse)
    # Together, so that a thread works for a while before it needs Python again.
    together = max(1, min(_MOST_TOGETHER, _NUMBERS_TOGETHER // N))
    batches = [drawn[begin : begin + together] for begin in range(0, len(drawn), together)]
    work = len(drawn) * _PASSES * maximum.rows.cost(K)
    values, n_ambiguous, ends = [], 0, np.empty(0, np.int64)
    with _Progress(len(drawn), progress) as shown:
        for points, ended in on_threads(refit.to_rows if simulated else refit.to_weights, batches, work):
            whole = ended == steps.STOPPED
            if whole.any():
                found, clear = _aligned(maximum, mixture, Point(*(array[whole] for array in points)))
                values.append(found)
                n_ambiguous += int((~clear).sum())
            ends = np.append(ends, ended)
            shown(len(ends))
    n_collapsed, n_unfinished = int((ends == steps.DEGENERATE).sum()), int((ends == steps.RAN).sum())
    if 2 * (n_collapsed + n_unfinished) > len(drawn):
        raise FitError(
            f"Of {len(drawn)} replicates {n_collapsed} collapsed and {n_unfinished} reached no maximum within "
            f"{_MOST_PASSES} passes: the rest would understate the uncertainty. Ask for fewer components, or describe "
            f"the fit by the posterior, whose priors keep covariances away from zero."
        )
    return Replicates(np.concatenate(values), n_collapsed, n_unfinished, n_ambiguous)


def _aligned(maximum: Maximum, mixture: MixtureParameters, points: Point) -> tuple[FloatArray, NDArray[np.bool]]:
    """(n, n_entries) entries of n mixtures with the fit's labels, and (n,) whether those are clear."""
    weights, means = points.weights, points.means + maximum.rows.origin
    covariances = points.choleskys @ points.choleskys.transpose(0, 1, 3, 2)
    (n, K), clear = weights.shape, np.ones(len(weights), dtype=bool)
    if K > 1:
        costs = label_costs(mixture, weights, means, covariances)
        order = np.stack([linear_sum_assignment(cost)[1] for cost in costs])
        draw = np.arange(n)[:, np.newaxis]
        weights, means, covariances = weights[draw, order], means[draw, order], covariances[draw, order]
        nearest = distances_from(mixture, means, covariances).argmin(axis=1)
        clear = (np.sort(nearest, axis=1) == np.arange(K)).all(axis=1)
    stds = np.sqrt(np.einsum("skii->ski", covariances))
    correlations = covariances / (stds[..., np.newaxis] * stds[..., np.newaxis, :])
    arrays = {"weights": weights, "means": means, "stds": stds, "correlations": correlations}
    return values_of(maximum.found, arrays), clear
