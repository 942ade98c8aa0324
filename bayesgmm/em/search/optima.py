"""The distinct maxima of the likelihood that the runs of a fit reached."""

from collections.abc import Sequence

import numpy as np

from bayesgmm.em.runs import Optimum, Status
from bayesgmm.em.search.climb import EMRun
from bayesgmm.em.search.steps import Point
from bayesgmm.mixture.matching import MixtureArrays, same_mixture
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import FloatArray

# Largest difference of the log-likelihoods of two runs to one maximum: this many tolerances, or this many nats if that
# is more.
_TOLERANCES, _SMALLEST_DIFFERENCE = 10.0, 1e-3


def as_parameters(point: Point, origin: FloatArray, features: tuple[str, ...]) -> MixtureParameters:
    """The mixture at a point of EM, whose means are relative to `origin` (D,)."""
    weights = point.weights / point.weights.sum()
    return MixtureParameters(weights, point.means + origin, _covariances(point), features)


def by_weight(point: Point) -> Point:
    """The same point with its components in decreasing order of weight."""
    order = np.argsort(-point.weights, kind="stable")
    return Point(*(values[order] for values in point))


def is_same_maximum(run: EMRun, higher: EMRun, tol: float, stds: FloatArray) -> bool:
    """Whether a run ended at the maximum of another run, which is not lower; stds (D,): of the data."""
    return _is_close(run, higher, tol) and same_mixture(_components(run), _components(higher), stds)


def optima_of(
    runs: Sequence[EMRun],
    best: EMRun,
    tol: float,
    stds: FloatArray,
    origin: FloatArray,
    features: tuple[str, ...],
) -> tuple[Optimum, ...]:
    """The fit itself, then the other maxima that runs converged to, best first.

    stds (D,): standard deviations of the data; origin (D,): the means of the points are relative to it.
    """
    converged = [run for run in runs if run.record.status is Status.CONVERGED and run.record is not best.record]
    converged.sort(key=lambda run: -run.record.log_likelihood)
    distinct: list[EMRun] = []
    distinct_components: list[MixtureArrays] = []
    n_runs: list[int] = []
    for run in [best, *converged]:
        components = _components(run)
        for i, earlier in enumerate(distinct):
            if _is_close(run, earlier, tol) and same_mixture(components, distinct_components[i], stds):
                n_runs[i] += 1
                break
        else:
            distinct.append(run)
            distinct_components.append(components)
            n_runs.append(1)
    points = [best.point, *(by_weight(run.point) for run in distinct[1:])]
    return tuple(
        Optimum(as_parameters(point, origin, features), run.record.log_likelihood, n)
        for point, run, n in zip(points, distinct, n_runs, strict=True)
    )


def _is_close(run: EMRun, higher: EMRun, tol: float) -> bool:
    difference = higher.record.log_likelihood - run.record.log_likelihood
    return difference <= max(_TOLERANCES * tol, _SMALLEST_DIFFERENCE)


def _components(run: EMRun) -> MixtureArrays:
    return MixtureArrays(run.point.weights, run.point.means, _covariances(run.point))


def _covariances(point: Point) -> FloatArray:
    covariances = point.choleskys @ point.choleskys.transpose(0, 2, 1)
    return np.asarray(0.5 * (covariances + covariances.transpose(0, 2, 1)))
