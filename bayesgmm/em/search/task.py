"""The task of a search: the rows, the mixture to fit to them, and the settings of every run."""

from typing import NamedTuple

from numpy.typing import ArrayLike

from bayesgmm.checked_tables import check_n_components
from bayesgmm.em.search.climb import ClimbSettings
from bayesgmm.em.search.collapse import bounds_of, number_of_rows
from bayesgmm.kernel.rows import Rows
from bayesgmm.mixture.checked_rows import as_rows
from bayesgmm.mixture.covariance import CovarianceStructure, structure_named
from bayesgmm.types import CovarianceName
from bayesgmm.validation import check_count, check_positive


class Task(NamedTuple):
    """The rows, the covariance structure and number of components to fit, and the settings of every run."""

    rows: Rows
    structure: CovarianceStructure
    n_components: int
    settings: ClimbSettings


def task_of(
    X: ArrayLike,
    n_components: int,
    covariance: CovarianceName,
    sample_weight: ArrayLike | None = None,
    tol: float = 1e-6,
    max_iter: int = 10_000,
) -> Task:
    """Check the arguments and make the task. Raises InputError as `fit_em` does."""
    structure = structure_named(covariance)
    rows = as_rows(X, sample_weight)
    K = check_n_components(n_components, rows, rows.weights)
    tol, max_iter = check_positive(tol, "tol"), check_count(max_iter, "max_iter")
    return Task(rows, structure, K, ClimbSettings(structure.flags, bounds_of(rows, structure), tol, max_iter))


def task_on_sample(task: Task, sample: Rows) -> Task:
    """The same task on a sample of its rows."""
    bounds = task.settings.bounds._replace(n_rows=number_of_rows(sample))
    return task._replace(rows=sample, settings=task.settings._replace(bounds=bounds))
