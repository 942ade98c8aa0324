"""Where compiled code is kept when the usual folders cannot be written to.

Numba refuses to load a module whose binaries have no place, and PyTensor to be imported. Both read their folder from
the environment, so that it has to stand there before they look.
"""

import os
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

from bayesgmm.errors import BayesgmmWarning

_PACKAGE = Path(__file__).parent
_COMPILED = ("kernel", "em/search", "em/uncertainty", "bayes/model", "bayes/sampling", "posterior/partition")


def ensure_writable() -> None:
    """See to it that Numba and PyTensor find a folder for their binaries: a temporary one where they would find none.

    The folder is this user's own, and is found again by the next process. Warns when it is needed.
    """
    numba_ok = _numba_finds_a_folder()
    pytensor_ok = "pytensor" in sys.modules or _pytensor_finds_a_folder()
    if numba_ok and pytensor_ok:
        return
    folder = _own_temporary_folder()
    if not numba_ok:
        os.environ["NUMBA_CACHE_DIR"] = str(folder)
        if "numba" in sys.modules:  # has read the environment already
            sys.modules["numba"].config.CACHE_DIR = str(folder)
    if not pytensor_ok:
        flags = os.environ.get("PYTENSOR_FLAGS", "")
        os.environ["PYTENSOR_FLAGS"] = f"{flags}{',' if flags else ''}base_compiledir={folder}"
    warnings.warn(
        f"The folders in which compiled code is usually kept cannot be written to, so it is kept in {folder}: when "
        f"that is cleared, first calls are slow again. Set HOME, or NUMBA_CACHE_DIR and "
        f"PYTENSOR_FLAGS=base_compiledir=FOLDER, to folders that you may write to.",
        BayesgmmWarning,
        stacklevel=3,
    )


def _numba_finds_a_folder() -> bool:
    """In the order in which Numba looks: the folder that was asked for, beside the source, the user's."""
    asked_for = os.environ.get("NUMBA_CACHE_DIR")
    beside = [_PACKAGE / part / "__pycache__" for part in _COMPILED]
    return (
        (asked_for is not None and _writable([Path(asked_for).absolute()]))
        or _writable(beside)
        or _writable([_user_cache()])
    )


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", _home()), "numba")
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches" / "numba"
    return Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache", "numba")


def _pytensor_finds_a_folder() -> bool:
    if "compiledir=" in os.environ.get("PYTENSOR_FLAGS", ""):
        return True
    if sys.platform == "win32" and "LOCALAPPDATA" in os.environ:
        return _writable([Path(os.environ["LOCALAPPDATA"], "PyTensor")])
    return _writable([_home() / ".pytensor"])


def _home() -> Path:
    """ "~" itself, and so no folder at all, for a user who has none."""
    return Path(os.path.expanduser("~"))


def _writable(folders: Iterable[Path]) -> bool:
    """Whether files can be made in each of these folders, which may have to be made themselves."""
    for folder in folders:
        nearest = next((path for path in (folder, *folder.parents) if os.path.exists(path)), folder)
        if not folder.is_absolute() or not os.path.isdir(nearest) or not os.access(nearest, os.W_OK | os.X_OK):
            return False
    return True


def _own_temporary_folder() -> Path:
    """One that nobody else can write to: what is in it will be run."""
    import tempfile  # seldom needed, and slow to load

    if not hasattr(os, "getuid"):  # Windows, where the temporary folder is the user's own
        folder = Path(tempfile.gettempdir(), "bayesgmm-cache")
        folder.mkdir(exist_ok=True)
        return folder
    folder = Path(tempfile.gettempdir(), f"bayesgmm-cache-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        safe = found.st_uid == os.getuid() and found.st_mode & 0o170777 == 0o040700  # a folder, for its owner only
    except OSError:
        safe = False
    return folder if safe and _writable([folder]) else Path(tempfile.mkdtemp(prefix="bayesgmm-cache-"))
