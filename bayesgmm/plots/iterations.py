"""EM, iteration by iteration: assignment of the rows, components and log-likelihood."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bayesgmm.em.path import EMPath
from bayesgmm.errors import InputError
from bayesgmm.escaping import matplotlib_text
from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.plots.legends import LEGEND, Handle, component_handles, heading, line, marks
from bayesgmm.plots.selection import limits, one_or_two_features
from bayesgmm.plots.shapes import MOST_POINTS, areas, draw_component_densities, draw_components, rows_text
from bayesgmm.plots.style import INK, MUTED, mixed_colors, shown_once, tidy
from bayesgmm.received import check_result
from bayesgmm.types import FloatArray
from bayesgmm.validation import check_count, check_positive
from bayesgmm.wording import shown as in_words

_COLUMNS, _PANELS, _MOST_PANELS = 3, 6, 12
_FRAMES = 40  # of an animation, by default
_GRID = 300  # points of a density's curve


@shown_once
def plot_iterations(
    path: EMPath, *, iterations: Sequence[int] | None = None, features: Sequence[str | int] | None = None
) -> Figure:
    """Draw EM at several iterations, and the log-likelihood of all iterations.

    The colour of a row mixes the components' colours by its responsibilities: a pure colour is a certain assignment.
    Two features: the rows, and the components' ellipses at 2 standard deviations; the area of a row's mark is its
    weight. One: the rows as ticks, the weighted components and their sum.

    Parameters
    ----------
    path : EMPath, as `em_path` returns it.
    iterations : up to twelve iterations to draw, 0 for the start. By default the start, the end, and four between,
        spread evenly over the gain in log-likelihood (on the scale of its fourth root).
    features : names or numbers of one or two features to draw. By default both of two; of more than two, the two that
        separate the final means best. Responsibilities are always of all features.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        `iterations` is empty, names an iteration that the path does not have or more than twelve; or `features` are not
        one or two of the mixture's.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> path = bg.em_path(bg.datasets.load_faithful(), 2, rng=1)
    >>> figure = bg.plots.plot_iterations(path, iterations=[0, 5, 10, 19])
    >>> [ax.get_title() for ax in figure.axes[:2]]
    ['start: log-likelihood -1,541.63', 'iteration 5: log-likelihood -1,283.44']
    """
    check_result(path, EMPath, "path")
    shown = _spread(path, _PANELS) if iterations is None else _checked(path, iterations, _MOST_PANELS)
    scene = _scene(path, features, shown)
    n_rows = -(-len(shown) // _COLUMNS)
    figure = plt.figure(figsize=(10, 2.9 * n_rows + 2), layout="constrained")
    grid = figure.add_gridspec(n_rows + 1, _COLUMNS, height_ratios=[2.9] * n_rows + [2])
    for panel, iteration in enumerate(shown):
        row, column = divmod(panel, _COLUMNS)
        ax = figure.add_subplot(grid[row, column])
        _draw_iteration(ax, scene, iteration)
        is_lowest = panel + _COLUMNS >= len(shown)
        ax.tick_params(labelbottom=is_lowest, labelleft=column == 0)
        ax.set_xlabel(scene.axis_names[0] if is_lowest else "")
        ax.set_ylabel(scene.axis_names[1] if column == 0 else "")
    curve = figure.add_subplot(grid[n_rows, :2])
    _draw_log_likelihood(curve, path)
    curve.plot(shown, path.history[shown], color=INK, marker="o", linestyle="")
    corner = figure.add_subplot(grid[n_rows, 2])
    corner.axis("off")
    corner.legend(handles=_legend(scene), loc="upper left", borderaxespad=0, **LEGEND)
    return figure


def animate_iterations(
    path: EMPath,
    *,
    iterations: Sequence[int] | None = None,
    features: Sequence[str | int] | None = None,
    interval: float = 400,
) -> FuncAnimation:
    """Animate the panels of `plot_iterations`, one frame per iteration.

    Save it as a GIF with `.save("em.gif", writer="pillow")`, or show it in a notebook with
    `IPython.display.HTML(animation.to_jshtml())`.

    Parameters
    ----------
    path : EMPath, as `em_path` returns it.
    iterations : iterations to draw, one frame each; by default all, and of more than forty, forty that are spread like
        those of `plot_iterations`.
    features : as for `plot_iterations`.
    interval : time between frames, milliseconds.

    Returns
    -------
    matplotlib.animation.FuncAnimation
        It draws when it is saved or shown.

    Raises
    ------
    InputError
        As for `plot_iterations`, without its limit of twelve; or `interval` is not above 0.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> path = bg.em_path(bg.datasets.load_faithful(), 2, rng=1)
    >>> animation = bg.plots.animate_iterations(path, iterations=[0, 10, 19])
    >>> animation.to_jshtml(fps=2).count("data:image/png")
    3
    """
    check_result(path, EMPath, "path")
    interval = check_positive(interval, "interval")
    frames = _spread(path, _FRAMES) if iterations is None else _checked(path, iterations, None)
    scene = _scene(path, features, frames)
    figure, (ax, curve) = plt.subplots(1, 2, figsize=(9, 4.2), width_ratios=(3, 2), layout="constrained")
    _draw_log_likelihood(curve, path)
    (mark,) = curve.plot([], [], color=INK, marker="o", linestyle="")
    figure.legend(handles=_legend(scene), loc="outside lower center", ncols=4, **LEGEND)

    def draw(iteration: int) -> tuple[()]:
        ax.clear()
        _draw_iteration(ax, scene, iteration)
        ax.set(xlabel=scene.axis_names[0], ylabel=scene.axis_names[1])
        mark.set_data([iteration], [path.history[iteration]])
        return ()

    draw(frames[0])
    # All frames keep the layout of the first, because computing a layout takes longer than drawing.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return FuncAnimation(figure, draw, frames=frames, init_func=lambda: (), interval=interval, blit=False)


def _checked(path: EMPath, iterations: Sequence[int], most: int | None) -> list[int]:
    if isinstance(iterations, str) or not isinstance(iterations, Iterable):
        raise InputError(f"iterations must be a list of iterations, such as [0, 5]; received {in_words(iterations)}.")
    shown = [check_count(iteration, "each of iterations", 0) for iteration in iterations]
    if not shown or max(shown) > path.n_iterations:
        raise InputError(
            f"iterations must name at least one of 0 to {path.n_iterations}, the last of this path; received {shown}."
        )
    if most is not None and len(shown) > most:
        raise InputError(
            f"{len(shown)} iterations are to be drawn; one figure holds at most {most}. Name fewer, or see all of them "
            f"with animate_iterations."
        )
    return shown


def _spread(path: EMPath, n: int) -> list[int]:
    """At most n iterations, the first and the last among them."""
    if path.n_iterations < n:
        return list(range(path.n_iterations + 1))
    # The fourth root of the remaining gain shows the first large gains as well as EM's many small last ones.
    remaining = np.maximum(path.history[-1] - path.history, 0) ** 0.25
    iterations = [0, path.n_iterations]
    while len(iterations) < n:  # add the iteration that is farthest from its nearest neighbour
        iterations.append(int(np.abs(remaining[:, np.newaxis] - remaining[iterations]).min(axis=1).argmax()))
    return sorted(set(iterations))


class _Scene(NamedTuple):
    """The part of a path that is drawn.

    indices : the features drawn.
    rows : (n, n_features) the rows drawn, of all features.
    points : (n, 1 or 2) the same of the features drawn.
    areas : of the rows' marks, points^2.
    top : height of the axis for one feature, density per unit.
    """

    path: EMPath
    indices: list[int]
    rows: FloatArray
    points: FloatArray
    areas: FloatArray | float
    top: float

    @property
    def is_flat(self) -> bool:
        """Whether two features are drawn."""
        return len(self.indices) == 2

    @property
    def axis_names(self) -> tuple[str, str]:
        """Names of the horizontal and the vertical axis."""
        features = self.path.parameters[0].features
        names = [matplotlib_text(features[d]) for d in self.indices]
        return (names[0], names[1]) if self.is_flat else (names[0], f"density per unit of\n{names[0]}")

    def mixture(self, iteration: int) -> MixtureParameters:
        """The mixture of the features drawn."""
        return self.path.parameters[iteration].marginal(self.indices)


def _scene(path: EMPath, features: Sequence[str | int] | None, iterations: list[int]) -> _Scene:
    indices = one_or_two_features(path.parameters[-1], features)
    drawn = spaced(path.rows.n_samples, MOST_POINTS)
    rows = np.asarray(path.rows.values[drawn], dtype=np.float64)
    weights = path.rows.weights
    scene = _Scene(path, indices, rows, rows[:, indices], areas(weights[drawn] if weights.size else weights, 14), 0.0)
    if scene.is_flat:
        return scene
    grid = np.linspace(*limits(scene.points[:, 0], 0.1), _GRID)
    highest = max(float(np.exp(scene.mixture(i).log_density(grid)).max()) for i in iterations)
    return scene._replace(top=1.05 * highest)


def _draw_iteration(ax: Axes, scene: _Scene, iteration: int) -> None:
    mixture = scene.mixture(iteration)
    colors = mixed_colors(scene.path.parameters[iteration].responsibilities(scene.rows))
    if scene.is_flat:
        x, y = scene.points.T
        ax.scatter(x, y, s=scene.areas, c=colors, linewidths=0, alpha=0.85, rasterized=True, zorder=1)
        draw_components(ax, mixture)
        ax.set(xlim=limits(x, 0.1), ylim=limits(y, 0.1))
    else:
        _draw_curves(ax, scene, mixture, colors)
    step = f"iteration {iteration}" if iteration else "start"
    ax.set_title(f"{step}: log-likelihood {scene.path.history[iteration]:,.2f}", fontsize=9)
    tidy(ax)


def _draw_curves(ax: Axes, scene: _Scene, mixture: MixtureParameters, colors: FloatArray) -> None:
    x = scene.points[:, 0]
    grid = np.linspace(*limits(x, 0.1), _GRID)
    ax.plot(grid, np.exp(mixture.log_density(grid)), color=INK, linewidth=3)
    draw_component_densities(ax, mixture, grid)
    # The rows are ticks in a strip below the curves.
    ax.vlines(x, -0.12 * scene.top, -0.02 * scene.top, colors=list(map(tuple, colors)), linewidth=1.2)
    ax.set(xlim=(grid[0], grid[-1]), ylim=(-0.14 * scene.top, scene.top))


def _draw_log_likelihood(ax: Axes, path: EMPath) -> None:
    ax.plot(path.history, color=MUTED, linewidth=1.5, marker="o", markersize=2.5)
    ax.set_xlabel(f"iteration ({path.status.text} after {path.n_iterations})")
    ax.set_ylabel("log-likelihood (nats)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    tidy(ax)


def _legend(scene: _Scene) -> list[Handle]:
    rows, n_components = scene.path.rows, scene.path.parameters[0].n_components
    text = rows_text(rows.n_samples, rows.weights if scene.is_flat else None)
    look = {"marker": "o", "markersize": 4} if scene.is_flat else {"marker": "|", "markersize": 8}
    return [
        marks(f"{text}, colours mixed\nby responsibilities", color=MUTED, **look),
        heading("mean and 2-sd ellipse\n(86 % of a component):")
        if scene.is_flat
        else line("density; weighted components:", color=INK, linewidth=3),
        *component_handles(n_components, marker=scene.is_flat),
    ]
