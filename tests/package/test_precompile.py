"""`compile_all` compiles everything that fits, posteriors and standard errors need, and says how far it is."""

import os
import re
import subprocess
import sys

import pytest

import bayesgmm as bg
from bayesgmm import precompile

# What a user may call on rows of any kind and layout. The rows are others, and more, than those of `compile_all`.
WORK = """
import numpy as np, pandas as pd, bayesgmm as bg
rng = np.random.default_rng(1)
in_fortran_order, strided = pd.DataFrame, lambda X: np.repeat(X, 2, axis=1)[:, ::2]
for kind in KINDS:
    for n, D, laid_out in ((80, 1, strided), (60, 3, in_fortran_order), (3000, 2, np.ascontiguousarray)):
        X = (rng.normal(size=(n, D)) + 8.0 * (np.arange(n) % 2)[:, np.newaxis]).astype(kind)
        X = laid_out(X)
        for covariance in ("full", "tied", "diag", "spherical"):
            em = bg.fit_em(X, 2, covariance, n_init=5, rng=1)
        em = bg.fit_em(X, 2, sample_weight=np.ones(n), n_init=5, rng=1)
        for method in ("information", "sandwich"):
            em.standard_errors(method)
        for method in ("bootstrap", "weighted"):
            em.standard_errors(method, n_replicates=10, rng=1)
        posterior = bg.sample_posterior(X, 2, start=em.parameters, draws=10, tune=10, chains=2, rng=1, progress=False)
        posterior = bg.align(posterior, em.parameters)
        bg.compare(em, posterior)
        bg.predict(posterior, X)
        bg.point_partition(posterior, n_draws=5, max_rows=50, rng=1)
"""

# The signatures of all functions that have been compiled, or read from the cache, in a process.
SIGNATURES = """
import sys
from numba.core.dispatcher import Dispatcher

def signatures():
    modules = [module for name, module in sys.modules.items() if name.startswith("bayesgmm.")]
    functions = {value for module in modules for value in vars(module).values() if isinstance(value, Dispatcher)}
    return {f"{function.py_func.__name__}{signature}" for function in functions for signature in function.signatures}
"""


# A function of each stage: EM, the bootstrap, the posterior's C functions, Gibbs sweeps, the search for a partition.
EXPECTED = {"iterate", "ascend_each", "values_of_draws", "advance", "sweeten_vi"}


def run(code, **environment):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=1800,
        env=os.environ | environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_after_compile_all_rows_of_its_kind_need_no_other_compiled_code():
    code = f"import bayesgmm as bg\nbg.compile_all(['float64'], progress=False)\nKINDS = ['float64']\n{SIGNATURES}"
    code += f"before = signatures()\nassert {EXPECTED} <= {{name.split('(')[0] for name in before}}\n{WORK}\n"
    code += "print(*(signatures() - before), sep='\\n')"
    assert run(code).strip() == ""


@pytest.mark.slow
def test_after_compile_all_a_new_process_compiles_nothing(tmp_path):
    kinds = list(precompile.KINDS)
    run("import bayesgmm as bg; bg.compile_all(progress=False)", NUMBA_CACHE_DIR=str(tmp_path))
    compiled = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb[ic]")}
    assert len(compiled) > 40
    run(f"KINDS = {kinds}\n{WORK}", NUMBA_CACHE_DIR=str(tmp_path))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb[ic]")} == compiled


@pytest.fixture
def no_work(monkeypatch):
    """Steps that do nothing, so that only the progress is left."""
    for name in ("_fit", "_bootstrap", "_sample", "_sample_pymc"):
        monkeypatch.setattr(precompile, name, lambda *arguments: None)


def test_progress_is_one_numbered_line_per_step_with_its_seconds(no_work, capsys):
    bg.compile_all(pymc=True)
    shown = capsys.readouterr()
    lines = shown.err.splitlines()
    assert shown.out == ""
    assert len(lines) == 3 * len(precompile.KINDS) + 4
    assert lines[0] == " 1/10 EM, float64 rows ... 0.0 s"
    for number, line in enumerate(lines, 1):
        assert re.fullmatch(rf" ?{number}/10 .* \.\.\. \d+\.\d s", line)
    assert [line.split(", ")[1] for line in lines[-4:]] == [
        f"covariance {name} ... 0.0 s" for name in ("full", "tied", "diag", "spherical")
    ]


def test_without_progress_nothing_is_printed(no_work, capsys):
    bg.compile_all(progress=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("kinds", ["float64", ["float16"], ["float64", "int8"]])
def test_a_kind_of_rows_that_does_not_exist_is_refused(kinds):
    with pytest.raises(bg.errors.InputError, match="kinds must be a list of names from 'float64', 'float32'"):
        bg.compile_all(kinds)
