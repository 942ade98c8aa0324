"""Choose a writable folder for compiled code when the usual folders are read-only.

Numba raises an error when a module with cached functions is imported and its binaries cannot be stored anywhere;
PyTensor does so when it is imported. Both read their folder from the environment. Therefore `ensure_writable` runs
when a package with compiled code is first imported, see docs/decisions/0070.
"""

import importlib
import os
import sys
import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import lazy_loader

from bayesgmm.errors import BayesgmmWarning

_PACKAGE = Path(__file__).parent
# Every folder with functions that Numba caches; the tests compare the list with the source.
COMPILED_FOLDERS = ("kernel", "em/search", "em/uncertainty", "bayes/model", "bayes/sampling", "posterior/partition")
# Frames between an attribute of the package and the import of its module; a warning names the line before them.
_IMPORT_MACHINERY = (importlib.__path__[0], lazy_loader.__path__[0])


@cache
def ensure_writable() -> None:
    """Point Numba and PyTensor to a temporary folder if the folders that they would use cannot be written to.

    The temporary folder belongs to the user who runs the process, and later processes of that user find it again.
    Only the first call in a process does anything.

    Warns
    -----
    BayesgmmWarning
        A temporary folder is used. The message names it and the variables that select another one.
    """
    numba_ok = _numba_has_writable_folder()
    pytensor_ok = "pytensor" in sys.modules or _pytensor_has_writable_folder()
    if numba_ok and pytensor_ok:
        return
    folder = _private_temporary_folder()
    if not numba_ok:
        os.environ["NUMBA_CACHE_DIR"] = str(folder)
        if "numba" in sys.modules:  # Numba reads the environment only when it is imported
            sys.modules["numba"].config.CACHE_DIR = str(folder)
    if not pytensor_ok:
        flags = os.environ.get("PYTENSOR_FLAGS", "")
        os.environ["PYTENSOR_FLAGS"] = f"{flags}{',' if flags else ''}base_compiledir={folder}"
    warnings.warn(
        f"The usual folders for compiled code cannot be written to, so compiled code is kept in {folder}. If that "
        f"folder is deleted, first calls are slow again. To choose other folders, set HOME, or NUMBA_CACHE_DIR and "
        f"PYTENSOR_FLAGS=base_compiledir=FOLDER.",
        BayesgmmWarning,
        skip_file_prefixes=(str(_PACKAGE), *_IMPORT_MACHINERY),
    )


def has_compiled_code() -> bool:
    """Whether EM was compiled on this machine before, so that a first call does not have to."""
    configured = os.environ.get("NUMBA_CACHE_DIR")
    folders = [Path(configured)] if configured else [_PACKAGE / "em/search", _numba_user_folder()]
    return any(next(folder.rglob("steps.iterate-*.nbi"), None) is not None for folder in folders)


def _numba_has_writable_folder() -> bool:
    """Check the folders in the order in which Numba tries them: NUMBA_CACHE_DIR, beside the source, the user's."""
    configured = os.environ.get("NUMBA_CACHE_DIR")
    beside_source = [_PACKAGE / folder / "__pycache__" for folder in COMPILED_FOLDERS]
    return (
        (configured is not None and _writable([Path(configured).absolute()]))
        or _writable(beside_source)
        or _writable([_numba_user_folder()])
    )


def _numba_user_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", _home()), "numba")
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches" / "numba"
    return Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache", "numba")


def _pytensor_has_writable_folder() -> bool:
    if "compiledir=" in os.environ.get("PYTENSOR_FLAGS", ""):
        return True
    if sys.platform == "win32" and "LOCALAPPDATA" in os.environ:
        return _writable([Path(os.environ["LOCALAPPDATA"], "PyTensor")])
    return _writable([_home() / ".pytensor"])


def _home() -> Path:
    """Return the home folder, or Path("~"), which is not absolute, if the user has no home."""
    return Path(os.path.expanduser("~"))


def _writable(folders: Iterable[Path]) -> bool:
    """Whether files can be created in each of these folders, or the folder itself where it does not exist yet."""
    for folder in folders:
        nearest = next((path for path in (folder, *folder.parents) if os.path.exists(path)), folder)
        if not folder.is_absolute() or not os.path.isdir(nearest) or not os.access(nearest, os.W_OK | os.X_OK):
            return False
    return True


def _private_temporary_folder() -> Path:
    """Return a folder that nobody else can write to, because the binaries in it will be executed."""
    import tempfile  # rarely needed, and slow to import

    if not hasattr(os, "getuid"):  # on Windows the temporary folder already belongs to the user
        folder = Path(tempfile.gettempdir(), "bayesgmm-cache")
        folder.mkdir(exist_ok=True)
        return folder
    folder = Path(tempfile.gettempdir(), f"bayesgmm-cache-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        # A real folder and not a link, owned by this user and closed to everybody else.
        private = status.st_uid == os.getuid() and status.st_mode & 0o170777 == 0o040700
    except OSError:
        private = False
    return folder if private and _writable([folder]) else Path(tempfile.mkdtemp(prefix="bayesgmm-cache-"))
