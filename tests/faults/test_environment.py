"""The environment of a process: homes, languages, optimisation, back ends that do not exist, and no terminal."""

import subprocess
import sys

import pytest
from faults.children import PATIENCE, environment, run

pytestmark = pytest.mark.slow

ANALYSIS = """
import bayesgmm as bg
X = bg.datasets.load_faithful()
em = bg.fit_em(X, 2, n_init=5, rng=1)
posterior = bg.sample_posterior(X, 2, start=em.parameters, draws=20, tune=20, chains=2, rng=1)
analysis = bg.analyze(X, 1, n_init=2, draws=40, chains=2, rng=1)
import sys
loaded = bg.Analysis.load(analysis.save(sys.argv[1]))
assert_equal = loaded.em.log_likelihood == analysis.em.log_likelihood
print(f"{em.log_likelihood:.3f}", assert_equal, len(bg.predict(bg.align(posterior, em.parameters), X).labels))
try:
    bg.fit_em([1.0, float("nan")], 1)
except bg.errors.InputError as error:
    print("refused")
"""
ENVIRONMENTS = {
    "missing home": {"HOME": "/nonexistent/home", "XDG_CACHE_HOME": None, "XDG_CONFIG_HOME": None},
    "no home": {"HOME": None},
    "LANG=C": {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "ASCII": {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "PYTHONOPTIMIZE=1": {"PYTHONOPTIMIZE": "1"},
    "a back end that needs a screen": {"MPLBACKEND": "TkAgg", "DISPLAY": None},
    "no bytecode": {"PYTHONDONTWRITEBYTECODE": "1"},
    "warnings are errors": {"PYTHONWARNINGS": "error::RuntimeWarning,error::FutureWarning"},
    "one thread": {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    "dumb terminal": {"TERM": "dumb", "COLUMNS": "1"},
}


# Environments in which ArviZ or Matplotlib cannot work, and the remedy that the refusal names. EM works in them.
REFUSED = {
    "PYTHONOPTIMIZE=2": ({"PYTHONOPTIMIZE": "2"}, "Use -O or PYTHONOPTIMIZE=1"),
    "no such back end": ({"MPLBACKEND": "nonsense"}, "Set MPLBACKEND=agg"),
}
ONLY_EM = """
import bayesgmm as bg
X = bg.datasets.load_faithful()
print(f"{bg.fit_em(X, 2, n_init=5, rng=1).log_likelihood:.3f}")
try:
    bg.analyze(X, 2, rng=1)
except bg.errors.InputError as error:
    print(error)
"""


@pytest.mark.parametrize("name", REFUSED)
def test_an_environment_without_posteriors_is_refused_with_the_remedy(name, tmp_path):
    changes, remedy = REFUSED[name]
    out, _ = run(ONLY_EM, **changes)
    assert out.startswith("-1130.264\n") and remedy in out
    command = [sys.executable, "-m", "bayesgmm", "analyze", "--dataset", "galaxies", "--out", str(tmp_path / "results")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=environment(**changes))
    assert done.returncode == 2, done.stderr
    assert remedy in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_analysis_works_in_any_environment(name, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", ANALYSIS, str(tmp_path / "results")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment(**ENVIRONMENTS[name]),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines() == ["-1130.264 True 272", "refused"]
    assert "Traceback" not in done.stderr
    foreign = [line for line in done.stderr.splitlines() if "Warning" in line and "BayesgmmWarning" not in line]
    assert not foreign, foreign


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_command_works_in_any_environment(name, tmp_path):
    table = tmp_path / "größe.csv"
    table.write_text("größe,b\n" + "\n".join(f"{i % 7}.{i},{(i * i) % 11}.5" for i in range(60)), encoding="utf-8")
    command = [sys.executable, "-m", "bayesgmm", "analyze", str(table), "-k", "1", "--draws", "50", "--starts", "2"]
    done = subprocess.run(
        [*command, "--seed", "1", "--out", str(tmp_path / "results")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        env=environment(**ENVIRONMENTS[name]),
        cwd=tmp_path,
    )
    errors = done.stderr.decode(errors="replace")
    assert done.returncode in (0, 3), errors[-3000:]
    assert b"log-likelihood" in done.stdout
    assert "Traceback" not in errors
    assert (tmp_path / "results" / "settings.json").exists()


def test_closed_streams_do_not_cost_the_results(tmp_path):
    """Standard output is a pipe that nobody reads any more."""
    command = f"{sys.executable} -m bayesgmm analyze --dataset galaxies -k 1 --draws 50 --out {tmp_path / 'results'}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} | true"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment(),
    )
    assert (tmp_path / "results" / "settings.json").exists(), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
