"""Ctrl-C at any moment: the finished draws are returned, or KeyboardInterrupt comes out and nothing else."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

import bayesgmm as bg

pytestmark = pytest.mark.usefixtures("usual_ctrl_c")


@contextmanager
def interrupted_after(seconds):
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        time.sleep(0.01)  # a signal that has been sent arrives here, inside the caller's `try`


def starts_of(X, K):
    return [optimum.parameters for optimum in bg.fit_em(X, K, n_init=10, rng=1).optima]


def outcome(X, K, start, seconds, **options):
    """Return "raised", "kept" or "done"; any other exception is the test's failure."""
    posterior = None
    try:
        with interrupted_after(seconds):
            posterior = bg.sample_posterior(X, K, start=start, progress=False, **options)
    except KeyboardInterrupt:
        if posterior is None:
            return "raised"
    draws = posterior["posterior"].to_dataset()
    assert all(np.isfinite(values).all() for values in draws.values())
    lengths = posterior.attrs["chain_lengths"]
    assert draws.sizes["draw"] >= 1
    assert posterior.attrs["stopped_by"] == ("interruption" if posterior.attrs["interrupted"] else "draws")
    assert max(lengths) >= draws.sizes["draw"]
    return "kept" if posterior.attrs["interrupted"] else "done"


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["auto", "nuts", "gibbs", "independent"])
def test_fifty_random_moments(sampler):
    """Of three components with several modes: pilots, chains of other modes and their weighing are interrupted too."""
    X = bg.datasets.load_faithful()
    K = 2 if sampler == "independent" else 3
    start, options = starts_of(X, K), {"sampler": sampler, "draws": 400, "rng": 1}
    bg.sample_posterior(X, K, start=start, progress=False, **options)  # compiles
    began = time.perf_counter()
    bg.sample_posterior(X, K, start=start, progress=False, **options)
    duration = time.perf_counter() - began
    moments = np.random.default_rng(1).uniform(0, 1.2 * duration, 50)
    outcomes = [outcome(X, K, start, moment, **options) for moment in moments]
    assert outcomes.count("raised") + outcomes.count("kept") > 10
    assert "kept" in outcomes


@pytest.mark.parametrize("sampler", ["nuts", "gibbs", "independent"])
def test_an_interruption_during_the_chains_keeps_their_draws(faithful, sampler):
    start, options = starts_of(faithful, 2), {"sampler": sampler, "rng": 1}
    bg.sample_posterior(faithful, 2, start=start, draws=10, progress=False, **options)
    assert outcome(faithful, 2, start, 2.0, draws=400_000, **options) == "kept"


@pytest.mark.parametrize("step", ["explore", "_with_modes"])
def test_an_interruption_after_the_chains_keeps_or_raises(galaxies, monkeypatch, step):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    if step == "explore":
        monkeypatch.setattr("bayesgmm.bayes.sampling.sample.explore", interrupt)
        posterior = bg.sample_posterior(galaxies, 2, draws=50, rng=1, progress=False)
        assert posterior.attrs["interrupted"] == 1
        assert posterior.attrs["stopped_by"] == "interruption"
        assert posterior["posterior"].sizes["draw"] == 50
    else:
        monkeypatch.setattr("bayesgmm.bayes.sampling.sample._with_modes", interrupt)
        with pytest.raises(KeyboardInterrupt):
            bg.sample_posterior(galaxies, 2, draws=50, rng=1, progress=False)


_SCRIPT = """
import sys
print("started", flush=True)
import numpy as np
import bayesgmm as bg
X = np.random.default_rng(1).normal(size=(50, 2))
bg.sample_posterior(X, 2, draws=50, rng=1, progress=False)
print("done")
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", [0.05, 0.3, 0.6, 1.0, 2.0, 4.0, 8.0, 16.0])
def test_an_interruption_during_imports_and_compilation_shows_keyboard_interrupt(moment, tmp_path):
    """The cache is empty: sampling compiles, for a minute on a slow machine."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout.readline() == "started\n"
    time.sleep(moment)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    last = err.strip().splitlines()[-1] if err.strip() else ""
    assert "done" in out or last.startswith("KeyboardInterrupt"), err[-2000:]
