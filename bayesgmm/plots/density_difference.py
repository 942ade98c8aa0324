"""Where EM's density differs from the posterior's."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from bayesgmm.comparison.densities import difference_at
from bayesgmm.em.result import EMFit
from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.draws import MixtureDraws
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.plots.selection import float_rows, limits, one_or_two
from bayesgmm.plots.shapes import MOST_POINTS, rows_text
from bayesgmm.plots.style import INK, LEGEND, MUTED, figure_of, literal, new_axes, percent, tidy
from bayesgmm.posterior.draws import check_same_shape, interval_names, mixture_draws
from bayesgmm.types import FloatArray
from bayesgmm.validation import check_fraction

_N_DRAWS = 400
_LINE, _SIDE = 500, 120  # points of a line, and along each side of a map
_LEVELS = (-3.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0)
# No component's colours: the densities are of all components.
_EM: dict[str, Any] = {"color": INK, "linewidth": 1.8}
_PREDICTIVE: dict[str, Any] = {"color": MUTED, "linestyle": "--", "linewidth": 2.2}
_BAND: dict[str, Any] = {"color": INK, "alpha": 0.18, "linewidth": 0}
_EMPTY = "#D0D0D0"


class _View(NamedTuple):
    """EM's mixture, the draws, and the rows (N, d) of the features drawn."""

    parameters: MixtureParameters
    draws: MixtureDraws
    rows: FloatArray


def plot_density_difference(
    em: EMFit,
    posterior: xr.DataTree,
    *,
    features: Sequence[str | int] | None = None,
    ci_prob: float = 0.9,
    ax: Axes | None = None,
) -> Figure:
    """Draw where EM's density differs from the posterior's. Labels do not matter.

    One feature: EM's density, the posterior predictive density and a pointwise band of the draws' densities; below them
    EM's less the predictive. Two: a map of EM's log density less the posterior mean of the log density, in posterior
    standard deviations, where the posterior predictive density is not below that of every row.

    Parameters
    ----------
    em : EMFit of the rows.
    posterior : DataTree with the rows in `observed_data`; it need not be aligned.
    features : names or numbers of one or two features, whose marginal density is drawn; by default all of two, and of
        more the two in which EM's means are farthest apart for their spread.
    ci_prob : probability of the band, pointwise and equal-tailed.
    ax : axes to draw two features in. The legend stands on their right: a constrained layout makes room for it.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        The posterior holds no rows, or has other components or features than `em`; `features` are not one or two of the
        mixture's; `ax` is given with one feature; or `ci_prob` is out of range.

    Notes
    -----
    The band and the standard deviations are of 400 draws, evenly spaced.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()[["waiting"]]
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> posterior = bg.sample_posterior(X, 2, start=em.parameters, draws=200, rng=1, progress=False)
    >>> figure = bg.plots.plot_density_difference(em, posterior)
    >>> figure.axes[-1].get_ylabel().split()
    ['difference', 'from', 'the', 'posterior', 'predictive']
    """
    ci_prob = check_fraction(ci_prob, "ci_prob")
    draws = mixture_draws(posterior, _N_DRAWS)
    check_same_shape(em.parameters, draws)
    chosen = one_or_two(em.parameters, features)
    view = _View(em.parameters.marginal(chosen), draws.marginal(chosen), float_rows(posterior)[:, chosen])
    if len(chosen) == 2:
        return _draw_map(ax or new_axes(8.5, 5), view)
    if ax is not None:
        raise InputError(
            "ax holds one panel, and the density of one feature needs two. Leave ax out, or name two features."
        )
    return _draw_lines(view, ci_prob)


def _draw_lines(view: _View, ci_prob: float) -> Figure:
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(8.5, 5.5), sharex=True, height_ratios=(2, 1), layout="constrained"
    )
    x = np.linspace(*limits(view.rows[:, 0], 0.1), _LINE)
    table = np.exp(difference_at(x[:, np.newaxis], view.parameters, view.draws, ci_prob).drop(columns=["z", "inside"]))
    lower, upper = (table[name] for name in interval_names(ci_prob))
    predictive = table["predictive"]
    above.fill_between(x, lower, upper, **_BAND)
    above.plot(x, predictive, **_PREDICTIVE)
    above.plot(x, table["em"], **_EM)
    below.fill_between(x, lower - predictive, upper - predictive, **_BAND)
    below.axhline(0, **_PREDICTIVE)
    below.plot(x, table["em"] - predictive, **_EM)
    shown = view.rows[spaced(len(view.rows), MOST_POINTS), 0]
    alpha = float(np.clip(10 / np.sqrt(len(shown)), 0.2, 0.8))
    above.vlines(
        shown,
        -0.035,
        -0.005,
        transform=above.get_xaxis_transform(),
        color=INK,
        alpha=alpha,
        linewidth=0.8,
        clip_on=False,
    )
    name = literal(view.parameters.features[0])
    above.set_ylim(bottom=0)
    above.set_ylabel(f"density per unit of\n{name}")
    below.set_ylabel("difference from the\nposterior predictive")
    below.set_xlabel(name)
    below.set_xlim(x[0], x[-1])
    above.tick_params(axis="x", length=0)
    for ax in (above, below):
        tidy(ax)
    figure.align_ylabels()
    band = f"posterior: density, pointwise\n{percent(ci_prob)} equal-tailed interval"
    handles = [
        Line2D([], [], **_EM, label="EM: density"),
        Line2D([], [], **_PREDICTIVE, label="posterior predictive density"),
        Patch(**_BAND, label=band),
        Line2D([], [], color=INK, marker="|", linestyle="", label=rows_text(len(view.rows))),
    ]
    above.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, **LEGEND)
    return figure


def _draw_map(ax: Axes, view: _View) -> Figure:
    rows = view.rows
    x, y = (np.linspace(*limits(rows[:, d]), _SIDE) for d in (0, 1))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    at_grid = difference_at(grid, view.parameters, view.draws, 0.9)
    at_rows = difference_at(rows[spaced(len(rows), MOST_POINTS)], view.parameters, view.draws, 0.9)
    empty = at_grid["predictive"] < at_rows["predictive"].min()
    z = np.ma.masked_array(at_grid["z"].to_numpy(), empty.to_numpy(), copy=True).reshape(_SIDE, _SIDE)
    ax.set_facecolor(_EMPTY)
    filled = ax.contourf(x, y, z, levels=_LEVELS, cmap="RdBu_r", extend="both")
    shown = rows[spaced(len(rows), MOST_POINTS)]
    alpha = float(np.clip(20 / np.sqrt(len(shown)), 0.3, 0.8))
    ax.scatter(shown[:, 0], shown[:, 1], s=9, color=INK, alpha=alpha, linewidths=0, rasterized=True)
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    names = [literal(name) for name in view.parameters.features]
    ax.set(xlabel=names[0], ylabel=names[1])
    tidy(ax)
    bar = figure_of(ax).colorbar(filled, ax=ax, ticks=_LEVELS, format=FuncFormatter(lambda at, _: f"{at:+g}"), pad=0.02)
    bar.set_label("EM's log density less the posterior's,\nin posterior standard deviations", fontsize=9)
    bar.ax.tick_params(labelsize=9)
    handles = [
        Line2D([], [], color=INK, marker="o", markersize=3, linestyle="", label=rows_text(len(rows))),
        Patch(color=_EMPTY, label="posterior predictive density below that of every row"),
    ]
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, **LEGEND)
    return figure_of(ax)
