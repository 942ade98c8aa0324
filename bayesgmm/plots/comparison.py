"""EM's estimates against the posterior, number by number."""

from math import floor, log10
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayesgmm.comparison.compare import Comparison
from bayesgmm.errors import InputError
from bayesgmm.escaping import matplotlib_text
from bayesgmm.plots.legends import Handle, area, legend_above, line
from bayesgmm.plots.style import INK, axes_or_new, component_style, figure_of, percent, shown_once
from bayesgmm.received import check_result
from bayesgmm.types import FloatArray
from bayesgmm.wording import in_sds

_MOST_ROWS = 400
_FARTHEST = 6.0  # posterior sd from the posterior mean; estimates beyond are arrows at the edge
_INTERVAL: dict[str, Any] = {"linewidth": 4, "alpha": 0.35}
_STANDARD_ERROR: dict[str, Any] = {"linewidth": 1.3}
_AGREEMENT: dict[str, Any] = {"color": INK, "alpha": 0.08, "linewidth": 0}


@shown_once
def plot_comparison(comparison: Comparison, *, ax: Axes | None = None) -> Figure:
    """Draw every row of `comparison.table`: EM's estimate, the posterior's interval, and both as numbers.

    The axis is the distance from the posterior mean in posterior standard deviations, so that weights, means, standard
    deviations and correlations share one scale whatever their units. Marks of EM near 0 agree with the posterior. EM's
    standard error is a thin line; a mark with a black edge is outside the posterior's interval.

    Parameters
    ----------
    comparison : Comparison, as `compare` returns it.
    ax : axes to draw in, with about 0.2 inches of height per row. The numbers are on the right and the legend above;
        use a constrained layout to make room for them.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        The table has more than 400 rows.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_galaxies()
    >>> em = bg.fit_em(X, 1, rng=1)
    >>> posterior = bg.sample_posterior(X, 1, start=em.parameters, draws=200, rng=1, progress=False)
    >>> figure = bg.plots.plot_comparison(bg.compare(em, bg.align(posterior, em.parameters)))
    >>> figure.axes[0].get_xlabel()
    'distance from the posterior mean, in posterior standard deviations'
    """
    table = check_result(comparison, Comparison, "comparison").table
    if len(table) > _MOST_ROWS:
        raise InputError(
            f"comparison.table has {len(table)} rows; one figure holds at most {_MOST_ROWS}. Draw it in parts, such "
            f"as dataclasses.replace(comparison, table=comparison.table.query(\"parameter == 'means'\"))."
        )
    heights, headings = _layout(table)
    bottom = float(heights[-1]) + 0.7
    ax = axes_or_new(ax, 10, 1.0 + 0.2 * bottom)
    reach = _draw_rows(ax, comparison, heights)
    ax.set(xlim=(-reach, reach), ylim=(bottom, -0.7))
    ax.set_xlabel("distance from the posterior mean, in posterior standard deviations")
    _label_rows(ax, table, heights, headings)
    _write_values(ax, comparison, heights)
    legend_above(ax, _legend(comparison))
    return figure_of(ax)


def _layout(table: pd.DataFrame) -> tuple[FloatArray, dict[str, float]]:
    """Height of each row, and of the heading of each parameter; there is a gap above every heading but the first."""
    parameters = list(dict.fromkeys(table["parameter"]))
    group = table["parameter"].map(parameters.index).to_numpy()
    heights = np.arange(len(table)) + 1.4 * group + 1
    return heights, {name: float(heights[group == g].min()) - 1 for g, name in enumerate(parameters)}


def _draw_rows(ax: Axes, comparison: Comparison, heights: FloatArray) -> float:
    """Draw the rows, and return how far from 0 the axis must reach."""
    table = comparison.table
    em, lower, upper = (
        ((table[name] - table["mean"]) / table["sd"]).to_numpy(dtype=np.float64)
        for name in ("em", *comparison.interval_columns)
    )
    errors = (table["se"] / table["sd"]).to_numpy(dtype=np.float64)
    farthest = np.abs(np.concatenate([em, lower, upper]))
    reach = 1.15 * float(np.clip(farthest[np.isfinite(farthest)].max(initial=2.0), 2.0, _FARTHEST))
    ax.axvspan(-comparison.thresholds.max_z, comparison.thresholds.max_z, **_AGREEMENT)
    ax.axvline(0, color=INK, linewidth=1)
    for row, component in enumerate(table["component"]):
        y, color = heights[row], component_style(component).color
        ax.plot([lower[row], upper[row]], [y, y], color=color, solid_capstyle="butt", **_INTERVAL)
        if np.isfinite(errors[row]) and abs(em[row]) < reach:
            ends = np.clip([em[row] - errors[row], em[row] + errors[row]], -reach, reach)
            ax.plot(ends, [y, y], color=color, solid_capstyle="butt", **_STANDARD_ERROR)
        _draw_estimate(ax, em[row], y, reach, component, inside=bool(table["inside"].iloc[row]))
    return reach


def _draw_estimate(ax: Axes, z: float, y: float, reach: float, component: int | str, *, inside: bool) -> None:
    """Draw a mark at z, or an arrow at the edge of the axis with the distance as text."""
    style = component_style(component)
    x, marker = z, style.marker
    if not abs(z) < reach:
        right = z > 0
        x, marker = (0.96 if right else -0.96) * reach, ">" if right else "<"
        ax.text(
            x * 0.96,
            y,
            f"{in_sds(z, signed=True, digits=1)} sd",
            ha="right" if right else "left",
            va="center",
            fontsize=8,
        )
    edge, width = ("white", 0.8) if inside else ("black", 1.6)
    ax.plot(x, y, color=style.color, marker=marker, markersize=8, markeredgecolor=edge, markeredgewidth=width)


def _label_rows(ax: Axes, table: pd.DataFrame, heights: FloatArray, headings: dict[str, float]) -> None:
    texts = [
        f"{component}, {matplotlib_text(feature)}" if feature else f"{component}"
        for component, feature in zip(table["component"], table["feature"], strict=True)
    ]
    ax.set_yticks([*heights, *headings.values()], [*texts, *headings])
    ax.tick_params(axis="y", length=0, labelsize=9)
    ax.tick_params(axis="x", labelsize=9)
    for label in ax.get_yticklabels()[len(table) :]:
        label.set_fontweight("bold")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.set_ylabel("component, feature", fontsize=9, labelpad=8)


def _write_values(ax: Axes, comparison: Comparison, heights: FloatArray) -> None:
    """Write the numbers as tick labels of a second axis, so that a layout makes room for them."""
    table = comparison.table
    lower, upper = comparison.interval_columns
    columns = [["EM", *_written(table, "em")], ["posterior mean", *_written(table, "mean")]]
    interval = [f"{percent(comparison.ci_prob)} interval"]
    interval += [f"{low} to {high}" for low, high in zip(_written(table, lower), _written(table, upper), strict=True)]
    columns.append(interval)
    padded = [[text.rjust(max(map(len, column))) for text in column] for column in columns]
    values = ax.twinx()
    values.set_ylim(ax.get_ylim())
    values.set_yticks([0.0, *heights], ["  ".join(texts) for texts in zip(*padded, strict=True)], family="monospace")
    values.tick_params(axis="y", length=0, labelsize=8)
    values.spines[:].set_visible(False)


def _written(table: pd.DataFrame, column: str) -> list[str]:
    """Each value, to two digits of its posterior standard deviation; with an exponent where that is shorter."""
    return [_to_digits_of(value, sd) for value, sd in zip(table[column], table["sd"], strict=True)]


def _to_digits_of(value: float, sd: float) -> str:
    if not sd > 0:
        return f"{value:g}"
    place = floor(log10(sd)) - 1  # of the last digit, as a power of ten
    first = floor(log10(max(abs(value), sd)))
    return min(f"{value:.{max(0, -place)}f}", f"{value:.{min(first - place, 15)}e}", key=len)


def _legend(comparison: Comparison) -> list[Handle]:
    em = "EM and its standard error\n(black edge: outside the interval)"
    return [
        line(f"posterior {percent(comparison.ci_prob)} equal-tailed interval", color=INK, **_INTERVAL),
        line("posterior mean", color=INK, linewidth=1),
        line(em, color=INK, marker="o", markersize=8, **_STANDARD_ERROR),
        area(f"within {comparison.thresholds.max_z:g} sd: EM agrees", **_AGREEMENT),
    ]
