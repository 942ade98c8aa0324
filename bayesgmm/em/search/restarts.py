"""Many starts: short runs of EM from all of them, long runs from the best and from those that approach other optima."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from bayesgmm.em.runs import Restart, Status
from bayesgmm.em.search import steps
from bayesgmm.em.search.climb import EMRun, Passes, climb
from bayesgmm.em.search.optima import is_same_maximum
from bayesgmm.em.search.start import StartStrategy, draw_start, sample_of, whitened
from bayesgmm.em.search.task import Task, task_on_sample
from bayesgmm.interrupts import take_interrupts
from bayesgmm.kernel.rows import Rows, spaced
from bayesgmm.parallel import on_threads
from bayesgmm.types import FloatArray

# Without `n_init`: starts of a batch, batches until the best maximum has been reached this often, and the most starts.
# See docs/decisions/0024.
_BATCH, _ENOUGH_TIMES, _MOST_STARTS = 100, 3, 300
_FEWEST_FINALISTS = 3
# Number of starts that are tried until one does not collapse.
_MOST_TRIES = 20
# Iterations after which the starts are compared (short runs of EM, then long ones: Biernacki, Celeux and Govaert 2003,
# doi:10.1016/S0167-9473(02)00163-9).
_SHORT_RUN = 20
# A start outside the best tenth also continues if (a) its log densities at _N_PROBES rows differ by more than _NEAR
# (RMS, nats) from those of every continuing run and (b) its projected limit is within _FAR_BEHIND nats of the best.
# See docs/decisions/0020.
_N_PROBES, _NEAR, _FAR_BEHIND = 128, 0.1, 100.0
# On a sample of the rows the limit of (b) is lower by this many standard errors of a difference of log-likelihoods.
_N_ERRORS = 3.0
_STATUS = {steps.RAN: Status.MAX_ITER, steps.STOPPED: Status.CONVERGED, steps.DEGENERATE: Status.COLLAPSED}


class Restarts(NamedTuple):
    """The runs from all starts, by their fate.

    collapsed: runs in which a component collapsed; finalists: the best after the short run, which ran on to the end;
    novel: others that ran on because they approached other optima, in order of their short run; abandoned: the rest,
    stopped after the short run. n_reached: number of runs that reached the best maximum, or came near it.
    """

    collapsed: list[EMRun]
    finalists: list[EMRun]
    novel: list[EMRun]
    abandoned: list[EMRun]
    n_reached: int = 0

    @property
    def runs(self) -> list[EMRun]:
        """All runs."""
        return [*self.collapsed, *self.finalists, *self.novel, *self.abandoned]

    def best(self, tol: float) -> EMRun | None:
        """The run that becomes the fit; None if all runs collapsed.

        It is the highest finalist, unless a novel run is higher by more than rounding, that is by more than `tol`.
        """
        if not self.finalists:
            return None
        best = max(self.finalists, key=_log_likelihood)
        for run in self.novel:
            if run.record.log_likelihood > best.record.log_likelihood + tol:
                best = run
        return best

    @classmethod
    def of_one(cls, run: EMRun) -> Self:
        """The outcome of a single run to the end."""
        collapsed, finalists = _split_collapsed([run])
        return cls(collapsed, finalists, [], [])


def restarts(task: Task, strategy: StartStrategy, n_init: int | None, rng: np.random.Generator) -> Restarts:
    """Run EM from `n_init` starts; from 100 and, until the best maximum is reached three times, up to 300 if None.

    Every start has a short run, on a sample when there are many rows. The best of the first ones, a tenth and at least
    three, run on to the end on all rows; one that collapses is replaced by the next best. Of the others, those that
    approach other optima run on, too.
    """
    sample = sample_of(task.rows, rng)
    if task.n_components == 1:
        n_init = 1  # every start leads to the same closed-form fit
    outcome = _first_batch(task, sample, strategy, n_init or _BATCH, rng)
    # Where most starts collapse, more of them only collapse as well.
    if n_init is None and len(outcome.collapsed) <= _BATCH:
        n_starts = _BATCH
        while n_starts < _MOST_STARTS and times_reached(task, sample, outcome) < _ENOUGH_TIMES:
            outcome = _further_batch(task, sample, strategy, outcome, rng)
            n_starts += _BATCH
    return outcome._replace(n_reached=times_reached(task, sample, outcome))


def _first_batch(task: Task, sample: Rows, strategy: StartStrategy, n_init: int, rng: np.random.Generator) -> Restarts:
    collapsed, waiting = _split_collapsed(_short_runs(task, sample, strategy, n_init, rng))
    waiting.sort(key=lambda run: -_log_likelihood(run))
    highest = _log_likelihood(waiting[0]) if waiting else 0.0

    finalists: list[EMRun] = []
    while waiting and len(finalists) < n_finalists(n_init):
        n_missing = n_finalists(n_init) - len(finalists)
        chosen, waiting = waiting[:n_missing], waiting[n_missing:]
        collapsed_now, finished = _split_collapsed(_run_to_the_end(task, chosen))
        collapsed += collapsed_now
        finalists += finished
    return _with_novel(task, sample, Restarts(collapsed, finalists, [], []), waiting, highest)


def _further_batch(
    task: Task, sample: Rows, strategy: StartStrategy, earlier: Restarts, rng: np.random.Generator
) -> Restarts:
    """More starts, of which only those run on that approach other optima than all runs before."""
    collapsed, waiting = _split_collapsed(_short_runs(task, sample, strategy, _BATCH, rng))
    waiting.sort(key=lambda run: -_log_likelihood(run))
    begun = earlier._replace(collapsed=[*earlier.collapsed, *collapsed])
    highest = max(map(_log_likelihood, waiting), default=0.0)
    return _with_novel(task, sample, begun, waiting, highest)


def _with_novel(task: Task, sample: Rows, begun: Restarts, waiting: list[EMRun], highest: float) -> Restarts:
    """The outcome after those of the waiting runs that approach other optima have run to the end."""
    finished = [*begun.finalists, *begun.novel]
    novel, abandoned = split_by_novelty(task, sample, finished, waiting, highest)
    if sample is not task.rows:
        # Most novel runs approach the same few optima. Runs on the sample find that out at a lower cost.
        novel = _run_on_sample(task, sample, novel)
        novel, late = split_by_novelty(task, sample, finished, novel, highest)
        abandoned += late
    collapsed, novel = _split_collapsed(_run_to_the_end(task, novel))
    return Restarts(
        [*begun.collapsed, *collapsed],
        begun.finalists,
        [*begun.novel, *novel],
        [*begun.abandoned, *map(_abandon, abandoned)],
    )


def times_reached(task: Task, sample: Rows, outcome: Restarts) -> int:
    """Number of runs that converged to the best maximum, or were near it when they were abandoned."""
    best = outcome.best(task.settings.tol)
    if best is None:
        return 0
    converged = [run for run in (*outcome.finalists, *outcome.novel) if run.record.status is not Status.COLLAPSED]
    n_converged = sum(is_same_maximum(run, best, task.settings.tol, task.rows.stds) for run in converged)
    squares = squared_distances(task, sample, [best, *outcome.abandoned])[0, 1:]
    return n_converged + int((squares <= _NEAR**2).sum())


def n_finalists(n_init: int) -> int:
    """Number of runs that continue because their short run was among the best."""
    return max(_FEWEST_FINALISTS, math.ceil(n_init / 10))


def run_in_lockstep(rows: Rows, climbs: Sequence[Passes[EMRun]]) -> list[EMRun]:
    """Run climbs to their ends, all of them on the same passes over the rows; results in the order of the climbs."""
    results: dict[int, EMRun] = {}
    requests = {number: next(one) for number, one in enumerate(climbs)}
    while requests:
        take_interrupts()
        statistics = rows.statistics_of(list(requests.values()))
        for number, of_climb in zip(list(requests), statistics, strict=True):
            try:
                requests[number] = climbs[number].send(of_climb)
            except StopIteration as stop:
                results[number] = stop.value
                del requests[number]
    return [results[number] for number in range(len(climbs))]


def split_by_novelty(
    task: Task, sample: Rows, finished: list[EMRun], candidates: list[EMRun], highest: float
) -> tuple[list[EMRun], list[EMRun]]:
    """Split the candidates: first those that may end at an optimum of their own, then the rest.

    A candidate is compared with the finished runs and with the novel candidates before it. highest: the best
    log-likelihood on the sample after the short runs.
    """
    if not candidates:
        return [], []
    runs = [*finished, *candidates]
    log_densities = _log_densities(task, sample, runs)
    distances = _mean_squares(log_densities)
    lowest = highest - _FAR_BEHIND * sample.total_weight / task.rows.total_weight
    # On a sample the difference of two log-likelihoods has a standard error.
    error_factor = 0.0 if sample is task.rows else _N_ERRORS * math.sqrt(sample.n_samples)
    continuing = list(range(len(finished)))
    novel: list[EMRun] = []
    not_novel: list[EMRun] = []
    for i, run in enumerate(candidates, len(finished)):
        if (
            run.record.status is Status.COLLAPSED
            or (distances[i, continuing] <= _NEAR**2).any()
            or projected_log_likelihood(run.record) < lowest - error_factor * log_densities[i].std()
        ):
            not_novel.append(run)
        else:
            novel.append(run)
            continuing.append(i)
    return novel, not_novel


def squared_distances(task: Task, sample: Rows, runs: Sequence[EMRun]) -> FloatArray:
    """Mean square differences (n, n) of the runs' log densities at up to 128 rows of the sample."""
    return _mean_squares(_log_densities(task, sample, runs))


def _log_densities(task: Task, sample: Rows, runs: Sequence[EMRun]) -> FloatArray:
    """Log densities (n, 128) of the runs at rows of the sample, minus those of the first run."""
    values = sample.values[sample.weights > 0] if sample.weights.size else sample.values
    probes = Rows(values[spaced(len(values), _N_PROBES)], np.empty(0), sample.origin)
    log_densities = np.array([probes.log_densities(task.settings.kernel_parameters(run.point)) for run in runs])
    return np.asarray(log_densities - log_densities[0])


def _mean_squares(log_densities: FloatArray) -> FloatArray:
    squares = np.square(log_densities).sum(axis=1)
    products = log_densities @ log_densities.T
    return np.asarray((squares[:, np.newaxis] + squares - 2 * products) / log_densities.shape[1])


def projected_log_likelihood(record: Restart) -> float:
    """The limit of a run's log-likelihood by Aitken's estimate; infinity while its gains do not shrink."""
    if record.status is Status.CONVERGED or len(record.history) < 3:
        return record.log_likelihood
    earlier, gain = np.diff(record.history[-3:])
    return float(record.log_likelihood + gain**2 / (earlier - gain)) if 0 <= gain < earlier else math.inf


def resume(task: Task, run: EMRun) -> Passes[EMRun]:
    """A climb from the point of a run; its record begins anew if that of the run is about a sample of the rows."""
    earlier = None if run.record.sampled else run.record.history[:-1]
    return climb(task.settings, run.point, run.record.start, earlier)


def _short_runs(
    task: Task, sample: Rows, strategy: StartStrategy, n_init: int, rng: np.random.Generator
) -> list[EMRun]:
    """The short runs from all starts; a run that collapsed is followed by that from its replacement."""
    sampled, task = sample is not task.rows, task_on_sample(task, sample)
    settings = task.settings
    points = whitened(sample, settings.bounds.total_cholesky)
    n_iterations = min(_SHORT_RUN, settings.max_iter)

    def runs_of_start(stream: np.random.Generator) -> list[EMRun]:
        runs: list[EMRun] = []
        for _ in range(_MOST_TRIES):
            start = draw_start(task, strategy, points, stream)
            history = np.empty(n_iterations + 1)
            point, n_recorded, ending = steps.iterate(
                sample.values, sample.weights, sample.origin, start, settings.shape, settings.bounds, settings.tol,
                history,
            )  # fmt: skip
            runs.append(EMRun(point, Restart(strategy.name, _STATUS[ending], history[:n_recorded], sampled)))
            if ending != steps.DEGENERATE:
                break
        return runs

    work = n_init * n_iterations * sample.n_samples * task.n_components * sample.n_features**2
    return [run for runs in on_threads(runs_of_start, rng.spawn(n_init), work) for run in runs]


def _run_to_the_end(task: Task, runs: Sequence[EMRun]) -> list[EMRun]:
    """The runs that are finished already, then the others, continued on all rows of the task."""
    finished = [run for run in runs if _is_finished(run.record, task)]
    unfinished = [run for run in runs if not _is_finished(run.record, task)]
    return finished + run_in_lockstep(task.rows, [resume(task, run) for run in unfinished])


def _run_on_sample(task: Task, sample: Rows, runs: Sequence[EMRun]) -> list[EMRun]:
    """The runs, continued to the end on the sample that they began on."""
    begun = [run._replace(record=run.record._replace(sampled=False)) for run in runs]
    ended = _run_to_the_end(task_on_sample(task, sample), begun)
    return [run._replace(record=run.record._replace(sampled=True)) for run in ended]


def _is_finished(record: Restart, task: Task) -> bool:
    is_at_end = record.status is Status.CONVERGED or len(record.history) > task.settings.max_iter
    return is_at_end and not record.sampled


def _split_collapsed(runs: Sequence[EMRun]) -> tuple[list[EMRun], list[EMRun]]:
    """Split the runs: first those that collapsed, then the others."""
    collapsed = [run for run in runs if run.record.status is Status.COLLAPSED]
    return collapsed, [run for run in runs if run.record.status is not Status.COLLAPSED]


def _abandon(run: EMRun) -> EMRun:
    return EMRun(run.point, run.record._replace(status=Status.ABANDONED))


def _log_likelihood(run: EMRun) -> float:
    return run.record.log_likelihood
