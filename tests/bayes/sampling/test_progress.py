"""Progress is shown where a person looks at it, and nowhere else."""

import os
import subprocess
import sys

import pytest
from helpers.paths import ROOT

JOB = """
import bayesgmm as bg
X = bg.datasets.load_faithful()
em = bg.fit_em(X, 2, n_init=2, rng=1)
em.standard_errors("bootstrap", n_replicates=20, rng=1)
bg.sample_posterior(X, 2, start=em.parameters, draws=1000, chains=2, rng=1)
"""
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "120"}


def test_a_process_whose_output_is_piped_prints_nothing():
    done = subprocess.run([sys.executable, "-c", JOB], capture_output=True, text=True, timeout=300, env=ENVIRONMENT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_terminal_is_shown_replicates_and_draws():
    pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", JOB], stdout=theirs, stderr=theirs, env=ENVIRONMENT)
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # how Linux says that nobody writes any more
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    assert process.wait(timeout=300) == 0
    assert b"20 of 20 replicates" in shown
    assert b"2 chains of independent proposals: 1000 draws per chain" in shown


def test_a_notebook_is_shown_progress_and_results(tmp_path):
    nbclient = pytest.importorskip("nbclient", reason="Jupyter is not installed")
    pytest.importorskip("ipykernel", reason="Jupyter is not installed")
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(JOB), nbformat.v4.new_code_cell("em")])
    os.environ["PYTHONPATH"], before = str(ROOT), os.environ.get("PYTHONPATH")
    try:
        nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute(cwd=str(tmp_path))
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before
    work, result = (cell.outputs for cell in notebook.cells)
    assert any("20 of 20 replicates" in output.get("text", "") for output in work)
    assert any("independent proposals: 1000 draws" in output.get("text", "") for output in work)
    (data,) = (output.data for output in result)
    assert data["text/plain"].startswith("EMFit: 2 components, 2 features")
    assert "<strong>EMFit: 2 components" in data["text/html"]
