"""How EM's runs climbed."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from bayesgmm.em.result import EMFit, Restart, Status
from bayesgmm.em.start import _MOST_ROWS
from bayesgmm.plots.style import INK, MUTED, figure_of, legend_beside, new_axes, tidy

type FloatArray = NDArray[np.float64]


class _Look(NamedTuple):
    color: str
    width: float
    linestyle: str
    marker: str  # where the run ends


_LOOKS = {
    Status.OVERTAKEN: _Look(MUTED, 0.6, "-", ""),
    Status.COLLAPSED: _Look("#D55E00", 1, "--", "X"),
    Status.CONVERGED: _Look("#0072B2", 1, "-", "o"),
    Status.MAX_ITER: _Look("#CC79A7", 1, "-.", "s"),
}
_BEST_WIDTH = 2.5
# Smaller distances are rounding, or what the stopping rule leaves.
_FLOOR = 1e-8


def plot_convergence(em: EMFit, *, ax: Axes | None = None) -> Figure:
    """Draw how far every run of EM was below the best log-likelihood, iteration by iteration, and how it ended.

    The axis is logarithmic: a run that converges to the best optimum is a line down to the bottom, one that found another
    optimum becomes level at its height. What is at the bottom is at the best or, when a component collapses, beyond it.

    Parameters
    ----------
    em : EMFit
    ax : axes to draw in. The legend stands on their right: a constrained layout makes room for it.

    Returns
    -------
    Figure

    Notes
    -----
    On more rows than the starts are compared on (`fit_em`), short runs have log-likelihoods of a sample of the rows. They
    cannot be drawn on one axis with the others; the legend counts them.
    """
    ax = ax or new_axes(9, 4.5)
    drawn = [run for run in em.restarts if _is_of_all_rows(run, em)]
    floor = _floor(drawn, em.log_likelihood)
    best = next(run for run in drawn if np.array_equal(run.history, em.history))
    for run in sorted(drawn, key=lambda run: (run is best, list(_LOOKS).index(run.status))):
        look = _LOOKS[run.status]
        distances = np.maximum(em.log_likelihood - run.history, floor)
        if run is best:
            look = look._replace(color=INK, width=_BEST_WIDTH)
        ax.plot(distances, color=look.color, linewidth=look.width, linestyle=look.linestyle, alpha=0.8)
        ax.plot(len(distances) - 1, distances[-1], color=look.color, marker=look.marker, markersize=6, clip_on=False)
    ax.set_yscale("log")
    ax.set_ylim(bottom=floor)
    ax.set_xlim(left=0)
    ax.set(xlabel="iteration", ylabel="log-likelihood below the best (nats)")
    tidy(ax)
    legend_beside(ax, _legend(em, best))
    return figure_of(ax)


def _is_of_all_rows(run: Restart, em: EMFit) -> bool:
    return run.status in (Status.CONVERGED, Status.MAX_ITER) or em.n_samples <= _MOST_ROWS


def _floor(runs: list[Restart], best: float) -> float:
    """A power of ten below all distances from the best that mean something."""
    distances = best - np.concatenate([run.history for run in runs])
    smallest = distances[distances > _FLOOR].min(initial=1.0)
    return float(10 ** np.floor(np.log10(smallest)))


def _legend(em: EMFit, best: Restart) -> list[Line2D]:
    look = _LOOKS[best.status]
    text = f"best of {len(em.restarts)}: {em.log_likelihood:,.3f},\n{best.status.text} after {em.n_iterations} iterations"
    handles = [Line2D([], [], color=INK, linewidth=_BEST_WIDTH, linestyle=look.linestyle, marker=look.marker, label=text)]
    for status, look in reversed(_LOOKS.items()):
        runs = [run for run in em.restarts if run.status is status and run is not best]
        if not runs:
            continue
        absent = "" if _is_of_all_rows(runs[0], em) else ",\nnot drawn: on a sample of the rows"
        handles.append(
            Line2D(
                [],
                [],
                color=look.color,
                linewidth=look.width,
                linestyle=look.linestyle,
                marker=look.marker,
                label=f"{len(runs)} {'others ' if status is best.status else ''}{status.text}{absent}",
            )
        )
    return handles
