"""The automatic choice of a way to sample against each way: effective draws of the log-likelihood per second."""

import time
from functools import partial

import numpy as np
import xarray as xr

import bayesgmm as bg
from bayesgmm.bayes.sampling.around_mode import SamplingOptions
from bayesgmm.bayes.sampling.default_target import DefaultTarget
from bayesgmm.bayes.sampling.numerics import reproducible
from bayesgmm.bayes.sampling.sample import sample_modes
from bayesgmm.bayes.sampling.way import Way
from bayesgmm.bayes.sampling.ways import WAYS
from benchmarks.cases import Data, faithful, galaxies, iris, simulated
from benchmarks.draws import bulk_ess

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


def by_one_way(way: type[Way], X, K, start, seed, draws) -> xr.DataTree | None:
    """The same in one way in place of the automatic one; None where that is not possible."""
    options = SamplingOptions.checked("auto", draws, 10_000, None, 4, None, progress=False)
    rng = np.random.default_rng(seed)
    target = DefaultTarget.of(X, K, "full", None, [] if start is None else [start], rng)
    with reproducible():
        try:
            return sample_modes(target, options, (way,), rng)
        except (
            bg.errors.InputError,
            bg.errors.SamplingError,
        ):  # the way does not apply, or its proposals turned out poor
            return None


def start_for(X, K) -> bg.MixtureParameters | None:
    """EM's fit; None, for a search from random rows, where all its starts collapse."""
    try:
        return bg.fit_em(X, K, rng=1).parameters
    except bg.errors.FitError:
        return None


def rate(draw) -> tuple[float, xr.DataTree | None]:
    """Effective draws a second of sampling, pilots not counted; 0 where there are no draws."""
    began = time.perf_counter()
    posterior = draw()
    took = time.perf_counter() - began
    if posterior is None:
        return 0.0, None
    ess = bulk_ess(posterior["sample_stats"]["total_log_likelihood"].values)
    return ess / posterior.attrs.get("seconds_sampling", took), posterior


def samplers_table(data=tuple(DATA), draws=2000, repeats=3):
    print(f"\nChoice of sampler, 4 x {draws} draws: bulk-ESS of the log-likelihood a second of sampling, pilots apart")
    print(f"(medians of {repeats} turns; share: automatic over the best of the forced choices)")
    names = ("automatic", *(way.name for way in WAYS))
    heads = " ".join(f"{name:>13}" for name in names)
    print(f"{'':>29} {'K':>2} {heads} {'share':>7} {'pilots':>8}   chosen")
    for name, load, K in data:
        X = load()
        start = start_for(X, K)
        samplers = {"automatic": automatic} | {way.name: partial(by_one_way, way) for way in WAYS}
        for sampler in samplers.values():
            sampler(X, K, start, 0, 50)  # loads what is cached
        rates = {which: [] for which in samplers}
        pilots, chosen = [], set()
        for seed in range(1, repeats + 1):
            for which, sampler in samplers.items():
                measured, posterior = rate(partial(sampler, X, K, start, seed, draws))
                rates[which].append(measured)
                if which == "automatic":
                    pilots.append(posterior.attrs["seconds_pilot"])
                    chosen.add(posterior.attrs["sampler"])
        medians = {which: float(np.median(values)) for which, values in rates.items()}
        best = max(medians[way.name] for way in WAYS)
        shown = " ".join(f"{medians[which]:>13.0f}" for which in names)
        share = medians["automatic"] / best
        print(
            f"{name:>29} {K:>2} {shown} {share:>7.0%} {np.median(pilots):>6.2f} s   {', '.join(sorted(chosen))}",
            flush=True,
        )
