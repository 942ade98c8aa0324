"""Read tables from files, and prepare folders to write to."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bayesgmm.errors import InputError

_REMEDY = "Pass a CSV file in UTF-8, its first line the column names, or a Parquet file."


def read_table(path: str | Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a table from a CSV or Parquet file.

    Parameters
    ----------
    path : the file. It is read as Parquet if its name ends in .parquet or .pq, otherwise as CSV. The first line of a
        CSV file has the column names.
    columns : names of the columns to read, in the order wanted; by default all.

    Returns
    -------
    DataFrame

    Raises
    ------
    InputError
        The file is missing or empty, is not a table, has numbers in place of column names, or lacks one of `columns`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import bayesgmm as bg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "faithful.csv"
    ...     bg.datasets.load_faithful().to_csv(path, index=False)
    ...     bg.read_table(path, columns=["waiting"]).shape
    (272, 1)
    """
    path = Path(path)
    try:
        table = _read(path)
    except InputError:
        raise
    except Exception as error:  # pandas, pyarrow and the decompressors raise errors of many types
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} cannot be read as a table: {reason.rstrip('.')}. {_REMEDY}") from error
    return table if columns is None else select_columns(table, columns, str(path))


def select_columns(table: pd.DataFrame, columns: Sequence[str], source: str) -> pd.DataFrame:
    """Return these columns of a table, in this order.

    Raises
    ------
    InputError
        The table has no such column. The message calls the table `source`.
    """
    if isinstance(columns, str):
        raise InputError(f"columns must be a list of names; received {columns!r}. Pass [{columns!r}].")
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InputError(
            f"{source} has no column {', '.join(map(repr, missing))}; its columns are "
            f"{', '.join(map(repr, table.columns))}. Pass names from among these."
        )
    return table[list(columns)]


def _read(path: Path) -> pd.DataFrame:
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a file. Name a file in it.")
    if not path.is_file():
        raise InputError(f"There is no file {path}. Check its name and folder.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty. {_REMEDY}")
    is_parquet = path.suffix.lower() in (".parquet", ".pq")
    table = pd.read_parquet(path) if is_parquet else pd.read_csv(path)
    if table.empty:
        raise InputError(f"{path} has column names but no rows. {_REMEDY}")
    names = list(map(str, table.columns))
    # A CSV file that pandas wrote from a table without column names has 0, 1, 2, ... in its first line.
    if not is_parquet and all(map(_is_number, names)) and names != list(map(str, range(len(names)))):
        raise InputError(f"{path} has numbers where its column names should be: {', '.join(names)}. {_REMEDY}")
    return table


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def prepare_folder(folder: str | Path, *, overwrite: bool = False) -> Path:
    """Create a folder unless it exists, and check that files can be written to it.

    Raises
    ------
    InputError
        The folder is not empty (unless `overwrite`), is a file, or cannot be written to.
    """
    folder = Path(folder)
    try:
        in_use = folder.is_dir() and any(folder.iterdir()) and not overwrite
        if not in_use:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / ".bayesgmm-probe"
            probe.touch()
            probe.unlink()
    except FileExistsError as error:
        raise InputError(f"{folder} is a file, not a folder. Name another folder.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{folder} cannot be written to: {reason}. Name another folder.") from error
    if in_use:
        raise InputError(f"{folder} exists and is not empty. Name another folder, or allow overwriting.")
    return folder
