"""The posterior: effective draws a second, and whole calls, against PyMC as its users write it and NumPyro."""

import time
import warnings
from typing import NamedTuple

import arviz as az
import numpy as np
import nutpie
import pymc as pm
import xarray as xr
from sklearn.datasets import load_iris

import bayesgmm as bg


class Measured(NamedTuple):
    """Seconds of compilation and sampling, smallest bulk-ESS over weights, means, covariances."""

    compilation: float
    sampling: float
    ess: float


CASES = {
    "Old Faithful 272, 2, 2": (lambda: bg.datasets.load_faithful().to_numpy(), 2),
    "iris 150, 4, 3": (lambda: load_iris().data, 3),
    "simulated 5000, 2, 3": (lambda: bg.datasets.simulate(5000, 3, 2, rng=1).X, 3),
    "simulated 2000, 5, 4": (lambda: bg.datasets.simulate(2000, 4, 5, rng=1).X, 4),
}


def smallest_ess(values: dict[str, np.ndarray]) -> float:
    """Smallest bulk-ESS of arrays (chain, draw, ...), fixed numbers left out."""
    smallest = np.inf
    for value in values.values():
        flat = value.reshape(*value.shape[:2], -1)
        flat = flat[..., flat.std(axis=(0, 1)) > 0]
        if flat.shape[-1]:
            smallest = min(smallest, float(az.ess(xr.Dataset({"x": (("chain", "draw", "i"), flat)}))["x"].min()))
    return smallest


def ours(X, K, seed):
    start = bg.fit_em(X, K, rng=seed).parameters
    began = time.perf_counter()
    posterior = bg.sample_posterior(X, K, start=start, rng=seed, progress=False)
    took = time.perf_counter() - began
    draws = bg.align(posterior, start)["posterior"]
    return Measured(0.0, took, smallest_ess({n: draws[n].values for n in ("weights", "means", "covariances")}))


def textbook_model(X, K):
    """The faster of the two forms that PyMC's users write: a list of K MvNormals."""
    prior = bg.Prior.for_data(X)
    D = X.shape[1]
    median, log_sd = np.broadcast_to(prior.std.median, D), float(prior.std.log_sd)
    with pm.Model() as model:
        weights = pm.Dirichlet("weights", np.ones(K))
        means = pm.Normal("means", prior.mean_location, prior.mean_scale, shape=(K, D))
        components = []
        for k in range(K):
            factor, _, _ = pm.LKJCholeskyCov(
                f"cholesky_{k}", n=D, eta=1.0, sd_dist=pm.LogNormal.dist(np.log(median), log_sd, shape=D)
            )
            pm.Deterministic(f"covariance_{k}", factor @ factor.T)
            components.append(pm.MvNormal.dist(mu=means[k], chol=factor))
        pm.Mixture("X", w=weights, comp_dists=components, observed=X)
    return model


def theirs(X, K, seed):
    start = bg.fit_em(X, K, rng=seed).parameters
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = textbook_model(X, K)
        began = time.perf_counter()
        compiled = nutpie.compile_pymc_model(model, initial_points={"means": start.means, "weights": start.weights})
        compiled_at = time.perf_counter()
        trace = nutpie.sample(
            compiled, draws=1000, tune=1000, chains=4, seed=seed, progress_bar=False, save_warmup=False
        )
        took = time.perf_counter() - compiled_at
    draws = trace["posterior"]
    names = ["weights", "means", *(f"covariance_{k}" for k in range(K))]
    return Measured(compiled_at - began, took, smallest_ess({name: draws[name].values for name in names}))


def table(seeds=(1, 2, 3)):
    print("\nPosterior, 4 chains x 1000 draws: smallest bulk-ESS over weights, means and covariances")
    heads = f"{'compile':>9} {'sample':>9} {'ESS':>7} {'ESS / s':>9}"
    print(f"{'N, D, K':>24} {'':>9} {heads}   ratio (medians of {len(seeds)} turns)")
    for name, (load, K) in CASES.items():
        X = load()
        ours(X, K, seeds[0])  # loads what is cached
        measured = [(ours(X, K, seed), theirs(X, K, seed)) for seed in seeds]
        for label, runs in zip(("bayesgmm", "PyMC"), zip(*measured, strict=True), strict=True):
            compilation, sampling, ess = np.median(np.array(runs), axis=0)
            print(f"{name:>24} {label:>9} {compilation:>7.1f} s {sampling:>7.2f} s {ess:>7.0f} {ess / sampling:>9.0f}")
        ratios = [(a.ess / a.sampling) / (b.ess / b.sampling) for a, b in measured]
        print(f"{'':>71} {np.median(ratios):>5.0f}x")
