"""Which columns of a table are features: row numbers, names, dates and text are left out."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayesgmm.errors import InputError
from bayesgmm.files.cells import Cells, are_numbers, first_line_of, holds_text
from bayesgmm.wording import shown

# Rows from which a column that only grows, or only falls, is no accident: 2 / 8! is below 1e-4.
_FEWEST_MONOTONE = 8
_FEWEST_CONSECUTIVE = 3
_ROW_NAMES = re.compile(
    r"(?:.*[_. -])?(?:id|ids|uuid|index|idx|nr|rownames?|row[_. -]?(?:names?|numbers?|id|nr|no)?|"
    r"obs|observation|case)\.?"
)
_DATE = re.compile(
    r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[T ].*)?|\d{1,2}:\d{2}(?::\d{2}.*)?"
    r"|\d{1,2}[ -][A-Za-z]{3,9}[ -]\d{2,4}"
)
_MOST_NAMES = 12  # names that a message lists


class LeftOut(NamedTuple):
    """A column that is not used, and the reason as a relative clause, such as "which counts 1, 2, 3, ..."."""

    name: str
    reason: str


def select_columns(table: pd.DataFrame, columns: Sequence[str], source: str, argument: str = "columns") -> pd.DataFrame:
    """Return these columns of a table, in this order.

    Raises
    ------
    InputError
        The table has no such column, or one is named twice. The message calls the table `source`.
    """
    if isinstance(columns, str):
        raise InputError(f"{argument} must be a list of names; received {shown(columns)}. Pass [{shown(columns)}].")
    if not isinstance(columns, Sequence | np.ndarray | pd.Index):
        raise InputError(f"{argument} must be a list of names; received {shown(columns)}. Pass names in a list.")
    if not all(isinstance(column, str) for column in columns):
        raise InputError(f"{argument} must be a list of names, which are text; received {shown(columns)}. Pass names.")
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InputError(
            f"{source} has no column {names_in_words(missing)}; its columns are {names_in_words(table.columns)}. "
            f"Pass names from among these."
        )
    twice = sorted({str(column) for column in columns if list(columns).count(column) > 1})
    if twice:
        raise InputError(f"{argument} names {names_in_words(twice)} more than once. Name each column once.")
    return table[list(columns)]


def names_in_words(names: Sequence[object] | pd.Index) -> str:
    """Quoted names, the first twelve of them."""
    shown = ", ".join(
        repr(name) if len(str(name)) <= 60 else repr(str(name)[:59] + "…") for name in names[:_MOST_NAMES]
    )
    return f"{shown} and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else shown


def features_of(table: pd.DataFrame) -> tuple[list[str], list[LeftOut]]:
    """The names of the columns that are features, and the columns that are left out with the reasons.

    A column that only grows or only falls is left out unless no other column of numbers remains.
    """
    reasons = {name: _reason(str(name), table[name]) for name in table.columns}
    monotone = {
        name: f"which {direction} from row to row, as times and row numbers do"
        for name in table.columns
        if reasons[name] is None and (direction := _direction(table[name]))
    }
    if len(monotone) < sum(reason is None for reason in reasons.values()):
        reasons |= monotone
    used = [name for name, reason in reasons.items() if reason is None]
    return used, [LeftOut(str(name), reason) for name, reason in reasons.items() if reason is not None]


def check_numbers(table: pd.DataFrame, cells: Cells | None, source: str, *, mixed_only: bool) -> None:
    """Refuse columns of text; with `mixed_only` only those in which most cells are numbers.

    Raises InputError with the first cell that is no number.
    """
    for name in table.columns:
        column = table[name]
        if not holds_text(column) or not column.notna().any():
            continue
        numbers = are_numbers(column)
        wrong = column.notna() & ~numbers
        if mixed_only and 2 * numbers.sum() <= column.notna().sum():
            continue
        if not wrong.any():  # numbers of the other notation
            wrong = column.notna()
        row = int(np.argmax(wrong.to_numpy()))
        raise InputError(f"{source}: {_not_numbers(str(name), str(column.iloc[row]), row, int(wrong.sum()), cells)}")


def _not_numbers(name: str, cell: str, row: int, n_wrong: int, cells: Cells | None) -> str:
    place, notation, remedy = f"row {row + 1}", "", "Correct the file"
    if cells is not None:
        layout = cells.layout
        separated = f"columns are separated by {layout.in_words}" if layout.in_words else "it has one column"
        place, notation = f"line {first_line_of(layout, row)}", f" ({separated}; the decimal mark is {cells.decimal!r})"
        remedy = "Correct the file (an empty cell is a missing value), pass --sep or --decimal"
    shown = cell if len(cell) <= 40 else cell[:39] + "…"
    more = f", the first of {n_wrong} such cells" if n_wrong > 1 else ""
    return (
        f"column {name!r} does not hold numbers only; the first cell that is no number is {shown!r} in {place}{more}"
        f"{notation}. {remedy}, or choose other columns with --columns or --exclude (sep=, decimal=, columns=, "
        f"exclude= in Python)."
    )


def _reason(name: str, column: pd.Series) -> str | None:
    """Why a column is no feature, apart from being monotone; None if it may be one."""
    present = column.dropna()
    if present.empty:
        return "which is empty"
    if re.fullmatch(r"Unnamed: \d+(?:\.\d+)?", name):
        return "which has no name in the file, as columns of row numbers have"
    if pd.api.types.is_datetime64_any_dtype(column.dtype) or pd.api.types.is_timedelta64_dtype(column.dtype):
        return f"which holds dates, such as {present.iloc[0]}"
    if not pd.api.types.is_numeric_dtype(column.dtype):
        first = str(present.iloc[0])
        kind = "dates" if _DATE.fullmatch(first.strip()) or hasattr(present.iloc[0], "isoformat") else "text"
        return f"which holds {kind}, such as {first if len(first) <= 30 else first[:29] + '…'!r}"
    if pd.api.types.is_bool_dtype(column.dtype):
        return None
    # Of a column with missing entries the others decide, each at its place.
    values, places = present.to_numpy(dtype="float64"), np.flatnonzero(column.notna())
    if not np.isfinite(values).all():
        return None
    if len(values) >= _FEWEST_CONSECUTIVE and values[0] % 1 == 0 and (np.diff(values) == np.diff(places)).all():
        return f"which counts {values[0]:.0f}, {values[1]:.0f}, {values[2]:.0f}, ..."
    is_named = _ROW_NAMES.fullmatch(name.strip().lower()) is not None
    if is_named and (values % 1 == 0).all() and len(np.unique(values)) == len(values):
        return "whose name and distinct whole numbers are those of row names"
    return None


def _direction(column: pd.Series) -> str | None:
    """Whether the entries that are present grow or fall at every row; None if they do neither."""
    present = column.dropna()
    if len(present) < _FEWEST_MONOTONE or pd.api.types.is_bool_dtype(column.dtype):
        return None
    values = present.to_numpy(dtype="float64")
    if not np.isfinite(values).all():
        return None
    steps = np.diff(values)
    if (steps > 0).all():
        return "grows"
    return "falls" if (steps < 0).all() else None
