"""`em_path`: plain EM from one start, with the mixture at every iteration."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bayesgmm.em.runs import Status
from bayesgmm.em.search import steps
from bayesgmm.em.search.optima import as_parameters
from bayesgmm.em.search.start import StartName, draw_start, given_start, sample_of, strategy_named, whitened
from bayesgmm.em.search.steps import Point
from bayesgmm.em.search.task import Task, task_of
from bayesgmm.interrupts import deferred_interrupts, take_interrupts
from bayesgmm.kernel.rows import Rows
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import CovarianceName, FloatArray, Seed
from bayesgmm.validation import as_generator


@dataclass(frozen=True, eq=False)
class EMPath:
    """The path of EM from a start, iteration by iteration.

    Attributes
    ----------
    parameters : the mixture at each iteration, beginning with the start; components in the order of the start.
    history : (n_iterations + 1,) log-likelihood of each mixture, in nats.
    covariance : name of the covariance structure.
    status : how the path ended. If a component collapsed, the path ends at the mixture before that.
    rows : the rows and weights, not copied.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> bg.em_path(bg.datasets.load_faithful(), 2, rng=1)
    EMPath: 2 components, covariance full, 19 iterations, log-likelihood -1541.6326 to -1130.2640, converged
    """

    parameters: tuple[MixtureParameters, ...]
    history: FloatArray
    covariance: CovarianceName
    status: Status
    rows: Rows

    @property
    def n_iterations(self) -> int:
        """Number of iterations after the start."""
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
    covariance: CovarianceName = "full",
    *,
    sample_weight: ArrayLike | None = None,
    start: StartName | MixtureParameters | ArrayLike = "k-means++",
    tol: float = 1e-6,
    max_iter: int = 1000,
    rng: Seed = None,
) -> EMPath:
    """Follow plain EM from one start: each iteration is an E-step and an M-step (Bishop 2006, section 9.2.2).

    The path is for teaching and for `plots.plot_iterations` and `plots.animate_iterations`. To fit a mixture, use
    `fit_em`: it tries many starts, and takes quasi-Newton steps where EM is slow.

    Parameters
    ----------
    X, n_components, covariance, sample_weight : as in `fit_em`.
    start : "k-means++" or "random"; a `MixtureParameters`; or responsibilities (n_samples, n_components).
    tol : stop when the log-likelihood is estimated to be within `tol` nats of its limit, as in `fit_em`.
    max_iter : largest number of iterations. The mixture at each iteration is kept.
    rng : int, numpy.random.Generator or None, for "k-means++" and "random".

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
    with deferred_interrupts():
        point = _drawn_start(task, start, generator) if isinstance(start, str) else given_start(task, start)[0]
        points, history, status = _follow(task, point)
    history.flags.writeable = False
    mixtures = tuple(as_parameters(point, task.rows.origin, task.rows.features) for point in points)
    return EMPath(mixtures, history, task.structure.name, status, task.rows)


def _drawn_start(task: Task, start: str, rng: np.random.Generator) -> Point:
    strategy, sample = strategy_named(start), sample_of(task.rows, rng)
    points = whitened(sample, task.settings.bounds.total_cholesky)
    return draw_start(task._replace(rows=sample), strategy, points, rng)


def _follow(task: Task, point: Point) -> tuple[list[Point], FloatArray, Status]:
    """The points on EM's path, the log-likelihood at each, and how the path ended."""
    rows, settings = task.rows, task.settings
    points, statistics = [point], rows.statistics(settings.kernel_parameters(point))
    history = [statistics.log_likelihood]
    while len(points) <= settings.max_iter:
        take_interrupts()
        point = steps.m_step(point, statistics, settings.shape)
        parameters = settings.parameters_unless_collapsed(point)
        if parameters is None:
            return points, np.array(history), Status.COLLAPSED
        statistics = rows.statistics(parameters)
        points.append(point)
        history.append(statistics.log_likelihood)
        recent = np.array(history[-steps.N_FOR_CONVERGENCE :])
        if steps.has_converged(recent, len(recent), settings.tol):
            return points, np.array(history), Status.CONVERGED
    return points, np.array(history), Status.MAX_ITER
