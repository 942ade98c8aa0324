"""How EM's runs climbed."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bayesgmm.em.result import EMFit
from bayesgmm.em.runs import Restart, Status
from bayesgmm.plots.style import INK, MUTED, LineStyle, figure_of, legend_beside, new_axes, tidy


class _Look(NamedTuple):
    color: str
    width: float
    linestyle: LineStyle
    marker: str  # where the run ends


_LOOKS = {
    Status.ABANDONED: _Look(MUTED, 0.6, "-", ""),
    Status.COLLAPSED: _Look("#D55E00", 1, "--", "X"),
    Status.CONVERGED: _Look("#0072B2", 1, "-", "o"),
    Status.MAX_ITER: _Look("#CC79A7", 1, "-.", "s"),
}
_BEST_WIDTH = 2.5
# Smaller distances are rounding, or what the stopping rule leaves.
_FLOOR = 1e-8
# When some run is longer than _LONG, iterations beyond _LINEAR are on a logarithmic axis.
_LONG, _LINEAR = 200, 20


def plot_convergence(em: EMFit, *, ax: Axes | None = None) -> Figure:
    """Draw how far every run of EM was below the best log-likelihood, iteration by iteration, and how it ended.

    The axis is logarithmic: a run that converges to the best optimum is a line down to the bottom, one that found
    another optimum becomes level at its height. The bottom is the best, or above it when a component collapses.

    Parameters
    ----------
    em : EMFit
    ax : axes to draw in. The legend stands on their right: a constrained layout makes room for it.

    Returns
    -------
    Figure

    Notes
    -----
    When there are more rows than `fit_em` compares the starts on, short runs have log-likelihoods of a sample of the
    rows. They cannot be drawn on one axis with the others; the legend counts them.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> em = bg.fit_em(bg.datasets.load_faithful(), 2, rng=1)
    >>> figure = bg.plots.plot_convergence(em)
    >>> figure.axes[0].get_ylabel().splitlines()[0]
    'log-likelihood below the best (nats)'
    """
    ax = ax or new_axes(9, 4.5)
    drawn = [run for run in em.restarts if not run.sampled]
    best = next(run for run in drawn if np.array_equal(run.history, em.history))
    for run in sorted(drawn, key=lambda run: (run is best, list(_LOOKS).index(run.status))):
        look = _LOOKS[run.status]
        distances = np.maximum(em.log_likelihood - run.history, _FLOOR)
        if run is best:
            look = look._replace(color=INK, width=_BEST_WIDTH)
        ax.plot(distances, color=look.color, linewidth=look.width, linestyle=look.linestyle, alpha=0.8)
        end: dict[str, Any] = {"color": look.color, "marker": look.marker, "markeredgecolor": "white", "clip_on": False}
        ax.plot(len(distances) - 1, distances[-1], zorder=5, **end)
    ax.set_yscale("log")
    ax.set_ylim(bottom=_FLOOR)
    ax.set_ylabel(f"log-likelihood below the best (nats)\n(bottom: $10^{{{np.log10(_FLOOR):.0f}}}$ or less)")
    _scale_iterations(ax, max(len(run.history) for run in drawn))
    tidy(ax)
    legend_beside(ax, _legend(em, best))
    return figure_of(ax)


def _scale_iterations(ax: Axes, longest: int) -> None:
    if longest > _LONG:
        ax.set_xscale("symlog", linthresh=_LINEAR, linscale=1.5)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.set_xlabel(f"iteration (logarithmic after {_LINEAR})")
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        ax.set_xlabel("iteration")
    ax.set_xlim(left=0)


def _legend(em: EMFit, best: Restart) -> list[Line2D]:
    look = _LOOKS[best.status]
    text = (
        f"best of {len(em.restarts)}: {em.log_likelihood:,.3f},\n{best.status.text} after {em.n_iterations} iterations"
    )
    handles = [
        Line2D([], [], color=INK, linewidth=_BEST_WIDTH, linestyle=look.linestyle, marker=look.marker, label=text)
    ]
    for status, look in reversed(_LOOKS.items()):
        runs = [run for run in em.restarts if run.status is status and run is not best]
        if not runs:
            continue
        absent = ",\nnot drawn: on a sample of the rows" if all(run.sampled for run in runs) else ""
        handles.append(
            Line2D(
                [],
                [],
                color=look.color,
                linewidth=look.width,
                linestyle=look.linestyle,
                marker=look.marker,
                label=f"{len(runs)} {'more ' if status is best.status else ''}{status.text}{absent}",
            )
        )
    return handles
