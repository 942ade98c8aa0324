"""Standard errors of EM on Old Faithful: 999 refits of resampled rows, against mclust's."""

import subprocess
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

import bayesgmm as bg
from benchmarks.cases import faithful
from benchmarks.em_peers import mclust
from benchmarks.timing import in_turn, ratio, seconds

SCRIPT = Path(__file__).with_name("mclust_bootstrap.R")
# Our method, mclust's name for it, replicates.
METHODS = [("bootstrap", "bs", 999), ("weighted", "wlbs", 999), ("parametric", "pb", 999), ("jackknife", "jk", 272)]


def mclust_refits(X: np.ndarray, K: int, kind: str, n: int) -> tuple[float, np.ndarray]:
    """Seconds of mclust's n refits, and its standard errors in the order of `StandardErrors.table`."""
    with tempfile.TemporaryDirectory() as folder:
        np.ascontiguousarray(X, dtype=np.float64).tofile(Path(folder, "data.bin"))
        command = ["Rscript", str(SCRIPT), folder, *map(str, (*X.shape, K)), kind, str(n)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    took, *errors = map(float, done.stdout.split())
    return took, np.array(errors)


def errors_table(repeats=3, n_quick=11):
    X, K = faithful(), 2
    em = bg.fit_em(X, K, rng=1)
    print(f"\nStandard errors of EM, Old Faithful, K = {K} (medians of {repeats} turns; ours are medians of {n_quick})")
    if mclust() is None:
        print("R mclust is not installed: skipped")
    print(f"{'method':>12} {'replicates':>10} {'bayesgmm':>12} {'mclust':>11} {'ratio':>7} {'largest difference':>19}")
    for method, kind, n in METHODS:

        def ours(method=method, n=n):
            return em.standard_errors(method, n_replicates=n, rng=1, progress=False)

        def mine(ours=ours):
            return float(np.median([seconds(ours) for _ in range(n_quick)]))

        found = ours().table["se"].to_numpy()  # loads what is cached
        actions = {"bayesgmm": mine}
        if mclust() is not None:
            actions["mclust"] = partial(mclust_refits, X, K, kind, n)
        measured = in_turn(actions, repeats)
        shown = f"{method:>12} {n:>10} {1e3 * np.median(measured['bayesgmm']):>9.1f} ms"
        if "mclust" in measured:
            times = [took for took, _ in measured["mclust"]]
            apart = np.abs(found / measured["mclust"][0][1] - 1).max()
            shown += f" {1e3 * np.median(times):>8.0f} ms {ratio(measured['bayesgmm'], times):>6.1f}x {apart:>19.1%}"
        print(shown, flush=True)
    for method in ("information", "sandwich"):
        em.standard_errors(method)
        took = np.median([seconds(partial(em.standard_errors, method)) for _ in range(n_quick)])
        print(f"{method:>12} {'':>10} {1e3 * took:>9.1f} ms")
