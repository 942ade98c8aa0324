"""Hundreds of fits and posteriors in one process cost no memory, threads or file handles for good."""

import json
import sys

import pytest
from faults.children import run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what a process holds is read from /proc"),
]

# Bytes that a process may grow by after its caches are filled, of 200 MB or more that it holds.
MOST_GROWTH = 20e6
REPEATED = """
import gc, json, os, sys
import bayesgmm as bg
X = bg.datasets.load_faithful()
em = bg.fit_em(X, 2, rng=1)
def fit(seed):
    fit = bg.fit_em(X, 2, n_init=5, rng=seed)
    fit.standard_errors(), fit.parameters.responsibilities(X)
def sample(seed):
    for sampler in ("independent", "nuts", "gibbs"):
        posterior = bg.sample_posterior(
            X, 2, start=em.parameters, sampler=sampler, draws=20, tune=20, chains=2, rng=seed, progress=False
        )
    aligned = bg.align(posterior, em.parameters)
    bg.diagnose(aligned), bg.compare(em, aligned)
def draw(seed):
    figure = bg.plots.plot_convergence(em)
    import matplotlib.pyplot as plt
    plt.close(figure)
function = {"fit": fit, "sample": sample, "draw": draw}[sys.argv[1]]
def held():
    gc.collect()
    pages = int(open("/proc/self/statm").read().split()[1])
    threads = len(os.listdir("/proc/self/task"))
    return pages * os.sysconf("SC_PAGE_SIZE"), threads, len(os.listdir("/proc/self/fd"))
n_calls = int(sys.argv[2])
for seed in range(n_calls // 5):
    function(seed)
before = held()
for seed in range(n_calls):
    function(seed)
print(json.dumps([before, held()]))
"""


@pytest.mark.parametrize(("function", "n_calls"), [("fit", 500), ("sample", 100), ("draw", 50)])
def test_what_a_process_holds_does_not_grow(function, n_calls):
    out, _ = run(REPEATED, function, n_calls)
    (bytes_before, *before), (bytes_after, *after) = json.loads(out.splitlines()[-1])
    print(
        f"{function}: {bytes_before / 1e6:.0f} MB, then {bytes_after / 1e6:.0f} MB; threads and files {before}, {after}"
    )
    assert bytes_after - bytes_before < MOST_GROWTH
    assert after[0] <= before[0] + 2, "threads"
    assert after[1] <= before[1], "file handles"
