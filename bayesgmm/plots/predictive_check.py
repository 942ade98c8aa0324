"""The rows beside data sets simulated from the posterior."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bayesgmm.errors import InputError
from bayesgmm.escaping import matplotlib_text
from bayesgmm.plots.legends import LEGEND, Handle, area, marks
from bayesgmm.plots.shapes import n_bins
from bayesgmm.plots.style import COLORS, INK, percent, shown_once, tidy
from bayesgmm.posterior.draws import mixture_draws
from bayesgmm.posterior.prediction.predictive_check import over_replicates, predictive_check, varying_rows
from bayesgmm.posterior.prediction.subsets import marginal
from bayesgmm.types import FloatArray, Seed
from bayesgmm.validation import as_generator, check_count, check_fraction

_MOST_FEATURES = 10
_EXTREME = 0.05  # p-values nearer to 0 or 1 are marked
_BAND: dict[str, Any] = {"color": INK, "alpha": 0.25, "linewidth": 0}
_OBSERVED: dict[str, Any] = {"color": INK, "marker": "o", "markersize": 3.5}
_ORDINARY: dict[str, Any] = {"color": INK, "marker": "d", "markersize": 6}
_STRIKING: dict[str, Any] = {"color": COLORS[1], "marker": "X", "markersize": 8}


@shown_once
def plot_predictive_check(
    posterior: xr.DataTree,
    *,
    features: Sequence[str | int] | None = None,
    n_draws: int = 400,
    ci_prob: float = 0.9,
    rng: Seed = None,
) -> Figure:
    """Draw the rows beside data sets simulated from the posterior, feature by feature, and the p-values of statistics.

    Dots are a histogram of each feature; the band is the interval of the same bin's height in the simulated data sets.
    The p-value of each statistic of `predictive_check` is the share of simulated data sets in which it is at least as
    large as in the rows. Where rows and model differ, dots leave the band or a p-value is near 0 or 1. Some do so by
    chance: one dot in ten at `ci_prob` 0.9.

    Parameters
    ----------
    posterior : DataTree with the rows in `observed_data`; it need not be aligned.
    features : names or numbers of the features to check, at most ten; by default all.
    n_draws : number of evenly spaced draws; one data set is simulated from each.
    ci_prob : probability of the bands, bin by bin and equal-tailed.
    rng : int, numpy.random.Generator or None.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        As for `predictive_check` and `marginal`; or more than ten features are to be drawn.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_galaxies(), 1, draws=200, rng=1, progress=False)
    >>> figure = bg.plots.plot_predictive_check(posterior, n_draws=100, rng=1)
    >>> figure.axes[0].get_xlabel()
    'velocity'
    """
    n_draws, ci_prob = check_count(n_draws, "n_draws"), check_fraction(ci_prob, "ci_prob")
    if features is not None:
        posterior = marginal(posterior, features)
    draws = mixture_draws(posterior, n_draws)
    names, X = draws.features, varying_rows(posterior, draws.features)
    if len(names) > _MOST_FEATURES:
        raise InputError(
            f"1 to {_MOST_FEATURES} features can be drawn together; received {len(names)}. Name the features to "
            f"draw, such as features={list(names[:3])}."
        )
    band_rng, table_rng = as_generator(rng).spawn(2)
    edges = [_edges(x) for x in X.T]
    histograms = over_replicates(draws, len(X), band_rng, lambda _, rows: _histograms(rows, edges))
    table = predictive_check(posterior, n_draws=n_draws, rng=table_rng)

    height = max(0.8 + 1.9 * len(names), 1.6 + 0.22 * len(table))
    figure = plt.figure(figsize=(10, height), layout="constrained")
    grid = figure.add_gridspec(len(names), 2, width_ratios=[1.15, 1])
    panels = [figure.add_subplot(grid[d, 0]) for d in range(len(names))]
    for d, ax in enumerate(panels):
        _draw_feature(ax, X[:, d], edges[d], np.array([heights[d] for heights in histograms]), ci_prob)
        ax.set_xlabel(matplotlib_text(fill(names[d], 60)))
    _draw_p_values(figure.add_subplot(grid[:, 1]), table)
    figure.legend(handles=_legend(len(X), len(histograms), ci_prob), loc="outside upper left", ncols=2, **LEGEND)
    return figure


def _edges(x: FloatArray) -> FloatArray:
    """Edges of bins that reach beyond the rows, because simulated rows do."""
    margin = 0.1 * (x.max() - x.min())
    return np.linspace(x.min() - margin, x.max() + margin, n_bins(len(x)) + 1)


def _histograms(X: FloatArray, edges: list[FloatArray]) -> list[FloatArray]:
    """Heights of each feature's bins, as shares of the rows per unit of the feature."""
    return [np.histogram(x, bins)[0] / (len(x) * (bins[1] - bins[0])) for x, bins in zip(X.T, edges, strict=True)]


def _draw_feature(ax: Axes, x: FloatArray, edges: FloatArray, replicated: FloatArray, ci_prob: float) -> None:
    """Draw a feature's histogram x (N,) and the band of the simulated heights `replicated` (n_draws, n_bins)."""
    observed = _histograms(x[:, np.newaxis], [edges])[0]
    lower, upper = np.quantile(replicated, [(1 - ci_prob) / 2, (1 + ci_prob) / 2], axis=0)
    ax.stairs(upper, edges, baseline=lower, fill=True, zorder=1, **_BAND)
    ax.plot(0.5 * (edges[:-1] + edges[1:]), observed, linestyle="", zorder=2, clip_on=False, **_OBSERVED)
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(bottom=0)
    ax.set_ylabel("density")
    ax.yaxis.set_major_locator(MaxNLocator(4))
    tidy(ax)


def _draw_p_values(ax: Axes, table: pd.DataFrame) -> None:
    p_values, rows = table["p_value"].to_numpy(), np.arange(len(table))
    ordinary = (p_values >= _EXTREME) & (p_values <= 1 - _EXTREME)
    for low, high in ((0, _EXTREME), (1 - _EXTREME, 1)):
        ax.axvspan(low, high, color=INK, alpha=0.08, linewidth=0)
    ax.axvline(0.5, color=INK, linewidth=0.6)
    for mask, look in ((ordinary, _ORDINARY), (~ordinary, _STRIKING)):
        if mask.any():  # a plot without points would still take part in the layout
            ax.plot(p_values[mask], rows[mask], linestyle="", clip_on=False, zorder=3, **look)
    ax.set_yticks(rows, [matplotlib_text(fill(str(name), 40)) for name in table.index])
    ax.set(xlim=(0, 1), ylim=(len(table) - 0.4, -0.6))
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    ax.set_xlabel("p-value: share of the model's data sets\nwith as much as the rows or more")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(labelsize=9)
    ax.tick_params(axis="y", length=0)


def _legend(n_rows: int, n_draws: int, ci_prob: float) -> list[Handle]:
    band = f"{percent(ci_prob)} equal-tailed interval, bin by\nbin, of {n_draws} data sets of the model"
    return [
        marks(f"histogram of the {n_rows:,} rows", **_OBSERVED),
        area(band, **_BAND),
        marks(f"p-value between {_EXTREME:g} and {1 - _EXTREME:g}", **_ORDINARY),
        marks("p-value nearer to 0 or 1", **_STRIKING),
    ]
