"""Convergence of chains: R-hat and effective draws, and whether sampling may stop."""

from collections.abc import Hashable, Sequence
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.draws import log_densities_of_draws
from bayesgmm.thresholds import Thresholds
from bayesgmm.types import FloatArray

_N_POINTS = 8


def converged(posterior: xr.DataTree) -> bool:
    """Whether what does not depend on labels has R-hat at most 1.01 and 400 effective draws, bulk and tail."""
    draws, stats = posterior["posterior"].to_dataset(), posterior["sample_stats"].to_dataset()
    return not failing(
        convergence(*_label_free(posterior, draws, stats)), Thresholds(), "r_hat", "ess_bulk", "ess_tail"
    )


def label_free_r_hat(posteriors: Sequence[xr.DataTree]) -> float:
    """The largest R-hat of what does not depend on labels over the chains of several posteriors of the same rows.

    Of each as many draws as the shortest has, evenly spaced. Infinite when some R-hat cannot be said.
    """
    values = []
    for posterior in posteriors:
        draws, stats = posterior["posterior"].to_dataset(), posterior["sample_stats"].to_dataset()
        values.append(_label_free(posterior, draws, stats)[0])
    n = min(chains.shape[1] for chains in values)
    even = [chains[:, spaced(chains.shape[1], n)] for chains in values]
    names = [str(i) for i in range(values[0].shape[-1])]
    largest = convergence(np.concatenate(even), names)["r_hat"].max(skipna=False)
    return float(largest) if np.isfinite(largest) else float("inf")


def convergence(values: FloatArray, names: list[str]) -> pd.DataFrame:
    """R-hat and effective draws of each quantity; values (chain, draw, quantity). What cannot be said is NaN."""
    data = xr.Dataset({"x": (("chain", "draw", "quantity"), values)})
    with np.errstate(all="ignore"):  # constant or missing draws give NaN, which is reported as a failure
        columns = {
            "r_hat": az.rhat(data)["x"].values,
            "ess_bulk": az.ess(data, method="bulk")["x"].values,
            "ess_tail": az.ess(data, method="tail")["x"].values,
        }
    table = pd.DataFrame(columns, index=pd.Index(names, name="quantity"))
    constant = np.ptp(values, axis=1).min(axis=0) == 0  # a chain that did not move
    table.loc[constant | ~np.isfinite(values).all(axis=(0, 1)), :] = np.nan
    return table


def _label_free(posterior: xr.DataTree, draws: xr.Dataset, stats: xr.Dataset) -> tuple[FloatArray, list[str]]:
    """(chain, draw, quantity) log posterior, log-likelihood, and log density at a few rows spread over the data."""
    quantities, names = [stats["lp"].values], ["log posterior"]
    if "total_log_likelihood" in stats:
        quantities.append(stats["total_log_likelihood"].values)
        names.append("log-likelihood")
    if "observed_data" in posterior and {"weights", "means", "covariances"} <= set(draws.data_vars):
        # In one layout, whatever the file or the caller had: the sign of the principal axis, and so the order of the
        # rows, must not depend on it.
        X = np.ascontiguousarray(posterior["observed_data"].to_dataset()["X"].values)
        points = X[_spread(X)]
        flat = {
            name: draws[name].values.reshape(-1, *draws[name].shape[2:]) for name in ("weights", "means", "covariances")
        }
        densities = np.array(list(log_densities_of_draws(points, **flat)))
        densities = densities.reshape(draws.sizes["chain"], draws.sizes["draw"], len(points))
        quantities += list(np.moveaxis(densities, -1, 0))
        names += [f"log density at row {row}" for row in _spread(X)]
    return np.stack(quantities, axis=-1), names


def _spread(X: NDArray[Any]) -> NDArray[np.intp]:
    """Row numbers at evenly spaced ranks along the data's first principal axis."""
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    axis = np.linalg.eigh(np.cov(scaled, rowvar=False).reshape(X.shape[1], -1))[1][:, -1]
    ranks = spaced(len(X), _N_POINTS)
    return np.asarray(np.argsort(scaled @ axis, kind="stable")[ranks])


def failing(table: pd.DataFrame, thresholds: Thresholds, *columns: str) -> list[Hashable]:
    """Quantities that do not pass; NaN does not."""
    passing = np.ones(len(table), dtype=bool)
    for column in columns:
        within = table[column] <= thresholds.max_rhat if column == "r_hat" else table[column] >= thresholds.min_ess
        passing &= within.to_numpy()
    return list(table.index[~passing])
