"""Many starts: short runs of EM from all of them, long runs from the best and from those that are elsewhere."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bayesgmm.em.runs import Restart, Status
from bayesgmm.em.search import steps
from bayesgmm.em.search.climb import Climb, Problem, climb
from bayesgmm.em.search.start import StartStrategy, draw, sample_of, whitened
from bayesgmm.em.search.steps import Point
from bayesgmm.kernel.rows import Rows, spaced
from bayesgmm.mixture.covariance import CovarianceStructure
from bayesgmm.parallel import on_threads

type Run = tuple[Point, Restart]

# How often a start whose components collapse is replaced by another.
_MOST_TRIES = 20
# Starts are compared after this many iterations; the best tenth, and at least three, go on to the end
# (Biernacki, Celeux and Govaert 2003, doi:10.1016/S0167-9473(02)00163-9: short runs of EM, then a long one).
_SHORT_RUN = 20
# So do others that are elsewhere: whose log densities at this many rows are farther from those of all that went on, in
# root mean square, than _NEAR, and that can be expected to end less than _FAR_BEHIND nats below the best: a posterior
# mode there would have no mass. On galaxies with 3 to 6 components, iris, Old Faithful and seven simulated data sets 36
# of the 37 modes with 1 % of the posterior, that the 100 starts lead to, are reached so; the best tenth reaches 16.
_N_PROBES, _NEAR, _FAR_BEHIND, _N_ERRORS = 128, 0.1, 100.0, 3.0
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


def n_ahead(n_init: int) -> int:
    """How many runs go on to the end because their short run was among the best; those usable come first of all."""
    return max(3, math.ceil(n_init / 10))


def restarts(task: Task, strategy: StartStrategy, n_init: int, rng: np.random.Generator) -> list[Run]:
    """The runs from `n_init` starts: those that collapsed, those that went on to the end, those that were overtaken."""
    sample = sample_of(task.rows, rng)
    short = _short_runs(task, sample, strategy, n_init, rng)
    collapsed = [run for run in short if run[1].status is Status.COLLAPSED]
    waiting = [run for run in short if run[1].status is not Status.COLLAPSED]
    waiting.sort(key=lambda run: -run[1].log_likelihood)
    highest = waiting[0][1].log_likelihood if waiting else 0.0
    best: list[Run] = []
    wanted = n_ahead(n_init)
    while waiting and len(best) < wanted:
        missing = wanted - len(best)
        chosen, waiting = waiting[:missing], waiting[missing:]
        for ended in _to_the_end(task, chosen):
            (collapsed if ended[1].status is Status.COLLAPSED else best).append(ended)
    others, overtaken = _elsewhere(task, sample, best, waiting, highest)
    if sample is not task.rows:
        # Most of them are on their way to the same few places, which a look at the sample costs less to find out.
        others = [
            (point, record._replace(sampled=True))
            for point, record in _to_the_end(
                _on(sample, task), [(point, record._replace(sampled=False)) for point, record in others]
            )
        ]
        others, late = _elsewhere(task, sample, best, others, highest)
        overtaken += late
    for ended in _to_the_end(task, others):
        (collapsed if ended[1].status is Status.COLLAPSED else best).append(ended)
    return [*collapsed, *best, *((point, record._replace(status=Status.OVERTAKEN)) for point, record in overtaken)]


def _to_the_end(task: Task, runs: Sequence[Run]) -> list[Run]:
    """The runs, those first that are at their end already, the others continued on all rows of the task."""
    finished = [run for run in runs if _is_finished(run[1], task.problem)]
    unfinished = [run for run in runs if not _is_finished(run[1], task.problem)]
    return finished + together(task.rows, [_go_on(task.problem, run) for run in unfinished])


def _elsewhere(
    task: Task, sample: Rows, known: list[Run], runs: list[Run], highest: float
) -> tuple[list[Run], list[Run]]:
    """The runs in two parts: those that may end at other maxima than `known` and each other do, and the rest.

    highest: the best log-likelihood on the sample after the short runs.
    """
    if not runs:
        return [], []
    rows = sample.values[spaced(sample.n_samples, _N_PROBES)]
    probes = Rows(rows, np.empty(0), sample.origin)
    lowest = highest - _FAR_BEHIND * sample.total_weight / task.rows.total_weight
    places = np.array([probes.log_densities(task.problem.parameters(point)) for point, _ in [*known, *runs]])
    places -= places[0]
    squares = np.square(places).sum(axis=1)
    # What a sample says of the difference of two log-likelihoods has a standard error.
    unsure = 0.0 if sample is task.rows else _N_ERRORS * math.sqrt(sample.n_samples)
    distances = (squares[:, np.newaxis] + squares - 2 * places @ places.T) / len(rows)
    taken = list(range(len(known)))
    others: list[Run] = []
    rest: list[Run] = []
    for at, run in enumerate(runs, len(known)):
        near = (distances[at, taken] <= _NEAR**2).any()
        if near or _limit(run[1]) < lowest - unsure * places[at].std() or run[1].status is Status.COLLAPSED:
            rest.append(run)
        else:
            others.append(run)
            taken.append(at)
    return others, rest


def _limit(record: Restart) -> float:
    """Where a run's log-likelihood is going, by Aitken's estimate; infinite while its gains do not shrink."""
    if record.status is Status.CONVERGED or len(record.history) < 3:
        return record.log_likelihood
    earlier, gain = np.diff(record.history[-3:])
    return float(record.log_likelihood + gain**2 / (earlier - gain)) if 0 <= gain < earlier else math.inf


def _on(sample: Rows, task: Task) -> Task:
    """The task on a sample of its rows."""
    bounds = task.problem.bounds._replace(n_rows=float(sample.n_samples))
    return task._replace(rows=sample, problem=task.problem._replace(bounds=bounds))


def _short_runs(task: Task, sample: Rows, strategy: StartStrategy, n_init: int, rng: np.random.Generator) -> list[Run]:
    problem, sampled = _on(sample, task).problem, sample is not task.rows
    bounds = problem.bounds
    points = whitened(sample, bounds.total_cholesky)
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

    work = n_init * n_iterations * sample.cost(task.n_components)
    return [run for runs in on_threads(runs_of, rng.spawn(n_init), work) for run in runs]


def _is_finished(record: Restart, problem: Problem) -> bool:
    done = record.status is Status.CONVERGED or len(record.history) > problem.max_iter
    return done and not record.sampled


def _go_on(problem: Problem, run: Run) -> Climb:
    point, record = run
    return climb(problem, point, record.start, earlier=None if record.sampled else record.history[:-1])
