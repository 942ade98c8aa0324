"""One run up the log-likelihood: EM until its rate is steady, then quasi-Newton steps in EM's own metric.

Near an optimum each EM iteration covers the same share of the remaining distance, a small share when components
overlap. A pass over the rows gives the exact gradient as well as the EM step. L-BFGS learns from the gradients the
curvature that EM ignores (Jamshidian and Jennrich 1997, Acceleration of the EM algorithm by using quasi-Newton methods,
doi:10.1111/1467-9868.00083). It works in the coordinates of `moves.py`, where EM's metric is diagonal. These
coordinates move with the point, and gradients at different points are compared coordinate by coordinate.

A step is accepted only if the log-likelihood rises. After a failure a shorter step is tried, and after several failures
an EM step, which never lowers the log-likelihood. See docs/decisions/0021.
"""

import math
from collections.abc import Generator
from typing import NamedTuple

import numpy as np

from bayesgmm.em.runs import Restart, Status
from bayesgmm.em.search import moves, steps
from bayesgmm.em.search.steps import Bounds, Point
from bayesgmm.kernel.rows import KernelParameters, SufficientStatistics
from bayesgmm.mixture.covariance import StructureFlags
from bayesgmm.types import FloatArray

# A computation that yields each mixture for which it needs a pass over the rows, is sent the statistics of that pass,
# and returns a T.
type Passes[T] = Generator[KernelParameters, SufficientStatistics, T]

# Switch to quasi-Newton once two successive ratios of gains differ by less than _STEADY and a gain is below _SMALL_GAIN
# nats per row. Switching earlier can jump to a different optimum.
_STEADY, _SMALL_GAIN = 0.2, 1e-3
# Number of past moves that L-BFGS keeps.
_MEMORY = 20
# Radius of the trust region: the limit of the longest part of a move, at first and at any time.
_FIRST_RADIUS, _LARGEST_RADIUS = 0.25, 1.0
# The radius shrinks after a step that gains less than this share of the predicted gain.
_POOR_GAIN = 0.1
# An EM step is taken after this many failed steps in a row.
_MOST_FAILURES = 4
# Stop after this many consecutive steps with less than `tol` left to gain; the extra steps sharpen the parameters.
_CALM_STEPS = 3


class EMRun(NamedTuple):
    """The point that a run of EM reached, and the record of the run."""

    point: Point
    record: Restart


class ClimbSettings(NamedTuple):
    """The settings that all runs of a fit share: covariance structure, collapse bounds and stopping rules."""

    shape: StructureFlags
    bounds: Bounds
    tol: float
    max_iter: int

    def kernel_parameters(self, point: Point) -> KernelParameters:
        """The point in the form that the kernel reads."""
        return KernelParameters.of(*point, diagonal=self.shape.diagonal)

    def parameters_unless_collapsed(self, point: Point) -> KernelParameters | None:
        """The point in the form that the kernel reads, or None if a component has collapsed."""
        parameters = self.kernel_parameters(point)
        return None if steps.has_collapsed(point, parameters.whiteners, self.bounds) else parameters


def climb(settings: ClimbSettings, point: Point, start: str, earlier: FloatArray | None = None) -> Passes[EMRun]:
    """Climb from a point to an optimum.

    start: name of the start, for the record. earlier: the log-likelihoods of the run that led to the point, without
    that of the point itself; None if the run begins here.
    """
    state = _Climb(settings, point, [] if earlier is None else earlier.tolist())
    status = (yield from state.em()) or (yield from state.quasi_newton())
    return EMRun(state.point, Restart(start, status, np.array(state.history), n_failed=state.n_failed))


class _Climb:
    """The state of one climb: the current point, its statistics, and the log-likelihoods so far."""

    statistics: SufficientStatistics

    def __init__(self, settings: ClimbSettings, point: Point, history: list[float]) -> None:
        self.settings, self.point, self.history = settings, point, history
        self.n_failed = 0

    def em(self) -> Passes[Status | None]:
        """Take EM steps until the climb ends; return None when their rate has become steady before that."""
        self._accept(self.point, (yield self.settings.kernel_parameters(self.point)))
        while True:
            recent = np.array(self.history[-steps.N_FOR_CONVERGENCE :])
            if steps.has_converged(recent, len(recent), self.settings.tol):
                return Status.CONVERGED
            if self._has_used_all_iterations():
                return Status.MAX_ITER
            if self._is_steady():
                return None
            if not (yield from self._em_step()):
                return Status.COLLAPSED

    def quasi_newton(self) -> Passes[Status]:
        """Take quasi-Newton steps until the climb ends, and an EM step after several failures in a row."""
        search = _TrustRegion(self.settings.shape, self.point, self.statistics)
        n_calm = 0
        while True:
            log_likelihood = self.statistics.log_likelihood
            move = search.direction()
            left_to_gain = 0.5 * moves.dot(search.gradient, move)  # if the log-likelihood were quadratic
            last_gain = self.history[-1] - self.history[-2]
            calm = left_to_gain < self.settings.tol and last_gain < self.settings.tol
            n_calm = n_calm + 1 if calm else 0
            if n_calm == _CALM_STEPS or left_to_gain <= steps.ROUNDING * abs(log_likelihood):
                return Status.CONVERGED
            for _ in range(_MOST_FAILURES):
                if (yield from self._quasi_newton_step(search, move)):
                    break
                move = search.direction()
            else:
                if not (yield from self._em_step()):
                    return Status.COLLAPSED
                search = _TrustRegion(self.settings.shape, self.point, self.statistics)
                if self.statistics.log_likelihood - log_likelihood <= steps.ROUNDING * abs(log_likelihood):
                    return Status.CONVERGED
            if self._has_used_all_iterations():
                return Status.MAX_ITER

    def _em_step(self) -> Passes[bool]:
        """Take one EM step; return False, and stay at the point, if a component collapses."""
        proposal = steps.m_step(self.point, self.statistics, self.settings.shape)
        parameters = self.settings.parameters_unless_collapsed(proposal)
        if parameters is None:
            return False
        self._accept(proposal, (yield parameters))
        return True

    def _quasi_newton_step(self, search: "_TrustRegion", move: FloatArray) -> Passes[bool]:
        """Try a move, shortened to the radius; return whether the log-likelihood rose enough to accept it."""
        move, length = search.shortened(move)
        proposal, rotations = moves.point_after(self.point, search.rotations, move, self.settings.shape)
        parameters = self.settings.parameters_unless_collapsed(proposal)
        if parameters is None:
            search.radius = length / 4
            return False
        statistics = yield parameters
        gain = statistics.log_likelihood - self.statistics.log_likelihood
        if not search.learn(proposal, rotations, statistics, move, length, gain):
            self.n_failed += 1
            return False
        self._accept(proposal, statistics)
        return True

    def _accept(self, point: Point, statistics: SufficientStatistics) -> None:
        self.point, self.statistics = point, statistics
        self.history.append(statistics.log_likelihood)

    def _has_used_all_iterations(self) -> bool:
        return len(self.history) + self.n_failed > self.settings.max_iter

    def _is_steady(self) -> bool:
        """Whether EM's gains are small and shrink at a steady rate."""
        if len(self.history) < 5:
            return False
        gains = np.diff(self.history[-4:])
        n_rows = self.statistics.counts.sum()
        return bool(
            gains[2] < gains[1]
            and abs(gains[2] / gains[1] - gains[1] / gains[0]) < _STEADY
            and gains[2] < _SMALL_GAIN * n_rows
        )


class _TrustRegion:
    """L-BFGS at a point: the frames, gradient and metric there, the past moves, and the radius.

    The radius is the limit of the longest part of a move (`moves.longest_part`), which rotations of the frames keep.
    """

    def __init__(self, shape: StructureFlags, point: Point, statistics: SufficientStatistics) -> None:
        self.shape, self.radius, self.n_learned, self.size = shape, _FIRST_RADIUS, 0, point.means.shape
        self.rotations = moves.first_rotations(point, shape)
        self.gradient, self.metric = moves.gradient_and_metric(point, self.rotations, statistics, shape)
        size = (_MEMORY, len(self.gradient))
        # (m, P) past moves, and the fall of the gradient along each; the oldest is overwritten first.
        self.past_moves, self.changes = np.empty(size), np.empty(size)

    def direction(self) -> FloatArray:
        """The move (P,) to the maximum of the quadratic model, of whatever length."""
        return np.asarray(
            moves.ascent_direction(self.gradient, self.metric, self.past_moves, self.changes, self.n_learned)
        )

    def shortened(self, move: FloatArray) -> tuple[FloatArray, float]:
        """The move with its longest part at most `radius`, and the length of that part."""
        longest = moves.longest_part(move, *self.size, self.shape)
        length = min(longest, self.radius)
        return move * (length / longest), length

    def learn(
        self,
        proposal: Point,
        rotations: FloatArray,
        statistics: SufficientStatistics,
        move: FloatArray,
        length: float,
        gain: float,
    ) -> bool:
        """Learn the curvature along a move and adapt the radius; go to the proposal, and return True, if it gains."""
        new_gradient, new_metric = moves.gradient_and_metric(proposal, rotations, statistics, self.shape)
        self._remember(move, self.gradient - new_gradient)
        predicted = moves.dot(self.gradient, move)
        share = gain / predicted if predicted > 0 else math.nan  # rounding can leave nothing to gain
        if not share >= moves.ENOUGH_GAIN:  # NaN is no gain
            self.radius = length / (4 if share < -1 else 2)
            return False
        self.rotations, self.gradient, self.metric = rotations, new_gradient, new_metric
        if share < _POOR_GAIN:
            self.radius = length / 2
        elif length == self.radius:
            self.radius = min(2 * self.radius, _LARGEST_RADIUS)
        return True

    def _remember(self, move: FloatArray, change: FloatArray) -> None:
        lengths = math.sqrt(moves.dot(move, move) * moves.dot(change, change))
        if moves.dot(move, change) > moves.LEAST_CURVATURE * lengths:
            i = self.n_learned % _MEMORY
            self.past_moves[i], self.changes[i] = move, change
            self.n_learned += 1
