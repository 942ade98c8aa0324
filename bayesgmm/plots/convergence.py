"""The log-likelihood of every run of EM."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bayesgmm.em.result import EMFit
from bayesgmm.em.runs import Restart, Status
from bayesgmm.plots.legends import Handle, legend_beside, line
from bayesgmm.plots.style import INK, MUTED, LineStyle, axes_or_new, figure_of, shown_once, tidy
from bayesgmm.received import check_result
from bayesgmm.wording import count


class _Look(NamedTuple):
    """How a run is drawn, in Matplotlib's properties; the marker is at its end."""

    color: str
    linewidth: float
    linestyle: LineStyle
    marker: str


_LOOKS = {
    Status.ABANDONED: _Look(MUTED, 0.6, "-", ""),
    Status.COLLAPSED: _Look("#D55E00", 1, "--", "X"),
    Status.CONVERGED: _Look("#0072B2", 1, "-", "o"),
    Status.MAX_ITER: _Look("#CC79A7", 1, "-.", "s"),
}
_BEST_WIDTH = 2.5
_FLOOR = 1e-8  # nats; smaller distances are rounding or within EM's tolerance
# If a run has more than _LONG iterations, the axis is logarithmic beyond iteration _LINEAR.
_LONG, _LINEAR = 200, 20


@shown_once
def plot_convergence(em: EMFit, *, ax: Axes | None = None) -> Figure:
    """Draw how far every run of EM was below the best log-likelihood, iteration by iteration, and how it ended.

    The axis is logarithmic. A run that converges to the best optimum is a line down to the bottom; a run that converges
    to another optimum becomes level above it. A run whose component collapses also reaches the bottom, because its
    log-likelihood grows without limit.

    Parameters
    ----------
    em : EMFit
    ax : axes to draw in. The legend is on their right; use a constrained layout to make room for it.

    Returns
    -------
    Figure

    Notes
    -----
    For large data `fit_em` makes its short runs on a sample of the rows. Their log-likelihoods cannot share an axis
    with those of all rows, so these runs are not drawn; the legend counts them.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> em = bg.fit_em(bg.datasets.load_faithful(), 2, rng=1)
    >>> figure = bg.plots.plot_convergence(em)
    >>> figure.axes[0].get_ylabel().splitlines()[0]
    'log-likelihood below the best (nats)'
    """
    check_result(em, EMFit, "em")
    ax = axes_or_new(ax, 9, 4.5)
    drawn = [run for run in em.restarts if not run.sampled]
    best = next(run for run in drawn if np.array_equal(run.history, em.history))
    for run in sorted(drawn, key=lambda run: (run is best, list(_LOOKS).index(run.status))):
        _draw_run(ax, run, em.log_likelihood, _look(run, best))
    ax.set_yscale("log")
    ax.set_ylim(bottom=_FLOOR)
    ax.set_ylabel(f"log-likelihood below the best (nats)\n(bottom: $10^{{{np.log10(_FLOOR):.0f}}}$ or less)")
    _scale_iterations(ax, max(len(run.history) for run in drawn))
    tidy(ax)
    legend_beside(ax, _legend(em, best))
    return figure_of(ax)


def _look(run: Restart, best: Restart) -> _Look:
    look = _LOOKS[run.status]
    return look._replace(color=INK, linewidth=_BEST_WIDTH) if run is best else look


def _draw_run(ax: Axes, run: Restart, log_likelihood: float, look: _Look) -> None:
    distances = np.maximum(log_likelihood - run.history, _FLOOR)
    ax.plot(distances, color=look.color, linewidth=look.linewidth, linestyle=look.linestyle, alpha=0.8)
    ax.plot(
        len(distances) - 1,
        distances[-1],
        color=look.color,
        marker=look.marker,
        markeredgecolor="white",
        clip_on=False,
        zorder=5,
    )


def _scale_iterations(ax: Axes, longest: int) -> None:
    if longest > _LONG:
        ax.set_xscale("symlog", linthresh=_LINEAR, linscale=1.5)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.set_xlabel(f"iteration (logarithmic after {_LINEAR})")
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        ax.set_xlabel("iteration")
    ax.set_xlim(left=0)


def _legend(em: EMFit, best: Restart) -> list[Handle]:
    end = f"{best.status.text} after {count(em.n_iterations, 'iteration')}"
    handles: list[Handle] = [
        line(f"best of {len(em.restarts)}: {em.log_likelihood:,.3f},\n{end}", **_look(best, best)._asdict())
    ]
    for status, look in reversed(_LOOKS.items()):
        runs = [run for run in em.restarts if run.status is status and run is not best]
        if runs:
            more = "more " if status is best.status else ""
            absent = ",\nnot drawn: on a sample of the rows" if all(run.sampled for run in runs) else ""
            handles.append(line(f"{len(runs)} {more}{status.text}{absent}", **look._asdict()))
    return handles
