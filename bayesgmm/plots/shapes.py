"""Shapes that several figures draw: ellipses and densities of components, and rows."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from scipy.stats import norm

from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.plots.style import component_style
from bayesgmm.types import FloatArray

# Radius of ellipses in standard deviations: 1 - exp(-2^2 / 2) = 86 % of a 2-D Gaussian is inside.
RADIUS = 2.0
BARS: dict[str, Any] = {"color": "#DDDDDD"}
MOST_POINTS = 4_000  # rows drawn as points; histograms count all rows


def ellipses(means: FloatArray, covariances: FloatArray) -> FloatArray:
    """(..., 121, 2) points at Mahalanobis distance 2 from means (..., 2) under covariances (..., 2, 2)."""
    angles = np.linspace(0, 2 * np.pi, 121)
    circle = RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    choleskys = np.linalg.cholesky(covariances)
    return np.asarray(means[..., np.newaxis, :] + circle @ choleskys.swapaxes(-1, -2))


def draw_components(ax: Axes, parameters: MixtureParameters) -> None:
    """Draw mean and ellipse of each component of a mixture of two features, with a white outline."""
    for k in range(parameters.n_components):
        style = component_style(k)
        x, y = ellipses(parameters.means[k], parameters.covariances[k]).T
        ax.plot(x, y, color="white", linewidth=4, zorder=3)
        ax.plot(x, y, color=style.color, linestyle=style.linestyle, linewidth=2, zorder=3)
        ax.plot(
            *parameters.means[k],
            color=style.color,
            marker=style.marker,
            markersize=8,
            markeredgecolor="white",
            zorder=4,
        )


def draw_component_densities(ax: Axes, parameters: MixtureParameters, grid: FloatArray) -> None:
    """Draw the weighted components of a mixture of one feature at the points `grid` (n,)."""
    for k in range(parameters.n_components):
        style = component_style(k)
        density = parameters.weights[k] * norm.pdf(grid, parameters.means[k, 0], parameters.stds[k, 0])
        ax.plot(grid, density, color=style.color, linestyle=style.linestyle, linewidth=1.8, zorder=4)


def n_bins(n_rows: int) -> int:
    """Number of bins of a histogram of this many rows."""
    return int(np.clip(2 * np.sqrt(n_rows), 10, 60))


def areas(weights: FloatArray, area: float) -> FloatArray | float:
    """Areas of rows' marks (points^2), in proportion to the weights; `area` for all rows if there are no weights."""
    return area * weights / weights.mean() if weights.size else area


def rows_text(n: int, weights: FloatArray | None = None) -> str:
    """The number of rows for a legend, with the number drawn as points if that is smaller."""
    text = f"{n:,} rows" if n <= MOST_POINTS else f"{len(spaced(n, MOST_POINTS)):,} of the {n:,} rows"
    return f"{text} (area: weight)" if weights is not None and weights.size else text
