"""`em_path`: plain EM from one start, with the mixture of every iteration kept to be looked at."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bayesgmm.em.fit import given_start, task_of
from bayesgmm.em.runs import Status
from bayesgmm.em.search import steps
from bayesgmm.em.search.optima import as_parameters
from bayesgmm.em.search.restarts import Task
from bayesgmm.em.search.start import draw, sample_of, strategy_named, whitened
from bayesgmm.em.search.steps import Point
from bayesgmm.kernel.rows import Rows
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import FloatArray
from bayesgmm.validation import as_generator


@dataclass(frozen=True, eq=False)
class EMPath:
    """The way of EM from a start, iteration by iteration.

    Attributes
    ----------
    parameters : the mixture at each iteration, that of the start first; components in the order of the start.
    history : (n_iterations + 1,) log-likelihood at each of them.
    covariance : name of the covariance structure.
    status : how the way ended; where a component collapsed, at the last mixture before.
    rows : the rows and weights, not copied.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> bg.em_path(bg.datasets.load_faithful(), 2, rng=1)
    EMPath: 2 components, covariance full, 19 iterations, log-likelihood -1541.6326 to -1130.2640, converged
    """

    parameters: tuple[MixtureParameters, ...]
    history: FloatArray
    covariance: str
    status: Status
    rows: Rows

    @property
    def n_iterations(self) -> int:
        """Iterations after the start."""
        return len(self.history) - 1

    def __repr__(self) -> str:
        return (
            f"EMPath: {self.parameters[0].n_components} components, covariance {self.covariance}, "
            f"{self.n_iterations} iterations, log-likelihood {self.history[0]:.4f} to {self.history[-1]:.4f}, "
            f"{self.status.text}"
        )


def em_path(
    X: ArrayLike,
    n_components: int,
    covariance: str = "full",
    *,
    sample_weight: ArrayLike | None = None,
    start: MixtureParameters | ArrayLike | str = "k-means++",
    tol: float = 1e-6,
    max_iter: int = 1000,
    rng: Any = None,
) -> EMPath:
    """Follow EM from one start: an E-step and an M-step an iteration, nothing else (Bishop 2006, section 9.2.2).

    This is to look at, with `plots.plot_iterations` and `plots.animate_iterations`. To fit, take `fit_em`, which tries
    many starts and goes on by quasi-Newton steps where EM is slow.

    Parameters
    ----------
    X, n_components, covariance, sample_weight : as of `fit_em`.
    start : "k-means++" or "random"; a `MixtureParameters`; or responsibilities (n_samples, n_components).
    tol : stop when the log-likelihood is estimated to be within `tol` of its limit, as `fit_em` does.
    max_iter : iterations at most. The mixture of each is kept.
    rng : int, numpy.random.Generator or None, for a start that is drawn.

    Returns
    -------
    EMPath

    Raises
    ------
    InputError
        The data, an option or the start cannot be used; the message says why.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> path = bg.em_path(bg.datasets.load_faithful(), 2, rng=1)
    >>> path.status.text
    'converged'
    >>> bool((path.history[1:] >= path.history[:-1]).all()), round(float(path.history[-1]), 3)
    (True, -1130.264)
    """
    task = task_of(X, n_components, covariance, sample_weight, tol, max_iter)
    generator = as_generator(rng)
    point = _drawn(task, start, generator) if isinstance(start, str) else given_start(task, start)[0]
    points, history, status = _follow(task, point)
    history.flags.writeable = False
    mixtures = tuple(as_parameters(point, task.rows.origin, task.rows.features) for point in points)
    return EMPath(mixtures, history, task.structure.name, status, task.rows)


def _drawn(task: Task, start: str, rng: np.random.Generator) -> Point:
    strategy, sample, total = strategy_named(start), sample_of(task.rows, rng), task.problem.bounds.total_cholesky
    return draw(strategy, sample, whitened(sample, total), total, task.structure, task.n_components, rng)


def _follow(task: Task, point: Point) -> tuple[list[Point], FloatArray, Status]:
    """The points that EM passes, the log-likelihood at each, and how it ended."""
    rows, problem = task.rows, task.problem
    points, statistics = [point], rows.statistics(problem.parameters(point))
    history = [statistics.log_likelihood]
    while len(points) <= problem.max_iter:
        point = steps.maximise(point, statistics, problem.shape)
        parameters = problem.checked(point)
        if parameters is None:
            return points, np.array(history), Status.COLLAPSED
        statistics = rows.statistics(parameters)
        points.append(point)
        history.append(statistics.log_likelihood)
        recent = np.array(history[-3:])
        if steps.has_converged(recent, len(recent), problem.tol):
            return points, np.array(history), Status.CONVERGED
    return points, np.array(history), Status.MAX_ITER
