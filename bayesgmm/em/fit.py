"""`fit_em`: maximum likelihood from many starts."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy

from bayesgmm.em.problems import problems_of, remedies, warn_about
from bayesgmm.em.result import EMFit, is_same_log_likelihood, statistics_at
from bayesgmm.em.runs import Optimum
from bayesgmm.em.search.climb import EMRun, climb
from bayesgmm.em.search.optima import by_weight, optima_of
from bayesgmm.em.search.restarts import Restarts, restarts, run_in_lockstep
from bayesgmm.em.search.start import StartName, given_start, strategy_named
from bayesgmm.em.search.steps import Point
from bayesgmm.em.search.task import Task, task_of
from bayesgmm.em.shrinkage import commonest_shrinkage
from bayesgmm.errors import FitError
from bayesgmm.interrupts import deferred_interrupts
from bayesgmm.mixture.covariance import n_free_parameters
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import CovarianceName, Seed
from bayesgmm.validation import as_generator, check_count


def fit_em(
    X: ArrayLike,
    n_components: int,
    covariance: CovarianceName = "full",
    *,
    sample_weight: ArrayLike | None = None,
    start: StartName | MixtureParameters | ArrayLike = "k-means++",
    n_init: int | None = None,
    tol: float = 1e-6,
    max_iter: int = 10_000,
    rng: Seed = None,
) -> EMFit:
    """Fit a Gaussian mixture by maximum likelihood.

    Parameters
    ----------
    X : (n_samples, n_features) array or data frame, or (n_samples,) for one feature.
    n_components : number of components K.
    covariance : "full", "tied" (one full covariance for all components), "diag" or "spherical".
    sample_weight : (n_samples,), not negative: a row of weight 2 counts as two rows, a row of weight 0 as none. So
        weights that only say how important rows are should sum to the number of rows that were observed. A pandas
        series must have the index of X.
    start : "k-means++" or "random" (each start is drawn by itself); a `MixtureParameters`; or responsibilities
        (n_samples, n_components). With parameters or responsibilities there is a single run.
    n_init : number of starts. By default 100, and 100 more, up to 300, while the best maximum has been reached fewer
        than three times. Each start has a short run of 20 iterations, on 16,384 rows drawn at random when there are
        more. The best tenth of the first starts, and at least three, continue to convergence on all rows; so does every
        other start that approaches a different optimum (see the notes). The best of these runs is returned, and all
        distinct maxima are in its `optima`. A start whose components collapse is recorded and replaced by another.
    tol : stop when the log-likelihood is estimated to be within `tol` nats of its limit, or when its gain is rounding.
        The estimate is Aitken's (Boehning et al. 1994, doi:10.1007/BF01720593) for EM steps, and the gain that a
        quadratic predicts for quasi-Newton steps. A point that is `tol` below an optimum is at most sqrt(2 tol)
        standard errors away from it: 0.0014 at the default, for any number of rows.
    max_iter : largest number of iterations of a run.
    rng : int, numpy.random.Generator or None. The same seed gives the same fit on any number of threads.

    Returns
    -------
    EMFit
        Its components are in decreasing order of weight. If the start was given as parameters or responsibilities, they
        are in the order of the start.

    Raises
    ------
    InputError
        The data, an option or the start cannot be used; the message says why.
    FitError
        Every start collapsed. The message says onto which value of a column, or onto which rows. The error's `restarts`
        holds the records of the runs.

    Warns
    -----
    BayesgmmWarning
        Most starts collapsed; the maximum may be spurious, which means that a component is fitted to about as many rows
        as it needs to exist; or the row weights sum to less than one row per component. `EMFit.problems` holds these
        and further problems.

    Notes
    -----
    Once EM's gains shrink at a steady rate, quasi-Newton steps in EM's own metric take over (Jamshidian and Jennrich
    1997, doi:10.1111/1467-9868.00083). Where components overlap, these steps need a fraction of the passes over the
    rows that EM needs. The log-likelihood still rises at every iteration.

    After its short run a start outside the best tenth continues if two conditions hold. Its log densities at up to 128
    rows differ, by at least 0.1 in root mean square, from those of every finished run and of every other start that
    continues. And its log-likelihood is projected to end within 100 nats of the best: a posterior mode at a lower
    maximum has no mass, whatever its width. So `optima` holds all maxima that the starts approached, not only the
    highest. A maximum that no start came near is not in it; a larger `n_init` finds more.

    A component has collapsed if its variance in some direction is below 1e-12 of the data's total variance in that
    direction, or if it holds no more rows than there are features (of diagonal and spherical components: no more than
    one row). Rows are counted by their weights; weights below 1 on average are first divided by their average. The
    likelihood of a collapsed component has no bound or no meaning. A tied covariance has a bounded likelihood, so that
    its components may hold a single row; it has collapsed if its variance is below 1e-20 of the data's.

    Starts, steps and the rule of a collapse follow the maps of the data that the model allows, up to rounding: full and
    tied fits are unchanged under invertible affine maps, and so under another order of the features; diagonal fits
    under other units; spherical fits under rotations and one common unit.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> em = bg.fit_em(bg.datasets.load_faithful(), 2, rng=1)
    >>> round(em.log_likelihood, 3)
    -1130.264
    >>> em.parameters.means.round(1).tolist()
    [[4.3, 80.0], [2.0, 54.5]]
    """
    task = task_of(X, n_components, covariance, sample_weight, tol, max_iter)
    n_init, generator = None if n_init is None else check_count(n_init, "n_init"), as_generator(rng)
    with deferred_interrupts():
        em = _best_fit(task, start, n_init, generator)
    warn_about(em.problems)
    return em


def _best_fit(
    task: Task, start: StartName | MixtureParameters | ArrayLike, n_init: int | None, rng: np.random.Generator
) -> EMFit:
    """The fit that the best run from the start or starts leads to."""
    is_drawn = isinstance(start, str)
    if isinstance(start, str):
        outcome = restarts(task, strategy_named(start), n_init, rng)
    else:
        point, described = given_start(task, start)
        outcome = Restarts.of_one(run_in_lockstep(task.rows, [climb(task.settings, point, described)])[0])
    best = outcome.best(task.settings.tol)
    if best is None:
        raise _all_collapsed(task, outcome, is_drawn=is_drawn)
    if is_drawn:
        best = best._replace(point=by_weight(best.point))
    return _as_fit(task, outcome, best, is_drawn=is_drawn)


def _as_fit(task: Task, outcome: Restarts, best: EMRun, *, is_drawn: bool) -> EMFit:
    """The result for the user. best: the run that is the fit, its components in their final order."""
    rows, structure, K, settings = task
    found = optima_of(outcome.runs, best, settings.tol, rows.stds, rows.origin, rows.features)
    fit, *others = (_as_rounded(optimum, task) for optimum in found)
    optima = (fit, *sorted(others, key=lambda optimum: -optimum.log_likelihood))
    return EMFit(
        parameters=optima[0].parameters,
        covariance=structure.name,
        log_likelihood=optima[0].log_likelihood,
        status=best.record.status,
        history=best.record.history,
        restarts=tuple(run.record for run in outcome.runs),
        n_samples=rows.total_weight,
        n_free=n_free_parameters(structure, K, rows.n_features),
        entropy=_entropy(task, best.point),
        rows=rows,
        optima=optima,
        problems=problems_of(task, outcome, optima, is_drawn=is_drawn),
    )


def _as_rounded(optimum: Optimum, task: Task) -> Optimum:
    """The optimum with the log-likelihood of its parameters, where these have fewer digits than the point of the run.

    Means far from 0, and covariances that are nearly singular, lose digits as they are written in float64.
    """
    rounded = statistics_at(task.rows, optimum.parameters, task.structure).log_likelihood
    if is_same_log_likelihood(rounded, optimum.log_likelihood, task.rows.total_weight):
        return optimum
    return optimum._replace(log_likelihood=rounded)


def _all_collapsed(task: Task, outcome: Restarts, *, is_drawn: bool) -> FitError:
    records = tuple(run.record for run in outcome.runs)
    shrinkage = commonest_shrinkage(task, outcome.collapsed)
    reason = (
        f"{f'All {len(records)} starts' if is_drawn else 'The start that was given'} collapsed: with "
        f"n_components={task.n_components} and covariance={task.structure.name!r} a component shrinks "
        f"{shrinkage or 'onto too few distinct rows'}, where the likelihood has no bound."
    )
    advice = remedies(task, shrinkage) if is_drawn else "Pass another start, or a strategy such as start='k-means++'."
    return FitError(f"{reason} {advice}", records, reason=reason)


def _entropy(task: Task, point: Point) -> float:
    """-sum_ik r_ik log r_ik of the responsibilities r (nats), each row times its weight."""
    parameters = task.settings.kernel_parameters(point)
    total = 0.0
    for piece in task.rows.pieces():
        r = piece.responsibilities(parameters)
        row_entropies = -xlogy(r, r).sum(axis=1)
        total += float(row_entropies @ piece.weights) if piece.weights.size else float(row_entropies.sum())
    return total
