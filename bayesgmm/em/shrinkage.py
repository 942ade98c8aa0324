"""What the components of collapsed runs shrank onto: a repeated value of a column, or a few rows."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bayesgmm.em.search import steps
from bayesgmm.em.search.climb import EMRun
from bayesgmm.em.search.steps import Point
from bayesgmm.em.search.task import Task
from bayesgmm.types import IntArray
from bayesgmm.wording import count, shortened

# Collapsed runs that are looked at, evenly spread: each costs a few passes over the rows.
_MOST_RUNS = 20
# Share of a component's rows that must hold one value of a column for that value to be named.
_SHARE = 0.9
_MOST_ROWS = 4  # rows that a message names


class Shrinkage(NamedTuple):
    """What a component shrank onto.

    rows: numbers of its rows, at most four of them; none if a column is named. n_rows: how many rows it has. column:
    the column in which its rows hold `value`, "" if there is none. n_equal: number of rows of the data with that value.
    n_values: number of different values in the column if that is at most the number of components. n_columns: number of
    columns if the rows are too few for these.
    """

    rows: tuple[int, ...] = ()
    n_rows: int = 0
    column: str = ""
    value: float = 0.0
    n_equal: int = 0
    n_values: int = 0
    n_columns: int = 0

    @property
    def cause(self) -> tuple[object, ...]:
        """What runs have in common that shrank onto the same thing, whichever of its rows they held."""
        return (self.column, self.value) if self.column else (self.rows, self.n_columns)

    def __str__(self) -> str:
        column = repr(shortened(self.column, 60))
        if self.n_values:
            return f"onto single values of column {column}, which has only {count(self.n_values, 'value')}"
        if self.column:
            return (
                f"onto {count(self.n_rows, 'row')} in which column {column} is {self.value:.6g} (as it is in "
                f"{count(self.n_equal, 'row')} of the data)"
            )
        named = ", ".join(map(str, self.rows))
        if self.n_rows == 1:
            return f"onto row {named} (counted from 0) alone"
        if self.n_columns:
            return f"onto {self.n_rows} rows, too few for a covariance of {self.n_columns} columns"
        if self.n_rows == len(self.rows):
            return f"onto the rows {named} (counted from 0) alone"
        return f"onto {self.n_rows} rows that lie on a line or a plane, such as {named} (counted from 0)"


def commonest_shrinkage(task: Task, collapsed: Sequence[EMRun]) -> Shrinkage | None:
    """What most of the collapsed runs shrank onto; None if that cannot be told."""
    step = max(1, len(collapsed) // _MOST_RUNS)
    with np.errstate(all="ignore"):
        found = [shrinkage_of(task, run.point) for run in collapsed[::step][:_MOST_RUNS]]
    known = [shrinkage for shrinkage in found if shrinkage is not None]
    causes = Counter(shrinkage.cause for shrinkage in known).most_common(1)
    return next(shrinkage for shrinkage in known if shrinkage.cause == causes[0][0]) if causes else None


def shrinkage_of(task: Task, point: Point) -> Shrinkage | None:
    """What the component shrank onto that the M-step at a point makes collapse; None if no row belongs to it."""
    parameters = task.settings.kernel_parameters(point)
    proposal = steps.m_step(point, task.rows.statistics(parameters), task.settings.shape)
    if task.structure.shared:
        return _few_values(task, _columns_by_flatness(task, point, 0))
    k, holds_few_rows = _collapsed_component(task, proposal)
    rows = rows_of_component(task, point, k)
    if not holds_few_rows:
        for column in _columns_by_flatness(task, point, k):
            values, counts = np.unique(task.rows.values[rows, column], return_counts=True)
            if len(rows) > 1 and counts.max() >= _SHARE * len(rows):
                value = float(values[counts.argmax()])
                n_equal = _number_equal(task, column, value)
                return Shrinkage(n_rows=len(rows), column=task.rows.features[column], value=value, n_equal=n_equal)
    if holds_few_rows and len(rows) > _MOST_ROWS:
        return Shrinkage(n_rows=len(rows), n_columns=task.rows.n_features)
    shown = rows[:_MOST_ROWS] if len(rows) <= _MOST_ROWS else rows[:2]
    return Shrinkage(tuple(shown.tolist()), len(rows)) if len(rows) else None


def _few_values(task: Task, columns: IntArray) -> Shrinkage | None:
    """The first of the columns that has no more values than there are components."""
    for column in columns:
        n_values = len(np.unique(task.rows.values[rows_of_component(task, None, 0), column]))
        if n_values <= task.n_components:
            return Shrinkage(column=task.rows.features[column], n_values=n_values)
    return None


def _number_equal(task: Task, column: int, value: float) -> int:
    """Number of rows of positive weight with this value in a column."""
    is_equal = task.rows.values[:, column] == value
    return int((is_equal & (task.rows.weights > 0)).sum() if task.rows.weights.size else is_equal.sum())


def rows_of_component(task: Task, point: Point | None, k: int) -> IntArray:
    """Numbers of the rows that belong to component k by more than one half, or of all rows if there is no point.

    Rows of weight 0 are left out.
    """
    begin, found = 0, []
    for piece in task.rows.pieces():
        belongs = piece.weights > 0 if piece.weights.size else np.ones(piece.n_samples, bool)
        if point is not None:
            belongs = belongs & (piece.responsibilities(task.settings.kernel_parameters(point))[:, k] > 0.5)
        found.append(begin + np.flatnonzero(belongs))
        begin += piece.n_samples
    return np.concatenate(found)


def _collapsed_component(task: Task, proposal: Point) -> tuple[int, bool]:
    """The component that collapsed, and whether the reason is that it holds too few rows."""
    bounds = task.settings.bounds
    counts = np.nan_to_num(proposal.weights) * bounds.n_rows
    if not counts.min() > bounds.fewest:
        return int(counts.argmin()), True
    smallest = np.linalg.svd(np.nan_to_num(bounds.total_whitener @ proposal.choleskys), compute_uv=False)[:, -1]
    return int(smallest.argmin()), False


def _columns_by_flatness(task: Task, point: Point, k: int) -> IntArray:
    """The columns, beginning with the one that has the largest share in the flattest direction of a component."""
    whitener = task.settings.bounds.total_whitener
    direction = np.linalg.svd(np.nan_to_num(whitener @ point.choleskys[k]))[0][:, -1]
    return np.argsort(-np.abs(whitener.T @ direction) * task.rows.stds, kind="stable")
