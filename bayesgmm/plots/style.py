"""What all figures share: the look of a component, of axes and of legends."""

from typing import Any, Literal, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from bayesgmm.mixture.scalars import ALL

type LineStyle = Literal["-", "--", "-.", ":"]

# Okabe and Ito's colours (https://jfly.uni-koeln.de/color) without yellow and black, and a wine red for the seventh.
# 7 colours, 4 lines and 9 markers have no common factor: 252 components before two look the same.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#882255")
LINESTYLES: tuple[LineStyle, ...] = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
INK, MUTED = "#222222", "#8C8C8C"
LEGEND: dict[str, Any] = {"frameon": False, "fontsize": 9, "handlelength": 3}


class ComponentStyle(NamedTuple):
    """How a component is drawn, in every figure.

    Attributes
    ----------
    color : as #RRGGBB.
    linestyle, marker : as Matplotlib writes them.

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
    """The style of a component by its number, or of "all", for what the components share.

    Parameters
    ----------
    component : its number, from 0 on, or "all".

    Returns
    -------
    ComponentStyle

    Examples
    --------
    >>> import bayesgmm as bg
    >>> bg.plots.component_style(0).color, bg.plots.component_style("all").color
    ('#0072B2', '#222222')
    """
    if component == ALL:
        return ComponentStyle(INK, "-", "d")
    k = int(component)
    return ComponentStyle(COLORS[k % len(COLORS)], LINESTYLES[k % len(LINESTYLES)], MARKERS[k % len(MARKERS)])


def mixed_colors(responsibilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 3) red, green and blue of rows: the components' colours, each as much as its responsibility (N, K) says."""
    colors = [to_rgb(component_style(k).color) for k in range(responsibilities.shape[1])]
    return np.asarray(np.clip(responsibilities @ np.array(colors), 0, 1))


def component_handles(n_components: int, *, marker: bool) -> list[Line2D]:
    """Legend entries that name the components."""
    handles = []
    for k in range(n_components):
        color, linestyle, shape = component_style(k)
        handle = Line2D([], [], color=color, linestyle=linestyle, linewidth=2, label=f"component {k}")
        if marker:
            handle.set(marker=shape, markersize=8, markeredgecolor="white")
        handles.append(handle)
    return handles


def new_axes(width: float, height: float) -> Axes:
    """The axes of a new figure, in inches."""
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def figure_of(ax: Axes) -> Figure:
    """The figure that holds the axes, also when they are in a subfigure of it."""
    figure = ax.figure if isinstance(ax.figure, Figure) else ax.figure.figure
    assert isinstance(figure, Figure)
    return figure


def tidy(ax: Axes) -> None:
    """Leave the axes at the bottom and on the left."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=9)


def legend_beside(ax: Axes, handles: list[Any]) -> None:
    """To the right of the axes, where it hides nothing."""
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, **LEGEND)


def percent(probability: float) -> str:
    return f"{100 * probability:g} %"


def literal(name: str) -> str:
    """A feature's name as it is: Matplotlib would read what stands between two dollars as mathematics."""
    return name.replace("$", r"\$")
