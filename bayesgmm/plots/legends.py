"""Legends: their entries, and their place beside the axes."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bayesgmm.plots.style import component_style

type Handle = Line2D | Patch

LEGEND: dict[str, Any] = {"frameon": False, "fontsize": 9, "handlelength": 3}


def line(label: str, **look: Any) -> Line2D:
    """Scalar of a line, with its look as Matplotlib's properties."""
    return Line2D([], [], label=label, **look)


def marks(label: str, **look: Any) -> Line2D:
    """Scalar of marks without a line."""
    return Line2D([], [], label=label, linestyle="", **look)


def heading(label: str) -> Line2D:
    """Scalar without a symbol, above the entries that it describes."""
    return marks(label)


def area(label: str, **look: Any) -> Patch:
    """Scalar of a filled area or an outline."""
    return Patch(label=label, **look)


def component_handles(n_components: int, *, marker: bool) -> list[Line2D]:
    """Entries that name the components, by their line or by their line and marker."""
    handles = []
    for k in range(n_components):
        color, linestyle, shape = component_style(k)
        handle = line(f"component {k}", color=color, linestyle=linestyle, linewidth=2)
        if marker:
            handle.set(marker=shape, markersize=8, markeredgecolor="white")
        handles.append(handle)
    return handles


def component_mark_handles(n_components: int) -> list[Line2D]:
    """Entries that name the components by their marker alone."""
    handles = component_handles(n_components, marker=True)
    for handle in handles:
        handle.set_linestyle("")
    return handles


def legend_beside(ax: Axes, handles: Sequence[Handle]) -> None:
    """Put the legend to the right of the axes, where it hides nothing."""
    ax.legend(handles=list(handles), loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, **LEGEND)


def legend_above(ax: Axes, handles: Sequence[Handle]) -> None:
    """Put the legend above the axes, in two columns."""
    ax.legend(handles=list(handles), loc="lower left", bbox_to_anchor=(0, 1), ncols=2, **LEGEND)
