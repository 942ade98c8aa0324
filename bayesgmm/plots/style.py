"""The style that all figures share: of a component, of axes and of texts."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Literal, NamedTuple

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from bayesgmm.errors import InputError
from bayesgmm.mixture.scalars import ALL
from bayesgmm.types import FloatArray
from bayesgmm.validation import check_count

type LineStyle = Literal["-", "--", "-.", ":"]

# Okabe and Ito's colours (https://jfly.uni-koeln.de/color) without yellow and black, and a wine red as the seventh.
# 7 colours, 4 line styles and 9 markers have no common factor, so that 252 components look different.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#882255")
LINESTYLES: tuple[LineStyle, ...] = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
INK, MUTED = "#222222", "#8C8C8C"


class ComponentStyle(NamedTuple):
    """How a component is drawn in every figure.

    Attributes
    ----------
    color : str of the form "#RRGGBB".
    linestyle, marker : Matplotlib's codes, such as "--" and "s".

    Examples
    --------
    >>> import bayesgmm as bg
    >>> color, linestyle, marker = bg.plots.component_style(1)
    >>> linestyle, marker
    ('--', 's')
    """

    color: str
    linestyle: LineStyle
    marker: str


def component_style(component: int | str) -> ComponentStyle:
    """The style of a component, or of a parameter that all components share.

    Parameters
    ----------
    component : number of the component, from 0, or "all" for a shared parameter.

    Returns
    -------
    ComponentStyle

    Raises
    ------
    InputError
        `component` is neither "all" nor a whole number of at least 0.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> bg.plots.component_style(0).color, bg.plots.component_style("all").color
    ('#0072B2', '#222222')
    """
    if isinstance(component, str) and component == ALL:
        return ComponentStyle(INK, "-", "d")
    k = check_count(component, "component", minimum=0)
    return ComponentStyle(COLORS[k % len(COLORS)], LINESTYLES[k % len(LINESTYLES)], MARKERS[k % len(MARKERS)])


def mixed_colors(responsibilities: FloatArray) -> FloatArray:
    """(N, 3) red, green and blue of rows: the components' colours, averaged with the responsibilities (N, K)."""
    colors = [to_rgb(component_style(k).color) for k in range(responsibilities.shape[1])]
    return np.asarray(np.clip(responsibilities @ np.array(colors), 0, 1))


def axes_or_new(ax: Axes | None, width: float, height: float) -> Axes:
    """The axes that the user passed, or those of a new figure of this size, in inches.

    Raises InputError if `ax` is something else.
    """
    if ax is None:
        return plt.subplots(figsize=(width, height), layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise InputError(
            f"ax must be Matplotlib axes, as pyplot.subplots()[1] returns one; received {type(ax).__name__}."
        )
    return ax


def shown_once[**P](plot: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorate a function that returns a figure, so that a notebook shows a new figure once.

    A notebook shows the value of a cell's last line, and at the end of the cell all figures that are open. The second
    time is skipped; later cells, in which the figure is closed, show it whenever it is their value.
    """

    @wraps(plot)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        figure = plot(*args, **kwargs)
        if "inline" in matplotlib.get_backend():
            vars(figure)["_ipython_display_"] = partial(_show, figure)
        return figure

    return wrapper


def _show(figure: Figure) -> None:
    """Show a figure, and nothing more as long as it is open."""
    from IPython.display import display  # only a notebook calls this function

    del vars(figure)["_ipython_display_"]
    display(figure)  # type: ignore[no-untyped-call]
    vars(figure)["_ipython_display_"] = partial(_show_if_closed, figure)


def _show_if_closed(figure: Figure) -> None:
    if not plt.fignum_exists(figure.number):
        _show(figure)


def figure_of(ax: Axes) -> Figure:
    """The figure that holds the axes, also when they are in a subfigure."""
    figure = ax.figure if isinstance(ax.figure, Figure) else ax.figure.figure
    assert isinstance(figure, Figure)
    return figure


def tidy(ax: Axes) -> None:
    """Remove the frame at the top and on the right."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=9)


def percent(probability: float) -> str:
    """0.9 as "90 %"."""
    return f"{100 * probability:g} %"
