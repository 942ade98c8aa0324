"""Simulation-based calibration: where the truth comes from the prior, its rank among the draws is uniform.

Talts et al. 2018 (arXiv:1804.06788). Mixtures and rows come from `simulator.py`, which knows nothing of the package.
The log-likelihood is among the ranked quantities: a sampler that ignored the data would pass without it.

`python tests/calibration.py PICTURE.png` runs the full form, prints its figures and draws them.
"""

import sys
from dataclasses import replace
from functools import cache

import arviz as az
import numpy as np
import xarray as xr
from scipy import stats

import bayesgmm as bg
from helpers.label_free import label_free
from helpers.simulator import Stated, rows_from

# Components are mostly apart and none is nearly empty, so that 1000 draws are enough to rank among.
STATED = Stated(scale=4.0, log_sd=0.4, alpha=4.0, eta=2.0)
# The same, but with means no farther apart than components are wide.
OVERLAPPING = replace(STATED, scale=1.0)
NAMES = ("weights", "means", "stds", "correlations")
N_RANKED = 99  # ranks 0 to 99
CASES = [(1, 2), (2, 2), (2, 3), (3, 2)]  # D, K
POINT = 1.0  # where the density is looked at, in every feature


def prior_of(stated):
    std = bg.priors.LogNormal(stated.median, stated.log_sd)
    return bg.Prior(stated.location, stated.scale, std, stated.alpha, stated.eta)


def posterior_draws(prior, n=250):
    """rows, K, seed -> 4 x n of the posterior's draws, thinned: NAMES' arrays with N_RANKED first."""

    def draws(X, K, seed):
        posterior = bg.sample_posterior(X, K, prior=prior, draws=n, rng=seed, progress=False)["posterior"]
        values = (posterior[name].values for name in NAMES)
        return [value.reshape(-1, *value.shape[2:])[:: 4 * n // (N_RANKED + 1)][:N_RANKED] for value in values]

    return draws


def prior_draws(X, K, seed):
    """A sampler that ignores its data."""
    return STATED.mixtures(np.random.default_rng(10**6 + seed), N_RANKED, K, X.shape[1])


def ranks(draws, fits, D, K, n_rows=80, stated=STATED):
    """{quantity: (fits,) rank of the truth among N_RANKED draws}, of `fits` data sets."""
    found = {}
    for seed in range(1, 1 + fits):
        rng = np.random.default_rng([seed, D, K])
        truth = [value[0] for value in stated.mixtures(rng, 1, K, D)]
        X, point = rows_from(rng, n_rows, *truth), np.full((1, D), POINT)
        expected = label_free(X, point, *truth)
        for name, values in label_free(X, point, *draws(X, K, seed)).items():
            found.setdefault(name, []).append(int((values < expected[name]).sum()))
    return {name: np.array(values) for name, values in found.items()}


def extremeness(ranks):
    """(...,) smallest pointwise tail probability of the ranks' (..., N) empirical distribution function.

    Saeilynoja, Buerkner and Vehtari 2022 (doi:10.1007/s11222-022-10090-6), section 3.
    """
    N = ranks.shape[-1]
    z = np.arange(1, N_RANKED + 1) / (N_RANKED + 1)
    counts = (ranks[..., np.newaxis] < np.arange(1, N_RANKED + 1)).sum(axis=-2)
    below, above = stats.binom.cdf(counts, N, z), stats.binom.sf(counts - 1, N, z)
    return 2 * np.minimum(below, above).min(axis=-1)


@cache
def null_extremeness(N, simulations):
    """(simulations,) sorted, of N uniform ranks."""
    rng = np.random.default_rng(0)
    pieces = [extremeness(rng.integers(0, N_RANKED + 1, (100, N))) for _ in range(simulations // 100)]
    return np.sort(np.concatenate(pieces))


def band_p_values(found, simulations=20_000):
    """{quantity: p-value of uniform ranks} by the simultaneous band, its null distribution simulated."""

    def p_value(ranks):
        as_extreme = np.searchsorted(null_extremeness(len(ranks), simulations), extremeness(ranks), side="right")
        return (1 + as_extreme) / (1 + simulations)

    return {name: p_value(ranks) for name, ranks in found.items()}


def assert_calibrated(found, level):
    """Every quantity inside its simultaneous band, Holm's correction over the quantities."""
    p_values = sorted(band_p_values(found).items(), key=lambda item: item[1])
    for i, (name, p) in enumerate(p_values):
        assert p > level / (len(p_values) - i), f"{name}: ranks outside the band, p = {p:.2g}"


def coverage(ranks, level=0.9):
    """Share of fits whose central interval, by ranks, holds the truth."""
    tail = round((N_RANKED + 1) * (1 - level) / 2)
    return float(((ranks >= tail) & (ranks < N_RANKED + 1 - tail)).mean())


def pooled(by_case):
    """Ranks of each quantity from all cases that have it, of those quantities that all but one have."""
    names = dict.fromkeys(name for found in by_case for name in found)
    together = {name: [found[name] for found in by_case if name in found] for name in names}
    return {name: np.concatenate(parts) for name, parts in together.items() if len(parts) >= len(by_case) - 1}


def full_form():
    """Ranks of 600 data sets, of the second feature's quantities 450."""
    return pooled([ranks(posterior_draws(prior_of(STATED)), 150, D, K) for D, K in CASES])


def figures(found):
    """Lines: of each quantity the p-value of its band and the coverage of 90 % intervals."""
    return [
        f"{name}: p = {p:.3f}, coverage of 90 % intervals {100 * coverage(found[name]):.1f} %"
        for name, p in band_p_values(found).items()
    ]


def draw(found, path):
    """Each quantity's empirical distribution function less the uniform one, and ArviZ's own test of uniformity.

    Of the data sets with two features or more, which come last, so that there are equally many of each.
    """
    rng, n = np.random.default_rng(1), min(map(len, found.values()))
    unit = {name: (r[-n:] + rng.random(n)) / (N_RANKED + 1) for name, r in found.items()}
    group = xr.Dataset({name: ("sample", values) for name, values in unit.items()})
    tree = xr.DataTree.from_dict({"prior_sbc": group})
    options = {"visuals": {"xlabel": False}, "figure_kwargs": {"figsize": (12, 6), "figsize_units": "inches"}}
    plot = az.plot_ecdf_pit(tree, sample_dims="sample", backend="matplotlib", **options)
    figure = plot.viz["figure"].item()
    figure.supxlabel("rank of the truth among the draws, as a share")
    figure.supylabel("share of lower ranks, less the uniform share")
    figure.savefig(path, dpi=100, bbox_inches="tight")


if __name__ == "__main__":
    full = full_form()
    print("\n".join(figures(full)))
    draw(full, sys.argv[1])
