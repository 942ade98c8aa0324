"""From the cells of a text file to columns of numbers: decimal marks, and cells that are no numbers."""

import io
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayesgmm.errors import InputError
from bayesgmm.files.contents import REMEDY
from bayesgmm.files.layout import Layout, too_long
from bayesgmm.wording import shown

# Forms of cells, as regular expressions of whole cells.
_POINT = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_COMMA = r"[+-]?(?:\d+,?\d*|,\d+)(?:[eE][+-]?\d+)?"
_GROUPS_OF_COMMAS = r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?"
_GROUPS_OF_POINTS = r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d*)?"
_ANY_NUMBER = "|".join((_POINT, _COMMA, _GROUPS_OF_COMMAS, _GROUPS_OF_POINTS))


class Cells(NamedTuple):
    """The cells of a text file.

    table : columns of numbers are numeric; other columns hold text.
    decimal : the decimal mark.
    layout : how the text was divided.
    """

    table: pd.DataFrame
    decimal: str
    layout: Layout


def parse(layout: Layout, source: str, decimal: str | None) -> Cells:
    """Divide a text file into cells, and turn columns of numbers into numbers.

    A column becomes numeric if all its cells are numbers or missing.

    Raises
    ------
    InputError
        A row has more fields than there are names; the decimal mark cannot be told; or the text is damaged.
    """
    if decimal is not None and not (isinstance(decimal, str) and decimal in (".", ",")):
        raise InputError(f"decimal must be '.' or ','; received {shown(decimal)}. Leave it out to have it recognised.")
    names = unique_names(layout.names)
    if decimal != ",":
        table = _read(layout, names, source, as_text=False)
        if decimal is None:
            decimal = _decimal_mark(table, layout, source)
    if decimal == ",":  # a cell such as 1.234 was read as a number, and is one with a separator of thousands
        table = _read(layout, names, source, as_text=True)
    return Cells(table.apply(_as_numbers, decimal=decimal) if len(table) else table, decimal, layout)


def unique_names(names: list[str]) -> list[str]:
    """Names of columns, in the way of pandas: "Unnamed: 0" for none, and "a.1" for a second "a"."""
    unique: list[str] = []
    for position, name in enumerate(names):
        base = name or f"Unnamed: {position}"
        name, n = base, 0
        while name in unique:
            n += 1
            name = f"{base}.{n}"
        unique.append(name)
    return unique


def holds_text(column: pd.Series) -> bool:
    """Whether the entries of a column are text."""
    return bool(pd.api.types.is_object_dtype(column.dtype) or pd.api.types.is_string_dtype(column.dtype))


def first_line_of(layout: Layout, row: int) -> int:
    """The line of the file on which a row, counted from 0, begins."""
    return next((line for number, (line, _) in enumerate(layout.rows()) if number == row), layout.first_line + row)


def are_numbers(column: pd.Series) -> pd.Series:
    """Whether each entry of a column of text is a number in any notation; False where the entry is missing."""
    return _matches(column, _ANY_NUMBER)


def _read(layout: Layout, names: list[str], source: str, *, as_text: bool) -> pd.DataFrame:
    try:
        table = pd.read_csv(
            io.StringIO(layout.body),
            sep=layout.pandas_separator,
            header=None,
            names=names,
            index_col=False,
            skipinitialspace=True,
            dtype=str if as_text else None,
            low_memory=False,
        )
    except (ValueError, pd.errors.ParserError) as error:
        for line, row in layout.rows():
            if len(row) > len(names):
                raise InputError(too_long(layout, source, layout.first_line - 1, line, row)) from error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(f"{source} cannot be read as a table: {reason}. {REMEDY}") from error
    for name in table.columns[[holds_text(table[name]) for name in table.columns]]:
        if any(type(entry) is int for entry in table[name]):  # whole numbers beyond 64 bits, which pandas keeps
            table[name] = table[name].map(str, na_action="ignore")
    return table


def _matches(column: pd.Series, pattern: str) -> pd.Series:
    return (
        column.astype("object")
        .map(str.strip, na_action="ignore")
        .astype("string")
        .str.fullmatch(pattern)
        .fillna(False)
        .astype(bool)
    )


def _decimal_mark(table: pd.DataFrame, layout: Layout, source: str) -> str:
    """The decimal mark, from the columns that pandas could not read as numbers.

    Raises InputError when commas may be decimal marks or separators of thousands, or when both marks occur.
    """
    groups = None  # a cell such as 1,234
    decimals = None  # a cell such as 1,23
    points = None  # a cell such as 1.23
    for position, name in enumerate(table.columns):
        column = table[name]
        if not holds_text(column):
            if column.dtype.kind == "f" and (column.dropna() % 1 != 0).any():
                points = points or (position, int(np.argmax((column % 1 != 0) & column.notna())))
            continue
        if 2 * are_numbers(column).sum() <= column.notna().sum():
            continue  # a column of text
        has_comma = column.str.contains(",", regex=False).fillna(False).astype(bool) & are_numbers(column)
        is_group = has_comma & _matches(column, _GROUPS_OF_COMMAS)
        is_point = _matches(column, _POINT) & column.str.contains(".", regex=False).fillna(False).astype(bool)
        groups = groups or _first(position, is_group)
        decimals = decimals or _first(position, has_comma & ~is_group)
        points = points or _first(position, is_point)
    if decimals is None and groups is None:
        return "."
    if decimals is not None and points is None:
        return ","

    def shown(cell: tuple[int, int]) -> str:
        line, cells = next((row for n, row in enumerate(layout.rows()) if n == cell[1]), (0, [""]))
        text = cells[cell[0]].strip() if cell[0] < len(cells) else ""
        return f"{text[:30]!r} in line {line}, column {table.columns[cell[0]]!r}"

    if decimals is not None and points is not None:
        raise InputError(
            f"{source} has both decimal commas ({shown(decimals)}) and decimal points ({shown(points)}). Pass "
            f"--decimal , or --decimal . (decimal= in Python); the other mark then separates thousands."
        )
    assert groups is not None
    raise InputError(
        f"{source} has commas that may be decimal marks or separators of thousands: {shown(groups)}. Pass "
        f"--decimal , or --decimal . (decimal= in Python); with a decimal point, commas separate thousands."
    )


def _first(position: int, where: pd.Series) -> tuple[int, int] | None:
    return (position, int(np.argmax(where.to_numpy()))) if where.any() else None


def _as_numbers(column: pd.Series, decimal: str) -> pd.Series:
    """The column as numbers if all its cells are numbers with this decimal mark; otherwise the column."""
    if not holds_text(column) or not column.notna().any():
        return column
    present = column.dropna()
    if all(isinstance(value, bool) for value in present):
        return column.astype("float64")
    plain, grouped = (_POINT, _GROUPS_OF_COMMAS) if decimal == "." else (_COMMA, _GROUPS_OF_POINTS)
    if not all(isinstance(value, str) for value in present) or not _matches(present, f"{plain}|{grouped}").all():
        return column
    thousands = "," if decimal == "." else "."
    texts = column.astype("object").map(
        lambda text: text.strip().replace(thousands, "").replace(decimal, "."), na_action="ignore"
    )
    is_whole = len(present) == len(column) and _matches(present, r"[+-]?\d{1,15}").all()
    return texts.astype("int64" if is_whole else "float64")
