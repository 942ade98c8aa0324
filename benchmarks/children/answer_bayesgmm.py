"""Seconds of a first posterior of Old Faithful, of the imports before it, and of data of another size after it.

Also the names of the binaries that Numba's cache, NUMBA_CACHE_DIR, has gained by the other size.
"""

import json
import os
import time
from pathlib import Path

began = time.perf_counter()
import bayesgmm as bg  # noqa: E402

sample = bg.sample_posterior
imports = time.perf_counter() - began


def timed(X, K: int) -> float:
    began = time.perf_counter()
    sample(X, K, draws=1000, rng=1, progress=False)
    return time.perf_counter() - began


def binaries() -> set[str]:
    return {path.name for path in Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*.nbc")}


X, other = bg.datasets.load_faithful().to_numpy(), bg.datasets.simulate(500, 3, 4, rng=1).X
result = {"imports": imports, "call": timed(X, 2)}
before = binaries()
result |= {"other": timed(other, 3), "again": timed(other, 3), "new": sorted(binaries() - before)}
print(json.dumps(result))
