"""EM's density minus the posterior's."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bayesgmm.comparison.arguments import draws_beside
from bayesgmm.comparison.densities import difference_table
from bayesgmm.em.result import EMFit
from bayesgmm.errors import InputError
from bayesgmm.escaping import matplotlib_text
from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.draws import MixtureDraws
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.plots.legends import Handle, area, legend_above, legend_beside, line, marks
from bayesgmm.plots.selection import float_rows, limits, one_or_two_features
from bayesgmm.plots.shapes import MOST_POINTS, rows_text
from bayesgmm.plots.style import INK, MUTED, axes_or_new, figure_of, percent, shown_once, tidy
from bayesgmm.posterior.draws import interval_names
from bayesgmm.types import FloatArray
from bayesgmm.validation import check_fraction

_N_DRAWS = 400
_LINE, _SIDE = 500, 120  # points of a line, and along each side of a map
_LEVELS = (-3.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0)
# Grey and black, because the colours are those of single components.
_EM: dict[str, Any] = {"color": INK, "linewidth": 1.8}
_PREDICTIVE: dict[str, Any] = {"color": MUTED, "linestyle": "--", "linewidth": 2.2}
_BAND: dict[str, Any] = {"color": INK, "alpha": 0.18, "linewidth": 0}
_EMPTY = "#D0D0D0"


class _Densities(NamedTuple):
    """EM's mixture, the draws, and the rows (N, d), all of the features drawn."""

    parameters: MixtureParameters
    draws: MixtureDraws
    rows: FloatArray


@shown_once
def plot_density_difference(
    em: EMFit,
    posterior: xr.DataTree,
    *,
    features: Sequence[str | int] | None = None,
    ci_prob: float = 0.9,
    ax: Axes | None = None,
) -> Figure:
    """Draw where EM's density differs from the posterior's. The figure does not depend on labels.

    One feature: EM's density, the posterior predictive density and a pointwise band of the draws' densities; below
    them, EM's density minus the predictive density. Two: a map of EM's log density minus the posterior mean of the log
    density, in posterior standard deviations. The map is grey where the posterior predictive density is lower than at
    every row.

    Parameters
    ----------
    em : EMFit of the rows.
    posterior : DataTree with the rows in `observed_data`; it need not be aligned.
    features : names or numbers of one or two features, whose marginal density is drawn. By default both of two; of more
        than two, the two that separate EM's means best.
    ci_prob : probability of the band, pointwise and equal-tailed.
    ax : axes to draw two features in. The legend is above them; use a constrained layout to make room for it.

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
    The band and the standard deviations are computed from 400 evenly spaced draws.

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
    draws = draws_beside(em, posterior, _N_DRAWS)
    if draws.n_draws < 2:
        raise InputError("posterior has one draw; its band is unknown. Pass a posterior of more draws.")
    indices = one_or_two_features(em.parameters, features)
    densities = _Densities(em.parameters.marginal(indices), draws.marginal(indices), float_rows(posterior)[:, indices])
    if len(indices) == 2:
        return _draw_map(axes_or_new(ax, 8.5, 5), densities)
    if ax is not None:
        raise InputError(
            "ax holds one panel, and the density of one feature needs two. Leave ax out, or name two features."
        )
    return _draw_lines(densities, ci_prob)


def _draw_lines(densities: _Densities, ci_prob: float) -> Figure:
    """One feature: the densities above, their differences from the predictive density below."""
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(8.5, 5.5), sharex=True, height_ratios=(2, 1), layout="constrained"
    )
    x = np.linspace(*limits(densities.rows[:, 0], 0.1), _LINE)
    logs = difference_table(x[:, np.newaxis], densities.parameters, densities.draws, ci_prob)
    table = np.exp(logs.drop(columns=["z", "inside"]))
    lower, upper = (table[name] for name in interval_names(ci_prob))
    predictive = table["predictive"]
    above.fill_between(x, lower, upper, **_BAND)
    above.plot(x, predictive, **_PREDICTIVE)
    above.plot(x, table["em"], **_EM)
    below.fill_between(x, lower - predictive, upper - predictive, **_BAND)
    below.axhline(0, **_PREDICTIVE)
    below.plot(x, table["em"] - predictive, **_EM)
    _draw_ticks(above, densities.rows[:, 0])
    name = matplotlib_text(densities.parameters.features[0])
    above.set_ylim(bottom=0)
    above.set_ylabel(f"density per unit of\n{name}")
    below.set_ylabel("difference from the\nposterior predictive")
    below.set_xlabel(name)
    below.set_xlim(x[0], x[-1])
    above.tick_params(axis="x", length=0)
    for ax in (above, below):
        tidy(ax)
    figure.align_ylabels()
    legend_beside(above, _line_legend(len(densities.rows), ci_prob))
    return figure


def _draw_ticks(ax: Axes, x: FloatArray) -> None:
    """Draw the rows x (N,) as ticks below the axis."""
    drawn = x[spaced(len(x), MOST_POINTS)]
    alpha = float(np.clip(10 / np.sqrt(len(drawn)), 0.2, 0.8))
    axis = ax.get_xaxis_transform()
    ax.vlines(drawn, -0.035, -0.005, transform=axis, color=INK, alpha=alpha, linewidth=0.8, clip_on=False)


def _line_legend(n_rows: int, ci_prob: float) -> list[Handle]:
    return [
        line("EM: density", **_EM),
        line("posterior predictive density", **_PREDICTIVE),
        area(f"posterior: density, pointwise\n{percent(ci_prob)} equal-tailed interval", **_BAND),
        marks(rows_text(n_rows), color=INK, marker="|"),
    ]


def _draw_map(ax: Axes, densities: _Densities) -> Figure:
    """Two features: the difference of the log densities in posterior standard deviations."""
    parameters, draws, rows = densities
    points = rows[spaced(len(rows), MOST_POINTS)]
    x, y = (np.linspace(*limits(rows[:, d]), _SIDE) for d in (0, 1))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    # The interval of these tables is not used, so that its probability does not matter.
    grid_table, point_table = (difference_table(places, parameters, draws, 0.9) for places in (grid, points))
    empty = grid_table["predictive"] < point_table["predictive"].min()
    z = np.ma.masked_array(grid_table["z"].to_numpy(), empty.to_numpy(), copy=True).reshape(_SIDE, _SIDE)
    ax.set_facecolor(_EMPTY)
    filled = ax.contourf(x, y, z, levels=_LEVELS, cmap="RdBu_r", extend="both")
    alpha = float(np.clip(20 / np.sqrt(len(points)), 0.3, 0.8))
    ax.scatter(points[:, 0], points[:, 1], s=9, color=INK, alpha=alpha, linewidths=0, rasterized=True)
    names = [matplotlib_text(name) for name in parameters.features]
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), xlabel=names[0], ylabel=names[1])
    tidy(ax)
    bar = figure_of(ax).colorbar(
        filled, ax=ax, ticks=_LEVELS, format=FuncFormatter(lambda level, _: f"{level:+g}"), pad=0.02
    )
    bar.set_label("EM's log density minus the posterior's,\nin posterior standard deviations", fontsize=9)
    bar.ax.tick_params(labelsize=9)
    handles: list[Handle] = [
        marks(rows_text(len(rows)), color=INK, marker="o", markersize=3),
        area("posterior predictive density below that of every row", color=_EMPTY),
    ]
    legend_above(ax, handles)
    return figure_of(ax)
