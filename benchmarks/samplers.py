"""The automatic choice of how to sample, against each choice forced: effective draws of the log-likelihood a second."""

import time

import numpy as np
import xarray as xr

import bayesgmm as bg
from benchmarks.cases import Data, faithful, galaxies, iris, simulated
from benchmarks.draws import bulk_ess

CHOICES = ("whitened", "diagonal", "low rank")
DATA = [
    Data("Old Faithful", faithful, 2),
    Data("Old Faithful", faithful, 3),
    Data("iris", iris, 2),
    Data("iris", iris, 3),
    Data("galaxies", galaxies, 3),
    Data("galaxies", galaxies, 6),
    Data("simulated 5000 x 2", simulated(5000, 3, 2), 3),
    Data("simulated 2000 x 5", simulated(2000, 4, 5), 4),
    Data("simulated 300 x 2, 1 apart", simulated(300, 2, 2, 1.0), 2),
    Data("simulated 300 x 2, 1.5 apart", simulated(300, 3, 2, 1.5), 3),
    Data("simulated 500 x 3, 0.5 apart", simulated(500, 3, 3, 0.5), 3),
    Data("simulated 15 x 2", simulated(15, 3, 2), 3),
    Data("2 components, fitted with 3", simulated(300, 2, 2), 3),
]


def automatic(X, K, start, seed, draws) -> xr.DataTree:
    return bg.sample_posterior(X, K, start=start, draws=draws, rng=seed, progress=False)


def forced(choice, X, K, start, seed, draws) -> xr.DataTree:
    """The same with one of CHOICES in place of the automatic one."""
    raise NotImplementedError


def start_for(X, K) -> bg.MixtureParameters | None:
    """EM's fit; None, for a search from random rows, where all its starts collapse."""
    try:
        return bg.fit_em(X, K, rng=1).parameters
    except bg.FitError:
        return None


def rate(sample) -> tuple[float, xr.DataTree]:
    """Effective draws a second of sampling, or of the whole call where the posterior does not say."""
    began = time.perf_counter()
    posterior = sample()
    took = time.perf_counter() - began
    ess = bulk_ess(posterior["sample_stats"]["total_log_likelihood"].values)
    return ess / posterior.attrs.get("seconds_sampling", took), posterior


def samplers_table(data=tuple(DATA), draws=1000, repeats=3):
    print(f"\nChoice of sampler, 4 x {draws} draws: bulk-ESS of the log-likelihood a second of sampling")
    print(f"(medians of {repeats} turns; last: automatic over the best of the forced choices)")
    heads = " ".join(f"{choice:>9}" for choice in ("automatic", *CHOICES))
    print(f"{'':>29} {'K':>2} {heads}   share   whitened, divergences (automatic)")
    for name, load, K in data:
        X = load()
        start = start_for(X, K)
        automatic(X, K, start, 0, 50)  # loads what is cached
        rates = {choice: [] for choice in ("automatic", *CHOICES)}
        for seed in range(1, repeats + 1):
            measured, posterior = rate(lambda: automatic(X, K, start, seed, draws))  # noqa: B023
            rates["automatic"].append(measured)
            for choice in CHOICES:
                try:
                    measured, _ = rate(lambda: forced(choice, X, K, start, seed, draws))  # noqa: B023
                except NotImplementedError:
                    measured = np.nan
                rates[choice].append(measured)
        medians = {choice: float(np.median(values)) for choice, values in rates.items()}
        best = max(medians[choice] for choice in CHOICES)
        divergences = int(posterior["sample_stats"]["diverging"].sum())
        shown = " ".join(f"{medians[choice]:>9.0f}" for choice in medians)
        print(
            f"{name:>29} {K:>2} {shown} {medians['automatic'] / best:>7.0%}   {posterior.attrs['whitened']}, "
            f"{divergences}",
            flush=True,
        )
