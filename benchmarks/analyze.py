"""Where the seconds of `bayesgmm analyze` go, in a new process with warm caches."""

import tempfile
import time

import numpy as np

from benchmarks.timing import child


def analyze_table(repeats=5):
    print("\nbayesgmm analyze --dataset faithful --components 2 --out FOLDER: seconds of each stage")
    runs = []
    for _ in range(repeats + 1):  # the first fills the caches
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            stages = child("stages", f"{folder}/out")
            whole = time.perf_counter() - began
        runs.append(stages | {"Python's start and end": whole - sum(stages.values()), "whole process": whole})
    for stage in runs[-1]:
        took = [run.get(stage, 0.0) for run in runs[1:]]
        print(f"{stage:>36} {np.median(took):>6.2f} s")
    print(f"(medians of {repeats} processes, which need not add up; the first one of all, which may fill caches, took")
    print(f"{runs[0]['whole process']:.2f} s)")
