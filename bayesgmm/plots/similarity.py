"""Which rows belong together: the co-clustering probabilities, the posterior's best partition, and EM's labels."""

from itertools import pairwise

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from bayesgmm.em.result import EMFit
from bayesgmm.errors import InputError
from bayesgmm.plots.style import LEGEND, component_style, figure_of, new_axes
from bayesgmm.posterior.draws import rows_for
from bayesgmm.posterior.partition.partition import Partition
from bayesgmm.types import FloatArray

# To a middle grey only: outlines in black are seen on it, and components keep the colours to themselves.
_GREYS = LinearSegmentedColormap.from_list("similarity", ["white", "#6E6E6E"])
_LOSSES = {"vi": "variation of information", "binder": "Binder loss"}


def plot_similarity(em: EMFit, posterior: xr.DataTree, partition: Partition, *, ax: Axes | None = None) -> Figure:
    """Draw how probable it is that two rows share a component, for every pair of rows.

    The rows are ordered by the clusters of the partition, which are outlined, and within each by similarity. The strips
    beside the matrix are EM's labels.

    Parameters
    ----------
    em : EMFit of the rows.
    posterior : DataTree with the rows in `observed_data`; it need not be aligned.
    partition : `point_partition(posterior)`.
    ax : axes to draw in. The legend stands on their right: a constrained layout makes room for it.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        The posterior holds no rows, or others than the partition, or has other features than `em`.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> posterior = bg.sample_posterior(X, 2, start=em.parameters, draws=200, rng=1, progress=False)
    >>> figure = bg.plots.plot_similarity(em, posterior, bg.point_partition(posterior, rng=1))
    >>> figure.axes[0].get_xlabel()
    'cluster of the partition'
    """
    values, together = rows_for(posterior, None), partition.co_clustering
    if len(values) != together.n_samples:
        raise InputError(
            f"partition is of {together.n_samples} rows, the posterior of {len(values)}. Pass "
            f"point_partition(posterior)."
        )
    labels = em.parameters.predict(values[together.rows])
    order, edges = _order(together.probabilities, partition.labels)
    n = len(order)
    ax = ax or new_axes(8.5, 5.5)
    ax.imshow(
        together.probabilities[np.ix_(order, order)],
        cmap=_GREYS,
        vmin=0,
        vmax=1,
        extent=(0, n, n, 0),
        interpolation="antialiased",
    )
    for begin, end in pairwise(edges):
        size = int(end - begin)
        ax.add_patch(Rectangle((begin, begin), size, size, fill=False, edgecolor="black", linewidth=1.5))
    _draw_strips(ax, labels[order], em.parameters.n_components)
    _name_clusters(ax, edges)
    bar = figure_of(ax).colorbar(ax.images[0], cax=ax.inset_axes((1.05, 0, 0.03, 0.45)))
    bar.set_label("posterior probability that\ntwo rows share a component", fontsize=9)
    bar.ax.tick_params(labelsize=9)
    ax.legend(handles=_legend(em, partition, labels), loc="upper left", bbox_to_anchor=(1.02, 1), **LEGEND)
    return figure_of(ax)


def _order(similarity: FloatArray, labels: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows cluster by cluster, similar ones side by side; and where each cluster begins, the last one's end too."""
    parts = []
    for cluster in range(labels.max() + 1):
        members = np.flatnonzero(labels == cluster)
        if len(members) > 2:
            distances = squareform(1 - similarity[np.ix_(members, members)], checks=False)
            members = members[leaves_list(linkage(distances, "average"))]
        parts.append(members)
    return np.concatenate(parts), np.cumsum([0, *map(len, parts)])


def _draw_strips(ax: Axes, labels: NDArray[np.intp], n_components: int) -> None:
    """EM's labels above and on the left."""
    colors = ListedColormap([component_style(k).color for k in range(n_components)])
    for bounds, strip in (((0, 1.01, 1, 0.03), labels[np.newaxis]), ((-0.04, 0, 0.03, 1), labels[:, np.newaxis])):
        inset = ax.inset_axes(bounds)
        inset.imshow(strip, cmap=colors, vmin=-0.5, vmax=n_components - 0.5, aspect="auto", interpolation="nearest")
        inset.set(xticks=[], yticks=[])
        inset.spines[:].set_visible(False)


def _name_clusters(ax: Axes, edges: NDArray[np.intp]) -> None:
    """Clusters' numbers below their columns, where they are wide enough for one."""
    n = int(edges[-1])
    middles, sizes = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    named = np.flatnonzero(sizes >= 0.025 * n)
    ax.set_xticks(middles[named], [str(cluster) for cluster in named])
    ax.set_yticks([])
    ax.tick_params(length=0, labelsize=9)
    ax.set_xlabel("cluster of the partition", fontsize=9)


def _legend(em: EMFit, partition: Partition, labels: NDArray[np.intp]) -> list[Line2D | Patch]:
    together = partition.co_clustering
    n = len(labels)
    rows = f"{n:,} rows" if n == together.n_samples else f"{n:,} of the {together.n_samples:,} rows"
    text = f"partition of least expected\n{_LOSSES[partition.loss]}:\n{partition.n_clusters} clusters; {rows}"
    handles: list[Line2D | Patch] = [
        Patch(facecolor="none", edgecolor="black", linewidth=1.5, label=text),
        Line2D([], [], linestyle="", label="strips: EM's labels"),
    ]
    handles += [
        Patch(color=component_style(k).color, label=f"component {k}") for k in range(em.parameters.n_components)
    ]
    return handles
