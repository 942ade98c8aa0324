"""EM at work: soft assignment, components and log-likelihood, iteration by iteration."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bayesgmm.em.path import EMPath
from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.plots.selection import limits, one_or_two
from bayesgmm.plots.shapes import MOST_POINTS, areas, draw_component_densities, draw_components, rows_text
from bayesgmm.plots.style import INK, LEGEND, MUTED, component_handles, literal, mixed_colors, tidy
from bayesgmm.types import FloatArray
from bayesgmm.validation import check_count, check_positive

_COLUMNS, _PANELS, _MOST_PANELS = 3, 6, 12
_FRAMES = 40
_GRID = 300  # points of a density's curve


def plot_iterations(
    path: EMPath, *, iterations: Sequence[int] | None = None, features: Sequence[str | int] | None = None
) -> Figure:
    """Draw EM at several of its iterations, and the log-likelihood on its way.

    A row has the colours of the components mixed by its responsibilities: a pure colour is a sure assignment. Two
    features: the rows, and the components' ellipses at 2 standard deviations; weights of rows are areas of marks. One:
    the rows as ticks, and the weighted components and their sum.

    Parameters
    ----------
    path : EMPath, as `em_path` returns it.
    iterations : which to draw, 0 for the start, up to twelve; by default the start, the end, and four
        between, as far from each other as they can be in what the log-likelihood has still to gain.
    features : names or numbers of one or two features; by default all of two, and of more the two in which the means
        end farthest apart for their spread. Responsibilities are of all features whichever are drawn.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        `iterations` is empty, names one that the path does not have, or more than twelve; or `features` are not one or
        two of the mixture's.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> path = bg.em_path(bg.datasets.load_faithful(), 2, rng=1)
    >>> figure = bg.plots.plot_iterations(path, iterations=[0, 5, 10, 19])
    >>> [ax.get_title() for ax in figure.axes[:2]]
    ['start: log-likelihood -1,541.63', 'iteration 5: log-likelihood -1,283.44']
    """
    shown = _checked(path, iterations, _MOST_PANELS) if iterations is not None else _spread(path, _PANELS)
    view = _view(path, features, shown)
    n_rows = -(-len(shown) // _COLUMNS)
    figure = plt.figure(figsize=(10, 2.9 * n_rows + 2), layout="constrained")
    grid = figure.add_gridspec(n_rows + 1, _COLUMNS, height_ratios=[2.9] * n_rows + [2])
    for at, iteration in enumerate(shown):
        row, column = divmod(at, _COLUMNS)
        ax = figure.add_subplot(grid[row, column])
        _draw_iteration(ax, view, iteration)
        below = at + _COLUMNS >= len(shown)
        ax.tick_params(labelbottom=below, labelleft=column == 0)
        ax.set_xlabel(view.names[0] if below else "")
        ax.set_ylabel(view.names[1] if column == 0 else "")
    curve = figure.add_subplot(grid[n_rows, :2])
    _draw_climb(curve, path)
    curve.plot(shown, path.history[shown], color=INK, marker="o", linestyle="")
    corner = figure.add_subplot(grid[n_rows, 2])
    corner.axis("off")
    corner.legend(handles=_legend(view), loc="upper left", borderaxespad=0, **LEGEND)
    return figure


def animate_iterations(
    path: EMPath,
    *,
    iterations: Sequence[int] | None = None,
    features: Sequence[str | int] | None = None,
    interval: float = 400,
) -> FuncAnimation:
    """Animate what `plot_iterations` draws: a frame an iteration.

    Save it as a GIF with `.save("em.gif", writer="pillow")`, or show it in a notebook with
    `IPython.display.HTML(animation.to_jshtml())`.

    Parameters
    ----------
    path : EMPath, as `em_path` returns it.
    iterations : the frames; by default all, and of more than forty as many, chosen as by `plot_iterations`.
    features : as of `plot_iterations`.
    interval : time between frames, milliseconds.

    Returns
    -------
    matplotlib.animation.FuncAnimation. It draws when it is saved or shown.

    Raises
    ------
    InputError
        As `plot_iterations`, without its limit on the number; or `interval` is not above 0.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> path = bg.em_path(bg.datasets.load_faithful(), 2, rng=1)
    >>> animation = bg.plots.animate_iterations(path, iterations=[0, 10, 19])
    >>> animation.to_jshtml(fps=2).count("data:image/png")
    3
    """
    interval = check_positive(interval, "interval")
    frames = _checked(path, iterations, None) if iterations is not None else _spread(path, _FRAMES)
    view = _view(path, features, frames)
    figure, (ax, curve) = plt.subplots(1, 2, figsize=(9, 4.2), width_ratios=(3, 2), layout="constrained")
    _draw_climb(curve, path)
    (mark,) = curve.plot([], [], color=INK, marker="o", linestyle="")
    figure.legend(handles=_legend(view), loc="outside lower center", ncols=4, **LEGEND)

    def draw(iteration: int) -> tuple[()]:
        ax.clear()
        _draw_iteration(ax, view, iteration)
        ax.set(xlabel=view.names[0], ylabel=view.names[1])
        mark.set_data([iteration], [path.history[iteration]])
        return ()

    draw(frames[0])
    # The layout of the first frame is that of all: it takes longer than the drawing.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return FuncAnimation(figure, draw, frames=frames, init_func=lambda: (), interval=interval, blit=False)


def _checked(path: EMPath, iterations: Sequence[int], most: int | None) -> list[int]:
    shown = [check_count(iteration, "each of iterations", 0) for iteration in iterations]
    if not shown or max(shown) > path.n_iterations:
        raise InputError(
            f"iterations must name at least one of 0 to {path.n_iterations}, the last of this path; received {shown}."
        )
    if most is not None and len(shown) > most:
        raise InputError(
            f"{len(shown)} iterations are to be drawn; one picture holds at most {most}. Name fewer, or see all of "
            f"them with animate_iterations."
        )
    return shown


def _spread(path: EMPath, n: int) -> list[int]:
    """At most n iterations, the first and the last among them."""
    if path.n_iterations < n:
        return list(range(path.n_iterations + 1))
    # The fourth root of what is left to gain: the way there as well as the last steps, of which EM takes many.
    left = np.maximum(path.history[-1] - path.history, 0) ** 0.25
    chosen = [0, path.n_iterations]
    while len(chosen) < n:
        chosen.append(int(np.abs(left[:, np.newaxis] - left[chosen]).min(axis=1).argmax()))
    return sorted(set(chosen))


class _View(NamedTuple):
    """The rows drawn, of all features (M, D) and of those drawn (M, d), their areas, and the axes' limits."""

    path: EMPath
    chosen: list[int]
    rows: FloatArray
    points: FloatArray
    sizes: FloatArray | float
    top: float  # of the densities of one feature

    @property
    def names(self) -> tuple[str, str]:
        features = self.path.parameters[0].features
        names = [literal(features[d]) for d in self.chosen]
        return (names[0], names[1]) if len(names) == 2 else (names[0], f"density per unit of\n{names[0]}")

    def mixture(self, iteration: int) -> MixtureParameters:
        """Of the features drawn."""
        return self.path.parameters[iteration].marginal(self.chosen)


def _view(path: EMPath, features: Sequence[str | int] | None, shown: list[int]) -> _View:
    chosen = one_or_two(path.parameters[-1], features)
    index = spaced(path.rows.n_samples, MOST_POINTS)
    rows = np.asarray(path.rows.values[index], dtype=np.float64)
    weights = path.rows.weights
    view = _View(path, chosen, rows, rows[:, chosen], areas(weights[index] if weights.size else weights, 14), 0.0)
    if len(chosen) == 2:
        return view
    grid = np.linspace(*limits(view.points[:, 0], 0.1), _GRID)
    return view._replace(top=1.05 * max(float(np.exp(view.mixture(i).log_density(grid)).max()) for i in shown))


def _draw_iteration(ax: Axes, view: _View, iteration: int) -> None:
    mixture = view.mixture(iteration)
    colors = mixed_colors(view.path.parameters[iteration].responsibilities(view.rows))
    if len(view.chosen) == 2:
        x, y = view.points.T
        ax.scatter(x, y, s=view.sizes, c=colors, linewidths=0, alpha=0.85, rasterized=True, zorder=1)
        draw_components(ax, mixture)
        ax.set(xlim=limits(x, 0.1), ylim=limits(y, 0.1))
    else:
        _draw_curves(ax, view, mixture, colors)
    step = f"iteration {iteration}" if iteration else "start"
    ax.set_title(f"{step}: log-likelihood {view.path.history[iteration]:,.2f}", fontsize=9)
    tidy(ax)


def _draw_curves(ax: Axes, view: _View, mixture: MixtureParameters, colors: FloatArray) -> None:
    x = view.points[:, 0]
    grid = np.linspace(*limits(x, 0.1), _GRID)
    ax.plot(grid, np.exp(mixture.log_density(grid)), color=INK, linewidth=3)
    draw_component_densities(ax, mixture, grid)
    # Below the curves, in a strip of their own.
    ax.vlines(x, -0.12 * view.top, -0.02 * view.top, colors=list(map(tuple, colors)), linewidth=1.2)
    ax.set(xlim=(grid[0], grid[-1]), ylim=(-0.14 * view.top, view.top))


def _draw_climb(ax: Axes, path: EMPath) -> None:
    ax.plot(path.history, color=MUTED, linewidth=1.5, marker="o", markersize=2.5)
    ax.set_xlabel(f"iteration ({path.status.text} after {path.n_iterations})")
    ax.set_ylabel("log-likelihood (nats)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    tidy(ax)


def _legend(view: _View) -> list[Any]:
    flat, weights = len(view.chosen) == 2, view.path.rows.weights
    rows = Line2D(
        [],
        [],
        color=MUTED,
        marker="o" if flat else "|",
        markersize=4 if flat else 8,
        linestyle="",
        label=f"{rows_text(view.path.rows.n_samples, weights if flat else None)}, colours mixed\nby responsibilities",
    )
    if flat:
        what = Line2D([], [], linestyle="", label="mean and 2-sd ellipse\n(86 % of a component):")
    else:
        what = Line2D([], [], color=INK, linewidth=3, label="density; weighted components:")
    return [rows, what, *component_handles(view.path.parameters[0].n_components, marker=flat)]
