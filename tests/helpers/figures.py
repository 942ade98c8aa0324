"""Cases that figures are drawn of, and the numbers read from the figures."""

import dataclasses

import numpy as np
import xarray as xr
from matplotlib.colors import to_hex, to_rgb
from scipy.spatial.distance import mahalanobis
from scipy.stats import multivariate_normal

import bayesgmm as bg
from helpers.posteriors import em_claiming, posterior_of, similar_draws


def posterior_near(em, X, covariance="full", n_chains=2, n_draws=30):
    """A posterior's shape and names without the sampling: EM's parameters and noise."""
    p, rng = em.parameters, np.random.default_rng(0)
    K, D = p.means.shape
    scale = np.exp(0.05 * rng.standard_normal((n_chains, n_draws, 1 if covariance == "tied" else K, 1, 1)))
    covariances = scale * p.covariances
    stds = np.sqrt(np.einsum("...ii->...i", covariances))
    mixture = ("chain", "draw", "component")
    draws = {
        "weights": (mixture, rng.dirichlet(500 * p.weights, (n_chains, n_draws))),
        "means": ((*mixture, "feature"), p.means + 0.05 * rng.standard_normal((n_chains, n_draws, K, D))),
        "stds": ((*mixture, "feature"), stds),
        "covariances": ((*mixture, "feature", "feature_other"), covariances),
        "correlations": (
            (*mixture, "feature", "feature_other"),
            covariances / (stds[..., :, np.newaxis] * stds[..., np.newaxis, :]),
        ),
    }
    names = list(p.features)
    coords = {"chain": range(n_chains), "draw": range(n_draws), "component": range(K)}
    coords |= {"feature": names, "feature_other": names}
    diverging = np.arange(n_chains * n_draws).reshape(n_chains, n_draws) == 7
    stats = xr.Dataset(
        {"diverging": (("chain", "draw"), diverging)}, {name: coords[name] for name in ("chain", "draw")}
    )
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(draws, coords),
            "sample_stats": stats,
            "observed_data": xr.Dataset({"X": (("row", "feature"), X)}),
        }
    )
    tree.attrs |= {"aligned": 1, "covariance": covariance}
    return tree


def simulated(K, D, covariance="full", features=()):
    X, _, mixture = bg.datasets.simulate(300, K, D, separation=6, rng=1)
    em = bg.fit_em(X, K, covariance, start=mixture, max_iter=3)
    em = dataclasses.replace(em, parameters=dataclasses.replace(em.parameters, features=features))
    return em, posterior_near(em, X, covariance)


def weighted_densities(X, mixture):
    """(N, K), by SciPy."""
    return np.transpose(
        [
            w * multivariate_normal(mean, covariance).pdf(X)
            for w, mean, covariance in zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
        ]
    )


def responsibilities(X, mixture):
    densities = weighted_densities(X, mixture)
    return densities / densities.sum(axis=1, keepdims=True)


def mixed_colors(probabilities):
    """Colours of rows, the components' mixed."""
    return probabilities @ [to_rgb(bg.plots.component_style(k).color) for k in range(probabilities.shape[1])]


def component_rings(ax):
    """Line of each component, by its colour."""
    lines = [line for line in ax.lines if len(line.get_xdata()) > 1 and to_hex(line.get_color()) != "#ffffff"]
    return {to_hex(line.get_color()).upper(): line for line in lines}


def radii(points, mean, covariance):
    inverse = np.linalg.inv(covariance)
    return [mahalanobis(point, mean, inverse) for point in points]


def legend_texts(holder):
    legends = [holder.get_legend()] if hasattr(holder, "get_legend") else holder.legends
    return [text.get_text() for legend in legends for text in legend.get_texts()]


def case(K, D, N=80, features=()):
    rng = np.random.default_rng(K + 10 * D)
    draws = similar_draws(30, K, D, rng, spread=0.3)
    parameters = bg.MixtureParameters(*(array.mean(axis=0) for array in draws), features=features)
    X = parameters.sample(N, rng=1)[0]
    posterior = posterior_of(*draws, X)
    if features:
        for node in ("posterior", "observed_data"):
            dataset = posterior[node].to_dataset()
            posterior[node] = dataset.assign_coords({d: list(features) for d in dataset.dims if "feature" in d})
    return em_claiming(parameters, X), posterior


def data(K, D, N=120):
    return bg.datasets.simulate(N, K, D, separation=3, rng=2).X
