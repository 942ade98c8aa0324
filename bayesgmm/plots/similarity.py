"""The probability that two rows share a component, the posterior's best partition, and EM's labels."""

from itertools import pairwise

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from bayesgmm.comparison.arguments import draws_beside
from bayesgmm.em.result import EMFit
from bayesgmm.errors import InputError
from bayesgmm.mixture.evaluation import labels_at
from bayesgmm.plots.legends import LEGEND, Handle, area, heading
from bayesgmm.plots.style import axes_or_new, component_style, figure_of, shown_once
from bayesgmm.posterior.draws import own_rows
from bayesgmm.posterior.partition.partition import Partition
from bayesgmm.received import check_result
from bayesgmm.types import FloatArray, IntArray
from bayesgmm.wording import count

# White to middle grey: black outlines remain visible, and components keep the colours.
_GREYS = LinearSegmentedColormap.from_list("similarity", ["white", "#6E6E6E"])
_LOSSES = {"vi": "variation of information", "binder": "Binder loss"}


@shown_once
def plot_similarity(em: EMFit, posterior: xr.DataTree, partition: Partition, *, ax: Axes | None = None) -> Figure:
    """Draw the posterior probability that two rows share a component, for every pair of rows.

    The rows are ordered by the clusters of the partition, which are outlined, and by similarity within each cluster.
    The strips beside the matrix are EM's labels.

    Parameters
    ----------
    em : EMFit of the rows.
    posterior : DataTree with the rows in `observed_data`; it need not be aligned.
    partition : `point_partition(posterior)`.
    ax : axes to draw in. The legend is on their right; use a constrained layout to make room for it.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        The posterior has no rows, other rows than the partition, or other features than `em`.

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
    draws_beside(em, posterior)
    co_clustering = check_result(partition, Partition, "partition").co_clustering
    values = own_rows(posterior).values
    if len(values) != co_clustering.n_samples:
        raise InputError(
            f"partition is of {co_clustering.n_samples} rows, the posterior of {len(values)}. Pass "
            f"point_partition(posterior)."
        )
    labels = labels_at(em.parameters, values[co_clustering.rows])
    order, edges = _order(co_clustering.probabilities, partition.labels)
    n = len(order)
    ax = axes_or_new(ax, 8.5, 5.5)
    ax.imshow(
        co_clustering.probabilities[np.ix_(order, order)],
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
    ax.legend(handles=_legend(em, partition), loc="upper left", bbox_to_anchor=(1.02, 1), **LEGEND)
    return figure_of(ax)


def _order(similarity: FloatArray, labels: IntArray) -> tuple[IntArray, IntArray]:
    """The rows cluster by cluster, similar rows side by side; and the edges between the clusters."""
    clusters = []
    for cluster in range(labels.max() + 1):
        members = np.flatnonzero(labels == cluster)
        if len(members) > 2:
            distances = squareform(1 - similarity[np.ix_(members, members)], checks=False)
            members = members[leaves_list(linkage(distances, "average"))]
        clusters.append(members)
    return np.concatenate(clusters), np.cumsum([0, *map(len, clusters)])


def _draw_strips(ax: Axes, labels: IntArray, n_components: int) -> None:
    """Draw EM's labels above the matrix and on its left."""
    colors = ListedColormap([component_style(k).color for k in range(n_components)])
    for bounds, strip in (((0, 1.01, 1, 0.03), labels[np.newaxis]), ((-0.04, 0, 0.03, 1), labels[:, np.newaxis])):
        inset = ax.inset_axes(bounds)
        inset.imshow(strip, cmap=colors, vmin=-0.5, vmax=n_components - 0.5, aspect="auto", interpolation="nearest")
        inset.set(xticks=[], yticks=[])
        inset.spines[:].set_visible(False)


def _name_clusters(ax: Axes, edges: IntArray) -> None:
    """Write the clusters' numbers below their columns, where there is room for a number."""
    n = int(edges[-1])
    middles, sizes = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    named = np.flatnonzero(sizes >= 0.025 * n)
    ax.set_xticks(middles[named], [str(cluster) for cluster in named])
    ax.set_yticks([])
    ax.tick_params(length=0, labelsize=9)
    ax.set_xlabel("cluster of the partition", fontsize=9)


def _legend(em: EMFit, partition: Partition) -> list[Handle]:
    n, n_all = len(partition.labels), partition.co_clustering.n_samples
    rows = f"{n:,} rows" if n == n_all else f"{n:,} of the {n_all:,} rows"
    clusters = count(partition.n_clusters, "cluster")
    loss = f"partition of least expected\n{_LOSSES[partition.loss]}:\n{clusters}; {rows}"
    return [
        area(loss, facecolor="none", edgecolor="black", linewidth=1.5),
        heading("strips: EM's labels"),
        *(area(f"component {k}", color=component_style(k).color) for k in range(em.parameters.n_components)),
    ]
