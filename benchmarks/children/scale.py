"""`scale N D K draws`: a posterior of simulated rows; its seconds, its convergence, and its memory beside the data."""

import json
import resource
import sys
import time
from pathlib import Path

import bayesgmm as bg


def peak_bytes() -> int:
    """Largest resident size of this process since the last `forget_peak`, or ever where that is not to be had."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def forget_peak() -> None:
    forget = Path("/proc/self/clear_refs")
    if forget.exists():
        forget.write_text("5")


def main(N: int, D: int, K: int, draws: int) -> None:
    small = bg.datasets.simulate(200, K, D, rng=1)
    bg.diagnose(bg.align(bg.sample_posterior(small.X, K, rng=1, draws=50, progress=False), small.parameters))
    X = bg.datasets.simulate(N, K, D, rng=1).X
    began = time.perf_counter()
    start = bg.fit_em(X, K, n_init=10, rng=1).parameters
    em_seconds = time.perf_counter() - began
    forget_peak()
    before = peak_bytes()
    began = time.perf_counter()
    posterior = bg.sample_posterior(X, K, start=start, draws=draws, rng=1, progress=False)
    whole = time.perf_counter() - began
    growth = peak_bytes() - before
    diagnosis = bg.diagnose(bg.align(posterior, start))
    free, table = diagnosis.label_free, diagnosis.parameters
    result = {
        "em": em_seconds,
        "whole": whole,
        "sampling": posterior.attrs.get("seconds_sampling"),
        "growth": growth,
        "data": X.nbytes,
        "r_hat": float(free["r_hat"].max()),
        "ess": float(free[["ess_bulk", "ess_tail"]].min().min()),
        "r_hat_parameters": float(table["r_hat"].max()),
        "ess_parameters": float(table["ess_bulk"].min()),
    }
    print(json.dumps(result))


main(*map(int, sys.argv[1:]))
