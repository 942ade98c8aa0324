"""Relabelling: which component of a draw is which component of the reference."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bayesgmm.exceptions import InputError
from bayesgmm.mixture.parameters import MixtureParameters

type FloatArray = NDArray[np.float64]


def align(posterior: xr.DataTree, reference: MixtureParameters) -> xr.DataTree:
    """Relabel every draw so that its components match those of a reference.

    A draw's labels are the permutation that maximises the expected complete-data log-likelihood of rows from the
    reference,

        sum_j w_j E[log v_s(j) + log N(x | m_s(j), S_s(j))],  x ~ N(mu_j, Sigma_j),

    over permutations s, where v, m, S are the draw's. It is Stephens' (2000, doi:10.1111/1467-9868.00265)
    Kullback-Leibler relabelling with the reference in the place of the data, so that its cost does not grow with the
    number of rows; the assignment problem is solved exactly, draw by draw.

    Parameters
    ----------
    posterior : DataTree with weights, means and covariances, as `sample_posterior` makes it.
    reference : MixtureParameters, usually `fit_em(...).parameters`.

    Returns
    -------
    A new DataTree, every variable of `posterior` that has a `component` dimension permuted. `sample_stats` gains
    `label` (chain, draw, component), which component of the draw stands at each place, and `label_clear` (chain, draw):
    whether the draw's components, each given to the component of the reference that it is nearest to (Bhattacharyya
    distance), make a permutation. Where they do not, the reference's components do not describe the draw. The share of
    such draws is the non-permutation rate of Malsiner-Walli, Fruehwirth-Schnatter and Gruen (2016,
    doi:10.1007/s11222-014-9500-2).

    Raises
    ------
    InputError
        The posterior lacks a variable, or the reference has another number of components or features.
    """
    draws = posterior["posterior"].to_dataset()
    missing = {"weights", "means", "covariances"} - set(draws.data_vars)
    if missing:
        raise InputError(
            f"posterior has no variable {', '.join(sorted(missing))}; align needs weights, means and covariances."
        )
    chains, n_draws, K, D = draws["means"].transpose("chain", "draw", "component", "feature").shape
    if reference.means.shape != (K, D):
        raise InputError(
            f"reference has {reference.n_components} components of {reference.n_features} features; the posterior has "
            f"{K} of {D}."
        )
    flat = {
        name: draws[name].values.reshape(-1, *draws[name].shape[2:]) for name in ("weights", "means", "covariances")
    }
    costs = label_costs(reference, **flat)
    labels = np.stack([linear_sum_assignment(cost)[1] for cost in costs])
    order = xr.DataArray(labels.reshape(chains, n_draws, K), dims=("chain", "draw", "component"))
    order = order.assign_coords(component=draws["component"])
    permuted = draws.map(lambda v: _permute(v, order) if "component" in v.dims else v)
    stats = posterior["sample_stats"].to_dataset().assign(label=order)
    nearest = bhattacharyya_distances(reference, flat["means"], flat["covariances"]).argmin(axis=1)
    clear = (np.sort(nearest, axis=1) == np.arange(K)).all(axis=1)
    stats = stats.assign(label_clear=(("chain", "draw"), clear.reshape(chains, n_draws)))
    aligned = posterior.copy()
    aligned["posterior"] = xr.DataTree(permuted)
    aligned["sample_stats"] = xr.DataTree(stats)
    aligned.attrs["aligned"] = 1
    return aligned


def label_costs(
    reference: MixtureParameters, weights: FloatArray, means: FloatArray, covariances: FloatArray
) -> FloatArray:
    """(S, K, K) cost of calling component k of a draw by the name of the reference's component j, at [s, j, k].

    -w_j E[log v_k + log N(x | m_k, S_k)] for x ~ N(mu_j, Sigma_j); weights (S, K), means (S, K, D), covariances
    (S, K, D, D).
    """
    inverses = np.linalg.inv(covariances)
    log_determinants = np.linalg.slogdet(covariances)[1]
    differences = reference.means[:, np.newaxis] - means[:, np.newaxis]  # (S, j, k, D)
    distances = np.einsum("sjkc,skcd,sjkd->sjk", differences, inverses, differences, optimize=True)
    traces = np.einsum("skcd,jdc->sjk", inverses, reference.covariances, optimize=True)
    with np.errstate(divide="ignore"):
        log_weights = np.maximum(np.log(weights), -700.0)
    log_2pi = means.shape[2] * np.log(2 * np.pi)
    cross_entropies = (
        0.5 * (log_2pi + log_determinants[:, np.newaxis] + distances + traces) - log_weights[:, np.newaxis]
    )
    return np.asarray(reference.weights[:, np.newaxis] * cross_entropies)


def bhattacharyya_distances(reference: MixtureParameters, means: FloatArray, covariances: FloatArray) -> FloatArray:
    """(S, K, K) distance of component k of a draw from component j of the reference, at [s, j, k].

    (m - mu)' S^-1 (m - mu) / 8 + log(|S| / sqrt(|C| |Sigma|)) / 2 with S = (C + Sigma) / 2 (Bhattacharyya 1943);
    means (S, K, D), covariances (S, K, D, D).
    """
    middle = 0.5 * (covariances[:, np.newaxis] + reference.covariances[:, np.newaxis])
    differences = reference.means[:, np.newaxis] - means[:, np.newaxis]
    solved = np.linalg.solve(middle, differences[..., np.newaxis])[..., 0]
    log_determinants = np.linalg.slogdet(covariances)[1]
    between = log_determinants[:, np.newaxis] + np.linalg.slogdet(reference.covariances)[1][:, np.newaxis]
    return np.asarray(
        np.einsum("sjkd,sjkd->sjk", differences, solved) / 8 + 0.5 * np.linalg.slogdet(middle)[1] - 0.25 * between
    )


def _permute(variable: xr.DataArray, order: xr.DataArray) -> xr.DataArray:
    axis = variable.dims.index("component")
    index = order.values.reshape(*order.shape[:2], *(-1 if dim == "component" else 1 for dim in variable.dims[2:]))
    return variable.copy(data=np.take_along_axis(variable.values, index, axis=axis))
