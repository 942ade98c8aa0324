"""Time to the answer: a whole posterior in a new process, with empty and with warm caches, against PyMC."""

import tempfile

import numpy as np

from benchmarks.timing import child

_MODULES = {"bayesgmm": "answer_bayesgmm", "PyMC": "answer_pymc"}


def answer_table(repeats=3):
    print("\nTime to the answer: Old Faithful, K = 2, 4 x 1000 draws, in a new process; neither is given a start.")
    print("PyMC's call is the model as a list of components, nutpie's compilation, and sampling")
    print(f"{'caches':>7} {'':>9} {'imports':>9} {'call':>9} {'both':>9}   ratio: call, both")
    runs = {}
    for name, module in _MODULES.items():
        with tempfile.TemporaryDirectory() as folder:
            caches = {"NUMBA_CACHE_DIR": f"{folder}/numba", "PYTENSOR_FLAGS": f"base_compiledir={folder}/pytensor"}
            runs[name] = [child(module, environment=caches) for _ in range(1 + repeats)]
    for label, which in (("empty", slice(0, 1)), ("warm", slice(1, None))):
        seconds = {}
        for name in runs:
            pairs = np.array([(run["imports"], run["call"]) for run in runs[name][which]])
            seconds[name] = np.median(np.column_stack([pairs, pairs.sum(axis=1)]), axis=0)
            cells = " ".join(f"{took:>7.2f} s" for took in seconds[name])
            print(f"{label:>7} {name:>9} {cells}", end="\n" if name == "bayesgmm" else "")
        ratios = seconds["PyMC"] / seconds["bayesgmm"]
        print(f"   {ratios[1]:.1f}x, {ratios[2]:.1f}x")
    print(f"(warm: medians of {repeats} processes)")
    print("Then bayesgmm in the same process with data of another size, 500 x 4, K = 3:")
    for label, run in zip(("empty", "warm"), runs["bayesgmm"], strict=False):
        new = ", ".join(run["new"]) or "none"
        print(f"{label:>7} {run['other']:.2f} s the first time, {run['again']:.2f} s the second; new binaries: {new}")
