"""Two processes compile what the first posterior on a machine needs; where that goes wrong, the call goes on."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numba import config

from bayesgmm.bayes import first_call, log_posterior

DOUBLES = np.dtype(np.float64)


def test_the_other_process_leaves_the_pass_in_the_cache(tmp_path):
    """A new process with an empty cache finds the pass there that it has not compiled, and does not start a second."""
    code = (
        "import numpy as np, subprocess; from bayesgmm.bayes import first_call, log_posterior as posterior\n"
        "first_call.compile_side_by_side(np.dtype('f8'))\n"
        "print(posterior.whitened_log_posterior().cache_hits, posterior.rows_function(np.dtype('f8')).cache_hits)\n"
        "subprocess.Popen = None\n"
        "first_call.compile_side_by_side(np.dtype('f4'))"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=300)
    assert (done.stdout, done.stderr) == ("0 1\n", "")


@pytest.fixture
def started(monkeypatch):
    """The processes that are started, where nothing is in the cache and the posterior's function compiles at once."""
    processes, start = [], subprocess.Popen
    monkeypatch.setattr(first_call, "_has_binaries", lambda: False)
    monkeypatch.setattr(first_call, "_CODE", "import time; time.sleep(60)")
    monkeypatch.setattr(log_posterior, "whitened_log_posterior", lambda: None)
    monkeypatch.setattr(config, "NUMBA_NUM_THREADS", 2)

    def begin(*command, **options):
        processes.append(start(*command, **options))
        return processes[-1]

    monkeypatch.setattr(subprocess, "Popen", begin)
    return processes


def test_a_process_that_takes_too_long_is_ended(started, monkeypatch):
    monkeypatch.setattr(first_call, "_SECONDS", 0.1)
    first_call.compile_side_by_side(DOUBLES)
    assert [process.poll() is not None for process in started] == [True]


def test_a_process_is_ended_with_the_call(started, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(log_posterior, "whitened_log_posterior", interrupted)
    with pytest.raises(KeyboardInterrupt):
        first_call.compile_side_by_side(DOUBLES)
    assert [process.poll() is not None for process in started] == [True]


def test_where_none_may_be_started_the_call_goes_on(started, monkeypatch):
    def refused(*command, **options):
        raise PermissionError

    monkeypatch.setattr(subprocess, "Popen", refused)
    first_call.compile_side_by_side(DOUBLES)


@pytest.mark.parametrize("program", ["/opt/painter/painter", "", None])
def test_only_python_is_started(started, monkeypatch, program):
    monkeypatch.setattr(sys, "executable", program)
    first_call.compile_side_by_side(DOUBLES)
    assert not started


def test_none_is_started_on_one_core(started, monkeypatch):
    monkeypatch.setattr(config, "NUMBA_NUM_THREADS", 1)
    first_call.compile_side_by_side(DOUBLES)
    assert not started
