"""Reading tables from files, and folders to write to."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bayesgmm.exceptions import InputError


def read_table(path: str | Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a CSV (by any ending) or Parquet (.parquet, .pq) file.

    Parameters
    ----------
    path : the file; a CSV file has a line of column names first.
    columns : the columns to take, in this order; all by default.

    Raises
    ------
    InputError
        The file is missing, empty, not a table, or lacks a column.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no file {path}. Check its name and folder.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty.")
    try:
        table = pd.read_parquet(path) if path.suffix.lower() in (".parquet", ".pq") else pd.read_csv(path)
    # The parse errors of pandas and pyarrow are ValueErrors.
    except (ValueError, OSError, UnicodeDecodeError) as error:
        first = str(error).strip().splitlines()
        raise InputError(f"{path} cannot be read as a table: {first[0] if first else type(error).__name__}") from error
    if table.empty:
        raise InputError(f"{path} has column names but no rows.")
    if columns is None:
        return table
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InputError(
            f"{path} has no column {', '.join(missing)}; its columns are {', '.join(map(str, table.columns))}."
        )
    return table[list(columns)]


def prepare_folder(folder: str | Path, *, overwrite: bool = False) -> Path:
    """Make a folder to write to.

    Raises InputError when it exists and is not empty (unless `overwrite`), is a file, or cannot be written to.
    """
    folder = Path(folder)
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise InputError(f"{folder} exists and is not empty. Name another folder, or allow overwriting.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".bayesgmm-probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(f"{folder} cannot be written to: {error.strerror or error}. Name another folder.") from error
    return folder
