"""The fitted density, beside the density of another fit of the same rows."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure

from bayesgmm.checked_tables import names_clash
from bayesgmm.em.result import EMFit
from bayesgmm.errors import InputError
from bayesgmm.escaping import matplotlib_text
from bayesgmm.kernel.rows import Rows, spaced
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.plots.legends import LEGEND, Handle, area, component_handles, component_mark_handles, line, marks
from bayesgmm.plots.selection import limits, one_or_two_features
from bayesgmm.plots.shapes import BARS, MOST_POINTS, areas, draw_component_densities, n_bins, rows_text
from bayesgmm.plots.style import INK, component_style, shown_once, tidy
from bayesgmm.received import check_result
from bayesgmm.types import FloatArray

_SIDE, _LINE = 150, 400  # points along each side of a grid, and of a curve
# Contour levels: each is half the next higher one, down to 1/256 of the highest density.
_HALVINGS = 8
# Light to middle grey: components keep the colours, and rows in dark ink remain visible.
_GREYS = LinearSegmentedColormap.from_list("density", ["#F4F4F4", "#7A7A7A"])
_DENSITY: dict[str, Any] = {"color": INK, "linewidth": 3}


class _Panel(NamedTuple):
    """A density of the features drawn, and the title of its panel."""

    parameters: MixtureParameters
    title: str


@shown_once
def plot_density(em: EMFit, other: EMFit, *, features: Sequence[str | int] | None = None) -> Figure:
    """Draw the fitted density beside the density of another fit of the same rows, such as a single Gaussian.

    One feature: a histogram, the density, and the weighted components. Two: contours of the density, each level half
    the next higher one, with the rows and the components' means. Both panels have the same axes and levels. Their
    titles hold log-likelihood and BIC (smaller is better): more components always raise the log-likelihood, but lower
    the BIC only if the rows support them.

    Parameters
    ----------
    em : EMFit with its rows.
    other : EMFit of the same rows, drawn on the right; `fit_em(X, 1)` shows what more components than one are worth.
    features : names or numbers of one or two features, whose marginal density is drawn. By default both of two; of more
        than two, the two that separate the means best. Log-likelihood and BIC are always of all features.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        `em` has no rows (see `EMFit.with_rows`), `other` was fitted to other rows or features, or `features` are not
        one or two of the mixture's.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> figure = bg.plots.plot_density(bg.fit_em(X, 2, rng=1), bg.fit_em(X, 1))
    >>> print(figure.axes[0].get_title())
    2 components
    log-likelihood -1,130.3, BIC 2,322.2
    """
    check_result(other, EMFit, "other")
    indices = one_or_two_features(check_result(em, EMFit, "em").parameters, features)
    rows = _rows_of_both(em, other)
    panels = [_Panel(fit.parameters.marginal(indices), _title(fit, len(indices))) for fit in (em, other)]
    figure, axes = plt.subplots(
        1, 2, figsize=(10, 4.5 if len(indices) == 2 else 4), sharex=True, sharey=True, layout="constrained"
    )
    points = np.asarray(rows.values[:, indices], dtype=np.float64)
    draw = _draw_contours if len(indices) == 2 else _draw_curves
    handles = draw(list(axes), panels, points, rows)
    names = [matplotlib_text(em.parameters.features[d]) for d in indices]
    axes[0].set_ylabel(names[1] if len(names) == 2 else f"density per unit of\n{names[0]}")
    for ax, panel in zip(axes, panels, strict=True):
        ax.set_title(panel.title, fontsize=10)
        ax.set_xlabel(names[0])
        tidy(ax)
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 5), **LEGEND)
    return figure


def _rows_of_both(em: EMFit, other: EMFit) -> Rows:
    """The rows that both fits were made from."""
    if em.rows is None:
        raise InputError("em has no rows: it was read from a file. Give them back with em.with_rows(X).")
    features, other_features = em.parameters.features, other.parameters.features
    if len(other_features) != len(features) or names_clash(other_features, features) or other.n_samples != em.n_samples:
        raise InputError(
            f"other was fitted to {other.n_samples:g} rows of {', '.join(other_features)}; em was fitted to "
            f"{em.n_samples:g} rows of {', '.join(features)}. Fit both to the same rows."
        )
    return em.rows


def _title(em: EMFit, n_drawn: int) -> str:
    K, D = em.parameters.means.shape
    of_all = f" (all {D} features)" if n_drawn < D else ""
    name = f"{K} components" if K > 1 else "one Gaussian"
    return f"{name}\nlog-likelihood {em.log_likelihood:,.1f}, BIC {em.bic:,.1f}{of_all}"


def _draw_contours(axes: list[Axes], panels: list[_Panel], points: FloatArray, rows: Rows) -> list[Handle]:
    x, y = (np.linspace(*limits(points[:, d], 0.12), _SIDE) for d in (0, 1))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    densities = [np.exp(panel.parameters.log_density(grid)).reshape(_SIDE, _SIDE) for panel in panels]
    levels = max(density.max() for density in densities) * 0.5 ** np.arange(_HALVINGS, -1, -1)
    index = spaced(len(points), MOST_POINTS)
    sizes = areas(rows.weights[index] if rows.weights.size else rows.weights, 8)
    for ax, panel, density in zip(axes, panels, densities, strict=True):
        filled = ax.contourf(x, y, density, levels=levels, cmap=_GREYS, norm=LogNorm(levels[0], levels[-1]))
        ax.contour(x, y, density, levels=levels, colors="white", linewidths=0.8)
        ax.scatter(points[index, 0], points[index, 1], s=sizes, color=INK, alpha=0.7, linewidths=0, rasterized=True)
        if panel.parameters.n_components > 1:
            _draw_means(ax, panel.parameters)
    names = " x ".join(matplotlib_text(name) for name in panels[0].parameters.features)
    bar = axes[0].figure.colorbar(filled, ax=axes, ticks=levels[::2], format="{x:.2g}", pad=0.02)
    bar.ax.minorticks_off()
    bar.ax.tick_params(labelsize=9)
    bar.set_label(f"density per unit of\n{names}", fontsize=9)
    means = component_mark_handles(_most_components(panels))
    for handle in means:
        handle.set_label(f"mean of {handle.get_label()}")
    return [marks(rows_text(len(points), rows.weights), color=INK, marker="o", markersize=3), *means]


def _most_components(panels: list[_Panel]) -> int:
    return max(panel.parameters.n_components for panel in panels)


def _draw_means(ax: Axes, parameters: MixtureParameters) -> None:
    for k, mean in enumerate(parameters.means):
        style = component_style(k)
        ax.plot(*mean, color=style.color, marker=style.marker, markersize=9, markeredgecolor="white")


def _draw_curves(axes: list[Axes], panels: list[_Panel], points: FloatArray, rows: Rows) -> list[Handle]:
    x = points[:, 0]
    grid = np.linspace(*limits(x, 0.12), _LINE)
    weights = rows.weights if rows.weights.size else None
    for ax, panel in zip(axes, panels, strict=True):
        ax.hist(x, bins=n_bins(len(x)), weights=weights, density=True, **BARS)
        ax.plot(grid, np.exp(panel.parameters.log_density(grid)), **_DENSITY)
        if panel.parameters.n_components > 1:
            draw_component_densities(ax, panel.parameters, grid)
    axes[0].set_xlim(grid[0], grid[-1])
    axes[0].set_ylim(bottom=0)
    by_weight = ", by weight" if rows.weights.size else ""
    return [
        area(f"histogram of {len(x):,} rows{by_weight}", **BARS),
        line("density", **_DENSITY),
        *component_handles(_most_components(panels), marker=False),
    ]
