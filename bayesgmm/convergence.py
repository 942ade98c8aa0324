"""Convergence of chains: R-hat and effective draws, and whether sampling may stop."""

from collections.abc import Hashable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from bayesgmm.draw_statistics import effective_draws, r_hat
from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.draws import finite_draws, log_densities_of_draws
from bayesgmm.mixture.matching import are_permutations, best_assignments, label_costs
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.mixture.scalars import PARAMETERS, scalar_values, scalars_of
from bayesgmm.thresholds import Thresholds
from bayesgmm.types import BoolArray, FloatArray, IntArray, RowArray
from bayesgmm.wording import count

type ConvergenceColumn = Literal["r_hat", "ess_bulk", "ess_tail"]

# Rows whose log density is monitored: enough to see every part of the data, few enough to cost little per check.
_N_MONITORED_ROWS = 8
_STATISTICS = {"lp": "log posterior", "total_log_likelihood": "log-likelihood"}
FEWEST_DRAWS = 4  # per chain; with fewer ArviZ computes no R-hat and no effective draws
# Draws per batch of relabelling, which bounds its memory.
_BATCH = 1000
_MIXTURE_VARIABLES = ("weights", "means", "covariances")


class Labels(NamedTuple):
    """What tells the components of draws apart: a mixture near them, and their covariance structure."""

    reference: MixtureParameters
    covariance: str


def converged(posterior: xr.DataTree, thresholds: Thresholds, labels: Labels | None = None) -> bool:
    """Whether R-hat and effective draws are within `max_r_hat` and `min_ess`; see `shortfall`."""
    return not shortfall(posterior, thresholds, labels)


def shortfall(posterior: xr.DataTree, thresholds: Thresholds, labels: Labels | None = None) -> str:
    """The worst R-hat and the fewest effective draws, in words, if they fail; empty if the draws have converged.

    The label-free quantities count. If these pass and `labels` are given, the parameters count too, relabelled, unless
    the draws have no clear labels.
    """
    n_draws = posterior["sample_stats"].to_dataset().sizes["draw"]
    if n_draws < FEWEST_DRAWS:
        return f"only {count(n_draws, 'draw')} per chain"
    failure = _failure(convergence(*label_free_quantities(posterior)), thresholds)
    if failure or labels is None:
        return failure
    parameters = relabelled_parameters(posterior, labels, thresholds)
    return "" if parameters is None else _failure(convergence(*parameters), thresholds)


def _failure(table: pd.DataFrame, thresholds: Thresholds) -> str:
    """The worst entry of each kind that fails, in words."""
    parts = []
    if failing_quantities(table, thresholds, "r_hat"):
        r_hat_of = table["r_hat"].fillna(np.inf)
        value = float(table["r_hat"].iloc[int(r_hat_of.argmax())])
        shown = "undefined" if np.isnan(value) else f"{value:.3f} (at most {thresholds.max_r_hat:g} is wanted)"
        parts.append(f"R-hat of {r_hat_of.idxmax()} is {shown}")
    if failing_quantities(table, thresholds, "ess_bulk", "ess_tail"):
        fewest = table[["ess_bulk", "ess_tail"]].min(axis=1, skipna=False).fillna(-1.0)
        value = fewest.min()
        shown = "an unknown number of" if value < 0 else f"{value:.0f}"
        parts.append(f"{fewest.idxmin()} has {shown} effective draws (at least {thresholds.min_ess:g} are wanted)")
    return "; ".join(parts)


def relabelled_parameters(
    posterior: xr.DataTree, labels: Labels, thresholds: Thresholds
) -> tuple[FloatArray, list[str]] | None:
    """Draws (chain, draw, n) and names of the free parameters, relabelled; None if the labels are unclear.

    The labels of a draw are clear if each component of the reference is nearest to another component of the draw.
    """
    draws = posterior["posterior"].to_dataset()
    arrays = {name: draws[name].values.reshape(-1, *draws[name].shape[2:]) for name in (*PARAMETERS, "covariances")}
    labels_of_batches, n_clear = [], 0
    for start in range(0, len(arrays["weights"]), _BATCH):
        w, m, c = (arrays[name][start : start + _BATCH] for name in _MIXTURE_VARIABLES)
        costs = label_costs(labels.reference, w, m, c)
        nearest = costs.argmin(axis=2)
        clear = are_permutations(nearest)
        n_clear += int(clear.sum())
        nearest[~clear] = best_assignments(costs[~clear])
        labels_of_batches.append(nearest)
    if n_clear < thresholds.min_label_clear * len(arrays["weights"]):
        return None
    order = np.concatenate(labels_of_batches)
    sorted_arrays = {
        name: np.take_along_axis(arrays[name], order.reshape(*order.shape, *[1] * (arrays[name].ndim - 2)), axis=1)
        for name in PARAMETERS
    }
    scalars = scalars_of(order.shape[1], labels.reference.features, labels.covariance)
    values = scalar_values(scalars, sorted_arrays).reshape(draws.sizes["chain"], draws.sizes["draw"], len(scalars))
    varies = np.ptp(values, axis=(0, 1)) > 0  # the prior may fix the standard deviations
    return values[..., varies], [scalar.name for scalar, free in zip(scalars, varies, strict=True) if free]


def label_free_r_hat(posteriors: Sequence[xr.DataTree]) -> float:
    """Largest R-hat of the label-free quantities over the pooled chains of several posteriors of the same rows.

    Longer posteriors are thinned evenly to the length of the shortest. Infinite if any R-hat is undefined.
    """
    draws_of_posteriors = [label_free_quantities(posterior)[0] for posterior in posteriors]
    n_draws = min(draws.shape[1] for draws in draws_of_posteriors)
    thinned = [draws[:, spaced(draws.shape[1], n_draws)] for draws in draws_of_posteriors]
    names = [str(i) for i in range(draws_of_posteriors[0].shape[-1])]
    largest = convergence(np.concatenate(thinned), names)["r_hat"].max(skipna=False)
    return float(largest) if np.isfinite(largest) else float("inf")


def convergence(values: FloatArray, names: list[str]) -> pd.DataFrame:
    """Table of `r_hat`, `ess_bulk` and `ess_tail`, one row per quantity.

    values (chain, draw, quantity). Undefined statistics are NaN: all three if a chain is constant or a draw is not
    finite, R-hat if there is one chain.
    """
    with np.errstate(all="ignore"):  # constant and missing draws give NaN, which counts as a failure
        columns = {
            "r_hat": r_hat(values),
            "ess_bulk": effective_draws(values, "bulk"),
            "ess_tail": effective_draws(values, "tail"),
        }
    table = pd.DataFrame(columns, index=pd.Index(names, name="quantity"))
    has_constant_chain = np.ptp(values, axis=1).min(axis=0) == 0
    table.loc[has_constant_chain | ~np.isfinite(values).all(axis=(0, 1)), :] = np.nan
    return table


def failing_quantities(table: pd.DataFrame, thresholds: Thresholds, *columns: ConvergenceColumn) -> list[Hashable]:
    """Names of the quantities of a `convergence` table that fail in one of these columns. NaN fails."""
    passing = np.ones(len(table), dtype=bool)
    for column in columns:
        if column == "r_hat":
            passing &= (table[column] <= thresholds.max_r_hat).to_numpy()
        else:
            passing &= (table[column] >= thresholds.min_ess).to_numpy()
    return list(table.index[~passing])


def label_free_quantities(posterior: xr.DataTree) -> tuple[FloatArray, list[str]]:
    """Draws (chain, draw, quantity) and names of quantities that do not depend on the order of components.

    These are the log posterior, the log-likelihood, and the log density at a few rows spread over the data, as far as
    the posterior holds what they need. If it holds nothing of it, they are the means of the whole mixture. A draw that
    is no mixture has NaN.
    """
    draws = posterior["posterior"].to_dataset()
    stats = posterior["sample_stats"].to_dataset() if "sample_stats" in posterior else xr.Dataset()
    quantities = [stats[name].values for name in ("lp", "total_log_likelihood") if name in stats]
    names = [title for name, title in _STATISTICS.items() if name in stats]
    is_mixture = set(_MIXTURE_VARIABLES) <= set(draws.data_vars)
    if "observed_data" in posterior and is_mixture:
        # C order, because rounding in the principal axis may depend on the memory layout, and with it the rows chosen.
        X = np.ascontiguousarray(posterior["observed_data"].to_dataset()["X"].values)
        monitored = _rows_along_principal_axis(X)
        quantities += list(np.moveaxis(_log_densities(draws, X[monitored]), -1, 0))
        names += [f"log density at row {row}" for row in monitored]
    if not quantities and is_mixture:
        overall = (draws["weights"] * draws["means"]).sum("component").transpose("chain", "draw", "feature")
        quantities = list(np.moveaxis(overall.values, -1, 0))
        names = [f"mean of all components, {feature}" for feature in draws["feature"].values]
    return np.stack(quantities, axis=-1).astype(np.float64), names


def _log_densities(draws: xr.Dataset, rows: RowArray) -> FloatArray:
    """(chain, draw, n) log density of rows (n, D) under every draw; NaN under draws that are no mixtures."""
    weights, means, covariances = (
        draws[name].values.reshape(-1, *draws[name].shape[2:]) for name in _MIXTURE_VARIABLES
    )
    proper = _proper_draws(weights, means, covariances)
    log_densities = np.full((len(weights), len(rows)), np.nan)
    if proper.any():
        mixtures = weights[proper], means[proper], covariances[proper]
        log_densities[proper] = list(log_densities_of_draws(rows, *mixtures))
    return log_densities.reshape(draws.sizes["chain"], draws.sizes["draw"], len(rows))


def _proper_draws(weights: FloatArray, means: FloatArray, covariances: FloatArray) -> BoolArray:
    """(S,) whether a draw is finite and its covariances are positive definite."""
    proper = finite_draws(weights, means, covariances)
    try:
        np.linalg.cholesky(covariances[proper])
    except np.linalg.LinAlgError:
        proper[proper] = [_is_positive_definite(matrices) for matrices in covariances[proper]]
    return proper


def _is_positive_definite(matrices: FloatArray) -> bool:
    try:
        np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        return False
    return True


def _rows_along_principal_axis(X: RowArray) -> IntArray:
    """Row numbers at evenly spaced ranks along the data's first principal axis."""
    deviations, stds = X - X.mean(axis=0), X.std(axis=0)
    standardised = deviations / np.where(stds > 0, stds, 1.0)  # a constant column does not matter
    axis = np.linalg.eigh(np.cov(standardised, rowvar=False).reshape(X.shape[1], -1))[1][:, -1]
    ranks = spaced(len(X), _N_MONITORED_ROWS)
    return np.asarray(np.argsort(standardised @ axis, kind="stable")[ranks])
