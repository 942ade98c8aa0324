"""The two losses of a partition under the posterior, and the search for the partition of least expected loss."""

from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from bayesgmm.posterior.partition import search as partition_search
from bayesgmm.types import FloatArray

type Labels = NDArray[np.intp]

# For the variation of information partitions of at most this many clusters are looked at, or this many times the
# components.
_MOST_CLUSTERS, _MOST_CLUSTERS_PER_COMPONENT = 64, 4
# The search begins at the best of the partitions offered, and at rows allocated one by one in random orders.
_N_BEST, _N_ORDERS = 8, 8


class Criterion(Protocol):
    """An expected loss as the search needs it. Labels are (n,) numbers of clusters."""

    def expected(self, labels: Labels) -> float: ...

    def sweeten(self, labels: Labels, order: Labels) -> None:
        """Change labels, row by row in that order, until no move lowers the expected loss."""

    def distances(self, labels: Labels) -> FloatArray:
        """(S,) loss from each partition drawn."""


class Binder:
    """2 / n^2 sum_(i<j) |[labels join i and j] - probability that i and j share a component|."""

    def __init__(self, similarity: FloatArray, drawn: NDArray[np.int32], n_labels: int) -> None:
        self._n = len(similarity)
        self._similarity = similarity
        self._apart = (similarity.sum() - np.trace(similarity)) / self._n**2  # when every row is by itself
        self.sweeten = partial(_sweeten_binder, similarity)
        squares = np.arange(self._n + 1, dtype=np.float64) ** 2
        self.distances = partial(_distances, drawn, n_labels, squares, 1 / self._n**2)

    def expected(self, labels: Labels) -> float:
        joined = 0.0
        for cluster in range(labels.max() + 1):
            members = np.flatnonzero(labels == cluster)
            within = self._similarity[np.ix_(members, members)].sum() - len(members)
            joined += len(members) * (len(members) - 1) - 2 * within
        return float(self._apart + joined / self._n**2)


class VariationOfInformation:
    """Mean over the partitions drawn of H(labels | drawn) + H(drawn | labels), in bits."""

    def __init__(self, similarity: FloatArray, drawn: NDArray[np.int32], n_labels: int) -> None:
        n = len(drawn)
        sizes = np.arange(n + 1, dtype=np.float64)
        f = sizes * np.log2(np.maximum(sizes, 1))
        most = min(n, max(_MOST_CLUSTERS, _MOST_CLUSTERS_PER_COMPONENT * n_labels))
        self.sweeten = partial(_sweeten_vi, drawn, n_labels, np.append(np.diff(f), 0.0), most)
        self.distances = partial(_distances, drawn, n_labels, f, 1 / n)

    def expected(self, labels: Labels) -> float:
        return float(self.distances(labels).mean())


def _sweeten_binder(similarity: FloatArray, labels: Labels, order: Labels) -> None:
    partition_search.sweeten_binder(similarity, order, labels)


def _sweeten_vi(
    drawn: NDArray[np.int32], n_labels: int, gains: FloatArray, most: int, labels: Labels, order: Labels
) -> None:
    partition_search.sweeten_vi(drawn, n_labels, gains, most, order, labels)


def _distances(drawn: NDArray[np.int32], n_labels: int, f: FloatArray, scale: float, labels: Labels) -> FloatArray:
    found = scale * partition_search.distances(labels, drawn, n_labels, f)
    return np.asarray(np.maximum(found, 0.0))  # equal partitions: rounding


def hierarchical(similarity: FloatArray, most_clusters: int) -> list[Labels]:
    """Average and complete linkage of 1 - similarity, cut into 1 to most_clusters clusters."""
    n = len(similarity)
    if n == 1:
        return [np.zeros(1, dtype=np.intp)]
    condensed = squareform(1 - similarity, checks=False)
    found = []
    for method in ("average", "complete"):
        tree = linkage(condensed, method)
        cuts = range(1, min(n, most_clusters) + 1)
        found += [fcluster(tree, k, criterion="maxclust").astype(np.intp) - 1 for k in cuts]
    return found


def search(criterion: Criterion, offered: list[Labels], rng: np.random.Generator) -> Labels:
    """The best partition found from the best of those offered, and from none."""
    n = len(offered[0])
    unique = np.unique([by_size(labels) for labels in offered], axis=0)
    losses = [criterion.expected(labels) for labels in unique]
    starts = [unique[i].copy() for i in np.argsort(losses, kind="stable")[:_N_BEST]]
    starts += [np.full(n, -1, dtype=np.intp) for _ in range(_N_ORDERS)]
    for labels in starts:
        criterion.sweeten(labels, rng.permutation(n))
    found = [by_size(labels) for labels in starts]
    return min(found, key=criterion.expected)


def by_size(labels: Labels) -> Labels:
    """The same partition with clusters numbered by size, the largest 0, equal ones by their first row."""
    _, first, inverse, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    ranks = np.empty(len(sizes), dtype=np.intp)
    ranks[np.lexsort((first, -sizes))] = np.arange(len(sizes))
    return ranks[inverse]
