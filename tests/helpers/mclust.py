"""R's mclust, where it is installed."""

import shutil
import subprocess
from functools import cache

import numpy as np

from helpers.paths import ROOT

SCRIPT = ROOT / "benchmarks" / "mclust_bootstrap.R"


@cache
def is_installed():
    if shutil.which("Rscript") is None:
        return False
    return subprocess.run(["Rscript", "-e", "library(mclust)"], capture_output=True).returncode == 0


def standard_errors(X, K, kind, n, folder):
    """Of n refits by MclustBootstrap, in the order of `StandardErrors.table`."""
    np.ascontiguousarray(X, dtype=np.float64).tofile(folder / "data.bin")
    command = ["Rscript", str(SCRIPT), str(folder), *map(str, (*X.shape, K)), kind, str(n)]
    _, *errors = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return np.array(errors, dtype=float)
