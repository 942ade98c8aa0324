"""Posteriors with given draws, without the sampling."""

import dataclasses

import numpy as np
import xarray as xr

import bayesgmm as bg


def posterior_of(weights, means, covariances, X, aligned=True):
    """A DataTree of one chain: weights (S, K), means (S, K, D), covariances (S, K, D, D), rows X (N, D)."""
    mixture = ("chain", "draw", "component")
    variables = {
        "weights": (mixture, np.asarray(weights)[np.newaxis]),
        "means": ((*mixture, "feature"), np.asarray(means)[np.newaxis]),
        "covariances": ((*mixture, "feature", "feature_other"), np.asarray(covariances)[np.newaxis]),
    }
    names = [f"x{d}" for d in range(np.shape(means)[2])]
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(variables, {"feature": names, "feature_other": names}),
            "observed_data": xr.Dataset({"X": (("row", "feature"), X)}),
        }
    )
    tree.attrs |= {"aligned": int(aligned), "covariance": "full"}
    return tree


def random_draws(n_draws, K, D, rng, spread=0.5):
    """Weights, means and covariances of mixtures that resemble each other."""
    centers = 3 * rng.normal(size=(K, D))
    factors = 0.3 * rng.normal(size=(n_draws, K, D, D)) + np.eye(D)
    return (
        rng.dirichlet(np.full(K, 20.0), n_draws),
        centers + spread * rng.normal(size=(n_draws, K, D)),
        factors @ factors.swapaxes(-1, -2),
    )


def permuted(draws, rng):
    """The same draws, each with its components in another order."""
    order = np.argsort(rng.random(draws[0].shape), axis=1)
    return tuple(
        np.take_along_axis(array, order.reshape(*order.shape, *(1,) * (array.ndim - 2)), axis=1) for array in draws
    )


def em_claiming(parameters, X):
    """A fit that claims these parameters."""
    return dataclasses.replace(bg.fit_em(X, 1), parameters=parameters)
