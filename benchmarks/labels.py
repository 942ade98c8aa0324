"""Galaxies with six components, whose labels switch: effective draws of the log-likelihood, against JAGS."""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

import bayesgmm as bg
from benchmarks.cases import galaxies
from benchmarks.draws import Sampled, bulk_ess, log_likelihoods
from benchmarks.timing import N_CORES, in_turn

_SCRIPT = Path(__file__).with_name("jags_mixture.R")


def has_jags() -> bool:
    if shutil.which("Rscript") is None:
        return False
    return subprocess.run(["Rscript", "-e", "library(rjags)"], capture_output=True).returncode == 0


def jags(X: np.ndarray, K: int, burn: int, draws: int) -> Sampled:
    """Four chains with sampled assignments and bayesgmm's default prior, all of which JAGS can say."""
    prior, shape = bg.Prior.for_data(X), (4, draws, K)
    numbers = (prior.mean_location, prior.mean_scale, np.log(prior.std.median), prior.std.log_sd)
    with tempfile.TemporaryDirectory() as folder:
        np.ascontiguousarray(X, dtype=np.float64).tofile(Path(folder, "data.bin"))
        arguments = [folder, len(X), K, *(np.ravel(number)[0] for number in numbers), burn, draws, N_CORES]
        command = ["Rscript", str(_SCRIPT), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        weights, means, stds = (
            np.fromfile(Path(folder, f"{name}.bin")).reshape(shape) for name in ("weights", "means", "stds")
        )
    values = {
        "weights": weights,
        "means": means[..., np.newaxis],
        "covariances": (stds**2)[..., np.newaxis, np.newaxis],
    }
    return Sampled(0.0, float(done.stdout.split()[-1]), values)


def labels_table(n_components=6, our_draws=1000, jags_draws=10_000, repeats=3):
    X, K = galaxies(), n_components
    print(
        f"\nGalaxies, K = {K}, 4 chains: bulk-ESS of the log-likelihood a second of sampling (each turn, then medians)"
    )
    start = bg.fit_em(X, K, rng=1).parameters

    def ours() -> tuple[float, float, float, float]:
        began = time.perf_counter()
        posterior = bg.sample_posterior(X, K, start=start, draws=our_draws, rng=next(seeds), progress=False)
        whole = time.perf_counter() - began
        values = posterior["sample_stats"]["total_log_likelihood"].values
        return posterior.attrs.get("seconds_sampling", whole), bulk_ess(values), values.mean(), values.std()

    def theirs() -> tuple[float, float, float, float]:
        drawn = jags(X, K, burn=2000, draws=jags_draws)
        values = log_likelihoods(X, **drawn.values)
        return drawn.seconds, bulk_ess(values), values.mean(), values.std()

    seeds = iter(range(repeats + 1))
    ours()  # loads what is cached
    samplers = {"bayesgmm": (ours, our_draws)}
    if has_jags():
        samplers["JAGS"] = (theirs, jags_draws)
    else:
        print("JAGS or R's rjags is not installed: skipped")
    measured = in_turn({name: sampler for name, (sampler, _) in samplers.items()}, repeats)
    rates = {name: np.array([ess / took for took, ess, *_ in runs]) for name, runs in measured.items()}
    print(f"{'':>9} {'draws':>11} {'sample':>9} {'ESS':>7} {'ESS / s':>9} {'log-likelihood, mean and sd':>28}")
    for name, runs in measured.items():
        took, ess, mean, sd = np.median(np.array(runs), axis=0)
        shown = "" if name == "bayesgmm" else f"{np.median(rates['bayesgmm'] / rates[name]):>8.1f}x"
        draws = f"4 x {samplers[name][1]:,}"
        print(
            f"{name:>9} {draws:>11} {took:>7.2f} s {ess:>7.0f} {np.median(rates[name]):>9.0f} "
            f"{mean:>19.2f}, {sd:>7.2f} {shown}"
        )
