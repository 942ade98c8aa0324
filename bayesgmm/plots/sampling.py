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

from bayesgmm.errors import InputError
from bayesgmm.mixture.scalars import Entry
from bayesgmm.plots.selection import MOST_NUMBERS, draws_of, entries_named
from bayesgmm.plots.style import COLORS, INK, LEGEND, MUTED, literal, percent, tidy
from bayesgmm.thresholds import Thresholds

_ENVELOPE = 0.99
# ArviZ 1.1 draws an envelope only. Later releases prefer "mtc_c", which takes draws for independent and flags one
# parameter in twenty of sound samples.
_RANK_METHOD = {"method": "envelope"} if "method" in signature(az.plot_rank).parameters else {}
# The envelope for several chains is wrong: with arviz-stats 1.3.3, some of eight independent chains leaves the 99 %
# band two times in three, and for two chains it is as wide as the axis. That for one chain kept 99 % with two to eight.
_RANK_STATS = {"ecdf_pit": {"n_chains": 1}}


def plot_trace(
    posterior: xr.DataTree,
    *,
    parameters: Sequence[str] = ("weights", "means"),
    features: Sequence[str] | None = None,
) -> Figure:
    """Draw ArviZ's traces: each number of the mixture, draw after draw, a line a chain.

    Parameters
    ----------
    posterior : DataTree, as `align` returns it.
    parameters : any of "weights", "means", "stds" and "correlations"; what the model fixes is left out.
    features : names of the features whose parameters are drawn; by default all.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        A name in `parameters` or `features` is not one of the posterior's, nothing that they name varies, or more than
        120 numbers are to be drawn.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_galaxies(), 1, draws=200, rng=1, progress=False)
    >>> figure = bg.plots.plot_trace(posterior, parameters=["means", "stds"])
    >>> [ax.get_title() for ax in figure.axes]
    ['means[0, velocity]', 'stds[0, velocity]']
    """
    found = entries_named(posterior, parameters, features)
    figure = _panels(az.plot_trace, posterior, found, 3, visuals={"trace": {"width": 0.5, "alpha": 0.8}})
    figure.supxlabel("draw", fontsize=9)
    handles = _chain_handles(posterior)
    stats = posterior["sample_stats"].to_dataset()
    if "diverging" in stats and stats["diverging"].any():
        handles.append(Line2D([], [], color="black", marker="|", linestyle="", label="divergence"))
    figure.legend(handles=handles, loc="outside right upper", **LEGEND)
    return figure


def plot_rank(
    posterior: xr.DataTree,
    *,
    parameters: Sequence[str] = ("weights", "means"),
    features: Sequence[str] | None = None,
) -> Figure:
    """Draw ArviZ's rank plots: whether the chains are samples of one distribution.

    A line is the distribution function of a chain's ranks among all draws, less that of uniform ranks. Chains
    that agree stay in the grey band.

    Parameters
    ----------
    posterior : DataTree, as `align` returns it.
    parameters : any of "weights", "means", "stds" and "correlations"; what the model fixes is left out.
    features : names of the features whose parameters are drawn; by default all.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        As `plot_trace` does.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_galaxies(), 1, draws=200, rng=1, progress=False)
    >>> figure = bg.plots.plot_rank(posterior, parameters=["means", "stds"])
    >>> [ax.get_title() for ax in figure.axes]
    ['means[0, velocity]', 'stds[0, velocity]']
    """
    found = entries_named(posterior, parameters, features)
    visuals = {"ecdf_lines": {"width": 1}}
    posterior = _thinned(posterior, found)
    options = {"thin": False, "envelope_prob": _ENVELOPE, "stats": _RANK_STATS, **_RANK_METHOD}
    figure = _panels(az.plot_rank, posterior, found, 4, visuals=visuals, **options)
    figure.axes[0].set_xticks([0, 0.5, 1])  # the panels share it
    figure.supxlabel("rank of a draw among those of all chains, as a fraction", fontsize=9)
    band = Patch(color=INK, alpha=0.1, linewidth=0, label=f"{percent(_ENVELOPE)} band\nif chains agree")
    figure.legend(handles=[*_chain_handles(posterior), band], loc="outside right upper", **LEGEND)
    return figure


def plot_energy(posterior: xr.DataTree) -> Figure:
    """Draw ArviZ's energy plot: whether the sampler sees the whole spread of the energy, chain by chain and in all.

    Parameters
    ----------
    posterior : DataTree, as `sample_posterior` or `align` returns it.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        The sampler has no energy: `preconditioning` is "independent" or "allocation".

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_galaxies()
    >>> prior = bg.Prior.for_data(X, std=bg.priors.Uniform(100, 30_000))  # which is sampled by NUTS
    >>> posterior = bg.sample_posterior(X, 1, prior=prior, draws=200, rng=1, progress=False)
    >>> fractions, energies = bg.plots.plot_energy(posterior).axes
    >>> fractions.get_xlabel(), energies.get_xlabel()
    ('E-BFMI', 'energy (nats)')
    """
    if "energy" not in posterior["sample_stats"].to_dataset():
        raise InputError(
            "posterior has no energy to draw: its sample_stats hold none, as where sample_posterior takes "
            "independent proposals or Gibbs sampling. Look at plot_trace and plot_rank."
        )
    least = Thresholds().min_bfmi
    collection = az.plot_energy(
        posterior,
        backend="matplotlib",
        kind="kde",
        threshold=least,
        visuals={"legend": False, "title": False, "face": {"alpha": 0.2}},
        color=[INK, COLORS[1]],
        figure_kwargs={"figsize": (10, 3.2), "figsize_units": "inches", "layout": "constrained"},
    )
    figure: Figure = collection.viz["figure"].item()
    fractions, energies = figure.axes
    tidy(fractions)
    tidy(energies)
    fractions.set_xlabel("E-BFMI", fontsize=9)
    fractions.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    fractions.set_ylim(-0.5, posterior["sample_stats"].sizes["chain"] - 0.5)
    energies.set_xlabel("energy (nats)", fontsize=9)
    handles = [
        Line2D([], [], color=INK, label="energy, from its mean"),
        Line2D([], [], color=COLORS[1], label="change from draw to draw"),
        Line2D([], [], color=MUTED, linestyle="--", label=f"E-BFMI of {least}: lower is\ntoo little exploration"),
    ]
    figure.legend(handles=handles, loc="outside right upper", **LEGEND)
    return figure


def _panels(
    plot: Any, posterior: xr.DataTree, found: list[Entry], n_columns: int, visuals: dict[str, Any], **options: Any
) -> Figure:
    """One of ArviZ's plots with a panel a number."""
    draws, values = posterior["posterior"].to_dataset(), draws_of(posterior, found)
    # One variable, as the names of features may hold a "/", and names of variables in a DataTree may not.
    coords = {"chain": draws["chain"], "draw": draws["draw"], "number": np.arange(len(found))}
    variable = xr.DataArray(values, coords, ("chain", "draw", "number"))
    groups = {"posterior": xr.Dataset({"x": variable}), "sample_stats": posterior["sample_stats"].to_dataset()}
    height = 0.8 + 1.6 * -(-len(found) // n_columns)
    with az.rc_context({"plot.max_subplots": MOST_NUMBERS}):
        collection = plot(
            xr.DataTree.from_dict(groups),
            backend="matplotlib",
            visuals={"title": False, "xlabel": False, **visuals},
            col_wrap=n_columns,
            color=_chain_colors(draws.sizes["chain"]),
            figure_kwargs={"figsize": (10, height), "figsize_units": "inches", "layout": "constrained"},
            **options,
        )
    figure: Figure = collection.viz["figure"].item()
    for ax, entry in zip(figure.axes, found, strict=False):
        ax.set_title(literal(fill(entry.name, 34)), fontsize=9)
        tidy(ax)
    return figure


def _thinned(posterior: xr.DataTree, found: list[Entry]) -> xr.DataTree:
    """Every so many draws, so that those left are about independent within their chain.

    ArviZ thins by the effective draws of all chains together, and leaves a handful when chains disagree.
    """
    values = draws_of(posterior, found)
    n_draws = values.shape[1]
    alone = xr.Dataset({"x": (("chain", "draw", "each"), np.moveaxis(values, 0, -1).reshape(1, n_draws, -1))})
    effective = np.minimum(*(az.ess(alone, method=method)["x"].values for method in ("bulk", "tail"))).mean()
    step = int(np.ceil(n_draws / effective)) if effective > 0 else 1  # a chain that never moved has none
    return posterior.isel(draw=slice(None, None, step))


def _chain_colors(n_chains: int) -> list[str]:
    """From dark to light: chains are not components, and have other colours."""
    return [to_hex(color) for color in plt.get_cmap("viridis")(np.linspace(0, 0.85, n_chains))]


def _chain_handles(posterior: xr.DataTree) -> list[Any]:
    chains = posterior["posterior"].to_dataset()["chain"].values
    return [
        Line2D([], [], color=color, label=f"chain {chain}")
        for color, chain in zip(_chain_colors(len(chains)), chains, strict=True)
    ]
