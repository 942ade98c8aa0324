"""`read_table`: a table of features from a file, and sentences about what was read."""

import importlib.util
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesgmm.errors import BayesgmmWarning, InputError
from bayesgmm.files.cells import Cells, parse, unique_names
from bayesgmm.files.columns import LeftOut, check_numbers, features_of, names_in_words, select_columns
from bayesgmm.files.contents import REMEDY, Contents, as_text, read_contents
from bayesgmm.files.layout import find_layout
from bayesgmm.wording import count, shown

_ROW = "row"  # name of the numbers of the rows


class Reading(NamedTuple):
    """A table, and what is to be said about how it was read.

    source : name of the file or data set.
    table : the columns that are used.
    notation : sentences about the separator, the decimal mark and the encoding, where these are not the usual ones.
    choices : sentences about columns that were left out and rows that were dropped.
    row_names : of each row its number in the file, from 1, and the entries of the columns that name the rows: those of
        the index, and columns that were left out and have a different entry in every row.
    """

    source: str
    table: pd.DataFrame
    notation: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    row_names: pd.MultiIndex | pd.Index | None = None


def read_table(
    path: str | Path,
    columns: Sequence[str] | None = None,
    *,
    sep: str | None = None,
    decimal: str | None = None,
    index: str | None = None,
    exclude: Sequence[str] = (),
    drop_missing: bool = False,
) -> pd.DataFrame:
    """Read a table from a text file (CSV, TSV and the like), or from a Parquet, Feather or Excel file.

    Columns that are no features are left out, and a warning names them: columns without a name, of consecutive whole
    numbers, of dates or text, columns that grow or fall at every row, and empty columns. `columns` names columns to
    read whatever they hold.

    Parameters
    ----------
    path : the file; "-" is standard input. Its name decides: .parquet, .pq, .feather, .arrow, .xlsx (which needs
        openpyxl; the first sheet is read), otherwise it is text. Text may be compressed (.gz, .bz2, .xz, .zip), in
        UTF-8, UTF-16 or Windows-1252, and its first line has the names of the columns.
    columns : names of the columns to read, in the order wanted; by default all that are features.
    sep : separator of the columns in a text file: one character, or "comma", "semicolon", "tab" or "space". By default
        it is recognised.
    decimal : decimal mark in a text file, "." or ","; the other one may then separate thousands. By default it is
        recognised, and a file that can be read either way is refused.
    index : name of the column that names the rows. It becomes the index of the table.
    exclude : names of columns to leave out.
    drop_missing : leave out rows in which a column that is used has no value; the other rows keep their index.

    Returns
    -------
    DataFrame

    Raises
    ------
    InputError
        The file is missing or empty, is not a table, has rows that are longer than its line of names, has numbers in
        place of names, lacks a column, or has cells that are no numbers in a column of numbers.

    Warns
    -----
    BayesgmmWarning
        Columns or rows were left out that the caller did not name.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import bayesgmm as bg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "faithful.csv"
    ...     bg.datasets.load_faithful().to_csv(path, sep=";", decimal=",", index=False)
    ...     bg.read_table(path, columns=["waiting", "eruptions"]).iloc[0].to_list()
    [79.0, 3.6]
    """
    reading = read(path, columns, sep=sep, decimal=decimal, index=index, exclude=exclude, drop_missing=drop_missing)
    if reading.choices:
        warnings.warn(f"{reading.source}: {' '.join(reading.choices)}", BayesgmmWarning, stacklevel=2)
    return reading.table


def read(
    path: str | Path,
    columns: Sequence[str] | None = None,
    *,
    sep: str | None = None,
    decimal: str | None = None,
    index: str | None = None,
    exclude: Sequence[str] = (),
    drop_missing: bool = False,
    numbers_only: bool = False,
) -> Reading:
    """Read a table as `read_table` does, with sentences in place of warnings.

    numbers_only : refuse columns of text also when `columns` names them.
    """
    if not isinstance(drop_missing, bool | np.bool_):
        raise InputError(f"drop_missing must be True or False; received {shown(drop_missing)}. Pass one of the two.")
    contents = read_contents(path)
    cells: Cells | None = None
    notation: tuple[str, ...] = ()
    if contents.format == "text":
        table, cells, notation = _read_text(contents, sep, decimal)
    else:
        if sep is not None or decimal is not None:
            raise InputError(f"sep and decimal are for text files; {contents.source} is none. Leave them out.")
        table = _read_binary(contents)
    if not len(table):
        raise InputError(f"{contents.source} has column names but no rows. {REMEDY}")
    source = contents.source
    if index is not None:
        if not isinstance(index, str):
            raise InputError(f"index must be the name of a column; received {shown(index)}. Pass one name.")
        select_columns(table, [index], source, "index")
        table = table.set_index(index)
    return choose(
        table,
        columns,
        source,
        exclude=exclude,
        drop_missing=drop_missing,
        numbers_only=numbers_only,
        cells=cells,
        notation=notation,
    )


def choose(
    table: pd.DataFrame,
    columns: Sequence[str] | None,
    source: str,
    *,
    exclude: Sequence[str] = (),
    drop_missing: bool = False,
    numbers_only: bool = True,
    cells: Cells | None = None,
    notation: tuple[str, ...] = (),
) -> Reading:
    """Choose the columns of a table that are used, and drop incomplete rows if asked to."""
    select_columns(table, exclude, source, "exclude")
    choices: list[str] = []
    if columns is not None:
        chosen = select_columns(table, columns, source)
        if not len(columns):
            raise InputError(f"columns must name at least one column of {source}. Leave it out to use all features.")
        if both := [name for name in columns if name in exclude]:
            raise InputError(f"columns and exclude both name {names_in_words(both)}. Name a column in one of them.")
        check_numbers(chosen, cells, source, mixed_only=not numbers_only)
    else:
        rest = table.drop(columns=list(exclude))
        check_numbers(rest, cells, source, mixed_only=True)
        names, left_out = features_of(rest)
        if not names:
            check_numbers(rest, cells, source, mixed_only=False)
            reason = _left_out(left_out) if left_out else "exclude names all of them. Exclude fewer."
            raise InputError(f"{source} has no column to use. {reason}")
        chosen = rest[names]
        if left_out:
            choices.append(_left_out(left_out))
    row_names, kept = _row_names(table, chosen), np.ones(len(table), dtype=bool)
    if drop_missing:
        kept, sentence = _without_missing(chosen, source)
        choices += sentence
    return Reading(source, chosen[kept], notation, tuple(choices), row_names[kept])


def _row_names(table: pd.DataFrame, chosen: pd.DataFrame) -> pd.Index:
    """The index whose levels are the numbers of the rows, from 1, and the columns that name the rows."""
    rest = [column.name for column in features_of(table)[1] if column.name not in chosen]
    names = {name: table[name].array for name in rest if table[name].notna().all() and table[name].is_unique}
    if not isinstance(table.index, pd.RangeIndex):
        names = {str(level.name): level.array for level in _levels(table.index)} | names
    own = _ROW if _ROW not in names else f"{_ROW} of the file"
    numbers = pd.RangeIndex(1, len(table) + 1, name=own)
    return pd.MultiIndex.from_arrays([numbers, *names.values()], names=[own, *names]) if names else numbers


def _levels(index: pd.Index) -> list[pd.Index]:
    levels = [index.get_level_values(i) for i in range(index.nlevels)]
    return [level.rename("index" if level.name is None else str(level.name)) for level in levels]


def _left_out(left_out: list[LeftOut]) -> str:
    columns = "; ".join(f"{column.name!r}, {column.reason}" for column in left_out[:12])
    more = f"; and {len(left_out) - 12} more" if len(left_out) > 12 else ""
    noun = "Column" if len(left_out) == 1 else "Columns"
    return f"{noun} left out: {columns}{more}. To use one, name it in --columns (columns= in Python)."


def _without_missing(table: pd.DataFrame, source: str) -> tuple[NDArray[np.bool_], list[str]]:
    """Which rows have no missing value, and a sentence if some have one."""
    kept = table.notna().all(axis=1).to_numpy()
    n_dropped = int((~kept).sum())
    if not kept.any():
        raise InputError(f"{source} has no row without a missing value. Leave out columns with --exclude.")
    if not n_dropped:
        return kept, []
    incomplete = [name for name in table.columns if table[name].isna().any()]
    return kept, [
        f"{n_dropped} of {count(len(table), 'row')} dropped, as they have missing values in "
        f"{names_in_words(incomplete)}."
    ]


def _read_text(contents: Contents, sep: str | None, decimal: str | None) -> tuple[pd.DataFrame, Cells, tuple[str, ...]]:
    text, encoding = as_text(contents)
    layout = find_layout(text, contents.source, sep)
    cells = parse(layout, contents.source, decimal)
    notation = []
    if (layout.in_words and layout.separator != ",") or cells.decimal != ".":
        columns = f"Columns are separated by {layout.in_words}" if layout.in_words else "The file has one column"
        notation.append(f"{columns}; the decimal mark is {cells.decimal!r}.")
    if encoding is not None:
        notation.append(f"The text is not in UTF-8; it was read as {encoding}.")
    if layout.comments:
        notation.append(f"{count(layout.comments, 'comment line')} before the names skipped.")
    renamed = [f"{new!r}" for old, new in zip(layout.names, cells.table.columns, strict=True) if old and old != new]
    if renamed:
        notation.append(f"Names that occur more than once were numbered: {', '.join(renamed[:12])}.")
    return cells.table, cells, tuple(notation)


def _read_binary(contents: Contents) -> pd.DataFrame:
    if contents.format == "excel" and importlib.util.find_spec("openpyxl") is None:
        raise InputError(
            f"{contents.source} is an Excel file, which needs the package openpyxl. Install it (pip install openpyxl), "
            f"or save the file as CSV."
        )
    data = io.BytesIO(contents.data)
    try:
        if contents.format == "excel":
            return _of_sheet(pd.read_excel(data, header=None, dtype=object, engine="openpyxl"), contents.source)
        table = pd.read_parquet(data) if contents.format == "parquet" else pd.read_feather(data)
    except InputError:
        raise
    except Exception as error:  # pyarrow and openpyxl raise errors of many types
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{contents.source} cannot be read as a table: {reason.rstrip('.')}. {REMEDY}") from error
    return table.set_axis(unique_names([str(name) for name in table.columns]), axis=1)


def _of_sheet(sheet: pd.DataFrame, source: str) -> pd.DataFrame:
    """A sheet whose first row has the names."""
    sheet = sheet.dropna(how="all")
    if sheet.empty:
        raise InputError(f"{source} is empty. {REMEDY}")
    first = sheet.iloc[0]
    if first.map(lambda name: isinstance(name, (int, float)) and name == name).all() and len(sheet) > 1:
        raise InputError(
            f"{source} has numbers where its column names should be: {', '.join(map(str, first[:6]))}. Write the names "
            f"of the columns in the first row."
        )
    names = unique_names(["" if name != name else str(name).strip() for name in first])
    return sheet.iloc[1:].reset_index(drop=True).set_axis(names, axis=1).infer_objects()
