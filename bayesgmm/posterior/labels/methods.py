"""Ways to relabel draws: each finds, draw by draw, the permutation that makes its components those of a reference."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bayesgmm.errors import BayesgmmWarning, InputError
from bayesgmm.mixture.draws import responsibilities_of_draws
from bayesgmm.mixture.matching import distances_from, label_costs
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import FloatArray

type IntArray = NDArray[np.intp]

# Two permutations that differ by less than this in cost (rows or nats) are tied.
_TIE = 1e-6
_MAX_ITERATIONS = 100
# Arrays of draws by components by components by features are made for this many draws at a time.
_SLICE = 1000


class Unlabelled(NamedTuple):
    """S draws as they were sampled, and what the rows say about them.

    weights (S, K), means (S, K, D), covariances (S, K, D, D); rows (n, D), the observed rows that are used, or (0, D);
    agreements (S, K, K): at [s, j, k] how many rows are expected to be in component j of the reference's partition and
    in component k of the draw; (0, K, K) without rows.
    """

    weights: FloatArray
    means: FloatArray
    covariances: FloatArray
    rows: NDArray[Any]
    agreements: FloatArray


class Labelling(NamedTuple):
    """What a method found.

    labels (S, K): which component of the draw stands at each place of the reference; margins (S, K): by how much the
    best permutation that puts another component there costs more, infinite for one component; iterations: passes until
    the labels stood still, 1 where labels are found draw by draw.
    """

    labels: IntArray
    margins: FloatArray
    iterations: int = 1


class Relabelling(NamedTuple):
    """One way to relabel. unit: of its costs, and so of the margins; needs_rows: it reads the observed rows."""

    name: str
    unit: str
    needs_rows: bool
    find: Callable[[Unlabelled, MixtureParameters], Labelling]


def unlabelled(
    reference: MixtureParameters,
    weights: FloatArray,
    means: FloatArray,
    covariances: FloatArray,
    rows: NDArray[Any],
) -> Unlabelled:
    """The draws with their agreements: one pass over the rows a draw, of which a K by K table is kept."""
    K = weights.shape[1]
    if not len(rows):
        return Unlabelled(weights, means, covariances, rows, np.empty((0, K, K)))
    pivot = reference.labels_at(rows)
    order = np.argsort(pivot, kind="stable")
    present, first = np.unique(pivot[order], return_index=True)
    agreements = np.zeros((*weights.shape, K))
    for table, shares in zip(
        agreements, responsibilities_of_draws(rows[order], weights, means, covariances), strict=True
    ):
        table[present] = np.add.reduceat(shares, first, axis=0)
    return Unlabelled(weights, means, covariances, rows, agreements)


def best_permutations(costs: FloatArray, ties: FloatArray | None = None) -> Labelling:
    """The permutation of least total cost in each draw, solved exactly.

    costs (S, K, K): of component k at place j, at [s, j, k]. Where several are the best, `ties` (S, K, K), costs too,
    decide between them.
    """
    labels = np.empty(costs.shape[:2], dtype=np.intp)
    margins = np.empty(costs.shape[:2])
    for begin in range(0, len(costs), _SLICE):
        part = slice(begin, begin + _SLICE)
        found = np.array([linear_sum_assignment(cost)[1] for cost in costs[part]])
        more = regrets(costs[part], found)
        own = np.eye(costs.shape[2], dtype=bool)
        margins[part] = np.where(own, np.inf, more).min(axis=2)
        if ties is not None:
            for s in np.flatnonzero(margins[part].min(axis=1) <= _TIE):
                # A permutation made of pairs that each belong to some best permutation is one of the best.
                among = np.where(more[s] <= _TIE, ties[part][s][:, found[s]], np.inf)
                found[s] = found[s][linear_sum_assignment(among)[1]]
        labels[part] = found
    return Labelling(labels, margins)


def regrets(costs: FloatArray, labels: IntArray) -> FloatArray:
    """(S, K, K) extra cost of the best permutation that moves the component at place i to place j, at [s, j, i].

    costs (S, K, K), labels (S, K) the best permutations. Moving i to j sets off a chain of moves that ends where i left
    a gap, so the extra cost is that move and the shortest path back in the graph whose steps are moves, none of whose
    cycles is negative; paths by Floyd (1962, doi:10.1145/367766.368168).
    """
    given = np.take_along_axis(costs, labels[:, np.newaxis], axis=2)
    moves = given - np.einsum("sjj->sj", given)[:, :, np.newaxis]
    paths = moves.copy()
    for m in range(paths.shape[1]):
        paths = np.minimum(paths, paths[:, :, m, np.newaxis] + paths[:, m, np.newaxis])
    return np.asarray(np.maximum(moves + paths.transpose(0, 2, 1), 0.0))


def nearest_components(reference: MixtureParameters, means: FloatArray, covariances: FloatArray) -> IntArray:
    """(S, K) the component of the reference that each component of a draw is nearest to (Bhattacharyya distance)."""
    slices = [slice(begin, begin + _SLICE) for begin in range(0, len(means), _SLICE)]
    return np.concatenate([distances_from(reference, means[i], covariances[i]).argmin(axis=1) for i in slices])


def _cross_entropies(draws: Unlabelled, reference: MixtureParameters) -> FloatArray:
    slices = [slice(begin, begin + _SLICE) for begin in range(0, len(draws.weights), _SLICE)]
    return np.concatenate(
        [label_costs(reference, draws.weights[i], draws.means[i], draws.covariances[i]) for i in slices]
    )


def _by_cross_entropy(draws: Unlabelled, reference: MixtureParameters) -> Labelling:
    return best_permutations(_cross_entropies(draws, reference))


def _by_agreement(draws: Unlabelled, reference: MixtureParameters) -> Labelling:
    return best_permutations(-draws.agreements, ties=_cross_entropies(draws, reference))


def _by_kullback_leibler(draws: Unlabelled, reference: MixtureParameters) -> Labelling:
    ties = _cross_entropies(draws, reference)
    found = best_permutations(-draws.agreements, ties)
    n_iterations, moving = 0, True
    while moving and n_iterations < _MAX_ITERATIONS:
        labels = found.labels
        found = best_permutations(_divergences(draws, _mean_shares(draws, labels)), ties)
        moving = not np.array_equal(found.labels, labels)
        n_iterations += 1
    if moving:
        warnings.warn(
            f"Kullback-Leibler relabelling had not come to rest after {n_iterations} iterations; its last labels are "
            f'used. Components may not be told apart: see label_report, or use method="ecr".',
            BayesgmmWarning,
            stacklevel=3,
        )
    # The names are the reference's: one permutation of all draws, which changes no divergence.
    agreements = np.take_along_axis(draws.agreements, found.labels[:, np.newaxis], axis=2).sum(axis=0)
    names = linear_sum_assignment(-agreements - _TIE * np.eye(len(agreements)))[1]
    return Labelling(found.labels[:, names], found.margins[:, names], n_iterations)


def _mean_shares(draws: Unlabelled, labels: IntArray) -> FloatArray:
    """(n, K) responsibilities of the rows, averaged over the relabelled draws."""
    total = np.zeros((len(draws.rows), labels.shape[1]))
    for order, shares in zip(labels, responsibilities_of_draws(draws.rows, *draws[:3]), strict=True):
        total += shares[:, order]
    return total / len(labels)


def _divergences(draws: Unlabelled, mean_shares: FloatArray) -> FloatArray:
    """(S, K, K) -sum_i p_ik log q_ij: the part of the divergence of a draw's p from q that labels change."""
    log_shares = -np.log(np.maximum(mean_shares, np.finfo(float).tiny)).T
    return np.array([log_shares @ shares for shares in responsibilities_of_draws(draws.rows, *draws[:3])])


def _by_pivot(draws: Unlabelled, reference: MixtureParameters) -> Labelling:
    """The squared distance, less what no permutation changes, is -2 times the scalar product with the pivot."""
    centre = reference.weights @ reference.means
    scale = np.sqrt(reference.weights @ (reference.stds**2 + (reference.means - centre) ** 2))

    def coordinates(weights: FloatArray, means: FloatArray, covariances: FloatArray) -> FloatArray:
        stds = np.sqrt(np.einsum("...dd->...d", covariances))
        lower = np.tril_indices(stds.shape[-1], -1)
        correlations = (covariances / (stds[..., :, np.newaxis] * stds[..., np.newaxis, :]))[..., *lower]
        parts = [weights[..., np.newaxis], (means - centre) / scale, np.log(stds / scale), correlations]
        return np.concatenate(parts, axis=-1)

    pivot = coordinates(reference.weights, reference.means, reference.covariances)
    return best_permutations(-2 * np.einsum("jp,skp->sjk", pivot, coordinates(*draws[:3]), optimize=True))


ECR = Relabelling("ecr", "rows", True, _by_agreement)
KULLBACK_LEIBLER = Relabelling("kullback-leibler", "nats", True, _by_kullback_leibler)
PIVOT = Relabelling("pivot", "squared distance", False, _by_pivot)
CROSS_ENTROPY = Relabelling("cross-entropy", "nats a row", False, _by_cross_entropy)

RELABELLINGS = {relabelling.name: relabelling for relabelling in (ECR, KULLBACK_LEIBLER, PIVOT, CROSS_ENTROPY)}


def relabelling_named(method: Any) -> Relabelling:
    """Look a method up by its name."""
    if isinstance(method, str) and method in RELABELLINGS:
        return RELABELLINGS[method]
    raise InputError(f"method must be one of {', '.join(RELABELLINGS)}; received {method!r}.")
