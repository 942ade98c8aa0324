"""EM: the steps, the restarts, and when to stop."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy

from bayesgmm.em.result import EMFit
from bayesgmm.em.runs import Restart, Status
from bayesgmm.em.search.climb import Problem, climb
from bayesgmm.em.search.collapse import bounds_of
from bayesgmm.em.search.optima import by_weight, optima_of
from bayesgmm.em.search.restarts import Task, n_ahead, restarts, together
from bayesgmm.em.search.start import from_responsibilities, strategy_named
from bayesgmm.em.search.steps import Point
from bayesgmm.errors import FitError, InputError
from bayesgmm.kernel.rows import rows_of
from bayesgmm.mixture.covariance import n_free_parameters, structure_named
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.validation import (
    Table,
    as_generator,
    as_numbers,
    as_table,
    check_count,
    check_n_components,
    check_positive,
    check_weights,
)


def fit_em(
    X: ArrayLike,
    n_components: int,
    covariance: str = "full",
    *,
    sample_weight: ArrayLike | None = None,
    start: MixtureParameters | ArrayLike | str = "k-means++",
    n_init: int = 100,
    tol: float = 1e-6,
    max_iter: int = 10_000,
    rng: Any = None,
) -> EMFit:
    """Fit a Gaussian mixture by maximum likelihood.

    Parameters
    ----------
    X : (n_samples, n_features) array or data frame, or (n_samples,) for one feature.
    n_components : number of components K.
    covariance : "full", "tied" (one full covariance for all components), "diag" or "spherical".
    sample_weight : (n_samples,), not negative: a row of weight 2 counts as two rows.
    start : "k-means++" or "random" (each restart draws its own); a `MixtureParameters`; or responsibilities
        (n_samples, n_components). From the latter two there is one run.
    n_init : number of starts. Each runs for 20 iterations (on 16,384 rows drawn at random, when there are more);
        the best tenth, and at least three, run on to convergence on all rows, and so does every other that is
        elsewhere (see the notes); the best of these is returned, and all distinct ones are in its `optima`. A start
        whose components collapse is recorded and replaced by another.
    tol : stop when the log-likelihood is estimated to be within `tol` of its limit (Aitken's estimate, Boehning et
        al. 1994, doi:10.1007/BF01720593; after acceleration what a quadratic promises), or when its gain is
        rounding. Near an optimum a log-likelihood lower by `tol` is at most sqrt(2 tol) standard errors away: 0.0014
        at the default, whatever the number of rows.
    max_iter : iterations of a run at most.
    rng : int, numpy.random.Generator or None. The same seed gives the same fit on any number of threads.

    Returns
    -------
    EMFit
        Its components are in decreasing order of weight (for a start given as parameters or responsibilities: in the
        order of the start).

    Raises
    ------
    InputError
        The data, an option or the start cannot be used; the message says why.
    FitError
        Every start collapsed. The error's `restarts` holds their records.

    Notes
    -----
    Once EM's gains shrink at a steady rate, quasi-Newton steps in EM's own metric take over (Jamshidian and Jennrich
    1997, doi:10.1111/1467-9868.00083): where components overlap they need a fraction of EM's passes over the rows. The
    log-likelihood rises at every iteration all the same.

    After its 20 iterations a start outside the best tenth runs on when its log densities at up to 128 rows differ, by
    0.1 in root mean square, from those at every end and of every other start that runs on, and when it can be expected
    to end within 100 nats of the best: a likelihood that is lower by more leaves a posterior mode no mass, whatever
    its width. So `optima` holds what the starts have seen of the likelihood's maxima, not only the highest; a maximum
    that no start came near is not in it, and raising `n_init` finds more.

    A covariance whose variance in some direction falls below 1e-12 of the data's total variance in that direction has
    collapsed, and so has a component of no more rows than features (for the structures other than full: of a single
    row): there the likelihood has no bound or no meaning. The rule is relative to the data's total covariance, so the
    full fit is unchanged under invertible affine maps of the data.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> em = bg.fit_em(bg.datasets.load_faithful(), 2, rng=1)
    >>> round(em.log_likelihood, 3)
    -1130.264
    >>> em.parameters.means.round(1).tolist()
    [[4.3, 80.0], [2.0, 54.5]]
    """
    task, table = task_of(X, n_components, covariance, sample_weight, tol, max_iter)
    rows, structure, K, problem = task
    n_init, tol, generator = check_count(n_init, "n_init"), problem.tol, as_generator(rng)
    ordered = isinstance(start, str)

    if isinstance(start, str):
        # With one component every start leads to the same closed-form fit.
        runs = restarts(task, strategy_named(start), n_init if K > 1 else 1, generator)
    else:
        point, described = given_start(task, start, table)
        runs = together(rows, [climb(problem, point, described)])
    records: list[Restart] = []
    best: tuple[Point, Restart] | None = None
    n_usable = 0
    for point, record in runs:
        records.append(record)
        if record.status in (Status.CONVERGED, Status.MAX_ITER):
            # A run that went on to see other maxima is the fit when it found a better one, not by rounding.
            least = 0.0 if n_usable < n_ahead(n_init) else tol
            n_usable += 1
            if best is None or record.log_likelihood > best[1].log_likelihood + least:
                best = (point, record)
    if best is None:
        if not ordered:
            raise FitError(
                f"The start that was given collapsed: from there, with covariance={structure.name!r}, some component "
                f"shrinks onto too few distinct rows, where the likelihood has no bound. Pass another start, or a "
                f"strategy such as start='k-means++'.",
                tuple(records),
            )
        raise FitError(
            f"All {len(records)} starts collapsed: with n_components={K} and covariance={structure.name!r} some "
            f"component always shrinks onto too few distinct rows, where the likelihood has no bound. Ask for fewer "
            f"components or for covariance='tied', or fit the posterior, whose priors keep covariances away from zero.",
            tuple(records),
        )
    point, record = best
    if ordered:
        point = by_weight(point)
    stds = np.linalg.norm(problem.bounds.total_cholesky, axis=1)
    optima = optima_of(runs, (point, record), tol, stds, rows.origin, table.features)
    return EMFit(
        parameters=optima[0].parameters,
        covariance=structure.name,
        log_likelihood=record.log_likelihood,
        status=record.status,
        history=record.history,
        restarts=tuple(records),
        optima=optima,
        n_samples=rows.total_weight,
        n_free=n_free_parameters(structure, K, table.n_features),
        entropy=_entropy(task, point),
        rows=rows,
    )


def task_of(
    X: ArrayLike, n_components: int, covariance: str, sample_weight: ArrayLike | None, tol: float, max_iter: int
) -> tuple[Task, Table]:
    """What is to be fitted, checked. Raises InputError as `fit_em` does."""
    structure = structure_named(covariance)
    table = as_table(X)
    weights = check_weights(sample_weight, table.n_samples)
    K = check_n_components(n_components, table, weights)
    tol, max_iter = check_positive(tol, "tol"), check_count(max_iter, "max_iter")
    rows = rows_of(table.values, weights)
    bounds = bounds_of(rows, table.features, structure)
    return Task(rows, structure, K, Problem(structure.shape, bounds, tol, max_iter)), table


def given_start(task: Task, start: MixtureParameters | ArrayLike, table: Table) -> tuple[Point, str]:
    """The point that the user's start stands for, and what it was given as."""
    N, K = table.n_samples, task.n_components
    if isinstance(start, MixtureParameters):
        start.check_start(K, table.features)
        if not start.weights.all():
            raise InputError(
                f"start must give every component a weight above 0, or no row could join it; received "
                f"{start.weights.tolist()}. Leave that component out, or give it a weight."
            )
        counts = start.weights * N
        # The start must have the structure that is fitted: its covariances are projected as an M-step would.
        covariances = task.structure.project(start.covariances * counts[:, np.newaxis, np.newaxis], counts)
        means = np.ascontiguousarray(start.means - task.rows.origin)
        return Point(start.weights, means, np.linalg.cholesky(covariances)), "parameters"
    responsibilities = as_numbers(start, "start, unless it is a strategy's name or a MixtureParameters,")
    if responsibilities.shape != (N, K):
        raise InputError(
            f"start, as responsibilities, must have shape ({N}, {K}); it has shape {responsibilities.shape}. Give each "
            f"row of X one number for each component."
        )
    if (
        not np.isfinite(responsibilities).all()
        or responsibilities.min() < 0
        or abs(responsibilities.sum(axis=1) - 1).max() > 1e-6
    ):
        raise InputError(
            "start, as responsibilities, must be finite and not negative, and each row must sum to 1. Divide each row "
            "by its sum."
        )
    try:
        with np.errstate(all="ignore"):
            point = from_responsibilities(task.rows, responsibilities, task.structure)
        collapsed = task.problem.checked(point) is None
    except np.linalg.LinAlgError:
        collapsed = True
    if collapsed:
        raise InputError(
            "start, as responsibilities, gives some component too few rows for a covariance. Give every component "
            "more rows than there are features."
        )
    return point, "responsibilities"


def _entropy(task: Task, point: Point) -> float:
    parameters = task.problem.parameters(point)
    total = 0.0
    for piece in task.rows.pieces():
        r = piece.responsibilities(parameters)
        each = -xlogy(r, r).sum(axis=1)
        total += float(each @ piece.weights) if piece.weights.size else float(each.sum())
    return total
