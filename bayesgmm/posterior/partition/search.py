"""Compiled search for the partition of least expected loss: rows move one at a time to the best cluster.

A partition is an array (n,) of cluster numbers; -1 marks a row that has no cluster yet. Starting from rows without
clusters, the first sweep is the sequential allocation of Dahl, Johnson and Mueller (2022,
doi:10.1080/10618600.2022.2069779) and later sweeps are their sweetening; starting from a partition, all sweeps are
sweetening.

Both losses are sums over clusters of f(size), with f(n) = n^2 for Binder's and f(n) = n log2 n for the variation of
information. For one partition with clusters of n_b rows, another with clusters of m_l rows, and n_bl rows in both,

    loss = (sum_b f(n_b) + sum_l f(m_l) - 2 sum_bl f(n_bl)) / (n^2 or n).
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.types import FloatArray, IntArray

# (n, S): the component of each of n rows in each of S partitions sampled from the posterior.
type SampledLabels = NDArray[np.int32]

# A move must gain more than this, so that rounding errors cannot keep the sweeps going.
_LEAST_GAIN = 1e-9
# Sweeps end by themselves, because every move lowers the loss; this limit is never reached in practice.
_MAX_SWEEPS = 200


@njit(nogil=True, cache=True)
def sweeten_binder(similarity: FloatArray, order: IntArray, labels: IntArray) -> None:
    """Move rows, in the order given, until no move lowers the expected Binder loss. Changes `labels` (n,).

    similarity (n, n): probability that two rows share a component.
    """
    n = len(labels)
    sizes = np.zeros(n + 1, np.int64)
    for i in range(n):
        if labels[i] >= 0:
            sizes[labels[i]] += 1
    costs = np.empty(n + 1)
    for _ in range(_MAX_SWEEPS):
        n_moved = 0
        for i in order:
            old = labels[i]
            if old >= 0:
                sizes[old] -= 1
            costs[:] = 0.0
            labels[i] = -1
            for j in range(n):
                if labels[j] >= 0:
                    costs[labels[j]] += 1.0 - 2.0 * similarity[i, j]
            new = _cheapest_cluster(costs, sizes, old, n + 1)
            labels[i] = new
            sizes[new] += 1
            n_moved += new != old
        if n_moved == 0:
            break


@njit(nogil=True, cache=True)
def sweeten_vi(
    sampled_labels: SampledLabels,
    n_labels: int,
    gains: FloatArray,
    max_clusters: int,
    order: IntArray,
    labels: IntArray,
) -> None:
    """Move rows, in the order given, until no move lowers the expected variation of information. Changes `labels` (n,).

    sampled_labels (n, S) are below n_labels; gains (n + 1,) = f(m + 1) - f(m). Up to terms that no move changes, the
    cost of row i in cluster b is gains[n_b] - 2 / S sum_s gains[n_bl], with l the label of row i in partition s.
    """
    n, S = sampled_labels.shape
    sizes = np.zeros(max_clusters, np.int64)
    counts = np.zeros((max_clusters, S, n_labels), np.int32)
    for i in range(n):
        if labels[i] >= 0:
            sizes[labels[i]] += 1
            for s in range(S):
                counts[labels[i], s, sampled_labels[i, s]] += 1
    costs = np.empty(max_clusters)
    for _ in range(_MAX_SWEEPS):
        n_moved = 0
        for i in order:
            old = labels[i]
            if old >= 0:
                sizes[old] -= 1
                for s in range(S):
                    counts[old, s, sampled_labels[i, s]] -= 1
            for b in range(max_clusters):
                costs[b] = 0.0
                if sizes[b]:
                    shared = 0.0
                    for s in range(S):
                        shared += gains[counts[b, s, sampled_labels[i, s]]]
                    costs[b] = gains[sizes[b]] - 2.0 * shared / S
            new = _cheapest_cluster(costs, sizes, old, max_clusters)
            labels[i] = new
            sizes[new] += 1
            for s in range(S):
                counts[new, s, sampled_labels[i, s]] += 1
            n_moved += new != old
        if n_moved == 0:
            break


@njit(nogil=True)
def _cheapest_cluster(costs: FloatArray, sizes: IntArray, old: int, n_clusters: int) -> int:
    """The cluster of least cost, or `old` if none is cheaper. One empty cluster, at cost 0, is a candidate as well."""
    best, least_cost = old, np.inf
    if old >= 0:
        least_cost = costs[old] if sizes[old] else 0.0
    empty_cluster_tried = False
    for b in range(n_clusters):
        if sizes[b] == 0:
            if empty_cluster_tried:
                continue
            empty_cluster_tried = True
        if costs[b] < least_cost - _LEAST_GAIN:
            best, least_cost = b, costs[b]
    return best


@njit(nogil=True, cache=True)
def distances(labels: IntArray, sampled_labels: SampledLabels, n_labels: int, f: FloatArray) -> FloatArray:
    """(S,) loss, times n^2 or n, between a partition `labels` (n,) and each sampled partition; f (n + 1,)."""
    n, S = sampled_labels.shape
    n_clusters = labels.max() + 1
    sizes = np.zeros(n_clusters, np.int64)
    counts = np.zeros((S, n_clusters, n_labels), np.int32)
    for i in range(n):
        sizes[labels[i]] += 1
        for s in range(S):
            counts[s, labels[i], sampled_labels[i, s]] += 1
    sum_over_clusters = 0.0
    for b in range(n_clusters):
        sum_over_clusters += f[sizes[b]]
    losses = np.empty(S)
    for s in range(S):
        losses[s] = sum_over_clusters
        for m in range(n_labels):
            size = 0
            for b in range(n_clusters):
                size += counts[s, b, m]
                losses[s] -= 2.0 * f[counts[s, b, m]]
            losses[s] += f[size]
    return losses
