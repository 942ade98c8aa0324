"""From a file to its bytes, and from bytes to text: compression, and the encoding of letters."""

import bz2
import gzip
import io
import lzma
import os
import re
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

from bayesgmm.errors import InputError

STANDARD_INPUT = "-"
REMEDY = "Pass a CSV file, its first line the column names, or a Parquet, Feather or Excel file."

_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}
_ENDINGS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zip": "zip"}
_BINARY = {b"PAR1": "parquet", b"ARROW1": "feather", b"PK\x03\x04": "excel", b"\xd0\xcf\x11\xe0": "old excel"}
_FORMATS = {".parquet": "parquet", ".pq": "parquet", ".feather": "feather", ".arrow": "feather", ".xlsx": "excel"}
_FORMATS |= {".xlsm": "excel", ".xls": "old excel", ".ods": "old excel"}
# Characters that no text file has: control characters other than tab, line ends and form feed.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


class Contents(NamedTuple):
    """A file in memory.

    source : name of the file, for messages.
    format : "text", "parquet", "feather" or "excel".
    data : the bytes, after decompression.
    """

    source: str
    format: str
    data: bytes


def read_contents(path: str | Path) -> Contents:
    """Read a file, or standard input if `path` is "-".

    Raises
    ------
    InputError
        The path is no path, or the file is missing, empty, a folder, cannot be decompressed, or is not what its name
        says.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"path must be the name of a file; received {type(path).__name__}. Pass 'table.csv'.")
    is_standard_input = str(path) == STANDARD_INPUT
    source = "standard input" if is_standard_input else str(path)
    data = sys.stdin.buffer.read() if is_standard_input else _bytes_of(Path(path))
    if not data:
        raise InputError(f"{source} is empty. {REMEDY}")
    endings = [] if is_standard_input else [ending.lower() for ending in Path(path).suffixes]
    data = _decompressed(data, source, endings, is_standard_input)
    if endings and endings[-1] in _ENDINGS:
        endings = endings[:-1]
    named = _FORMATS.get(endings[-1] if endings else "", "text")
    held = next((format_ for magic, format_ in _BINARY.items() if data.startswith(magic)), "text")
    if is_standard_input:
        named = held
    if named == "old excel":
        raise InputError(f"{source} is a spreadsheet of a kind that is not read. Save it as CSV or as .xlsx.")
    if named != held:
        kind = "text" if held == "text" else f"{held} data" if held != "excel" else "an Excel or zip file"
        raise InputError(
            f"{source} cannot be read as a table: it holds {kind}, and its name says {named}. Give it the right "
            f"ending. {REMEDY}"
        )
    return Contents(source, held, data)


def as_text(contents: Contents) -> tuple[str, str | None]:
    """The text of a file, and the name of its encoding unless that is UTF-8.

    Raises
    ------
    InputError
        The bytes are not text.
    """
    data = contents.data
    for encoding in _candidates(data):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not _CONTROL.search(text[:100_000]) and "\x00" not in text:
            return text.replace("\r\n", "\n").replace("\r", "\n"), None if encoding == "utf-8-sig" else encoding
    raise InputError(f"{contents.source} cannot be read as a table: it holds bytes that are not text. {REMEDY}")


def _candidates(data: bytes) -> list[str]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ["utf-16"]
    head = data[:1000]
    if len(head) > 1 and head[1::2].count(0) > 0.4 * len(head[1::2]):
        return ["utf-16-le"]
    if len(head) > 1 and head[::2].count(0) > 0.4 * len(head[::2]):
        return ["utf-16-be"]
    # Windows-1252 differs from Latin-1 only in characters that Latin-1 leaves to control codes.
    return ["utf-8-sig", "windows-1252", "latin-1"]


def _bytes_of(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder, not a file. Name a file in it.")
        if not path.exists():
            raise InputError(f"There is no file {path}. Check its name and folder.")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read as a table: {reason}. Name another file.") from error


def _decompressed(data: bytes, source: str, endings: list[str], by_content: bool) -> bytes:
    named = _ENDINGS.get(endings[-1]) if endings else None
    held = next((kind for magic, kind in _COMPRESSED.items() if data.startswith(magic)), None)
    if by_content:
        named = held
    elif held is not None and named is None:
        raise InputError(
            f"{source} cannot be read as a table: it is compressed by {held}, and its name does not say so. Add "
            f"{next(ending for ending, kind in _ENDINGS.items() if kind == held)} to its name. {REMEDY}"
        )
    if named is None:
        return data
    try:
        if named == "zip":
            return _only_member(data, source)
        return {"gzip": gzip.decompress, "bzip2": bz2.decompress, "xz": lzma.decompress}[named](data)
    except (OSError, EOFError, ValueError, lzma.LZMAError, zipfile.BadZipFile, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{source} cannot be read as a table: it is no {named} file ({reason.rstrip('.')}). {REMEDY}"
        ) from error


def _only_member(data: bytes, source: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and "__MACOSX" not in name]
        if len(names) != 1:
            raise InputError(f"{source} holds {len(names)} files; one is needed. Unpack it, and pass one of them.")
        return archive.read(names[0])
