"""Many processes and threads at once give the results of one."""

import json
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from faults.children import PATIENCE, start

import bayesgmm as bg

pytestmark = pytest.mark.slow

ANALYSIS = """
import json
import bayesgmm as bg
X = bg.datasets.load_faithful()
em = bg.fit_em(X, 2, n_init=5, rng=1)
options = {"sampler": "nuts", "draws": 20, "tune": 20, "chains": 2, "rng": 1, "progress": False}
posterior = bg.sample_posterior(X, 2, start=em.parameters, **options)
partition = bg.point_partition(posterior, rng=1)
print(json.dumps([em.log_likelihood, float(posterior["posterior"]["means"].sum()), partition.n_clusters]))
"""


def test_four_processes_that_compile_into_one_empty_cache_agree(tmp_path):
    children = [start(ANALYSIS, NUMBA_CACHE_DIR=tmp_path / "cache") for _ in range(4)]
    results = []
    for child in children:
        out, err = child.communicate(timeout=4 * PATIENCE)
        assert child.returncode == 0, err[-3000:]
        assert "Traceback" not in err and "Warning" not in err, err[-3000:]
        results.append(json.loads(out))
    assert all(result == results[0] for result in results)
    again = start(ANALYSIS, NUMBA_CACHE_DIR=tmp_path / "cache")
    assert json.loads(again.communicate(timeout=PATIENCE)[0]) == results[0]


def fit(seed):
    X = bg.datasets.load_faithful()
    em = bg.fit_em(X, 2, n_init=5, rng=seed)
    return em.log_likelihood, em.parameters.means.tolist()


def sample(seed):
    X = bg.datasets.load_faithful()
    options = {"draws": 20, "tune": 20, "chains": 2, "progress": False, "rng": seed}
    draws = [bg.sample_posterior(X, 2, sampler=sampler, **options) for sampler in ("independent", "gibbs")]
    return [float(posterior["posterior"]["means"].sum()) for posterior in draws]


METHODS = ["spawn"] if sys.platform == "win32" else ["spawn", "fork", "forkserver"]


@pytest.mark.parametrize("function", [fit, sample])
@pytest.mark.parametrize("method", METHODS)
# Python warns of every fork in a process with threads; that the children work is what is shown here.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_child_processes_give_the_results_of_their_parent(method, function):
    expected = [function(seed) for seed in range(3)]  # the parent has used its threads before it forks
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        assert list(pool.map(function, range(3), timeout=PATIENCE)) == expected


@pytest.mark.parametrize("function", [fit, sample])
def test_threads_give_the_results_of_one_thread(function):
    expected = [function(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(function, range(8))) == expected


def test_one_fit_is_read_by_several_threads():
    X = bg.datasets.load_faithful()
    em = bg.fit_em(X, 2, rng=1)

    def read(_):
        table = em.standard_errors("bootstrap", n_replicates=50, rng=1, progress=False).table
        return table["se"].to_numpy(), em.parameters.responsibilities(X)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(read, range(8)))
    for errors, responsibilities in results:
        np.testing.assert_array_equal(errors, results[0][0])
        np.testing.assert_array_equal(responsibilities, results[0][1])
