"""A disk that is full at any byte is an error, the folder stays as it was, and nothing in memory is lost."""

import json
import shutil
import subprocess

import pytest
from faults.children import run

import bayesgmm as bg

pytestmark = pytest.mark.slow

# Saves under a limit of the size of files, for several limits, and then without one.
LIMITED = """
import json, resource, signal, sys
import bayesgmm as bg
analysis = bg.Analysis.load(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
outcomes = []
for limit in (0, 1, 100, 1000, 10_000, 30_000, 60_000, 200_000, -1):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        analysis.save(sys.argv[1], overwrite=True)
        outcomes.append("saved")
    except bg.errors.InputError as error:
        outcomes.append(str(error))
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, resource.RLIM_INFINITY))
print(json.dumps(outcomes))
"""
# Saves to a file system that is too small.
SMALL = """
import sys
import bayesgmm as bg
analysis = bg.Analysis.load(sys.argv[1])
try:
    analysis.save(sys.argv[2], overwrite=True)
except bg.errors.InputError as error:
    print(error)
print(analysis.save(sys.argv[3]))
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "results"
    bg.analyze(bg.datasets.load_faithful(), 1, n_init=2, draws=40, chains=2, rng=1, progress=False).save(folder)
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_limit_at_any_size_leaves_the_folder_as_it_was(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "copy")
    out, _ = run(LIMITED, folder)
    *refusals, last = json.loads(out.splitlines()[-1])
    assert last == "saved"
    refused = [text for text in refusals if text != "saved"]
    assert len(refused) >= 5
    assert all("cannot be written to" in text and "still in memory" in text for text in refused)
    assert bg.Analysis.load(folder).em.log_likelihood == bg.Analysis.load(saved).em.log_likelihood


@pytest.fixture(params=["64k", "256k"])
def small_disk(request, tmp_path):
    """A file system of that size."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={request.param}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_small_disk_is_refused_and_another_folder_takes_the_results(saved, small_disk, tmp_path):
    out, _ = run(SMALL, saved, small_disk / "results", tmp_path / "elsewhere")
    assert "cannot be written to" in out and "still in memory" in out
    assert not list((small_disk / "results").iterdir())
    assert bg.Analysis.load(tmp_path / "elsewhere").em.log_likelihood == bg.Analysis.load(saved).em.log_likelihood
