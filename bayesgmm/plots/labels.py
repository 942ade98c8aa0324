"""The probability that EM's label of a row is wrong."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayesgmm.comparison.partitions import row_uncertainty
from bayesgmm.em.result import EMFit
from bayesgmm.escaping import matplotlib_text
from bayesgmm.plots.legends import Handle, component_mark_handles, heading, legend_beside, line, marks
from bayesgmm.plots.selection import float_rows, limits, most_doubtful_last, one_or_two_features
from bayesgmm.plots.style import INK, axes_or_new, component_style, figure_of, percent, shown_once, tidy
from bayesgmm.posterior.draws import interval_names
from bayesgmm.received import check_result
from bayesgmm.types import BoolArray, FloatArray
from bayesgmm.wording import count

# Diameters (points) of the marks of a certain label and of a label that is certainly wrong.
_SMALL, _LARGE = 3.5, 13.0
_LEGEND_PROBABILITIES = (0.0, 0.1, 0.5, 1.0)
_DOUBTFUL = 0.5  # probability above which the posterior prefers another component
_INTERVAL: dict[str, Any] = {"alpha": 0.35, "linewidth": 1.5}
_LIMIT: dict[str, Any] = {"color": INK, "linewidth": 0.8, "linestyle": ":"}


@shown_once
def plot_labels(
    em: EMFit,
    posterior: xr.DataTree,
    *,
    features: Sequence[str | int] | None = None,
    ci_prob: float = 0.9,
    ax: Axes | None = None,
) -> Figure:
    """Draw the probability that EM's label is wrong, row by row.

    One feature: the probability against the feature, with its interval. Two: the rows in EM's colours, larger and
    darker the less certain the label, with a black edge where the posterior prefers another component.

    Parameters
    ----------
    em : EMFit of the rows.
    posterior : DataTree from `align(posterior, em.parameters)`, with the rows in `observed_data`.
    features : names or numbers of one or two features to draw. By default both of two; of more than two, the two that
        separate EM's means best. The probabilities are always of all features.
    ci_prob : probability of the interval over draws, equal-tailed.
    ax : axes to draw in. The legend is on their right; use a constrained layout to make room for it.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        As for `row_uncertainty`, or `features` are not one or two of the mixture's.

    Notes
    -----
    At most 4000 rows are drawn, and the legend says so: the 2000 least certain, and 2000 of the others, evenly spaced.

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
    indices = one_or_two_features(check_result(em, EMFit, "em").parameters, features)
    points = float_rows(posterior)[:, indices]
    table = row_uncertainty(em, posterior, ci_prob=ci_prob)
    names = [matplotlib_text(em.parameters.features[d]) for d in indices]
    shown = most_doubtful_last(table["p_wrong"].to_numpy())
    ax = axes_or_new(ax, 8.5, 5)
    draw = _draw_probabilities if len(indices) == 1 else _draw_rows
    draw(ax, points[shown], table.iloc[shown], ci_prob)
    ax.set_xlabel(names[0])
    ax.set_ylabel("probability that EM's label is wrong" if len(indices) == 1 else names[1])
    tidy(ax)
    legend_beside(ax, _legend(em, table, len(shown), ci_prob, flat=len(indices) == 2))
    return figure_of(ax)


class _Look(NamedTuple):
    """The mark of a row: its diameter and the width of its edge in points, its opacity, the colour of its edge."""

    diameter: float
    alpha: float
    edge: str
    edge_width: float


def _look(p_wrong: float) -> _Look:
    size = float(np.sqrt(p_wrong))
    edge, edge_width = (INK, 1.5) if p_wrong > _DOUBTFUL else ("white", 0.3)
    return _Look(_SMALL + (_LARGE - _SMALL) * size, 0.35 + 0.65 * size, edge, edge_width)


def _draw_rows(ax: Axes, points: FloatArray, table: pd.DataFrame, ci_prob: float) -> None:
    """Two features; the interval is not drawn."""
    for k, members in _by_label(table):
        style = component_style(k)
        looks = [_look(p) for p in table["p_wrong"].to_numpy()[members]]
        alphas: Any = [look.alpha for look in looks]  # Matplotlib's type hints allow one number only
        ax.scatter(
            points[members, 0],
            points[members, 1],
            s=[look.diameter**2 for look in looks],
            marker=style.marker,
            color=style.color,
            alpha=alphas,
            edgecolors=[look.edge for look in looks],
            linewidths=[look.edge_width for look in looks],
            rasterized=True,
        )
    ax.set(xlim=limits(points[:, 0]), ylim=limits(points[:, 1]))


def _by_label(table: pd.DataFrame) -> list[tuple[int, BoolArray]]:
    """Each of EM's labels, and which rows have it."""
    labels = table["label"].to_numpy()
    return [(int(k), labels == k) for k in np.unique(labels)]


def _draw_probabilities(ax: Axes, points: FloatArray, table: pd.DataFrame, ci_prob: float) -> None:
    x, p_wrong = points[:, 0], table["p_wrong"].to_numpy()
    lower, upper = (1 - table[name].to_numpy() for name in reversed(interval_names(ci_prob)))
    ax.axhline(_DOUBTFUL, **_LIMIT)
    for k, members in _by_label(table):
        style = component_style(k)
        ax.vlines(x[members], lower[members], upper[members], color=style.color, **_INTERVAL)
        ax.plot(
            x[members],
            p_wrong[members],
            style.marker,
            color=style.color,
            markersize=7,
            markeredgecolor="white",
            markeredgewidth=0.6,
            alpha=0.9,
        )
    ax.set(xlim=limits(x), ylim=(-0.03, 1.03))


def _legend(em: EMFit, table: pd.DataFrame, n_shown: int, ci_prob: float, *, flat: bool) -> list[Handle]:
    N, n_doubtful = len(table), int((table["p_wrong"] > _DOUBTFUL).sum())
    rows = f"{N:,} rows" if n_shown == N else f"{n_shown:,} of the {N:,} rows"
    return [
        heading(f"{rows}, by EM's label:"),
        *component_mark_handles(em.parameters.n_components),
        *(_size_legend(n_doubtful) if flat else _interval_legend(n_doubtful, ci_prob)),
        heading(f"expected number labelled\nwrongly: {table['p_wrong'].sum():.3g}"),
    ]


def _size_legend(n_doubtful: int) -> list[Handle]:
    """Entries that explain the marks' sizes."""
    handles: list[Handle] = [heading("probability that the label is wrong:")]
    for p in _LEGEND_PROBABILITIES:
        look = _look(p)
        note = f" (edge: above {_DOUBTFUL:g},\n{count(n_doubtful, 'row')})" if p > _DOUBTFUL else ""
        handles.append(
            marks(
                f"{p:g}{note}",
                color="#666666",
                marker="o",
                markersize=look.diameter,
                alpha=look.alpha,
                markeredgecolor=look.edge,
                markeredgewidth=look.edge_width,
            )
        )
    return handles


def _interval_legend(n_doubtful: int, ci_prob: float) -> list[Handle]:
    return [
        line(f"{percent(ci_prob)} equal-tailed interval\nover posterior draws", color=INK, **_INTERVAL),
        line(f"above it, {count(n_doubtful, 'row')}: another\ncomponent is more probable", **_LIMIT),
    ]
