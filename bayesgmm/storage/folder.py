"""Write several files to a folder as one, and read them back as the files that were written together.

The files are first written to a hidden folder inside the target, with a list of their sizes and hashes in
settings.json. One rename of that hidden folder (to `_COMPLETE`) makes them the files of the target; they are then moved
to their places, settings.json last. `read_files` looks in both places. At any moment a reader therefore finds all files
of the old set or all files of the new one, also if the process is killed.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bayesgmm.errors import InputError

SETTINGS = "settings.json"
_STAGING, _COMPLETE = ".bayesgmm-saving-", ".bayesgmm-saved"
# Seconds after which the files of a set that was never completed are taken for those of a process that was killed.
_ABANDONED_AFTER = 3600.0
# Bytes; settings.json holds a few kilobytes.
_MOST_SETTINGS = 2**24
_REMEDY = "Save it again, or make it again with analyze()."


def as_path(folder: object, name: str = "folder") -> Path:
    """Return a path; raise InputError for anything but text and paths."""
    if not isinstance(folder, (str, os.PathLike)):
        raise InputError(f"{name} must be a path, as text or pathlib.Path; received {type(folder).__name__}. Pass one.")
    return Path(os.fsdecode(folder))


def sha256_of(content: bytes) -> str:
    """SHA-256 of bytes, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def write_files(
    folder: Path, files: Mapping[str, bytes], settings: Mapping[str, object], names: Collection[str]
) -> None:
    """Replace the files of a folder by these files and settings.json, all of them or none.

    Parameters
    ----------
    folder : an existing folder.
    files : names and contents.
    settings : content of settings.json, to which the sizes and hashes of the files are added.
    names : the names that files of a set can have. Those of an earlier set that is not written again are removed; other
        files of the folder stay.

    Raises
    ------
    InputError
        The files cannot be written, for instance because the disk is full. The folder is then as it was.
    """
    manifest = {name: {"bytes": len(content), "sha256": sha256_of(content)} for name, content in files.items()}
    text = json.dumps({**settings, "files": manifest}, indent=1)
    contents = {**files, SETTINGS: text.encode()}
    with _said(folder, sum(map(len, contents.values()))):
        _check_space(folder, sum(map(len, contents.values())))
        staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=folder))
        try:
            for name, content in contents.items():
                _write(staging / name, content)
            staging.chmod(0o777 & ~_umask())
            _finish(folder)  # an earlier set that was complete when its process was killed
            _remove_abandoned(folder, staging)
            staging.rename(folder / _COMPLETE)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        _finish(folder)
        for name in set(names) - set(contents):
            (folder / name).unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    """Write and wait until the bytes are on the disk, where a full disk becomes an OSError at the latest."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _umask() -> int:
    """The mask of permissions of new files, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _finish(folder: Path) -> None:
    """Move the files of a complete set to their places, settings.json last."""
    complete = folder / _COMPLETE
    if not complete.is_dir():
        return
    for path in sorted(complete.iterdir(), key=lambda path: (path.name == SETTINGS, path.name)):
        path.replace(folder / path.name)
    complete.rmdir()


def _remove_abandoned(folder: Path, staging: Path) -> None:
    """Remove what processes left behind that were killed while they wrote to the folder an hour ago or earlier."""
    for path in folder.glob(f"{_STAGING}*"):
        if path != staging and time.time() - path.stat().st_mtime > _ABANDONED_AFTER:
            shutil.rmtree(path, ignore_errors=True)


def _check_space(folder: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise InputError(
            f"{folder} cannot be written to: {n_bytes / 1e6:.1f} MB are needed, and {free / 1e6:.1f} MB are free. "
            f"{_NOTHING_LOST}"
        )


_NOTHING_LOST = "The folder is as it was, and the results are still in memory. Free some space, or name another folder."


@contextmanager
def _said(folder: Path, n_bytes: int) -> Iterator[None]:
    """Turn errors of the operating system into InputErrors."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written to ({n_bytes / 1e6:.1f} MB): {error.strerror or error}. {_NOTHING_LOST}"
        ) from error


def read_settings(folder: Path, required: Collection[str]) -> dict[str, object]:
    """The content of settings.json of a folder that holds all `required` files.

    Raises InputError if a file is missing, or settings.json cannot be read.
    """
    missing = [name for name in [*required, SETTINGS] if not _place_of(folder, name).is_file()]
    if missing:
        raise InputError(
            f"{folder} holds no saved analysis: {', '.join(missing)} missing. Pass the folder that save() wrote."
        )
    values = read_json(_bytes_of(folder, SETTINGS, _MOST_SETTINGS), str(folder / SETTINGS))
    if not isinstance(values, dict):
        raise InputError(f"{folder / SETTINGS} is damaged: it is no JSON object. {_REMEDY}")
    return values


def written_files(folder: Path) -> list[str]:
    """Names of the files that were last written to a folder together, sorted."""
    files = read_settings(folder, ()).get("files")
    return sorted([*(files if isinstance(files, dict) else ()), SETTINGS])


def read_file(folder: Path, settings: Mapping[str, object], name: str) -> bytes:
    """The content of a file, which is refused unless its size and hash are those in the settings."""
    manifest = settings.get("files")
    listed = manifest.get(name) if isinstance(manifest, dict) else None
    if not isinstance(listed, dict):
        raise InputError(f"{folder / SETTINGS} does not list {name} with its size and hash. {_REMEDY}")
    size = _place_of(folder, name).stat().st_size
    if size > _most_bytes():
        raise InputError(f"{folder / name} has {size / 1e9:.1f} GB, more than this machine can read into its memory.")
    if size == listed.get("bytes"):
        content = _bytes_of(folder, name, size)
        if sha256_of(content) == listed.get("sha256"):
            return content
    raise InputError(
        f"{folder / name} is not the file that was saved with the others: it was changed, is damaged, or belongs to "
        f"another analysis. {_REMEDY}"
    )


def changed_files(folder: Path, settings: Mapping[str, object], names: Collection[str]) -> list[str]:
    """Those of the names that the settings list and that are no longer the files that were written, sorted."""
    manifest = settings.get("files")
    listed = set(manifest) if isinstance(manifest, dict) else set()
    changed = []
    for name in sorted(listed & set(names)):
        try:
            read_file(folder, settings, name)
        except (InputError, OSError):
            changed.append(name)
    return changed


def read_json(content: bytes, name: str) -> Any:
    """The value of a JSON text; raises InputError if it is none."""
    try:
        return json.loads(content)
    except RecursionError as error:
        raise InputError(f"{name} is damaged: it is nested too deeply. {_REMEDY}") from error
    except ValueError as error:  # no JSON, no UTF-8, or a number of too many digits
        raise InputError(f"{name} is damaged: {str(error)[:200]}. {_REMEDY}") from error


def _most_bytes() -> int:
    """Half of the machine's memory; 16 GB where that is unknown."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return 2**34


def _place_of(folder: Path, name: str) -> Path:
    """Where a file is: in the complete set, as long as it is being moved, or else in the folder itself."""
    moving = folder / _COMPLETE
    return moving / name if (moving / SETTINGS).exists() and (moving / name).exists() else folder / name


def _bytes_of(folder: Path, name: str, most: int) -> bytes:
    """The content of a file of at most this many bytes."""
    path = _place_of(folder, name)
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except (OSError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or error or "too little memory"
        raise InputError(f"{path} cannot be read: {reason}. {_REMEDY}") from error
    if len(content) > most:
        raise InputError(f"{path} is damaged: it is larger than {most} bytes. {_REMEDY}")
    return content
