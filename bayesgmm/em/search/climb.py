"""One run up the log-likelihood: EM until its rate is steady, then quasi-Newton steps in EM's own metric.

Near an optimum EM takes the same share of the remaining way at each iteration, which is little when components
overlap. Each pass over the rows gives the exact gradient besides the EM step; L-BFGS in the coordinates of
`steps.py`, where EM's metric is diagonal, learns from those what EM ignores (Jamshidian and Jennrich 1997, Acceleration
of the EM algorithm by using quasi-Newton methods, doi:10.1111/1467-9868.00083). Gradients of different points are
compared in coordinates that move with the point, in which the metric changes with the counts alone.

A step is taken only when the log-likelihood rises with it; otherwise a shorter one is tried, and after a few
failures an EM step, with which it never falls.
"""

import math
from collections.abc import Generator
from typing import NamedTuple

import numpy as np

from bayesgmm.em.runs import Restart, Status
from bayesgmm.em.search import steps
from bayesgmm.em.search.steps import Bounds, Point
from bayesgmm.kernel.rows import KernelParameters, SufficientStatistics
from bayesgmm.mixture.covariance import Shape
from bayesgmm.types import FloatArray

# What a climb asks for (one pass over the rows), what it is given, what it returns.
type Climb = Generator[KernelParameters, SufficientStatistics, tuple[Point, Restart]]

# EM's rate is steady when two ratios of successive gains differ by less than this, and a gain is less than this
# many nats a row: earlier, a long step may end at another optimum than EM's.
_STEADY, _SMALL_GAIN = 0.2, 1e-3
# Moves remembered; the largest coordinate of the first move and of any.
_MEMORY, _FIRST_RADIUS, _LARGEST_RADIUS = 20, 0.25, 1.0
# A gain below this share of what the gradient promised is no step to take, below the second the next is shorter.
_ENOUGH, _POOR = 1e-4, 0.1
_MOST_FAILURES = 4
# Steps in a row at the end that have less than the tolerance left to gain. Each of them adds digits to the parameters.
_CALM = 3


class Problem(NamedTuple):
    """What every run of a fit has in common."""

    shape: Shape
    bounds: Bounds
    tol: float
    max_iter: int

    def parameters(self, point: Point) -> KernelParameters:
        """What the kernel reads of a point."""
        return KernelParameters.of(*point, diagonal=self.shape.diagonal)

    def checked(self, point: Point) -> KernelParameters | None:
        """The same, and None when a component has collapsed."""
        parameters = self.parameters(point)
        return None if steps.has_collapsed(point, parameters.whiteners, self.bounds) else parameters


def climb(problem: Problem, point: Point, start: str, earlier: FloatArray | None = None) -> Climb:
    """Climb from a point. `earlier`: the log-likelihoods of a run that led here, without the point's own."""
    run = _Run(problem, point, [] if earlier is None else earlier.tolist())
    yield from run.em()
    if run.status is None:
        yield from run.quasi_newton()
    assert run.status is not None
    return run.point, Restart(start, run.status, np.array(run.history), n_failed=run.n_failed)


class _Run:
    """The state of one climb: the point reached, its statistics, and the log-likelihoods on the way there."""

    statistics: SufficientStatistics

    def __init__(self, problem: Problem, point: Point, history: list[float]) -> None:
        self.problem, self.point, self.history = problem, point, history
        self.n_failed = 0
        self.status: Status | None = None

    def em(self) -> Generator[KernelParameters, SufficientStatistics, None]:
        """EM steps until their rate is steady, or the climb is at its end."""
        self._accept(self.point, (yield self.problem.parameters(self.point)))
        while not self._at_end() and not self._is_steady():
            yield from self._em_step()

    def _em_step(self) -> Generator[KernelParameters, SufficientStatistics, None]:
        proposal = steps.maximise(self.point, self.statistics, self.problem.shape)
        parameters = self.problem.checked(proposal)
        if parameters is None:
            self.status = Status.COLLAPSED
        else:
            self._accept(proposal, (yield parameters))

    def quasi_newton(self) -> Generator[KernelParameters, SufficientStatistics, None]:
        """Steps along the direction of L-BFGS, at most `radius` long in any coordinate, until the end."""
        shape, tol = self.problem.shape, self.problem.tol
        gradient, metric = steps.gradient_and_metric(self.point, self.statistics, shape)
        memory, radius, n_calm = _Memory(len(gradient)), _FIRST_RADIUS, 0
        while self.status is None:
            log_likelihood = self.statistics.log_likelihood
            for failures in range(_MOST_FAILURES):
                move = steps.ascent_direction(gradient, metric, memory.moves, memory.changes, memory.n)
                if failures == 0:
                    expected = 0.5 * steps.dot(gradient, move)  # what a quadratic has left to gain
                    calm = expected < tol and self.history[-1] - self.history[-2] < tol
                    n_calm = n_calm + 1 if calm else 0
                    if n_calm == _CALM or expected <= steps.ROUNDING * abs(log_likelihood):
                        self.status = Status.CONVERGED
                        return
                longest = np.abs(move).max()
                length = min(longest, radius)
                move *= length / longest
                proposal = steps.moved(self.point, move, shape)
                parameters = self.problem.checked(proposal)
                if parameters is None:
                    radius = length / 4
                    continue
                statistics = yield parameters
                new_gradient, new_metric = steps.gradient_and_metric(proposal, statistics, shape)
                memory.add(move, gradient - new_gradient)
                share = (statistics.log_likelihood - log_likelihood) / steps.dot(gradient, move)
                if share >= _ENOUGH:
                    self._accept(proposal, statistics)
                    gradient, metric = new_gradient, new_metric
                    if share < _POOR:
                        radius = length / 2
                    elif length == radius:
                        radius = min(2 * radius, _LARGEST_RADIUS)
                    break
                self.n_failed += 1
                radius = length / (4 if share < -1 else 2)
            else:
                yield from self._em_step()
                memory.n, radius = 0, _FIRST_RADIUS
                gradient, metric = steps.gradient_and_metric(self.point, self.statistics, shape)
                if self.statistics.log_likelihood - log_likelihood <= steps.ROUNDING * abs(log_likelihood):
                    self.status = self.status or Status.CONVERGED
            self._stop_at_max_iter()

    def _accept(self, point: Point, statistics: SufficientStatistics) -> None:
        self.point, self.statistics = point, statistics
        self.history.append(statistics.log_likelihood)

    def _at_end(self) -> bool:
        if self.status is None and steps.has_converged(
            np.array(self.history[-3:]), len(self.history[-3:]), self.problem.tol
        ):
            self.status = Status.CONVERGED
        self._stop_at_max_iter()
        return self.status is not None

    def _stop_at_max_iter(self) -> None:
        if self.status is None and len(self.history) + self.n_failed > self.problem.max_iter:
            self.status = Status.MAX_ITER

    def _is_steady(self) -> bool:
        if len(self.history) < 5:
            return False
        gains = np.diff(self.history[-4:])
        n_rows = self.statistics.counts.sum()
        return bool(
            gains[2] < gains[1]
            and abs(gains[2] / gains[1] - gains[1] / gains[0]) < _STEADY
            and gains[2] < _SMALL_GAIN * n_rows
        )


class _Memory:
    """The last moves (m, P), and how much the gradient fell along each; n were added so far."""

    def __init__(self, size: int) -> None:
        self.moves, self.changes = np.empty((_MEMORY, size)), np.empty((_MEMORY, size))
        self.n = 0

    def add(self, move: FloatArray, change: FloatArray) -> None:
        # Only a fall of the gradient is the curvature of a maximum.
        if steps.dot(move, change) > 1e-10 * math.sqrt(steps.dot(move, move) * steps.dot(change, change)):
            at = self.n % _MEMORY
            self.moves[at], self.changes[at] = move, change
            self.n += 1
