"""ArviZ's pictures of the sampling: of the numbers that vary, under their own names."""

from collections.abc import Sequence
from typing import Any

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bayesgmm.bayes.diagnose import MIN_BFMI, posterior_entries
from bayesgmm.exceptions import InputError
from bayesgmm.mixture.entries import ALL, Entry, values_of
from bayesgmm.plots.style import COLORS, INK, component_handles, tidy

_PARAMETERS = ("weights", "means", "stds", "correlations")
_MOST_PANELS = 120


def plot_trace(
    posterior: xr.DataTree,
    *,
    parameters: Sequence[str] = ("weights", "means"),
    features: Sequence[str] | None = None,
) -> Figure:
    """Draw ArviZ's traces and marginal densities, the components of a parameter in one panel.

    Components that exchange their labels are seen at once; whether chains agree is better seen in `plot_rank`.

    Parameters
    ----------
    posterior : DataTree from `align`.
    parameters : any of "weights", "means", "stds" and "correlations".
    features : names of the features whose parameters are drawn; by default all.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        `parameters` or `features` name what the posterior does not have or what does not vary in it, or more than 120
        rows would be drawn.
    """
    rows: dict[str, list[Entry]] = {}
    for entry in _entries(posterior, parameters, features):
        rows.setdefault(f"{entry.parameter}: {entry.feature}" if entry.feature else entry.parameter, []).append(entry)
    _check_number(len(rows), "rows")
    # Names of features may hold a "/", names of variables in a DataTree may not.
    variables = {f"row {i}": _of_components(posterior, found) for i, found in enumerate(rows.values())}
    groups = {"posterior": xr.Dataset(variables), "sample_stats": posterior["sample_stats"].to_dataset()}
    shared = any("component" not in variable.dims for variable in variables.values())
    collection = az.plot_trace_dist(
        xr.DataTree.from_dict(groups),
        labeller=az.labels.MapLabeller(var_name_map=dict(zip(variables, rows, strict=True))),
        visuals={"trace": {"alpha": 0.6, "width": 0.6}, "label": {"size": 9}, "xlabel_trace": {"size": 9}},
        aes={"color": ["component"], "overlay": ["chain", "component"], "linestyle": []},
        color=[INK, *COLORS] if shared else list(COLORS),
        **_sized(10, 0.6 + 1.6 * len(rows)),
    )
    return _finished(collection, component_handles(_components(rows)))


def plot_rank(
    posterior: xr.DataTree,
    *,
    parameters: Sequence[str] = ("weights", "means"),
    features: Sequence[str] | None = None,
) -> Figure:
    """Draw ArviZ's rank plots: whether the chains are from one distribution, number by number.

    Parameters and errors are those of `plot_trace`.
    """
    found = _entries(posterior, parameters, features)
    _check_number(len(found), "panels")
    return Figure()
