"""Expected losses of a partition under the posterior, and the search for the partition of least expected loss."""

from typing import Protocol

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from bayesgmm.posterior.partition import search
from bayesgmm.posterior.partition.search import SampledLabels
from bayesgmm.types import FloatArray, IntArray

# Largest number of clusters tried for the variation of information: this many, or this many times the components if
# that is more. It bounds the time and memory of a sweep.
_MAX_CLUSTERS, _MAX_CLUSTERS_PER_COMPONENT = 64, 4
# Number of starts of the search: the best of the candidates, and sequential allocations in random orders.
_N_BEST_CANDIDATES, _N_RANDOM_ORDERS = 8, 8


class ExpectedLoss(Protocol):
    """Expected loss of a partition, given partitions sampled from the posterior. Labels are (n,) cluster numbers."""

    def expected(self, labels: IntArray) -> float:
        """Expected loss of the partition."""

    def sweeten(self, labels: IntArray, order: IntArray) -> None:
        """Change `labels`, row by row in the order given, until no move lowers the expected loss."""

    def distances(self, labels: IntArray) -> FloatArray:
        """(S,) loss between the partition and each sampled partition."""


class Binder:
    """2 / n^2 sum_(i<j) |[labels join i and j] - probability that i and j share a component|.

    similarity (n, n): these probabilities; sampled_labels (n, S), below n_labels.
    """

    def __init__(self, similarity: FloatArray, sampled_labels: SampledLabels, n_labels: int) -> None:
        n = len(similarity)
        self._similarity, self._sampled_labels, self._n_labels = similarity, sampled_labels, n_labels
        self._squares = np.arange(n + 1, dtype=np.float64) ** 2
        self._loss_of_singletons = (similarity.sum() - np.trace(similarity)) / n**2

    def expected(self, labels: IntArray) -> float:
        """Expected loss of the partition, exact given the similarities."""
        excess = 0.0  # over the loss of the partition into single rows
        for cluster in range(labels.max() + 1):
            members = np.flatnonzero(labels == cluster)
            within = self._similarity[np.ix_(members, members)].sum() - len(members)
            excess += len(members) * (len(members) - 1) - 2 * within
        return float(self._loss_of_singletons + excess / len(labels) ** 2)

    def sweeten(self, labels: IntArray, order: IntArray) -> None:
        """Change `labels`, row by row in the order given, until no move lowers the expected loss."""
        search.sweeten_binder(self._similarity, order, labels)

    def distances(self, labels: IntArray) -> FloatArray:
        """(S,) loss between the partition and each sampled partition."""
        scale = 1 / len(labels) ** 2
        return _scaled_distances(labels, self._sampled_labels, self._n_labels, self._squares, scale)


class VariationOfInformation:
    """Mean over the sampled partitions of H(labels | sampled) + H(sampled | labels), in bits.

    sampled_labels (n, S), below n_labels. The similarities are not used.
    """

    def __init__(self, similarity: FloatArray, sampled_labels: SampledLabels, n_labels: int) -> None:
        n = len(sampled_labels)
        sizes = np.arange(n + 1, dtype=np.float64)
        self._sampled_labels, self._n_labels = sampled_labels, n_labels
        self._entropy_terms = sizes * np.log2(np.maximum(sizes, 1))
        self._gains = np.append(np.diff(self._entropy_terms), 0.0)
        self._max_clusters = min(n, max(_MAX_CLUSTERS, _MAX_CLUSTERS_PER_COMPONENT * n_labels))

    def expected(self, labels: IntArray) -> float:
        """Expected loss of the partition, averaged over the sampled partitions."""
        return float(self.distances(labels).mean())

    def sweeten(self, labels: IntArray, order: IntArray) -> None:
        """Change `labels`, row by row in the order given, until no move lowers the expected loss."""
        search.sweeten_vi(self._sampled_labels, self._n_labels, self._gains, self._max_clusters, order, labels)

    def distances(self, labels: IntArray) -> FloatArray:
        """(S,) loss between the partition and each sampled partition."""
        scale = 1 / len(labels)
        return _scaled_distances(labels, self._sampled_labels, self._n_labels, self._entropy_terms, scale)


def _scaled_distances(
    labels: IntArray, sampled_labels: SampledLabels, n_labels: int, f: FloatArray, scale: float
) -> FloatArray:
    losses = scale * search.distances(labels, sampled_labels, n_labels, f)
    return np.asarray(np.maximum(losses, 0.0))  # rounding makes losses of equal partitions slightly negative


def hierarchical_partitions(similarity: FloatArray, max_clusters: int) -> list[IntArray]:
    """Partitions into 1 to max_clusters clusters by average and by complete linkage of 1 - similarity (n, n)."""
    n = len(similarity)
    if n == 1:
        return [np.zeros(1, dtype=np.intp)]
    condensed = squareform(1 - similarity, checks=False)
    partitions = []
    for method in ("average", "complete"):
        tree = linkage(condensed, method)
        cuts = range(1, min(n, max_clusters) + 1)
        partitions += [fcluster(tree, k, criterion="maxclust").astype(np.intp) - 1 for k in cuts]
    return partitions


def search_partition(loss: ExpectedLoss, candidates: list[IntArray], rng: np.random.Generator) -> IntArray:
    """The best partition found by sweetening the best candidates, and rows allocated one at a time."""
    n = len(candidates[0])
    unique = np.unique([numbered_by_size(labels) for labels in candidates], axis=0)
    losses = [loss.expected(labels) for labels in unique]
    starts = [unique[i].copy() for i in np.argsort(losses, kind="stable")[:_N_BEST_CANDIDATES]]
    starts += [np.full(n, -1, dtype=np.intp) for _ in range(_N_RANDOM_ORDERS)]
    for labels in starts:
        loss.sweeten(labels, rng.permutation(n))
    return min([numbered_by_size(labels) for labels in starts], key=loss.expected)


def numbered_by_size(labels: IntArray) -> IntArray:
    """The same partition with clusters numbered by size, the largest 0; equal sizes by their first row."""
    _, first_rows, inverse, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    ranks = np.empty(len(sizes), dtype=np.intp)
    ranks[np.lexsort((first_rows, -sizes))] = np.arange(len(sizes))
    return ranks[inverse]
