"""How sure EM's label of each row is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bayesgmm.comparison.partitions import row_uncertainty
from bayesgmm.em.result import EMFit
from bayesgmm.plots.selection import float_rows, least_sure_last, limits, one_or_two
from bayesgmm.plots.style import (
    INK,
    component_handles,
    component_style,
    figure_of,
    legend_beside,
    literal,
    new_axes,
    percent,
    tidy,
)
from bayesgmm.posterior.draws import interval_names
from bayesgmm.types import FloatArray

# Marks grow from the first diameter (points), of a row whose label is certain, to the second.
_SMALL, _LARGE = 3.5, 13.0
_SHOWN = (0.0, 0.1, 0.5, 1.0)
_DOUBTFUL = 0.5


def plot_labels(
    em: EMFit,
    posterior: xr.DataTree,
    *,
    features: Sequence[str | int] | None = None,
    ci_prob: float = 0.9,
    ax: Axes | None = None,
) -> Figure:
    """Draw the probability that EM's label of a row is wrong, row by row.

    One feature: the probability against the feature, with its interval. Two: the rows in EM's colours, larger and
    darker the less sure the label, with a black edge where the posterior rather gives the row to another component.

    Parameters
    ----------
    em : EMFit of the rows.
    posterior : DataTree from `align(posterior, em.parameters)`, with the rows in `observed_data`.
    features : names or numbers of one or two features to draw; by default all of two, and of more the two in which
        EM's means are farthest apart for their spread. The probabilities are of all features whichever are drawn.
    ci_prob : probability of the interval over draws, equal-tailed.
    ax : axes to draw in. The legend stands on their right: a constrained layout makes room for it.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        As `row_uncertainty` does, or `features` are not one or two of the mixture's.

    Notes
    -----
    At most 4000 rows are drawn: the 2000 least sure, and others evenly chosen. The legend says when.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()[["waiting"]]
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> posterior = bg.sample_posterior(X, 2, start=em.parameters, draws=200, rng=1, progress=False)
    >>> figure = bg.plots.plot_labels(em, bg.align(posterior, em.parameters))
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
    ('waiting', "probability that EM's label is wrong")
    """
    chosen = one_or_two(em.parameters, features)
    table = row_uncertainty(em, posterior, ci_prob=ci_prob)
    points = float_rows(posterior)[:, chosen]
    names = [literal(em.parameters.features[d]) for d in chosen]
    shown = least_sure_last(table["p_wrong"].to_numpy())
    ax = ax or new_axes(8.5, 5)
    draw = _draw_strip if len(chosen) == 1 else _draw_rows
    draw(ax, points[shown], table.iloc[shown], ci_prob)
    ax.set_xlabel(names[0])
    ax.set_ylabel("probability that EM's label is wrong" if len(chosen) == 1 else names[1])
    tidy(ax)
    legend_beside(ax, _legend(em, table, len(shown), ci_prob, strip=len(chosen) == 1))
    return figure_of(ax)


def _diameters(p_wrong: Any) -> Any:
    return _SMALL + (_LARGE - _SMALL) * np.sqrt(p_wrong)


def _alphas(p_wrong: Any) -> Any:
    return 0.35 + 0.65 * np.sqrt(p_wrong)


def _draw_rows(ax: Axes, points: FloatArray, table: pd.DataFrame, ci_prob: float) -> None:
    p_wrong = table["p_wrong"].to_numpy()
    for k in np.unique(table["em_label"]):
        style, mine = component_style(int(k)), (table["em_label"] == k).to_numpy()
        p = p_wrong[mine]
        ax.scatter(
            points[mine, 0],
            points[mine, 1],
            s=_diameters(p) ** 2,
            marker=style.marker,
            color=style.color,
            alpha=_alphas(p),
            edgecolors=[INK if doubtful else "white" for doubtful in p > _DOUBTFUL],
            linewidths=[1.5 if doubtful else 0.3 for doubtful in p > _DOUBTFUL],
            rasterized=True,
        )
    ax.set(xlim=limits(points[:, 0]), ylim=limits(points[:, 1]))


def _draw_strip(ax: Axes, points: FloatArray, table: pd.DataFrame, ci_prob: float) -> None:
    x, p_wrong = points[:, 0], table["p_wrong"].to_numpy()
    lower, upper = (1 - table[name].to_numpy() for name in reversed(interval_names(ci_prob)))
    ax.axhline(_DOUBTFUL, color=INK, linewidth=0.8, linestyle=":")
    for k in np.unique(table["em_label"]):
        style, mine = component_style(int(k)), (table["em_label"] == k).to_numpy()
        ax.vlines(x[mine], lower[mine], upper[mine], color=style.color, alpha=0.35, linewidth=1.5)
        ax.plot(
            x[mine],
            p_wrong[mine],
            style.marker,
            color=style.color,
            markersize=7,
            markeredgecolor="white",
            markeredgewidth=0.6,
            alpha=0.9,
        )
    ax.set(xlim=limits(x), ylim=(-0.03, 1.03))


def _legend(em: EMFit, table: pd.DataFrame, n_shown: int, ci_prob: float, *, strip: bool) -> list[Any]:
    N, K = len(table), em.parameters.n_components
    rows = f"{N:,} rows" if n_shown == N else f"{n_shown:,} of the {N:,} rows"
    n_doubtful = int((table["p_wrong"] > _DOUBTFUL).sum())
    handles: list[Any] = [Line2D([], [], linestyle="", label=f"{rows}, by EM's label:")]
    for handle in component_handles(K, marker=True):
        handle.set_linestyle("")
        handles.append(handle)
    expected = f"expected number labelled\nwrongly: {table['p_wrong'].sum():.3g}"
    if strip:
        interval = f"{percent(ci_prob)} equal-tailed interval\nover posterior draws"
        handles += [
            Line2D([], [], color=INK, alpha=0.35, linewidth=1.5, label=interval),
            Line2D(
                [],
                [],
                color=INK,
                linewidth=0.8,
                linestyle=":",
                label=f"above it, {n_doubtful} rows: rather\nof another component",
            ),
        ]
    else:
        handles.append(Line2D([], [], linestyle="", label="probability that the label is wrong:"))
        for p in _SHOWN:
            edge, width = (INK, 1.5) if p > _DOUBTFUL else ("white", 0.3)
            look = {"marker": "o", "markersize": _diameters(p), "alpha": _alphas(p)}
            rows = f"{n_doubtful} row{'' if n_doubtful == 1 else 's'}"
            text = f"{p:g}" + (f" (edge: above {_DOUBTFUL:g},\n{rows})" if p > _DOUBTFUL else "")
            handles.append(
                Line2D(
                    [],
                    [],
                    linestyle="",
                    color="#666666",
                    markeredgecolor=edge,
                    markeredgewidth=width,
                    label=text,
                    **look,
                )
            )
    return [*handles, Line2D([], [], linestyle="", label=expected)]
