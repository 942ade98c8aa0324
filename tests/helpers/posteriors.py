"""Posteriors made of given draws, in the shape and with the names that the sampler gives them."""

import dataclasses

import numpy as np
import xarray as xr

import bayesgmm as bg

MIXTURE = ("chain", "draw", "component")


def posterior_of(weights, means, covariances, X=None, *, features=None, chains=2, aligned=True):
    """Weights (S, K), means (S, K, D), covariances (S, K, D, D), the first S / chains draws of the first chain."""
    D = means.shape[-1]
    features = list(features or [f"x{d}" for d in range(D)])
    stds = np.sqrt(np.einsum("skii->ski", covariances))
    variables = {
        "weights": (MIXTURE, weights),
        "means": ((*MIXTURE, "feature"), means),
        "stds": ((*MIXTURE, "feature"), stds),
        "covariances": ((*MIXTURE, "feature", "feature_other"), covariances),
        "correlations": (
            (*MIXTURE, "feature", "feature_other"),
            covariances / (stds[..., np.newaxis] * stds[..., np.newaxis, :]),
        ),
    }
    shaped = {name: (dims, array.reshape(chains, -1, *array.shape[1:])) for name, (dims, array) in variables.items()}
    shape = shaped["weights"][1].shape[:2]
    groups = {
        "posterior": xr.Dataset(
            shaped,
            {"chain": range(chains), "draw": range(shape[1]), "feature": features, "feature_other": features},
        ),
        "sample_stats": xr.Dataset({name: (MIXTURE[:2], np.ones(shape)) for name in ("lp", "total_log_likelihood")}),
    }
    if X is not None:
        groups["observed_data"] = xr.Dataset({"X": (("row", "feature"), X)}, {"feature": features})
    tree = xr.DataTree.from_dict(groups)
    tree.attrs |= {"aligned": int(aligned), "covariance": "full"}
    return tree


def unrelated_draws(S, K, D, seed=0):
    """weights, means, covariances of S unrelated mixtures."""
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((S, K, D, D + 3))
    means = rng.standard_normal((S, K, D))
    return rng.dirichlet(np.full(K, 2.0), S), means, factors @ factors.swapaxes(-1, -2) / (D + 3)


def similar_draws(n_draws, K, D, rng, spread=0.5):
    """Weights, means and covariances of mixtures that resemble each other."""
    centers = 3 * rng.normal(size=(K, D))
    factors = 0.3 * rng.normal(size=(n_draws, K, D, D)) + np.eye(D)
    return (
        rng.dirichlet(np.full(K, 20.0), n_draws),
        centers + spread * rng.normal(size=(n_draws, K, D)),
        factors @ factors.swapaxes(-1, -2),
    )


def normal_draws(X, S, rng):
    """Draws of mean and covariance (K = 1) from their posterior under Jeffreys' prior |Sigma|^-(D+1)/2.

    Sigma is inverse-Wishart (N - 1, scatter), the mean normal given Sigma (Gelman et al. 2013, section 3.6).
    """
    N, D = X.shape
    scatter = (N - 1) * np.cov(X, rowvar=False).reshape(D, D)
    lower = np.linalg.cholesky(np.linalg.inv(scatter))
    bartlett = np.tril(rng.standard_normal((S, D, D)), -1)  # Bartlett's decomposition of a Wishart matrix
    index = np.arange(D)
    bartlett[:, index, index] = np.sqrt(rng.chisquare(N - 1 - index, (S, D)))
    factors = lower @ bartlett
    covariances = np.linalg.inv(factors @ factors.swapaxes(-1, -2))
    covariances = 0.5 * (covariances + covariances.swapaxes(-1, -2))
    noise = np.linalg.cholesky(covariances / N) @ rng.standard_normal((S, D, 1))
    return np.ones((S, 1)), X.mean(axis=0) + noise.swapaxes(-1, -2), covariances[:, np.newaxis]


def permuted(draws, rng):
    """The same draws, each with its components in another order."""
    order = np.argsort(rng.random(draws[0].shape), axis=1)
    return tuple(
        np.take_along_axis(array, order.reshape(*order.shape, *(1,) * (array.ndim - 2)), axis=1) for array in draws
    )


def em_claiming(parameters, X):
    """A fit that claims these parameters."""
    return dataclasses.replace(bg.fit_em(X, 1), parameters=parameters)
