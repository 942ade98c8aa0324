"""A process that is killed at any moment leaves a folder that is one whole analysis, or none."""

import random
import shutil
import time

import pytest
from faults.children import start

import bayesgmm as bg

pytestmark = pytest.mark.slow

N_KILLS = 50
# Overwrites the folder again and again, with two analyses in turn, whose means are 1000 apart; one of them is sampled
# anew each time.
SAVING = """
import sys
import bayesgmm as bg
X = bg.datasets.load_faithful()
def analyze(rows, seed):
    return bg.analyze(rows, 1, n_init=2, draws=40, chains=2, rng=seed, progress=False)
first = analyze(X, 1)
print("ready", flush=True)
for seed in range(1, 1000):
    second = analyze(X + 1000, seed)
    for analysis in (first, second):
        analysis.save(sys.argv[1], overwrite=True)
        print("saved", flush=True)
"""


def kind_of(folder):
    """Which of the two analyses the folder holds: "old" or "new". Both files must agree on it."""
    analysis = bg.Analysis.load(folder)
    by_em = float(analysis.em.parameters.means[0, 0]) > 500
    by_draws = float(analysis.posterior["posterior"]["means"].values.mean(axis=(0, 1, 2))[0]) > 500
    assert by_em == by_draws, "em.json and posterior.nc are of two analyses"
    assert analysis.comparison.verdict != "differ"
    return "new" if by_em else "old"


def test_a_folder_is_whole_after_the_process_was_killed_at_fifty_moments(tmp_path):
    """The moments are drawn over a few saves, so that kills hit sampling, drawing, writing and moving alike."""
    draw, folder, found = random.Random(1), tmp_path / "results", []
    for _ in range(N_KILLS):
        child = start(SAVING, folder)
        try:
            assert child.stdout.readline() == "ready\n", child.stderr.read()
            assert child.stdout.readline() == "saved\n", child.stderr.read()
            time.sleep(draw.uniform(0, 4))
        finally:
            child.kill()
            child.communicate()
        found.append(kind_of(folder))
    assert len(found) == N_KILLS and set(found) == {"old", "new"}, found
    litter = [path.name for path in folder.iterdir() if path.name.startswith(".bayesgmm-saving-")]
    for name in litter:
        assert not (folder / name / "em.json").exists() or kind_of(folder)
    shutil.rmtree(folder)


def test_a_first_save_that_was_killed_leaves_no_analysis_or_a_whole_one(tmp_path):
    draw, outcomes = random.Random(2), set()
    for trial in range(10):
        folder = tmp_path / str(trial)
        child = start(SAVING, folder)
        try:
            assert child.stdout.readline() == "ready\n", child.stderr.read()
            time.sleep(draw.uniform(0, 2))
        finally:
            child.kill()
            child.communicate()
        try:
            outcomes.add(kind_of(folder))
        except bg.errors.InputError:
            outcomes.add("refused")
    assert outcomes <= {"old", "new", "refused"}
