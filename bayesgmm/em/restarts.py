"""Many starts: short runs of EM from all of them, long runs from the best."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.em import steps
from bayesgmm.em.climb import Climb, Problem, climb
from bayesgmm.em.result import Restart, Status
from bayesgmm.em.start import StartStrategy, draw, sample_of, whitened
from bayesgmm.em.steps import Point
from bayesgmm.mixture.covariance import CovarianceStructure
from bayesgmm.mixture.rows import Rows, on_threads

type FloatArray = NDArray[np.float64]
type Run = tuple[Point, Restart]

# How often a start whose components collapse is replaced by another.
_MOST_TRIES = 20
# Starts are compared after this many iterations; the best tenth, and at least three, go on to the end
# (Biernacki, Celeux and Govaert 2003, doi:10.1016/S0167-9473(02)00163-9: short runs of EM, then a long one).
_SHORT_RUN = 20
_ENDS = {steps.RAN: Status.MAX_ITER, steps.STOPPED: Status.CONVERGED, steps.DEGENERATE: Status.COLLAPSED}


class Task(NamedTuple):
    """What is fitted to what."""

    rows: Rows
    structure: CovarianceStructure
    n_components: int
    problem: Problem


def together(rows: Rows, climbs: Sequence[Climb]) -> list[Run]:
    """Run climbs to their ends, all of them on the same passes over the rows; results in their order."""
    ended: dict[int, Run] = {}
    wanted = {number: next(one) for number, one in enumerate(climbs)}
    while wanted:
        found = rows.statistics_of(list(wanted.values()))
        for number, statistics in zip(list(wanted), found, strict=True):
            try:
                wanted[number] = climbs[number].send(statistics)
            except StopIteration as end:
                ended[number] = end.value
                del wanted[number]
    return [ended[number] for number in range(len(climbs))]


def restarts(task: Task, strategy: StartStrategy, n_init: int, rng: np.random.Generator) -> list[Run]:
    """The runs from `n_init` starts: those that collapsed, those that went on to the end, those that were overtaken."""
    problem = task.problem
    sample = sample_of(task.rows, rng)
    sampled = sample is not task.rows
    short = _short_runs(task, sample, strategy, n_init, rng)
    collapsed = [run for run in short if run[1].status is Status.COLLAPSED]
    waiting = [run for run in short if run[1].status is not Status.COLLAPSED]
    waiting.sort(key=lambda run: -run[1].log_likelihood)
    best: list[Run] = []
    wanted = max(3, math.ceil(n_init / 10))
    while waiting and len(best) < wanted:
        missing = wanted - len(best)
        chosen, waiting = waiting[:missing], waiting[missing:]
        unfinished = [run for run in chosen if sampled or not _is_finished(run[1], problem)]
        best += [run for run in chosen if not sampled and _is_finished(run[1], problem)]
        for ended in together(task.rows, [_go_on(problem, run) for run in unfinished]):
            (collapsed if ended[1].status is Status.COLLAPSED else best).append(ended)
    return [*collapsed, *best, *((point, record._replace(status=Status.OVERTAKEN)) for point, record in waiting)]


def _short_runs(task: Task, sample: Rows, strategy: StartStrategy, n_init: int, rng: np.random.Generator) -> list[Run]:
    problem = task.problem
    sampled = sample is not task.rows
    points = whitened(sample, problem.bounds.total_cholesky)
    bounds = problem.bounds._replace(n_rows=float(sample.n_samples))
    n_iterations = min(_SHORT_RUN, problem.max_iter)
    arrays = sample.values, sample.weights, sample.origin

    def runs_of(stream: np.random.Generator) -> list[Run]:
        """The run from one start, after those that collapsed and had to be replaced."""
        runs: list[Run] = []
        for _ in range(_MOST_TRIES):
            start = draw(strategy, sample, points, bounds.total_cholesky, task.structure, task.n_components, stream)
            history = np.empty(n_iterations + 1)
            point, n, end = steps.iterate(*arrays, start, problem.shape, bounds, problem.tol, history)
            runs.append((point, Restart(strategy.name, _ENDS[end], history[:n], sampled)))
            if end != steps.DEGENERATE:
                break
        return runs

    work = n_init * n_iterations * sample.n_samples * task.n_components * sample.n_features**2
    return [run for runs in on_threads(runs_of, rng.spawn(n_init), work) for run in runs]


def _is_finished(record: Restart, problem: Problem) -> bool:
    return record.status is Status.CONVERGED or len(record.history) > problem.max_iter


def _go_on(problem: Problem, run: Run) -> Climb:
    point, record = run
    return climb(problem, point, record.start, earlier=None if record.sampled else record.history[:-1])
