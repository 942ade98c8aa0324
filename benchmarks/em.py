"""EM: time of one iteration from the same start, and of whole calls, against scikit-learn."""

import time
import tracemalloc
import warnings
from functools import partial
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

import bayesgmm as bg
from benchmarks.timing import in_turn, matrix_product_rate, ratio, seconds


class Case(NamedTuple):
    n_samples: int
    n_features: int
    n_components: int
    covariance: str = "full"
    iterations: int = 10
    separation: float = 2.0  # in many dimensions clusters that far apart are known after a few iterations


CASES = [
    Case(1_000_000, 2, 3),
    Case(200_000, 10, 10),
    Case(50_000, 50, 20, iterations=5),
    Case(20_000, 128, 16, iterations=5, separation=0.5),
    Case(500_000, 10, 10, "diag"),
    Case(500_000, 10, 10, "tied"),
    Case(500_000, 10, 10, "spherical"),
]


def rough_start(truth):
    """The truth with covariances half as large again: far enough from the maximum that every iteration is done."""
    return bg.MixtureParameters(truth.weights, truth.means, 1.5 * truth.covariances)


def ours(X, start, case, n):
    """EM for n iterations, or until a gain is rounding; returns how many were done."""
    return bg.fit_em(X, case.n_components, case.covariance, start=start, tol=1e-300, max_iter=n).n_iterations


def theirs(X, start, case, n):
    precisions = {
        "full": np.linalg.inv(start.covariances),
        "tied": np.linalg.inv(np.einsum("k,kij->ij", start.weights, start.covariances)),
        "diag": 1 / start.stds**2,
        "spherical": 1 / np.square(start.stds).mean(axis=1),
    }[case.covariance]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer = GaussianMixture(
            case.n_components,
            covariance_type=case.covariance,
            tol=0,
            max_iter=n,
            weights_init=start.weights,
            means_init=start.means,
            precisions_init=precisions,
        )
        return peer.fit(X).n_iter_


def per_iteration(fit, X, start, case):
    """Seconds of one iteration: the difference of a long and a short run, which takes set-up and checks away."""
    times, done = [], []
    for n in (case.iterations + 1, 1):
        began = time.perf_counter()
        done.append(fit(X, start, case, n))
        times.append(time.perf_counter() - began)
    return (times[0] - times[1]) / (done[0] - done[1])


def iteration_table(repeats=3):
    rate = matrix_product_rate()
    print("EM, one iteration (medians of", repeats, "turns)")
    heads = f"{'bayesgmm':>10} {'scikit-learn':>13} {'ratio':>7} {'useful Gflop/s':>15} {'of product':>11}"
    print(f"{'N, D, K':>22} {'covariance':>10} {heads}")
    for case in CASES:
        simulation = bg.datasets.simulate(
            case.n_samples, case.n_components, case.n_features, separation=case.separation, rng=1
        )
        X, start = simulation.X, rough_start(simulation.parameters)
        ours(X, start, case, 1)
        times = in_turn(
            {
                "ours": partial(per_iteration, ours, X, start, case),
                "theirs": partial(per_iteration, theirs, X, start, case),
            },
            repeats,
        )
        mine, other = (float(np.median(times[name])) for name in ("ours", "theirs"))
        N, D, K = case.n_samples, case.n_features, case.n_components
        # The arithmetic that the sums need; diagonal covariances are bound by memory and exp instead.
        work = 2 * N * K * D * D / mine / 1e9 if case.covariance in ("full", "tied") else None
        used = f"{work:>15.1f} {work / rate:>10.0%}" if work else ""
        print(
            f"{f'{N:,}, {D}, {K}':>22} {case.covariance:>10} {1e3 * mine:>7.1f} ms {1e3 * other:>10.1f} ms "
            f"{ratio(times['ours'], times['theirs']):>6.1f}x {used}"
        )


def whole_call_table(repeats=9):
    X = bg.datasets.load_faithful().to_numpy()
    ours_call = partial(bg.fit_em, X, 2, n_init=10, tol=1e-8, rng=1)
    theirs_call = partial(GaussianMixture(2, n_init=10, tol=1e-8, max_iter=1000, random_state=1).fit, X)
    ours_call(), theirs_call()
    times = in_turn({"ours": lambda: seconds(ours_call), "theirs": lambda: seconds(theirs_call)}, repeats)
    print(f"\nEM, whole call on Old Faithful, K = 2, 10 starts, tol 1e-8 (medians of {repeats} turns)")
    print(
        f"bayesgmm {1e3 * np.median(times['ours']):.1f} ms, scikit-learn {1e3 * np.median(times['theirs']):.1f} ms, "
        f"ratio {ratio(times['ours'], times['theirs']):.1f}x; log-likelihoods {ours_call().log_likelihood:.6f} and "
        f"{theirs_call().score(X) * len(X):.6f}"
    )


def memory_table():
    X = np.random.default_rng(0).normal(size=(2_000_000, 10))
    print("\nMemory of an EM fit at 2,000,000 x 10, K = 10, beside the data")
    for name, fit in {
        "bayesgmm": partial(bg.fit_em, X, 10, n_init=2, max_iter=2, rng=0),
        "scikit-learn": partial(GaussianMixture(10, max_iter=1, init_params="random_from_data", random_state=0).fit, X),
    }.items():
        tracemalloc.start()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fit()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(f"{name:>13}: data plus {peak / 1e6:.0f} MB, together {1 + peak / X.nbytes:.2f} x the data")
