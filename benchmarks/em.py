"""EM: time of one iteration from the same start, scoring, whole calls and memory, beside other packages."""

import tempfile
import tracemalloc
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

import bayesgmm as bg
from benchmarks.cases import faithful
from benchmarks.em_peers import PROGRAMS, Case, bayesgmm, from_process, per_iteration, scikit_learn, write_case
from benchmarks.timing import in_turn, matrix_product_rate, ratio, seconds

CASES = [
    Case(1_000_000, 2, 3),
    Case(200_000, 10, 10),
    Case(50_000, 50, 20, iterations=5),
    Case(20_000, 128, 16, iterations=5, separation=0.5),
    Case(500_000, 10, 10, "diag"),
    Case(500_000, 10, 10, "tied"),
    Case(500_000, 10, 10, "spherical"),
]
_N_FOR_PROGRAMS = 3  # cases that packages outside Python run too


def rough_start(truth):
    """The truth with covariances half as large again: far enough from the maximum that every iteration is done."""
    return bg.MixtureParameters(truth.weights, truth.means, 1.5 * truth.covariances)


def iteration_table(cases=tuple(CASES), repeats=3):
    rate = matrix_product_rate()
    print(f"EM, one iteration from the same start (medians of {repeats} turns)")
    absent = [name for name, command in PROGRAMS.items() if command() is None]
    for name in absent:
        print(f"{name} is not installed: skipped")
    print(
        f"{'N, D, K':>18} {'covariance':>10} {'':>13} {'':>12} {'ratio':>7} {'useful Gflop/s':>15} {'of product':>11}"
    )
    for at, case in enumerate(cases):
        simulation = bg.datasets.simulate(
            case.n_samples, case.n_components, case.n_features, separation=case.separation, rng=1
        )
        X, start = simulation.X, rough_start(simulation.parameters)
        bayesgmm(X, start, case, 1)
        with tempfile.TemporaryDirectory() as folder:
            actions = {
                "bayesgmm": partial(per_iteration, bayesgmm, X, start, case),
                "scikit-learn": partial(per_iteration, scikit_learn, X, start, case),
            }
            if at < _N_FOR_PROGRAMS:
                write_case(Path(folder), X, start)
                for name, command in PROGRAMS.items():
                    if name not in absent:
                        actions[name] = partial(from_process, command(), case, Path(folder))
            times = in_turn(actions, repeats)
        for name in actions:
            took = float(np.median(times[name]))
            if name == "bayesgmm":
                # The arithmetic that the sums need; diagonal covariances are bound by memory and exp instead.
                work = 2 * case.n_samples * case.n_components * case.n_features**2 / took / 1e9
                shown = f"{'':>7} {work:>15.1f} {work / rate:>11.0%}" if case.covariance in ("full", "tied") else ""
            else:
                shown = f"{ratio(times['bayesgmm'], times[name]):>6.1f}x"
            print(f"{case!s:>18} {case.covariance:>10} {name:>13} {1e3 * took:>9.1f} ms {shown}", flush=True)


def scoring_table(cases=tuple(CASES[:4]), repeats=5):
    print(f"\nRows under a known mixture, full covariances (medians of {repeats} turns)")
    print(f"{'N, D, K':>18} {'':>17} {'bayesgmm':>12} {'scikit-learn':>13} {'ratio':>7} {'largest difference':>19}")
    for case in cases:
        simulation = bg.datasets.simulate(
            case.n_samples, case.n_components, case.n_features, separation=case.separation, rng=1
        )
        X, mixture = simulation.X, simulation.parameters
        peer = GaussianMixture(case.n_components)
        peer.weights_, peer.means_, peer.covariances_ = mixture.weights, mixture.means, mixture.covariances
        peer.precisions_cholesky_ = np.linalg.inv(np.linalg.cholesky(mixture.covariances)).transpose(0, 2, 1)
        for name, ours, theirs in (
            ("responsibilities", partial(mixture.responsibilities, X), partial(peer.predict_proba, X)),
            ("log densities", partial(mixture.log_density, X), partial(peer.score_samples, X)),
        ):
            difference = np.abs(ours() - theirs()).max()
            times = in_turn({"ours": partial(seconds, ours), "theirs": partial(seconds, theirs)}, repeats)
            mine, other = (1e3 * np.median(times[who]) for who in ("ours", "theirs"))
            print(
                f"{case!s:>18} {name:>17} {mine:>9.1f} ms {other:>10.1f} ms "
                f"{ratio(times['ours'], times['theirs']):>6.1f}x {difference:>19.1e}",
                flush=True,
            )


def whole_call_table(repeats=9):
    X = faithful()
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


def memory_table(n_samples=2_000_000):
    X = np.random.default_rng(0).normal(size=(n_samples, 10))
    print(f"\nMemory of an EM fit at {n_samples:,} x 10, K = 10, beside the data")
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
