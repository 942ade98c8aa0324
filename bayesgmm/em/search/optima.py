"""The distinct maxima of the likelihood that the runs of a fit reached."""

from collections.abc import Sequence

import numpy as np

from bayesgmm.em.runs import Optimum, Restart, Status
from bayesgmm.em.search.steps import Point
from bayesgmm.mixture.matching import MixtureArrays, same_mixture
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import FloatArray

# Two runs to one maximum stop this many tolerances apart at most, and never differ by more than the second number.
_TOLERANCES, _SMALLEST_DIFFERENCE = 10.0, 1e-3


def as_parameters(point: Point, origin: FloatArray, features: tuple[str, ...]) -> MixtureParameters:
    """A point of EM, whose means are relative to `origin`, as a mixture."""
    weights = point.weights / point.weights.sum()
    return MixtureParameters(weights, point.means + origin, _covariances(point), features)


def by_weight(point: Point) -> Point:
    """The same point, its components in decreasing order of weight."""
    order = np.argsort(-point.weights, kind="stable")
    return Point(*(values[order] for values in point))


def optima_of(
    runs: Sequence[tuple[Point, Restart]],
    best: tuple[Point, Restart],
    tol: float,
    stds: FloatArray,
    origin: FloatArray,
    features: tuple[str, ...],
) -> tuple[Optimum, ...]:
    """The fit itself, then the other maxima that runs converged to, best first; stds (D,) are the data's."""
    close = max(_TOLERANCES * tol, _SMALLEST_DIFFERENCE)
    ended = [run for run in runs if run[1].status is Status.CONVERGED and run[1] is not best[1]]
    ended = [best, *sorted(ended, key=lambda run: -run[1].log_likelihood)]
    found: list[tuple[MixtureArrays, Point, float]] = []
    n_runs: list[int] = []
    for point, record in ended:
        components = MixtureArrays(point.weights, point.means, _covariances(point))
        for i, (other, _, log_likelihood) in enumerate(found):
            if log_likelihood - record.log_likelihood <= close and same_mixture(components, other, stds):
                n_runs[i] += 1
                break
        else:
            found.append((components, point, record.log_likelihood))
            n_runs.append(1)
    return tuple(
        Optimum(as_parameters(by_weight(point) if i else point, origin, features), log_likelihood, n)
        for i, ((_, point, log_likelihood), n) in enumerate(zip(found, n_runs, strict=True))
    )


def _covariances(point: Point) -> FloatArray:
    covariances = point.choleskys @ point.choleskys.transpose(0, 2, 1)
    return np.asarray(0.5 * (covariances + covariances.transpose(0, 2, 1)))
