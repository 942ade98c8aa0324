"""Sampling in threads and processes, into one empty cache, without a home folder, and again and again."""

import gc
import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import bayesgmm as bg

_SCRIPT = """
import numpy as np
import bayesgmm as bg
X = np.random.default_rng(1).normal(size=(50, 2))
posterior = bg.sample_posterior(X, 2, sampler="{sampler}", draws=50, rng=1, progress=False)
print(repr(float(posterior["posterior"]["means"].sum())))
"""
SAMPLERS = ["gibbs", "nuts", "independent"]


def total(sampler="gibbs"):
    """One number that stands for all draws of a small posterior."""
    X = np.random.default_rng(1).normal(size=(50, 1))
    posterior = bg.sample_posterior(X, 2, sampler=sampler, draws=50, rng=1, progress=False)
    return float(posterior["posterior"]["means"].sum())


@pytest.mark.parametrize("sampler", ["gibbs", "nuts"])
def test_threads_get_the_draws_that_one_thread_gets(sampler):
    expected = total(sampler)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(total, [sampler] * 8)) == [expected] * 8


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_get_the_draws_that_one_process_gets(method):
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        assert pool.map(total, ["gibbs", "nuts"]) == [total("gibbs"), total("nuts")]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("sampler", ["gibbs", "nuts"])
def test_a_fork_of_a_fresh_process_samples(sampler):
    script = _SCRIPT.format(sampler=sampler) + (
        "import os\n"
        "pid = os.fork()\n"
        f"again = bg.sample_posterior(X, 2, sampler='{sampler}', draws=50, rng=1, progress=False)\n"
        "assert (again['posterior']['means'] == posterior['posterior']['means']).all()\n"
        "if pid == 0:\n"
        "    os._exit(0)\n"
        "assert os.waitpid(pid, 0)[1] == 0\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=300, capture_output=True)


@pytest.mark.slow
def test_four_processes_compile_into_one_empty_cache(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _SCRIPT.format(sampler="gibbs")],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    results = [process.communicate(timeout=900) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, [err[-500:] for _, err in results]
    assert len({out for out, _ in results}) == 1
    assert list(tmp_path.rglob("*.nbi"))
    # The cache that they left is usable.
    again = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(sampler="gibbs")], env=environment, capture_output=True, text=True
    )
    assert again.stdout == results[0][0]


@pytest.mark.slow
def test_sampling_works_without_a_home_and_a_writable_cache(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    read_only = tmp_path / "read-only"
    read_only.mkdir(mode=0o500)
    environment |= {"HOME": str(read_only), "NUMBA_CACHE_DIR": str(read_only / "cache")}
    process = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(sampler="nuts")], env=environment, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr[-1000:]
    float(process.stdout)


def resources():
    """Resident memory in MB, number of threads, and number of open files of this process, from Linux."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    counts = [len(list(Path("/proc/self", name).iterdir())) for name in ("task", "fd")]
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, *counts


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc here")
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_hundred_posteriors_leave_no_memory_threads_or_files_behind(sampler):
    """Growth from the 20th to the 120th posterior: at most 10 MB, and no thread or file."""
    X = bg.datasets.load_faithful()
    figures = []
    for i in range(120):
        bg.sample_posterior(X, 2, sampler=sampler, draws=50, rng=i, progress=False)
        if i in (19, 119):
            gc.collect()
            figures.append(resources())
    (memory, threads, files), (memory_after, threads_after, files_after) = figures
    print(f"{sampler}: memory {memory:.0f} -> {memory_after:.0f} MB, {threads} threads, {files} files")
    assert memory_after - memory < 10
    assert threads_after <= threads
    assert files_after <= files
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("bayesgmm-chain")]
