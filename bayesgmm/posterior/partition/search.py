"""The search for the partition of least expected loss, compiled: rows move one by one to where the loss falls most.

A partition is an array of labels (n,), whose values are numbers of clusters; -1 stands for a row that has none yet.
Starting from rows without clusters, the first sweep is the sequential allocation of Dahl, Johnson and Mueller (2022,
doi:10.1080/10618600.2022.2069779) and the others are its sweetening; starting from a partition, all of them are.

Both losses are sums over clusters of f(size), f(n) = n^2 for Binder's and n log2 n for the variation of information:
of a partition with clusters of n_b rows, another with m_l, and n_bl rows in both,

    loss = (sum_b f(n_b) + sum_l f(m_l) - 2 sum_bl f(n_bl)) / (n^2 or n).
"""

import numpy as np
from numba import njit

# Every move lowers the loss, so sweeps end by themselves; rounding must not keep them going.
_LEAST_GAIN = 1e-9
_MOST_SWEEPS = 200


@njit(nogil=True, cache=True)
def sweeten_binder(similarity, order, labels):
    """Moves rows, in the order given, until none lowers the expected Binder loss; changes labels (n,)."""
    n = len(labels)
    sizes = np.zeros(n + 1, np.int64)
    for i in range(n):
        if labels[i] >= 0:
            sizes[labels[i]] += 1
    costs = np.empty(n + 1)
    for _ in range(_MOST_SWEEPS):
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
            new = _cheapest(costs, sizes, old, n + 1)
            labels[i] = new
            sizes[new] += 1
            n_moved += new != old
        if n_moved == 0:
            break


@njit(nogil=True, cache=True)
def sweeten_vi(drawn, n_labels, gains, most_clusters, order, labels):
    """The same for the expected variation of information from partitions drawn (n, S) with labels below n_labels.

    gains (n + 1,) = f(m + 1) - f(m). Row i in cluster b adds gains[n_b] - 2 / S sum_s gains[n_bl], l its label in
    partition s.
    """
    n, S = drawn.shape
    sizes = np.zeros(most_clusters, np.int64)
    counts = np.zeros((most_clusters, S, n_labels), np.int32)
    for i in range(n):
        if labels[i] >= 0:
            sizes[labels[i]] += 1
            for s in range(S):
                counts[labels[i], s, drawn[i, s]] += 1
    costs = np.empty(most_clusters)
    for _ in range(_MOST_SWEEPS):
        n_moved = 0
        for i in order:
            old = labels[i]
            if old >= 0:
                sizes[old] -= 1
                for s in range(S):
                    counts[old, s, drawn[i, s]] -= 1
            for b in range(most_clusters):
                costs[b] = 0.0
                if sizes[b]:
                    shared = 0.0
                    for s in range(S):
                        shared += gains[counts[b, s, drawn[i, s]]]
                    costs[b] = gains[sizes[b]] - 2.0 * shared / S
            new = _cheapest(costs, sizes, old, most_clusters)
            labels[i] = new
            sizes[new] += 1
            for s in range(S):
                counts[new, s, drawn[i, s]] += 1
            n_moved += new != old
        if n_moved == 0:
            break


@njit(nogil=True)
def _cheapest(costs, sizes, old, n_clusters):
    """Cluster of least cost, `old` unless another is cheaper; one empty cluster, of cost 0, is a candidate too."""
    best, least = old, np.inf
    if old >= 0:
        least = costs[old] if sizes[old] else 0.0
    empty_seen = False
    for b in range(n_clusters):
        if sizes[b] == 0:
            if empty_seen:
                continue
            empty_seen = True
        if costs[b] < least - _LEAST_GAIN:
            best, least = b, costs[b]
    return best


@njit(nogil=True, cache=True)
def distances(labels, drawn, n_labels, f):
    """(S,) sum_b f(n_b) + sum_l f(m_l) - 2 sum_bl f(n_bl) of a partition (n,) and each one drawn (n, S); f (n + 1,)."""
    n, S = drawn.shape
    n_clusters = labels.max() + 1
    sizes = np.zeros(n_clusters, np.int64)
    counts = np.zeros((S, n_clusters, n_labels), np.int32)
    for i in range(n):
        sizes[labels[i]] += 1
        for s in range(S):
            counts[s, labels[i], drawn[i, s]] += 1
    own = 0.0
    for b in range(n_clusters):
        own += f[sizes[b]]
    found = np.empty(S)
    for s in range(S):
        found[s] = own
        for m in range(n_labels):
            total = 0
            for b in range(n_clusters):
                total += counts[s, b, m]
                found[s] -= 2.0 * f[counts[s, b, m]]
            found[s] += f[total]
    return found
