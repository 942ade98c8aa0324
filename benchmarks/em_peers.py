"""EM in other packages: seconds of one iteration from a given start.

Each is the difference of a long and a short run, which takes set-up and checks away.
"""

import functools
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

import bayesgmm as bg
from benchmarks.timing import N_CORES

_HERE = Path(__file__).parent


class Case(NamedTuple):
    n_samples: int
    n_features: int
    n_components: int
    covariance: str = "full"
    iterations: int = 10
    separation: float = 2.0  # in many dimensions clusters that far apart are known after a few iterations

    def __str__(self) -> str:
        return f"{self.n_samples:,}, {self.n_features}, {self.n_components}"


def per_iteration(fit, X, start, case) -> float:
    """Of fit(X, start, case, n), which does n iterations at most and returns how many it did."""
    times, done = [], []
    for n in (case.iterations + 1, 1):
        began = time.perf_counter()
        done.append(fit(X, start, case, n))
        times.append(time.perf_counter() - began)
    return (times[0] - times[1]) / (done[0] - done[1])


def bayesgmm(X, start, case, n):
    """N iterations, or until a gain is rounding."""
    return bg.fit_em(X, case.n_components, case.covariance, start=start, tol=1e-300, max_iter=n).n_iterations


def scikit_learn(X, start, case, n):
    precisions = {
        "full": np.linalg.inv(start.covariances),
        "tied": np.linalg.inv(np.einsum("k,kij->ij", start.weights, start.covariances)),
        "diag": 1 / start.stds**2,
        "spherical": 1 / np.square(start.stds).mean(axis=1),
    }[case.covariance]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer = GaussianMixture(
            case.n_components,
            covariance_type=case.covariance,
            tol=0,
            max_iter=n,
            weights_init=start.weights,
            means_init=start.means,
            precisions_init=precisions,
        )
        return peer.fit(X).n_iter_


def write_case(folder: Path, X, start) -> None:
    """Data and start as plain float64, row by row, for R and C++."""
    arrays = {"data": X, "weights": start.weights, "means": start.means, "covariances": start.covariances}
    for name, array in arrays.items():
        np.ascontiguousarray(array, dtype=np.float64).tofile(folder / f"{name}.bin")


def from_process(command: list[str], case: Case, folder: Path) -> float:
    """Seconds that `command folder N D K iterations` measured and printed."""
    sizes = (case.n_samples, case.n_features, case.n_components, case.iterations)
    done = subprocess.run([*command, str(folder), *map(str, sizes)], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


@functools.cache
def mclust() -> list[str] | None:
    """The command that runs R's mclust; None where it is not installed."""
    if shutil.which("Rscript") is None:
        return None
    found = subprocess.run(["Rscript", "-e", "library(mclust)"], capture_output=True)
    return ["Rscript", str(_HERE / "mclust_em.R")] if found.returncode == 0 else None


@functools.cache
def armadillo() -> list[str] | None:
    """The command that runs Armadillo's EM, compiled here and now; None without g++ or Armadillo."""
    if shutil.which("g++") is None:
        return None
    program = Path(tempfile.mkdtemp(prefix="bayesgmm-benchmark-")) / "armadillo_em"
    options = ["-O3", "-march=native", "-fopenmp", "-DARMA_NO_DEBUG", f"-DARMA_OPENMP_THREADS={N_CORES}"]
    source = str(_HERE / "armadillo_em.cpp")
    built = subprocess.run(["g++", *options, source, "-o", str(program), "-larmadillo"], capture_output=True)
    return [str(program)] if built.returncode == 0 else None


PROGRAMS: dict[str, Callable[[], list[str] | None]] = {"R mclust": mclust, "Armadillo": armadillo}
