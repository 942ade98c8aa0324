"""The rows, EM's components, and their uncertainty under the posterior."""

from collections.abc import Iterable, Sequence
from textwrap import fill
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bayesgmm.checked_tables import as_feature_indices
from bayesgmm.comparison.arguments import draws_beside
from bayesgmm.em.result import EMFit
from bayesgmm.errors import InputError
from bayesgmm.escaping import matplotlib_text
from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.draws import MixtureDraws, log_densities_of_draws
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.plots.legends import LEGEND, Handle, area, component_handles, heading, legend_beside, line, marks
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
from bayesgmm.plots.style import INK, MUTED, axes_or_new, component_style, figure_of, percent, shown_once, tidy
from bayesgmm.posterior.draws import check_aligned, observed_rows
from bayesgmm.received import check_result
from bayesgmm.types import FloatArray
from bayesgmm.validation import check_count, check_fraction
from bayesgmm.wording import shown

_MOST_FEATURES = 10
_BAND_DRAWS = 400
_BAND: dict[str, Any] = {"color": INK, "alpha": 0.3, "linewidth": 0}
_DENSITY: dict[str, Any] = {"color": INK, "linewidth": 2}


@shown_once
def plot_fit(
    em: EMFit,
    posterior: xr.DataTree,
    *,
    features: Sequence[str | int] | None = None,
    n_draws: int = 60,
    ci_prob: float = 0.9,
    ax: Axes | None = None,
) -> Figure:
    """Draw the rows, EM's components, and their uncertainty under the posterior.

    One feature: a histogram, EM's density and components, and a pointwise band of the posterior's density. Two: the
    rows, and ellipses of EM and of posterior draws at 2 standard deviations, which hold 86 % of a component. More:
    every pair of features, and each feature by itself on the diagonal.

    Parameters
    ----------
    em : EMFit of the rows.
    posterior : DataTree from `align(posterior, em.parameters)`, with the rows in `observed_data`.
    features : names or numbers of the features to draw, in that order, at most ten; by default all.
    n_draws : number of posterior draws shown as ellipses.
    ci_prob : probability of the band, pointwise and equal-tailed.
    ax : axes to draw one or two features in. The legend is on their right; use a constrained layout to make room for
        it.

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
    scene = _scene(em, posterior, features)
    names = scene.parameters.features
    if len(names) > 2:
        if ax is not None:
            raise InputError(
                f"ax holds one panel, and {len(names)} features need a grid of them. Leave ax out, or name one or two "
                f"features, such as features={list(names[:2])}."
            )
        return _plot_pairs(scene, n_draws, ci_prob)
    ax = axes_or_new(ax, 8.5, 5)
    if len(names) == 1:
        _draw_density(ax, scene, ci_prob)
        ax.set_ylabel(f"density per unit of {matplotlib_text(names[0])}")
    else:
        _draw_ellipses(ax, scene, n_draws)
        ax.set_ylabel(matplotlib_text(names[1]))
    ax.set_xlabel(matplotlib_text(names[0]))
    tidy(ax)
    legend_beside(ax, _legend(scene, n_draws, ci_prob, density=len(names) == 1, ellipses=len(names) == 2))
    return figure_of(ax)


class _Scene(NamedTuple):
    """EM's mixture, the rows X (N, D) and the draws, all of the features drawn."""

    parameters: MixtureParameters
    X: FloatArray
    draws: MixtureDraws

    def marginal(self, *indices: int) -> "_Scene":
        """The scene of some of its features."""
        features = list(indices)
        return _Scene(self.parameters.marginal(features), self.X[:, features], self.draws.marginal(features))

    def limits(self, feature: int) -> tuple[float, float]:
        """Limits of an axis that holds the rows and EM's ellipses, but not necessarily every draw."""
        center, reach = self.parameters.means[:, feature], RADIUS * self.parameters.stds[:, feature]
        low = min(self.X[:, feature].min(), (center - reach).min())
        high = max(self.X[:, feature].max(), (center + reach).max())
        margin = 0.07 * (high - low)
        return float(low - margin), float(high + margin)


def _scene(em: EMFit, posterior: xr.DataTree, features: Sequence[str | int] | None) -> _Scene:
    check_result(em, EMFit, "em")
    check_aligned(posterior, em.parameters)
    draws = draws_beside(em, posterior)
    names = em.parameters.features
    is_list = isinstance(features, Iterable) and not isinstance(features, str)
    chosen = list(names if features is None else features) if is_list or features is None else []
    if not 1 <= len(chosen) <= _MOST_FEATURES:
        received = len(chosen) if is_list or features is None else shown(features)
        raise InputError(
            f"1 to {_MOST_FEATURES} features can be drawn together; received {received}. Name the features to draw "
            f"in a list, such as features={list(names[:3])}."
        )
    indices = as_feature_indices(chosen, names, "features")
    X = observed_rows(posterior, draws.features).values.astype(np.float64)
    return _Scene(em.parameters, X, draws).marginal(*indices)


def _draw_ellipses(ax: Axes, scene: _Scene, n_draws: int) -> None:
    p, points = scene.parameters, scene.X[spaced(len(scene.X), MOST_POINTS)]
    draws = scene.draws.select(spaced(scene.draws.n_draws, n_draws))
    alpha = float(np.clip(20 / np.sqrt(len(points)), 0.3, 0.8))
    ax.scatter(points[:, 0], points[:, 1], s=12, color=MUTED, alpha=alpha, linewidths=0, rasterized=True, zorder=1)
    for k in range(p.n_components):
        of_draws, color = ellipses(draws.means[:, k], draws.covariances[:, k]), component_style(k).color
        ax.add_collection(LineCollection(list(of_draws), colors=color, linewidths=0.6, alpha=0.3, zorder=2))
    draw_components(ax, p)
    ax.set(xlim=scene.limits(0), ylim=scene.limits(1))


def _draw_density(ax: Axes, scene: _Scene, ci_prob: float) -> None:
    p, x = scene.parameters, scene.X[:, 0]
    grid = np.linspace(*scene.limits(0), 400)
    ax.hist(x, bins=n_bins(len(x)), density=True, zorder=1, **BARS)
    lower, upper = _density_band(scene, grid, ci_prob)
    ax.fill_between(grid, lower, upper, zorder=2, **_BAND)
    ax.plot(grid, np.exp(p.log_density(grid)), zorder=3, **_DENSITY)
    draw_component_densities(ax, p, grid)
    ax.set_xlim(scene.limits(0))
    ax.set_ylim(bottom=0)


def _density_band(scene: _Scene, grid: FloatArray, ci_prob: float) -> FloatArray:
    """(2, n) posterior bounds of the density at the points `grid` (n,)."""
    draws = scene.draws.select(spaced(scene.draws.n_draws, _BAND_DRAWS))
    densities = np.exp(list(log_densities_of_draws(grid[:, np.newaxis], *draws.arrays)))
    return np.asarray(np.quantile(densities, [(1 - ci_prob) / 2, (1 + ci_prob) / 2], axis=0))


def _plot_pairs(scene: _Scene, n_draws: int, ci_prob: float) -> Figure:
    names = scene.parameters.features
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
                _draw_density(ax, scene.marginal(row), ci_prob)
                ax.set_yticks([])
            else:
                _draw_ellipses(ax, scene.marginal(column, row), n_draws)
                ax.yaxis.set_major_locator(MaxNLocator(3))
            ax.xaxis.set_major_locator(MaxNLocator(3))
            ax.tick_params(labelbottom=row == D - 1, labelleft=column == 0)
            tidy(ax)
    for d, name in enumerate(names):
        axes[-1, d].set_xlabel(matplotlib_text(fill(name, 18)))
        axes[d, 0].set_ylabel(matplotlib_text(fill(name, 18)) if d else "density")
    figure.align_ylabels(axes[:, 0])
    handles = _legend(scene, n_draws, ci_prob, density=True, ellipses=True)
    figure.legend(handles=handles, loc="upper right", **LEGEND)
    return figure


def _legend(scene: _Scene, n_draws: int, ci_prob: float, *, density: bool, ellipses: bool) -> list[Handle]:
    handles: list[Handle] = []
    if ellipses:
        of_draws = f"posterior: 2-sd ellipses\nof {len(spaced(scene.draws.n_draws, n_draws))} draws"
        handles += [
            marks(rows_text(len(scene.X)), color=MUTED, marker="o", markersize=4),
            line(of_draws, color=INK, linewidth=0.8, alpha=0.6),
        ]
    if density:
        handles += [
            area(f"histogram of {len(scene.X):,} rows", **BARS),
            area(f"posterior: density, pointwise\n{percent(ci_prob)} equal-tailed interval", **_BAND),
            line("EM: density", **_DENSITY),
        ]
    components = "EM: mean and 2-sd ellipse\n(86 % of a component):" if ellipses else "EM: weighted components:"
    return [*handles, heading(components), *component_handles(scene.parameters.n_components, marker=ellipses)]
