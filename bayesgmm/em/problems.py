"""Reasons not to trust a fit, each in a sentence that says what to do."""

import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from bayesgmm.em.runs import FitProblem, FitProblemKind, Optimum
from bayesgmm.em.search.collapse import number_of_rows
from bayesgmm.em.search.restarts import Restarts
from bayesgmm.em.search.task import Task
from bayesgmm.em.shrinkage import Shrinkage, commonest_shrinkage
from bayesgmm.errors import BayesgmmWarning
from bayesgmm.kernel.rows import Rows
from bayesgmm.mixture.covariance import FULL, CovarianceStructure, n_free_parameters
from bayesgmm.mixture.evaluation import labels_at
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.mixture.resolution import few_values
from bayesgmm.types import FloatArray
from bayesgmm.wording import count, listed

# Share of the runs that collapsed from which the others are few.
_MANY_COLLAPSED = 0.5
# A component is spurious if it holds fewer rows than D + _FEWEST_EXTRA; or fewer than _FEW times D + 1 and is, in some
# direction, flatter than _FLAT of the average covariance; or is flatter than _VERY_FLAT. Of diagonal structures D is 1.
# See docs/decisions/0025.
_FEWEST_EXTRA, _FEW, _FLAT, _VERY_FLAT = 1.5, 3.0, 0.01, 1e-8
_MOST_ROWS = 6  # rows that a message names
# Components are equal if their means and covariances differ by less than this, in standard deviations of the first.
_EQUAL = 1e-3
# Problems that warn at the fit; the others are said in its summary.
_WARNED: tuple[FitProblemKind, ...] = ("collapsed starts", "spurious maximum", "equal components", "row weights")


def warn_about(problems: Iterable[FitProblem]) -> None:
    """Warn, at the first line outside this package and scikit-learn, of the problems that change what a fit means."""
    for problem in problems:
        if problem.kind in _WARNED:
            warnings.warn(problem.text, BayesgmmWarning, skip_file_prefixes=_inner_folders())


def _inner_folders() -> tuple[str, ...]:
    """The folders of this package, and of scikit-learn, whose wrappers are between an estimator and its caller."""
    sklearn = sys.modules.get("sklearn")
    theirs = [Path(str(sklearn.__file__)).parent] if sklearn is not None else []
    return tuple(f"{folder}{os.sep}" for folder in (Path(__file__).parents[1], *theirs))


def problems_of(task: Task, outcome: Restarts, optima: Sequence[Optimum], *, is_drawn: bool) -> tuple[FitProblem, ...]:
    """The problems of a fit. optima: the fit itself first; is_drawn: whether the starts were drawn."""
    found = (
        _row_weights(task),
        _collapsed_starts(task, outcome),
        _spurious_maximum(task, optima),
        _equal_components(optima[0].parameters),
        _reached_once(task, outcome) if is_drawn else None,
        _few_rows(task),
        _few_values(task.rows),
    )
    return tuple(problem for problem in found if problem is not None)


def _row_weights(task: Task) -> FitProblem | None:
    rows, K = task.rows, task.n_components
    total = rows.total_weight
    if not rows.weights.size or (total >= K and not np.isclose(total, 1.0)):
        return None
    return FitProblem(
        "row weights",
        f"sample_weight sums to {total:.4g}, which counts as {total:.4g} rows for {count(K, 'component')}: a weight is "
        f"the number of times that a row is there. tol, AIC, BIC and standard errors follow from this sum. If the "
        f"weights only say how important rows are relative to each other, pass sample_weight * n / sample_weight.sum() "
        f"with n the number of rows that were observed.",
    )


def _collapsed_starts(task: Task, outcome: Restarts) -> FitProblem | None:
    n_runs, n_collapsed = len(outcome.runs), len(outcome.collapsed)
    if n_collapsed <= _MANY_COLLAPSED * n_runs:
        return None
    shrinkage = commonest_shrinkage(task, outcome.collapsed)
    return FitProblem(
        "collapsed starts",
        f"{n_collapsed} of {n_runs} starts collapsed: a component shrank "
        f"{shrinkage or 'onto too few distinct rows'}, where the likelihood has no bound. This fit is a maximum that "
        f"the other {count(n_runs - n_collapsed, 'start')} led to, and its groups may mean little. "
        f"{remedies(task, shrinkage)}",
    )


def remedies(task: Task, shrinkage: Shrinkage | None) -> str:
    """What to do where components collapse, in a sentence; nothing that the fit does already."""
    if shrinkage is not None and shrinkage.column:
        first = "Leave that column out, or add noise as wide as the steps between its values"
    elif shrinkage is not None and shrinkage.n_columns:
        first = "Leave columns out, or use covariance='diag'"
    elif shrinkage is not None and shrinkage.n_rows == len(shrinkage.rows):
        first = "Check whether these rows are mistakes, and leave them out if they are"
    else:
        first = "Check whether rows are copies of each other"
    tied = "" if task.structure.shared else " or for covariance='tied'"
    return (
        f"{first}; ask for fewer components{tied}; or draw from the posterior by sample_posterior, whose priors keep "
        f"covariances away from zero."
    )


def _spurious_maximum(task: Task, optima: Sequence[Optimum]) -> FitProblem | None:
    n_rows = number_of_rows(task.rows)
    k = spurious_component(optima[0].parameters, task.structure, n_rows)
    if k is None:
        return None
    fit = optima[0].parameters
    labels = np.concatenate([labels_at(fit, piece.values) for piece in task.rows.pieces()])
    its_rows = np.flatnonzero((labels == k) & (task.rows.weights > 0 if task.rows.weights.size else True))
    return FitProblem(
        "spurious maximum",
        f"This maximum may be spurious: component {k} holds {fit.weights[k] * n_rows:.1f} rows "
        f"({listed(its_rows, _MOST_ROWS)}, counted from 0), and its smallest variance is "
        f"{_relative_flatness(fit)[k]:.1g} of the average component's. On few or equal rows a component can be as "
        f"narrow as that by chance. "
        f"{_next_maximum(optima, task.structure, n_rows)}",
    )


def _next_maximum(optima: Sequence[Optimum], structure: CovarianceStructure, n_rows: float) -> str:
    """The best maximum without a spurious component, in a sentence."""
    for i, other in enumerate(optima):
        if spurious_component(other.parameters, structure, n_rows) is None:
            weights = listed(f"{weight:.3f}" for weight in other.parameters.weights)
            lower = optima[0].log_likelihood - other.log_likelihood
            return (
                f"The next maximum without such a component is optima[{i}]: log-likelihood {other.log_likelihood:.4f}, "
                f"{lower:.4g} nats lower, weights {weights}. fit_em(..., start=em.optima[{i}].parameters) returns it."
            )
    return "No other maximum without such a component was found: ask for fewer components or for covariance='tied'."


def spurious_component(parameters: MixtureParameters, structure: CovarianceStructure, n_rows: float) -> int | None:
    """The number of the component with fewest rows that looks spurious; None if none does.

    Such maxima are described by McLachlan and Peel (2000), Finite Mixture Models, section 3.10: a component that is
    fitted to few rows, near a line or a plane by chance, has a high likelihood and no meaning.
    """
    if parameters.n_components == 1 or structure.shared:
        return None
    counts = parameters.weights * n_rows
    flatness = _relative_flatness(parameters)
    D = parameters.n_features if structure is FULL else 1
    is_spurious = (
        (counts < D + _FEWEST_EXTRA) | ((counts < _FEW * (D + 1)) & (flatness < _FLAT)) | (flatness < _VERY_FLAT)
    )
    return int(np.where(is_spurious, counts, np.inf).argmin()) if is_spurious.any() else None


def _relative_flatness(parameters: MixtureParameters) -> FloatArray:
    """(K,) smallest variance of each component in any direction, as a share of the average covariance's there."""
    average = np.einsum("k,kij->ij", parameters.weights, parameters.covariances)
    stds = np.sqrt(np.diagonal(average))
    units = np.outer(stds, stds)
    try:
        whitener = np.linalg.inv(np.linalg.cholesky(average / units))
    except np.linalg.LinAlgError:  # all components are flat in one direction, so that none is flatter than the average
        return np.ones(parameters.n_components)
    relative = whitener @ (parameters.covariances / units) @ whitener.T
    return np.asarray(np.linalg.eigvalsh(relative)[:, 0])


def _equal_components(fit: MixtureParameters) -> FitProblem | None:
    """EM never separates components that are equal, although the log-likelihood rises as they move apart."""
    stds = fit.stds[:, np.newaxis]
    means = np.abs(fit.means[:, np.newaxis] - fit.means) / stds
    covariances = np.abs(fit.covariances[:, np.newaxis] - fit.covariances)
    covariances /= stds[..., np.newaxis] * stds[..., np.newaxis, :]
    is_equal = (means.max(axis=-1) < _EQUAL) & (covariances.max(axis=(-2, -1)) < _EQUAL)
    first, second = np.nonzero(np.triu(is_equal, 1))
    if not first.size:
        return None
    return FitProblem(
        "equal components",
        f"Components {first[0]} and {second[0]} are equal: together they are one component, and this point is no "
        f"maximum of the likelihood of {count(fit.n_components, 'component')}. A start that does not tell them apart "
        f"leads here. Pass another start, or leave it out.",
    )


def _reached_once(task: Task, outcome: Restarts) -> FitProblem | None:
    n_runs = len(outcome.runs) - len(outcome.collapsed)
    if outcome.n_reached > 1 or task.n_components == 1 or n_runs == 1:
        return None
    return FitProblem(
        "reached once",
        f"The best maximum was reached by 1 of {n_runs} runs, so that a higher one may not have been found: raise "
        f"n_init.",
    )


def _few_rows(task: Task) -> FitProblem | None:
    n_rows = task.rows.total_weight
    n_free = n_free_parameters(task.structure, task.n_components, task.rows.n_features)
    if n_rows >= n_free:
        return None
    return FitProblem(
        "few rows",
        f"There are {n_rows:.6g} rows for {n_free} free parameters: the rows do not determine them. Ask for fewer "
        f"components, fewer features or a simpler covariance.",
    )


def _few_values(rows: Rows) -> FitProblem | None:
    counted = (piece.values[piece.weights > 0] if piece.weights.size else piece.values for piece in rows.pieces())
    few = few_values(counted, rows.total_weight)
    if not few:
        return None
    columns = listed(f"{rows.features[d]} ({n} values)" for d, n in few.items())
    return FitProblem(
        "few values",
        f"Columns with few different values: {columns}. Components can shrink onto single values, and groups may be no "
        f"more than these: leave such columns out, or fit the rows of each value by themselves.",
    )
