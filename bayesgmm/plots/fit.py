"""The rows, EM's components, and how far the posterior lets them move."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from bayesgmm.em.result import EMFit
from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.draws import MixtureDraws, log_densities_of_draws
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.plots.shapes import (
    BARS,
    MOST_POINTS,
    RADIUS,
    draw_component_densities,
    draw_components,
    ellipses,
    n_bins,
    rows_text,
)
from bayesgmm.plots.style import (
    INK,
    LEGEND,
    MUTED,
    component_handles,
    component_style,
    figure_of,
    legend_beside,
    literal,
    new_axes,
    percent,
    tidy,
)
from bayesgmm.posterior.draws import check_aligned, check_same_shape, mixture_draws, observed_rows
from bayesgmm.types import FloatArray
from bayesgmm.validation import check_count, check_fraction

_MOST_FEATURES = 10
_BAND_DRAWS = 400
_BAND: dict[str, Any] = {"color": INK, "alpha": 0.3, "linewidth": 0}


def plot_fit(
    em: EMFit,
    posterior: xr.DataTree,
    *,
    features: Sequence[str | int] | None = None,
    n_draws: int = 60,
    ci_prob: float = 0.9,
    ax: Axes | None = None,
) -> Figure:
    """Draw the rows, EM's components, and how far the posterior lets them move.

    One feature: a histogram, EM's density and components, and a pointwise posterior band. Two: the rows, and ellipses
    of EM and of posterior draws at 2 standard deviations, which hold 86 % of a component. More: every pair, and each
    feature by itself on the diagonal.

    Parameters
    ----------
    em : EMFit of the rows.
    posterior : DataTree from `align(posterior, em.parameters)`, with the rows in `observed_data`.
    features : names or numbers of the features to draw, in that order; by default all, up to ten.
    n_draws : number of posterior draws shown as ellipses.
    ci_prob : probability of the band, pointwise and equal-tailed.
    ax : axes to draw one or two features in. The legend stands on their right: a constrained layout makes room for it.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        The posterior is not aligned, holds no rows, or has other components or features than `em`; more than ten
        features are to be drawn; `ax` is given with more than two; or an option is out of range.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> posterior = bg.sample_posterior(X, 2, start=em.parameters, draws=200, rng=1, progress=False)
    >>> figure = bg.plots.plot_fit(em, bg.align(posterior, em.parameters))
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
    ('eruptions', 'waiting')
    """
    n_draws, ci_prob = check_count(n_draws, "n_draws"), check_fraction(ci_prob, "ci_prob")
    view = _view(em, posterior, features)
    names = view.parameters.features
    if len(names) > 2:
        if ax is not None:
            raise InputError(
                f"ax holds one panel, and {len(names)} features need a grid of them. Leave ax out, or name one or two "
                f"features, such as features={list(names[:2])}."
            )
        return _plot_pairs(view, n_draws, ci_prob)
    ax = ax or new_axes(8.5, 5)
    if len(names) == 1:
        _draw_density(ax, view, ci_prob)
        ax.set_ylabel(f"density per unit of {literal(names[0])}")
    else:
        _draw_ellipses(ax, view, n_draws)
        ax.set_ylabel(literal(names[1]))
    ax.set_xlabel(literal(names[0]))
    tidy(ax)
    legend_beside(ax, _legend(view, n_draws, ci_prob, density=len(names) == 1, ellipses=len(names) == 2))
    return figure_of(ax)


class _View(NamedTuple):
    """What is drawn: EM's mixture, the rows X (N, D), and the draws."""

    parameters: MixtureParameters
    X: FloatArray
    draws: MixtureDraws

    def of(self, *index: int) -> "_View":
        """The same of some features."""
        features = list(index)
        return _View(self.parameters.marginal(features), self.X[:, features], self.draws.marginal(features))

    def limits(self, feature: int) -> tuple[float, float]:
        """They hold the rows and EM's ellipses; a stray draw does not stretch them."""
        center, reach = self.parameters.means[:, feature], RADIUS * self.parameters.stds[:, feature]
        low = min(self.X[:, feature].min(), (center - reach).min())
        high = max(self.X[:, feature].max(), (center + reach).max())
        margin = 0.07 * (high - low)
        return float(low - margin), float(high + margin)


def _view(em: EMFit, posterior: xr.DataTree, features: Sequence[str | int] | None) -> _View:
    check_aligned(posterior)
    draws = mixture_draws(posterior)
    check_same_shape(em.parameters, draws)
    names = em.parameters.features
    n_chosen = len(names) if features is None else len(features)
    if isinstance(features, str) or not 1 <= n_chosen <= _MOST_FEATURES:
        received = repr(features) if isinstance(features, str) else n_chosen
        raise InputError(
            f"1 to {_MOST_FEATURES} features can be drawn together; received {received}. Name those to draw in a list, "
            f"such as features={list(names[:3])}."
        )
    chosen = em.parameters.marginal(names if features is None else features).features
    X = observed_rows(posterior, draws.features).astype(np.float64)
    return _View(em.parameters, X, draws).of(*(names.index(name) for name in chosen))


def _draw_ellipses(ax: Axes, view: _View, n_draws: int) -> None:
    p, points = view.parameters, view.X[spaced(len(view.X), MOST_POINTS)]
    draws = view.draws.some(spaced(view.draws.n_draws, n_draws))
    alpha = float(np.clip(20 / np.sqrt(len(points)), 0.3, 0.8))
    ax.scatter(points[:, 0], points[:, 1], s=12, color=MUTED, alpha=alpha, linewidths=0, rasterized=True, zorder=1)
    for k in range(p.n_components):
        moved, color = ellipses(draws.means[:, k], draws.covariances[:, k]), component_style(k).color
        ax.add_collection(LineCollection(list(moved), colors=color, linewidths=0.6, alpha=0.3, zorder=2))
    draw_components(ax, p)
    ax.set(xlim=view.limits(0), ylim=view.limits(1))


def _draw_density(ax: Axes, view: _View, ci_prob: float) -> None:
    p, x = view.parameters, view.X[:, 0]
    grid = np.linspace(*view.limits(0), 400)
    ax.hist(x, bins=n_bins(len(x)), density=True, zorder=1, **BARS)
    lower, upper = _density_band(view, grid, ci_prob)
    ax.fill_between(grid, lower, upper, zorder=2, **_BAND)
    ax.plot(grid, np.exp(p.log_density(grid)), color=INK, linewidth=2, zorder=3)
    draw_component_densities(ax, p, grid)
    ax.set_xlim(view.limits(0))
    ax.set_ylim(bottom=0)


def _density_band(view: _View, grid: FloatArray, ci_prob: float) -> FloatArray:
    """(2, n) bounds of the density at the points `grid` (n,)."""
    some = view.draws.some(spaced(view.draws.n_draws, _BAND_DRAWS))
    densities = np.exp(list(log_densities_of_draws(grid[:, np.newaxis], *some.arrays)))
    return np.asarray(np.quantile(densities, [(1 - ci_prob) / 2, (1 + ci_prob) / 2], axis=0))


def _plot_pairs(view: _View, n_draws: int, ci_prob: float) -> Figure:
    names = view.parameters.features
    D = len(names)
    side = max(1.5, 2.6 - 0.12 * D)
    figure, axes = plt.subplots(D, D, figsize=(1 + side * D, 1 + side * D), layout="constrained")
    for row in range(D):
        for column in range(D):
            ax = axes[row, column]
            if column > row:
                ax.remove()
                continue
            if column == row:
                _draw_density(ax, view.of(row), ci_prob)
                ax.set_yticks([])
            else:
                _draw_ellipses(ax, view.of(column, row), n_draws)
                ax.yaxis.set_major_locator(MaxNLocator(3))
            ax.xaxis.set_major_locator(MaxNLocator(3))
            ax.tick_params(labelbottom=row == D - 1, labelleft=column == 0)
            tidy(ax)
    for d, name in enumerate(names):
        axes[-1, d].set_xlabel(literal(fill(name, 18)))
        axes[d, 0].set_ylabel(literal(fill(name, 18)) if d else "density")
    figure.align_ylabels(axes[:, 0])
    handles = _legend(view, n_draws, ci_prob, density=True, ellipses=True)
    figure.legend(handles=handles, loc="upper right", **LEGEND)
    return figure


def _legend(view: _View, n_draws: int, ci_prob: float, *, density: bool, ellipses: bool) -> list[Any]:
    N = len(view.X)
    handles: list[Any] = []
    if ellipses:
        n_draws = len(spaced(view.draws.n_draws, n_draws))
        handles += [
            Line2D([], [], color=MUTED, marker="o", markersize=4, linestyle="", label=rows_text(N)),
            Line2D([], [], color=INK, linewidth=0.8, alpha=0.6, label=f"posterior: 2-sd ellipses\nof {n_draws} draws"),
        ]
    if density:
        band = f"posterior: density, pointwise\n{percent(ci_prob)} equal-tailed interval"
        handles += [
            Patch(**BARS, label=f"histogram of {N:,} rows"),
            Patch(**_BAND, label=band),
            Line2D([], [], color=INK, linewidth=2, label="EM: density"),
        ]
    if ellipses:
        handles.append(Line2D([], [], linestyle="", label="EM: mean and 2-sd ellipse\n(86 % of a component):"))
    else:
        handles.append(Line2D([], [], linestyle="", label="EM: weighted components:"))
    return handles + component_handles(view.parameters.n_components, marker=ellipses)
