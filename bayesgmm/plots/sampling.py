"""ArviZ's plots of the sampling, one panel per scalar that varies, under the names of the mixture."""

from collections.abc import Callable, Sequence
from inspect import signature
from textwrap import fill
from typing import Any

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bayesgmm.convergence import FEWEST_DRAWS
from bayesgmm.errors import InputError
from bayesgmm.escaping import matplotlib_text
from bayesgmm.mixture.scalars import Scalar
from bayesgmm.plots.legends import LEGEND, Handle, area, line, marks
from bayesgmm.plots.selection import MOST_SCALARS, draws_of, varying_scalars
from bayesgmm.plots.style import COLORS, INK, MUTED, percent, shown_once, tidy
from bayesgmm.posterior.draws import mixture_dataset, sample_stats
from bayesgmm.thresholds import Thresholds
from bayesgmm.wording import count

_ENVELOPE = 0.99
# ArviZ 1.1 has only this method; later releases default to "mtc_c", which takes the draws to be independent.
_RANK_METHOD = {"method": "envelope"} if "method" in signature(az.plot_rank).parameters else {}
# ArviZ's envelope for several chains is too narrow or too wide; the one for a single chain is right. See
# docs/decisions/0060.
_RANK_STATS = {"ecdf_pit": {"n_chains": 1}}


@shown_once
def plot_trace(
    posterior: xr.DataTree,
    *,
    parameters: Sequence[str] = ("weights", "means"),
    features: Sequence[str] | None = None,
) -> Figure:
    """Draw ArviZ's traces: every scalar of the mixture, draw by draw, one line per chain.

    Parameters
    ----------
    posterior : DataTree, as `align` returns it.
    parameters : any of "weights", "means", "stds" and "correlations"; parameters that the model fixes are not drawn.
    features : names of the features whose parameters are drawn; by default all.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        A name in `parameters` or `features` is not one of the posterior's, nothing that they name varies, or more than
        120 scalars are to be drawn.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_galaxies(), 1, draws=200, rng=1, progress=False)
    >>> figure = bg.plots.plot_trace(posterior, parameters=["means", "stds"])
    >>> [ax.get_title() for ax in figure.axes]
    ['means[0, velocity]', 'stds[0, velocity]']
    """
    scalars = varying_scalars(posterior, parameters, features)
    figure = _panels(az.plot_trace, posterior, scalars, 3, visuals={"trace": {"width": 0.5, "alpha": 0.8}})
    figure.supxlabel("draw", fontsize=9)
    handles = _chain_handles(posterior)
    stats = sample_stats(posterior)
    if "diverging" in stats and stats["diverging"].any():
        handles.append(marks("divergence", color="black", marker="|"))
    figure.legend(handles=handles, loc="outside right upper", **LEGEND)
    return figure


@shown_once
def plot_rank(
    posterior: xr.DataTree,
    *,
    parameters: Sequence[str] = ("weights", "means"),
    features: Sequence[str] | None = None,
) -> Figure:
    """Draw ArviZ's rank plots, which show whether the chains sample the same distribution.

    A line is the distribution function of a chain's ranks among all draws, minus that of uniform ranks. Chains that
    agree stay in the grey band.

    Parameters
    ----------
    posterior : DataTree, as `align` returns it.
    parameters : any of "weights", "means", "stds" and "correlations"; parameters that the model fixes are not drawn.
    features : names of the features whose parameters are drawn; by default all.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        As for `plot_trace`.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_galaxies(), 1, draws=200, rng=1, progress=False)
    >>> figure = bg.plots.plot_rank(posterior, parameters=["means", "stds"])
    >>> [ax.get_title() for ax in figure.axes]
    ['means[0, velocity]', 'stds[0, velocity]']
    """
    scalars = varying_scalars(posterior, parameters, features)
    if (n_draws := mixture_dataset(posterior).sizes["draw"]) < FEWEST_DRAWS:
        raise InputError(f"posterior has {count(n_draws, 'draw')} per chain; ranks need {FEWEST_DRAWS}. Draw more.")
    visuals = {"ecdf_lines": {"width": 1}}
    posterior = _thinned(posterior, scalars)
    options = {"thin": False, "envelope_prob": _ENVELOPE, "stats": _RANK_STATS, **_RANK_METHOD}
    figure = _panels(az.plot_rank, posterior, scalars, 4, visuals=visuals, **options)
    figure.axes[0].set_xticks([0, 0.5, 1])  # the panels share it
    figure.supxlabel("rank of a draw among those of all chains, as a fraction", fontsize=9)
    band = area(f"{percent(_ENVELOPE)} band\nif chains agree", color=INK, alpha=0.1, linewidth=0)
    figure.legend(handles=[*_chain_handles(posterior), band], loc="outside right upper", **LEGEND)
    return figure


@shown_once
def plot_energy(posterior: xr.DataTree) -> Figure:
    """Draw ArviZ's energy plot, which shows whether each chain explores the whole range of the energy.

    Parameters
    ----------
    posterior : DataTree, as `sample_posterior` or `align` returns it.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        The sampler has no energy; only NUTS has one.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_galaxies()
    >>> prior = bg.Prior.for_data(X, std=bg.priors.Uniform(100, 30_000))  # sampled by NUTS
    >>> posterior = bg.sample_posterior(X, 1, prior=prior, draws=200, rng=1, progress=False)
    >>> fractions, energies = bg.plots.plot_energy(posterior).axes
    >>> fractions.get_xlabel(), energies.get_xlabel()
    ('E-BFMI', 'energy (nats)')
    """
    stats = sample_stats(posterior)
    if "energy" not in stats:
        raise InputError(
            "posterior has no energy to draw (energy in its group sample_stats): only NUTS records one, and "
            "sample_posterior took independent proposals or Gibbs sampling, or the group was lost. Use plot_trace and "
            "plot_rank."
        )
    if not np.isfinite(stats["energy"].values).all() or np.ptp(stats["energy"].values, axis=1).min() == 0:
        raise InputError("posterior has energies that are NaN or all equal in a chain. See diagnose(posterior).")
    lowest = Thresholds().min_bfmi
    collection = az.plot_energy(
        posterior,
        backend="matplotlib",
        kind="kde",
        threshold=lowest,
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
    fractions.set_ylim(-0.5, stats.sizes["chain"] - 0.5)
    energies.set_xlabel("energy (nats)", fontsize=9)
    handles = [
        line("energy, from its mean", color=INK),
        line("change from draw to draw", color=COLORS[1]),
        line(f"E-BFMI of {lowest}: lower is\ntoo little exploration", color=MUTED, linestyle="--"),
    ]
    figure.legend(handles=handles, loc="outside right upper", **LEGEND)
    return figure


def _panels(
    plot: Callable[..., Any],
    posterior: xr.DataTree,
    scalars: list[Scalar],
    n_columns: int,
    visuals: dict[str, Any],
    **options: Any,
) -> Figure:
    """The figure of one of ArviZ's plotting functions, with one panel per scalar."""
    draws, values = mixture_dataset(posterior), draws_of(posterior, scalars)
    # All scalars are one variable: a DataTree allows no "/" in a variable's name, but a feature's name may have one.
    coords = {"chain": draws["chain"], "draw": draws["draw"], "scalar": np.arange(len(scalars))}
    variable = xr.DataArray(values, coords, ("chain", "draw", "scalar"))
    stats = sample_stats(posterior)
    groups = {"posterior": xr.Dataset({"x": variable})} | ({"sample_stats": stats} if stats.data_vars else {})
    height = 0.8 + 1.6 * -(-len(scalars) // n_columns)
    with az.rc_context({"plot.max_subplots": MOST_SCALARS}):
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
    for ax, scalar in zip(figure.axes, scalars, strict=False):
        ax.set_title(matplotlib_text(fill(scalar.name, 34)), fontsize=9)
        tidy(ax)
    return figure


def _thinned(posterior: xr.DataTree, scalars: list[Scalar]) -> xr.DataTree:
    """Every n-th draw, with n such that the draws of one chain are about independent.

    ArviZ would choose n by the effective sample size of all chains together, which is tiny when chains disagree.
    """
    values = draws_of(posterior, scalars)
    n_draws = values.shape[1]
    # Every chain of every scalar becomes a quantity with a single chain.
    single = xr.Dataset({"x": (("chain", "draw", "quantity"), np.moveaxis(values, 0, -1).reshape(1, n_draws, -1))})
    ess = np.minimum(*(az.ess(single, method=method)["x"].values for method in ("bulk", "tail"))).mean()
    step = int(np.ceil(n_draws / ess)) if ess > 0 else 1  # a chain that never moved has no ESS
    return posterior.isel(draw=slice(None, None, step))


def _chain_colors(n_chains: int) -> list[str]:
    """Colours from dark to light, none of them a component's colour."""
    return [to_hex(color) for color in plt.get_cmap("viridis")(np.linspace(0, 0.85, n_chains))]


def _chain_handles(posterior: xr.DataTree) -> list[Handle]:
    chains = mixture_dataset(posterior)["chain"].values
    return [
        line(f"chain {chain}", color=color) for color, chain in zip(_chain_colors(len(chains)), chains, strict=True)
    ]
