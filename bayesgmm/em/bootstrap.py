"""Fits of resampled rows: the bootstrap in three forms, and the jackknife.

Rows are resampled by their weights, so that no row is copied; each replicate climbs from the fit, by quasi-Newton steps
that begin with the fit's own curvature, on one thread while others do the same.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import batched
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bayesgmm.em import steps
from bayesgmm.em.fit import bounds_of
from bayesgmm.em.steps import Point
from bayesgmm.em.uncertainty import Top
from bayesgmm.exceptions import FitError, InputError
from bayesgmm.mixture.entries import values_of
from bayesgmm.mixture.matching import bhattacharyya_distances, label_costs
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.mixture.rows import Rows, on_threads

type FloatArray = NDArray[np.float64]
# The rows of a replicate, made when it is its turn.
type Resample = Callable[[], Rows]

# Distance to the maximum before the last step, which makes it far smaller; passes over the rows at most.
_TOL, _MOST_PASSES = 1e-8, 2000
# What threads are worth is judged by so many passes a replicate.
_PASSES = 10
_BATCH = 64
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


def bootstrap(rows: Rows, rng: np.random.Generator) -> Rows:
    """As many rows drawn with replacement, each with its weight (Efron 1979, doi:10.1214/aos/1176344552)."""
    counted = _counted(rows)
    n = len(counted)
    weights = np.zeros(rows.n_samples)
    weights[counted] = np.bincount(rng.integers(n, size=n), minlength=n)
    return _reweighted(rows, weights)


def weighted(rows: Rows, rng: np.random.Generator) -> Rows:
    """Every row, its weight times a uniform Dirichlet number (Newton and Raftery 1994, section 3,
    doi:10.1111/j.2517-6161.1994.tb01956.x)."""
    counted = _counted(rows)
    weights = np.zeros(rows.n_samples)
    shares = rng.standard_exponential(len(counted))
    weights[counted] = shares / shares.mean()
    return _reweighted(rows, weights)


def parametric(n_samples: int, mixture: MixtureParameters, origin: FloatArray, rng: np.random.Generator) -> Rows:
    """New rows from the fitted mixture."""
    return Rows(mixture.sample(n_samples, rng)[0], np.empty(0), origin)


def without(rows: Rows, group: NDArray[np.intp]) -> Rows:
    """All rows but those of a group."""
    weights = np.ones(rows.n_samples)
    weights[group] = 0.0
    return _reweighted(rows, weights)


def _counted(rows: Rows) -> NDArray[np.intp]:
    """Numbers of the rows of positive weight."""
    return np.flatnonzero(rows.weights) if rows.weights.size else np.arange(rows.n_samples)


def _reweighted(rows: Rows, weights: FloatArray) -> Rows:
    return Rows(rows.values, weights * rows.weights if rows.weights.size else weights, rows.origin)


def resamples(method: str, top: Top, mixture: MixtureParameters, n: int, rng: np.random.Generator) -> list[Resample]:
    """The rows of n replicates of "bootstrap", "weighted" or "parametric", each with a stream of its own."""
    streams = rng.spawn(n)
    if method == "parametric":
        n_samples = round(top.rows.total_weight)
        fewest = top.rows.n_features + 1
        if n_samples < fewest:
            raise InputError(
                f"sample_weight sums to {top.rows.total_weight:.4g}: as many rows would be simulated, and at least "
                f"{fewest} are needed. Give weights that count rows, or use method='bootstrap'."
            )
        return [partial(parametric, n_samples, mixture, top.rows.origin, stream) for stream in streams]
    draw = {"bootstrap": bootstrap, "weighted": weighted}[method]
    return [partial(draw, top.rows, stream) for stream in streams]


def jackknife_groups(rows: Rows, n_groups: int | None, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """Groups of rows of positive weight to leave out in turn: each row alone, up to 200 rows; beyond, 200 at random."""
    counted = _counted(rows)
    n = n_groups or min(len(counted), _JACKKNIFE_GROUPS)
    if n > len(counted):
        raise InputError(f"n_replicates, for the jackknife, must be at most {len(counted)}, one a row; received {n}.")
    return np.array_split(counted if n == len(counted) else rng.permutation(counted), n)


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


def replicates(
    top: Top, mixture: MixtureParameters, inverse: FloatArray, drawn: list[Resample], progress: bool
) -> Replicates:
    """Fit every resample from the fit on. inverse (P, P): of the curvature there.

    Raises FitError when fewer than half of the replicates end.
    """
    bounds = bounds_of(top.rows, mixture.features, top.structure)
    shape = top.structure.shape

    def climb(resample: Resample) -> tuple[Point, int]:
        rows = resample()
        point, end = steps.ascend(
            rows.values, rows.weights, rows.origin, top.point, shape, bounds, _TOL, inverse.copy(), _MOST_PASSES
        )
        return point, end

    K, D = top.point.means.shape
    work = len(drawn) * _PASSES * top.rows.n_samples * K * D * (D + 8)
    values, n_ambiguous, ends = [], 0, []
    for batch in batched(_shown(on_threads(climb, drawn, work), len(drawn), progress), _BATCH):
        ends += [end for _, end in batch]
        points = [point for point, end in batch if end == steps.STOPPED]
        if points:
            found, clear = _aligned(top, mixture, points)
            values.append(found)
            n_ambiguous += int((~clear).sum())
    n_collapsed, n_unfinished = ends.count(steps.DEGENERATE), ends.count(steps.RAN)
    if 2 * (n_collapsed + n_unfinished) > len(drawn):
        raise FitError(
            f"Of {len(drawn)} replicates {n_collapsed} collapsed and {n_unfinished} reached no maximum within "
            f"{_MOST_PASSES} passes: the rest would understate the uncertainty. Ask for fewer components, or describe "
            f"the fit by the posterior, whose priors keep covariances away from zero."
        )
    return Replicates(np.concatenate(values), n_collapsed, n_unfinished, n_ambiguous)


def _aligned(top: Top, mixture: MixtureParameters, points: list[Point]) -> tuple[FloatArray, NDArray[np.bool]]:
    """(S, n_entries) entries of mixtures with the fit's labels, and (S,) whether those are clear."""
    weights, means, choleskys = (np.stack(arrays) for arrays in zip(*points, strict=True))
    means = means + top.rows.origin
    covariances = choleskys @ choleskys.transpose(0, 1, 3, 2)
    K = mixture.n_components
    clear = np.ones(len(points), dtype=bool)
    if K > 1:
        costs = label_costs(mixture, weights, means, covariances)
        order = np.stack([linear_sum_assignment(cost)[1] for cost in costs])
        draw = np.arange(len(points))[:, np.newaxis]
        weights, means, covariances = weights[draw, order], means[draw, order], covariances[draw, order]
        nearest = bhattacharyya_distances(mixture, means, covariances).argmin(axis=1)
        clear = (np.sort(nearest, axis=1) == np.arange(K)).all(axis=1)
    stds = np.sqrt(np.einsum("skii->ski", covariances))
    correlations = covariances / (stds[..., np.newaxis] * stds[..., np.newaxis, :])
    arrays = {"weights": weights, "means": means, "stds": stds, "correlations": correlations}
    return values_of(top.found, arrays), clear


def _shown[T](items: Iterable[T], n: int, progress: bool) -> Iterator[T]:
    """Pass the items on, and count them on standard error where a person looks at it."""
    shown, last = progress and sys.stderr.isatty(), 0.0
    for done, item in enumerate(items, 1):
        if shown and (done == n or time.monotonic() - last > 0.1):
            last = time.monotonic()
            print(f"\r{done} of {n} replicates", end="\n" if done == n else "", file=sys.stderr, flush=True)
        yield item
