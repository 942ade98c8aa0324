"""ArviZ's pictures of the sampling: of the numbers that vary, under their own names."""

from collections.abc import Sequence
from inspect import signature
from textwrap import fill
from typing import Any

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from bayesgmm.bayes.diagnose import MIN_BFMI, posterior_entries
from bayesgmm.exceptions import InputError
from bayesgmm.mixture.entries import ALL, Entry, values_of
from bayesgmm.plots.style import COLORS, INK, MUTED, component_handles, percent, tidy

_PARAMETERS = ("weights", "means", "stds", "correlations")
_MOST_PANELS = 120
_COLUMNS = 4
_ENVELOPE = 0.99
# ArviZ 1.1 knows this method only; that of 1.3 takes draws for independent, and flags parameters of sound samples.
_RANK_METHOD = {"method": "envelope"} if "method" in signature(az.plot_rank).parameters else {}


def plot_trace(
    posterior: xr.DataTree,
    *,
    parameters: Sequence[str] = ("weights", "means"),
    features: Sequence[str] | None = None,
) -> Figure:
    """Draw ArviZ's marginal densities, a line a chain, and traces; all components of a parameter in one row.

    Components that exchange their labels are seen at once; whether chains agree is better seen in `plot_rank`.

    Parameters
    ----------
    posterior : DataTree, as `align` returns it.
    parameters : any of "weights", "means", "stds" and "correlations".
    features : names of the features whose parameters are drawn; by default all.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        A name in `parameters` or `features` is not the posterior's, none of what they name varies, or there are more than
        120 rows to draw.
    """
    rows: dict[str, list[Entry]] = {}
    for entry in _entries(posterior, parameters, features):
        rows.setdefault(f"{entry.parameter}: {entry.feature}" if entry.feature else entry.parameter, []).append(entry)
    _check_number(len(rows), "rows")
    # Names of features may hold a "/", names of variables in a DataTree may not.
    variables = {f"row {i}": _of_components(posterior, found) for i, found in enumerate(rows.values())}
    components = list(dict.fromkeys(entry.component for found in rows.values() for entry in found))
    with az.rc_context({"plot.max_subplots": 2 * len(rows)}):
        collection = az.plot_trace_dist(
            xr.DataTree.from_dict(
                {"posterior": xr.Dataset(variables), "sample_stats": posterior["sample_stats"].to_dataset()}
            ),
            backend="matplotlib",
            visuals={"trace": {"alpha": 0.7, "width": 0.5}, "label": False, "xlabel_trace": False},
            aes={"color": ["component"], "overlay": ["chain", "component"]},
            # ArviZ gives the first colour to what has no component.
            color=[INK, *COLORS] if ALL in components and len(components) > 1 else COLORS,
            linestyle=["-"] * 4,
            figure_kwargs=_figure_options(10, 0.7 + 1.4 * len(rows)),
        )
    figure = collection.viz["figure"].item()
    axes = np.reshape(figure.axes, (-1, 2))
    for (density, trace), title in zip(axes, rows, strict=True):
        density.set_title(title, fontsize=10, loc="left")
        tidy(density)
        tidy(trace)
        density.spines["left"].set_visible(False)
    axes[-1, 1].set_xlabel("draw", fontsize=9)
    handles = component_handles(components, marker=False)
    if posterior["sample_stats"]["diverging"].any():
        handles.append(Line2D([], [], color="black", marker="|", linestyle="", label="divergence"))
    return _with_legend(figure, handles)


def plot_rank(
    posterior: xr.DataTree,
    *,
    parameters: Sequence[str] = ("weights", "means"),
    features: Sequence[str] | None = None,
) -> Figure:
    """Draw ArviZ's rank plots: whether the chains are samples of one distribution, number by number.

    A line is the distribution function of a chain's ranks among all draws, less the uniform's. Chains that agree stay
    in the grey band.

    Parameters and errors are those of `plot_trace`; the limit is 120 panels.
    """
    found = _entries(posterior, parameters, features)
    _check_number(len(found), "panels")
    draws = posterior["posterior"].to_dataset()
    values = values_of(found, {name: draws[name].values for name in _PARAMETERS})
    variable = xr.DataArray(values, dims=("chain", "draw", "number"), coords={"chain": draws["chain"]})
    colors = [to_hex(color) for color in plt.get_cmap("viridis")(np.linspace(0, 0.9, draws.sizes["chain"]))]
    n_rows = -(-len(found) // _COLUMNS)
    with az.rc_context({"plot.max_subplots": len(found)}):
        collection = az.plot_rank(
            xr.DataTree.from_dict({"posterior": xr.Dataset({"x": variable})}),
            backend="matplotlib",
            envelope_prob=_ENVELOPE,
            thin=True,
            visuals={"title": False, "xlabel": False},
            col_wrap=_COLUMNS,
            color=colors,
            figure_kwargs=_figure_options(10, 0.8 + 1.7 * n_rows),
            **_RANK_METHOD,
        )
    figure = collection.viz["figure"].item()
    for ax, entry in zip(figure.axes, found, strict=False):
        ax.set_title(f"{entry.parameter}[{entry.component}]\n{fill(entry.feature, 32)}".strip(), fontsize=9)
        ax.tick_params(labelsize=9)
    figure.supxlabel("rank of a draw among the draws of all chains, as a fraction", fontsize=9)
    handles = [Line2D([], [], color=color, label=f"chain {chain}") for color, chain in zip(colors, draws["chain"].values)]
    handles.append(Patch(color=INK, alpha=0.1, label=f"{percent(_ENVELOPE)} band\nif chains agree"))
    return _with_legend(figure, handles)


def plot_energy(posterior: xr.DataTree) -> Figure:
    """Draw ArviZ's energy plot: whether the sampler sees the whole spread of the energy, chain by chain and in all.

    Parameters
    ----------
    posterior : DataTree, as `sample_posterior` or `align` returns it.

    Returns
    -------
    Figure
    """
    collection = az.plot_energy(
        posterior,
        backend="matplotlib",
        threshold=MIN_BFMI,
        visuals={"legend": False, "title": False},
        color=[INK, COLORS[1]],
        figure_kwargs=_figure_options(10, 3.2),
    )
    figure = collection.viz["figure"].item()
    fractions, energies = figure.axes
    fractions.set_xlabel("E-BFMI", fontsize=9)
    fractions.yaxis.set_major_locator(MaxNLocator(integer=True))
    energies.set_xlabel("energy (nats)", fontsize=9)
    handles = [
        Line2D([], [], color=INK, label="energy, from its mean"),
        Line2D([], [], color=COLORS[1], label="change from draw to draw"),
        Line2D([], [], color=MUTED, linestyle="--", label=f"E-BFMI of {MIN_BFMI}: lower is\ntoo little exploration"),
    ]
    return _with_legend(figure, handles)


def _entries(posterior: xr.DataTree, parameters: Sequence[str], features: Sequence[str] | None) -> list[Entry]:
    names = tuple(map(str, posterior["posterior"].to_dataset()["feature"].values))
    chosen = names if features is None else tuple(features)
    for what, received, known in (("parameters", parameters, _PARAMETERS), ("features", chosen, names)):
        unknown = [repr(name) for name in received if name not in known]
        if isinstance(received, str) or unknown:
            raise InputError(
                f"{what} must be a list of names among {', '.join(known)}; received {', '.join(unknown) or repr(received)}."
            )
    index = {names.index(name) for name in chosen}
    found = [
        entry
        for entry in posterior_entries(posterior)
        if entry.parameter in parameters and (entry.feature == ALL or index.issuperset(entry.index[1:]))
    ]
    if not found:
        raise InputError(f"nothing that parameters={list(parameters)} names varies in this posterior. Name others.")
    return found


def _check_number(n: int, what: str) -> None:
    if n > _MOST_PANELS:
        raise InputError(
            f"{n} {what} are to be drawn; one picture holds at most {_MOST_PANELS}. Choose with parameters= and features=, "
            f"such as parameters=['weights']."
        )


def _of_components(posterior: xr.DataTree, found: list[Entry]) -> xr.DataArray:
    """One number of each component, or one that they share."""
    draws = posterior["posterior"].to_dataset()
    values = values_of(found, {found[0].parameter: draws[found[0].parameter].values})
    coords = {"chain": draws["chain"], "draw": draws["draw"]}
    if found[0].component == ALL:
        return xr.DataArray(values[..., 0], dims=("chain", "draw"), coords=coords)
    coords["component"] = [entry.component for entry in found]
    return xr.DataArray(values, dims=("chain", "draw", "component"), coords=coords)


def _figure_options(width: float, height: float) -> dict[str, Any]:
    return {"figsize": (width, height), "figsize_units": "inches", "layout": "constrained"}


def _with_legend(figure: Figure, handles: list[Any]) -> Figure:
    figure.legend(handles=handles, loc="outside right upper", frameon=False, fontsize=9)
    return figure
