"""The first call on a machine: what has to be compiled is compiled by two processes at once."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numba import config

from bayesgmm.bayes import log_posterior

_CODE = (
    "import gc, sys; gc.disable(); sys.path[:] = sys.argv[2:]; import numpy; "
    "from bayesgmm.bayes.log_posterior import rows_function; rows_function(numpy.dtype(sys.argv[1]))"
)
_SECONDS = 120.0  # that the other process may take; it needs about as long as this one


def compile_side_by_side(dtype: np.dtype[Any]) -> None:
    """Compile both C functions of the posterior of rows of this type, where neither is in the cache.

    The other process compiles the pass over the rows and leaves it in the cache. Whatever keeps it from that, the pass
    is compiled here when it is first called, as it always is where there is one core.
    """
    # Of a program that Python is built into, `sys.executable` is that program.
    is_python = Path(sys.executable or "").stem.lower().startswith("python") and not hasattr(sys, "frozen")
    if config.NUMBA_NUM_THREADS < 2 or not is_python or _has_binaries():
        return
    command = [sys.executable, "-c", _CODE, dtype.str, *sys.path]
    nowhere = subprocess.DEVNULL
    try:
        other = subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere)
    except OSError:  # no process may be started
        return
    try:
        log_posterior.whitened_log_posterior()
        other.wait(_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        other.kill()
        other.wait()


def _has_binaries() -> bool:
    folder = Path(log_posterior.values_of_draws.stats.cache_path)
    return any(folder.glob("log_posterior.*.nbi"))
