"""The mixture in PyMC as its users write it, in both forms of `pm.Mixture`, with bayesgmm's default prior."""

import time
import warnings
from typing import Any

import numpy as np
import nutpie
import pymc as pm
import pytensor.tensor as pt

import bayesgmm as bg
from benchmarks.draws import Sampled

warnings.filterwarnings("ignore", message="PyTensor could not link to a BLAS")


def _model(X: np.ndarray, K: int, *, batched: bool) -> pm.Model:
    prior, D = bg.Prior.for_data(X), X.shape[1]
    median, log_sd = np.broadcast_to(prior.std.median, D), float(prior.std.log_sd)
    with pm.Model() as model:
        weights = pm.Dirichlet("weights", np.ones(K))
        means = pm.Normal("means", prior.mean_location, prior.mean_scale, shape=(K, D))
        choleskys = [
            pm.LKJCholeskyCov(
                f"cholesky_{k}",
                n=D,
                eta=prior.correlation_eta,
                sd_dist=pm.LogNormal.dist(np.log(median), log_sd, shape=D),
            )[0]
            for k in range(K)
        ]
        stacked = pt.stack(choleskys)
        pm.Deterministic("covariances", stacked @ stacked.mT)
        if batched:
            components = pm.MvNormal.dist(mu=means, chol=stacked)
        else:
            components = [pm.MvNormal.dist(mu=means[k], chol=choleskys[k]) for k in range(K)]
        pm.Mixture("X", w=weights, comp_dists=components, observed=X)
    return model


def model_of_list(X: np.ndarray, K: int) -> pm.Model:
    """A list of K MvNormals."""
    return _model(X, K, batched=False)


def model_of_batch(X: np.ndarray, K: int) -> pm.Model:
    """One batched MvNormal."""
    return _model(X, K, batched=True)


FORMS = {"PyMC, list": model_of_list, "PyMC, batched": model_of_batch}


def initial_points(start: bg.MixtureParameters) -> dict[str, np.ndarray]:
    lower = np.tril_indices(start.n_features)
    choleskys = np.linalg.cholesky(start.covariances)
    packed = {f"cholesky_{k}": cholesky[lower] for k, cholesky in enumerate(choleskys)}
    return {"weights": start.weights, "means": start.means, **packed}


def compiled(model: pm.Model, start: bg.MixtureParameters | None = None) -> tuple[Any, float]:
    """The nutpie model, and the seconds that it took to compile."""
    began = time.perf_counter()
    points = None if start is None else initial_points(start)
    return nutpie.compile_pymc_model(model, initial_points=points), time.perf_counter() - began


def sampled(model: Any, draws: int, tune: int, seed: int, most_seconds: float) -> Sampled:
    """Four chains, stopped after `most_seconds` and cut to equal length."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.perf_counter()
        background = nutpie.sample(
            model,
            draws=draws,
            tune=tune,
            chains=4,
            seed=seed,
            progress_bar=False,
            save_warmup=False,
            blocking=False,
        )
        try:
            tree = background.wait(timeout=most_seconds)
        except TimeoutError:
            tree = background.abort()
        took = time.perf_counter() - began
    done = np.isfinite(tree["sample_stats"]["logp"].values).sum(axis=1).min()
    names = ("weights", "means", "covariances")
    return Sampled(0.0, took, {name: tree["posterior"][name].values[:, :done] for name in names})
