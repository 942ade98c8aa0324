"""Fits of resampled rows: the bootstrap in three forms, and the jackknife.

Rows are resampled through their weights, so that no row is copied. Each replicate is fitted on one thread, by
quasi-Newton steps that begin at the fit and with its curvature, while other threads fit other replicates.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from bayesgmm.display.progress import Progress
from bayesgmm.em.search import steps
from bayesgmm.em.search.collapse import bounds_of
from bayesgmm.em.search.steps import Bounds, Point
from bayesgmm.em.uncertainty import ascent
from bayesgmm.em.uncertainty.curvature import Maximum
from bayesgmm.errors import FitError, InputError
from bayesgmm.kernel.rows import Rows
from bayesgmm.mixture.matching import are_permutations, best_assignments, distances_to_reference, label_costs
from bayesgmm.mixture.scalars import scalar_values
from bayesgmm.parallel import on_threads
from bayesgmm.types import BoolArray, FloatArray, IntArray

# Callable that produces one replicate's data when needed: multipliers for the row weights, or simulated rows.
type ReplicateData = Callable[[], FloatArray]

# Log-likelihood left to gain before the last step of a fit (nats); that step makes it far smaller.
_TOL = 1e-8
# Passes over the rows after which a fit is given up.
_MOST_PASSES = 2000
# Passes assumed per replicate when deciding whether threads pay off.
_USUAL_PASSES = 10
# Replicates that one thread fits before it needs Python again: this many at most, and weights of at most 256 kB.
_LARGEST_BATCH, _BATCH_WEIGHTS = 128, 2**15
# Most groups of rows that the jackknife leaves out in turn.
_JACKKNIFE_GROUPS = 200


class Replicates(NamedTuple):
    """The estimates from the replicates.

    values (n, n_scalars): estimates of the n replicates that converged, with the labels of the fit; n_collapsed,
    n_unfinished: replicates that did not converge; n_ambiguous: replicates among the n whose components, each assigned
    to the nearest component of the fit, are no permutation of them.
    """

    values: FloatArray
    n_collapsed: int
    n_unfinished: int
    n_ambiguous: int


def positive_rows(rows: Rows) -> IntArray:
    """Indices (n,) of the rows of positive weight: a row of weight 0 is no observation."""
    return np.flatnonzero(rows.weights) if rows.weights.size else np.arange(rows.n_samples)


def bootstrap_multipliers(n: int, rng: np.random.Generator) -> FloatArray:
    """How often each of n rows is among n rows drawn with replacement (Efron 1979, doi:10.1214/aos/1176344552)."""
    return np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64)


def dirichlet_multipliers(n: int, rng: np.random.Generator) -> FloatArray:
    """(n,) n times a draw from the uniform Dirichlet distribution.

    Newton and Raftery (1994), section 3, doi:10.1111/j.2517-6161.1994.tb01956.x.
    """
    shares = rng.standard_exponential(n)
    return np.asarray(shares / shares.mean())


def leave_out_multipliers(n: int, group: IntArray) -> FloatArray:
    """(n,) 0 for the rows of a group and 1 for the others."""
    multipliers = np.ones(n)
    multipliers[group] = 0.0
    return multipliers


def simulated_rows(maximum: Maximum, rng: np.random.Generator) -> FloatArray:
    """Rows drawn from the fit, relative to the origin of its rows; their number is the total weight of the rows."""
    weights, means, choleskys = maximum.point
    counts = rng.multinomial(round(maximum.rows.total_weight), weights / weights.sum())
    noise = rng.standard_normal((counts.sum(), maximum.rows.n_features))
    parts = np.split(noise, np.cumsum(counts)[:-1])
    return np.concatenate([m + part @ L.T for m, L, part in zip(means, choleskys, parts, strict=True)])


def check_simulated(rows: Rows) -> None:
    """Raise InputError if fewer rows would be simulated than a covariance needs."""
    n_needed = rows.n_features + 1
    if round(rows.total_weight) < n_needed:
        raise InputError(
            f"sample_weight sums to {rows.total_weight:.4g}: as many rows would be simulated, and at least {n_needed} "
            f"are needed. Give weights that count rows, or use method='bootstrap'."
        )


def jackknife_groups(n: int, n_groups: int | None, rng: np.random.Generator) -> list[IntArray]:
    """Groups of n rows to leave out in turn: each row alone, up to 200 rows; beyond, 200 groups at random."""
    n_groups = n_groups or min(n, _JACKKNIFE_GROUPS)
    if n_groups > n:
        raise InputError(
            f"n_replicates, for the jackknife, must be at most {n}, the number of rows; received {n_groups}."
        )
    return np.array_split(np.arange(n) if n_groups == n else rng.permutation(n), n_groups)


def jackknife_covariance(estimate: FloatArray, values: FloatArray, sizes: FloatArray) -> FloatArray:
    """(n_scalars, n_scalars) covariance from the estimates (g, n_scalars) without each of g groups of sizes (g,).

    Busing, Meijer and van der Leeden (1999), Delete-m jackknife for unequal m, doi:10.1023/A:1008800423698. For equal
    sizes it is (g - 1) / g times the sum of squares about the mean.
    """
    ratios = (sizes.sum() / sizes)[:, np.newaxis]
    pseudo_values = ratios * estimate - (ratios - 1) * values
    centre = (values * (1 - 1 / ratios)).sum(axis=0)
    combined = len(sizes) * estimate - centre
    deviations = (pseudo_values - combined) / np.sqrt(ratios - 1)
    return np.asarray(deviations.T @ deviations / len(sizes))


class Refit(NamedTuple):
    """The start of every replicate's fit: the maximum, the collapse bounds, and the inverse curvature (P, P)."""

    maximum: Maximum
    bounds: Bounds
    inverse: FloatArray

    def with_multipliers(self, batch: Sequence[ReplicateData]) -> tuple[Point, IntArray]:
        """Fit the rows with their weights multiplied.

        Returns the last points of n replicates, as in `ascent.ascend_each`, and how each ended (n,).
        """
        rows, shape = self.maximum.rows, self.maximum.structure.flags
        weights = np.stack([multipliers() for multipliers in batch])
        if rows.weights.size:
            index, multipliers, weights = positive_rows(rows), weights, np.zeros((len(batch), rows.n_samples))
            weights[:, index] = multipliers * rows.weights[index]
        weights.flags.writeable = False  # like the weights of `Rows`, so that the same binary serves both
        points, endings = ascent.ascend_each(
            rows.values, weights, rows.origin, self.maximum.point, shape, self.bounds, _TOL, self.inverse, _MOST_PASSES
        )
        return Point(*points), endings

    def of_simulated_rows(self, batch: Sequence[ReplicateData]) -> tuple[Point, IntArray]:
        """Fit simulated rows; returns the same as `with_multipliers`."""
        shape, points, endings = self.maximum.structure.flags, [], []
        for simulate in batch:
            rows = Rows(simulate(), np.empty(0), np.zeros(self.maximum.rows.n_features))
            point, ending = ascent.ascend(
                rows.values, rows.weights, rows.origin, self.maximum.point, shape, self.bounds, _TOL,
                self.inverse.copy(), _MOST_PASSES,
            )  # fmt: skip
            points.append(point)
            endings.append(ending)
        return Point(*(np.stack(arrays) for arrays in zip(*points, strict=True))), np.array(endings)


def fit_replicates(
    maximum: Maximum, inverse: FloatArray, data: Sequence[ReplicateData], *, simulated: bool, progress: bool
) -> Replicates:
    """Fit every replicate, beginning at the maximum with the inverse curvature (P, P) there.

    data: simulated rows, or else multipliers of the row weights.

    Raises FitError when fewer than half of the replicates converge.
    """
    K, N = len(maximum.point.means), maximum.rows.n_samples
    bounds = bounds_of(maximum.rows, maximum.structure)
    if simulated:
        bounds = bounds._replace(n_rows=float(round(maximum.rows.total_weight)))
    refit = Refit(maximum, bounds, inverse)
    size = max(1, min(_LARGEST_BATCH, _BATCH_WEIGHTS // N))
    batches = [data[begin : begin + size] for begin in range(0, len(data), size)]
    work = len(data) * _USUAL_PASSES * maximum.rows.cost(K)
    values, n_ambiguous, endings = [], 0, np.empty(0, np.int64)
    with Progress(len(data), "replicates", show=progress) as show_progress:
        fits = on_threads(refit.of_simulated_rows if simulated else refit.with_multipliers, batches, work)
        for points, endings_of_batch in fits:
            converged = endings_of_batch == steps.STOPPED
            if converged.any():
                aligned, is_clear = _aligned_scalars(maximum, Point(*(array[converged] for array in points)))
                values.append(aligned)
                n_ambiguous += int((~is_clear).sum())
            endings = np.append(endings, endings_of_batch)
            show_progress(len(endings))
    n_collapsed, n_unfinished = int((endings == steps.DEGENERATE).sum()), int((endings == steps.RAN).sum())
    if 2 * (n_collapsed + n_unfinished) > len(data):
        raise FitError(
            f"Of {len(data)} replicates {n_collapsed} collapsed and {n_unfinished} reached no maximum within "
            f"{_MOST_PASSES} passes: the others alone would understate the uncertainty. Ask for fewer components, or "
            f"describe the fit by the posterior, whose priors keep covariances away from zero."
        )
    return Replicates(np.concatenate(values), n_collapsed, n_unfinished, n_ambiguous)


def _aligned_scalars(maximum: Maximum, points: Point) -> tuple[FloatArray, BoolArray]:
    """Scalars (n, n_scalars) of n mixtures with the labels of the fit, and whether those labels are clear (n,)."""
    weights, means = points.weights, points.means + maximum.rows.origin
    covariances = points.choleskys @ points.choleskys.transpose(0, 1, 3, 2)
    (n, K), is_clear = weights.shape, np.ones(len(weights), dtype=bool)
    if K > 1:
        costs = label_costs(maximum.mixture, weights, means, covariances)
        order = best_assignments(costs)
        replicate = np.arange(n)[:, np.newaxis]
        weights, means = weights[replicate, order], means[replicate, order]
        covariances = covariances[replicate, order]
        nearest = distances_to_reference(maximum.mixture, means, covariances).argmin(axis=1)
        is_clear = are_permutations(nearest)
    stds = np.sqrt(np.einsum("skii->ski", covariances))
    correlations = covariances / (stds[..., np.newaxis] * stds[..., np.newaxis, :])
    arrays = {"weights": weights, "means": means, "stds": stds, "correlations": correlations}
    return scalar_values(maximum.scalars, arrays), is_clear
