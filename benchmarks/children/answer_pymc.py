"""Seconds of a first posterior of Old Faithful in PyMC (model, compilation, sampling), and of the imports before."""

import json
import time

began = time.perf_counter()
import nutpie  # noqa: E402
import pymc  # noqa: E402, F401

imports = time.perf_counter() - began

import warnings  # noqa: E402

from benchmarks.cases import faithful  # noqa: E402
from benchmarks.pymc_peer import model_of_list  # noqa: E402

X = faithful()
warnings.simplefilter("ignore")
began = time.perf_counter()
compiled = nutpie.compile_pymc_model(model_of_list(X, 2))
nutpie.sample(compiled, draws=1000, tune=1000, chains=4, seed=1, progress_bar=False)
print(json.dumps({"imports": imports, "call": time.perf_counter() - began}))
