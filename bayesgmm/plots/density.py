"""The fitted density, beside that of a single Gaussian."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bayesgmm.em.fit import fit_em
from bayesgmm.em.result import EMFit, rows_and_statistics
from bayesgmm.kernel.rows import Rows, spaced
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.plots.selection import limits, one_or_two
from bayesgmm.plots.shapes import BARS, MOST_POINTS, areas, draw_component_densities, n_bins, rows_text
from bayesgmm.plots.style import INK, LEGEND, component_handles, component_style, literal, tidy
from bayesgmm.types import FloatArray

_SIDE, _LINE = 150, 400  # points along each side of a grid, and of a curve
# Every level is half the one above, down to 1/256 of the highest density: log-likelihoods are sums of logs.
_HALVINGS = 8
# To a middle grey only: components keep the colours, and rows in ink are seen on it.
_GREYS = LinearSegmentedColormap.from_list("density", ["#F4F4F4", "#7A7A7A"])


class _Fit(NamedTuple):
    """A density to draw, of the features drawn, and what stands above it."""

    parameters: MixtureParameters
    title: str


def plot_density(em: EMFit, *, features: Sequence[str | int] | None = None) -> Figure:
    """Draw the fitted density beside that of a single Gaussian, and what each is worth.

    One feature: a histogram, the density, and the weighted components. Two: contours of the density, each level half
    the one above, with the rows and the components' means. Both panels have the same axes and levels. Their titles
    hold log-likelihood and BIC (smaller is better): more components always raise the first, and lower the second only
    when the rows ask for them.

    Parameters
    ----------
    em : EMFit with its rows. The single Gaussian is fitted to them with the same covariance structure.
    features : names or numbers of one or two features, whose marginal density is drawn; by default all of two, and of
        more the two in which the means are farthest apart for their spread. Log-likelihood and BIC are of all features
        whichever are drawn.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        The fit has no rows (see `EMFit.with_rows`), or `features` are not one or two of the mixture's.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> em = bg.fit_em(bg.datasets.load_faithful(), 2, rng=1)
    >>> figure = bg.plots.plot_density(em)
    >>> print(figure.axes[0].get_title())
    2 components
    log-likelihood -1,130.3, BIC 2,322.2
    """
    chosen = one_or_two(em.parameters, features)
    rows, _ = rows_and_statistics(em)
    weights = rows.weights if rows.weights.size else None
    single = fit_em(rows.values, 1, em.covariance, sample_weight=weights)
    fits = [_Fit(each.parameters.marginal(chosen), _title(each, len(chosen))) for each in (em, single)]
    panels = plt.subplots(
        1, 2, figsize=(10, 4.5 if len(chosen) == 2 else 4), sharex=True, sharey=True, layout="constrained"
    )
    figure: Figure = panels[0]
    axes = list(panels[1])
    points = np.asarray(rows.values[:, chosen], dtype=np.float64)
    draw = _draw_contours if len(chosen) == 2 else _draw_curves
    handles = draw(axes, fits, points, rows)
    names = [literal(em.parameters.features[d]) for d in chosen]
    axes[0].set_ylabel(names[1] if len(names) == 2 else f"density per unit of\n{names[0]}")
    for ax, fit in zip(axes, fits, strict=True):
        ax.set_title(fit.title, fontsize=10)
        ax.set_xlabel(names[0])
        tidy(ax)
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 5), **LEGEND)
    return figure


def _title(em: EMFit, n_drawn: int) -> str:
    K, D = em.parameters.means.shape
    of_all = f" (all {D} features)" if n_drawn < D else ""
    what = f"{K} components" if K > 1 else "one Gaussian"
    return f"{what}\nlog-likelihood {em.log_likelihood:,.1f}, BIC {em.bic:,.1f}{of_all}"


def _draw_contours(axes: list[Axes], fits: list[_Fit], points: FloatArray, rows: Rows) -> list[Any]:
    x, y = (np.linspace(*limits(points[:, d], 0.12), _SIDE) for d in (0, 1))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    densities = [np.exp(fit.parameters.log_density(grid)).reshape(_SIDE, _SIDE) for fit in fits]
    levels = max(density.max() for density in densities) * 0.5 ** np.arange(_HALVINGS, -1, -1)
    index = spaced(len(points), MOST_POINTS)
    sizes = areas(rows.weights[index] if rows.weights.size else rows.weights, 8)
    for ax, fit, density in zip(axes, fits, densities, strict=True):
        filled = ax.contourf(x, y, density, levels=levels, cmap=_GREYS, norm=LogNorm(levels[0], levels[-1]))
        ax.contour(x, y, density, levels=levels, colors="white", linewidths=0.8)
        ax.scatter(points[index, 0], points[index, 1], s=sizes, color=INK, alpha=0.7, linewidths=0, rasterized=True)
        if fit.parameters.n_components > 1:
            _draw_means(ax, fit.parameters)
    names = " x ".join(literal(name) for name in fits[0].parameters.features)
    bar = axes[0].figure.colorbar(filled, ax=axes, ticks=levels[::2], format="{x:.2g}", pad=0.02)
    bar.ax.minorticks_off()
    bar.ax.tick_params(labelsize=9)
    bar.set_label(f"density per unit of\n{names}", fontsize=9)
    row = Line2D([], [], color=INK, marker="o", markersize=3, linestyle="")
    row.set_label(rows_text(len(points), rows.weights))
    means = component_handles(fits[0].parameters.n_components, marker=True)
    for handle in means:
        handle.set(linestyle="", label=f"mean of {handle.get_label()}")
    return [row, *means]


def _draw_means(ax: Axes, parameters: MixtureParameters) -> None:
    for k, mean in enumerate(parameters.means):
        style = component_style(k)
        ax.plot(*mean, color=style.color, marker=style.marker, markersize=9, markeredgecolor="white")


def _draw_curves(axes: list[Axes], fits: list[_Fit], points: FloatArray, rows: Rows) -> list[Any]:
    x = points[:, 0]
    grid = np.linspace(*limits(x, 0.12), _LINE)
    weights = rows.weights if rows.weights.size else None
    for ax, fit in zip(axes, fits, strict=True):
        ax.hist(x, bins=n_bins(len(x)), weights=weights, density=True, **BARS)
        ax.plot(grid, np.exp(fit.parameters.log_density(grid)), color=INK, linewidth=3)
        if fit.parameters.n_components > 1:
            draw_component_densities(ax, fit.parameters, grid)
    axes[0].set_xlim(grid[0], grid[-1])
    axes[0].set_ylim(bottom=0)
    counted = ", by weight" if rows.weights.size else ""
    bars = Patch(**BARS, label=f"histogram of {len(x):,} rows{counted}")
    density = Line2D([], [], color=INK, linewidth=3, label="density")
    return [bars, density, *component_handles(fits[0].parameters.n_components, marker=False)]
