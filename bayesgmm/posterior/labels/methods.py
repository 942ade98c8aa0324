"""Methods of relabelling: each finds, for every draw, the permutation that matches its components to a reference."""

import warnings
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from bayesgmm.errors import BayesgmmWarning, InputError
from bayesgmm.mixture.draws import MixtureDraws, responsibilities_of_draws
from bayesgmm.mixture.evaluation import labels_at
from bayesgmm.mixture.matching import best_assignments, distances_to_reference, label_costs
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import FloatArray, IntArray, RowArray
from bayesgmm.wording import shown

type MethodName = Literal["ecr", "kullback-leibler", "cross-entropy"]

# Permutations whose costs, in rows or nats, differ by less than this are tied.
_TIE = 1e-6
# Kullback-Leibler relabelling usually stops after a few iterations; the limit guards against cycles.
_MAX_ITERATIONS = 100
# Draws per batch, which bounds the memory of arrays of draws x components x components x features.
_BATCH = 1000


class UnlabelledDraws(NamedTuple):
    """S draws as sampled, and how their components overlap with the reference's partition of the rows.

    mixtures: the S mixtures.
    rows: (n, D) the observed rows that are used, or (0, D).
    agreements: (S, K, K), at [s, j, k] the expected number of rows that are in component j of the reference's
        partition and in component k of draw s; (0, K, K) without rows.
    """

    mixtures: MixtureDraws
    rows: RowArray
    agreements: FloatArray


class Labelling(NamedTuple):
    """The result of a method.

    labels: (S, K), at [s, j] the component of draw s that is matched to component j of the reference.
    margins: (S, K), at [s, j] the extra cost of the best permutation that matches another component to j; infinite
        for one component.
    n_iterations: passes until the labels no longer changed; 1 if each draw is labelled by itself.
    """

    labels: IntArray
    margins: FloatArray
    n_iterations: int = 1


class Relabelling(NamedTuple):
    """A method of relabelling.

    unit: unit of its costs, and so of the margins.
    needs_rows: whether it reads the observed rows.
    find: the method itself.
    """

    name: MethodName
    unit: str
    needs_rows: bool
    find: Callable[[UnlabelledDraws, MixtureParameters], Labelling]


def unlabelled_draws(reference: MixtureParameters, mixtures: MixtureDraws, rows: RowArray) -> UnlabelledDraws:
    """Add the agreements to the draws: one pass over the rows per draw, of which a K x K table is kept."""
    K = mixtures.n_components
    if not len(rows):
        return UnlabelledDraws(mixtures, rows, np.empty((0, K, K)))
    reference_labels = labels_at(reference, rows)
    order = np.argsort(reference_labels, kind="stable")
    occupied, first_rows = np.unique(reference_labels[order], return_index=True)
    agreements = np.zeros((mixtures.n_draws, K, K))
    for table, responsibilities in zip(
        agreements, responsibilities_of_draws(rows[order], *mixtures.arrays), strict=True
    ):
        table[occupied] = np.add.reduceat(responsibilities, first_rows, axis=0)
    return UnlabelledDraws(mixtures, rows, agreements)


def best_permutations(costs: FloatArray, tie_breakers: FloatArray | None = None) -> Labelling:
    """The permutation of least total cost in each draw, found exactly as an assignment problem.

    costs (S, K, K): at [s, j, k] the cost of matching component k to j. Ties are broken by a second table of costs,
    `tie_breakers` (S, K, K).
    """
    labels = np.empty(costs.shape[:2], dtype=np.intp)
    margins = np.empty(costs.shape[:2])
    same_place = np.eye(costs.shape[2], dtype=bool)
    for batch in _batches(len(costs)):
        permutations = best_assignments(costs[batch])
        extra_costs = regrets(costs[batch], permutations)
        margins[batch] = np.where(same_place, np.inf, extra_costs).min(axis=2)
        if tie_breakers is not None:
            for s in np.flatnonzero(margins[batch].min(axis=1) <= _TIE):
                # A permutation made of pairs that each belong to some best permutation is itself a best one.
                tied_costs = np.where(extra_costs[s] <= _TIE, tie_breakers[batch][s][:, permutations[s]], np.inf)
                permutations[s] = permutations[s][linear_sum_assignment(tied_costs)[1]]
        labels[batch] = permutations
    return Labelling(labels, margins)


def regrets(costs: FloatArray, labels: IntArray) -> FloatArray:
    """(S, K, K) extra cost of the best permutation that moves the component at place i to place j, at [s, j, i].

    costs (S, K, K), labels (S, K) the best permutations. Moving i to j displaces the component at j, and so on until
    the place that i left is filled. The extra cost is therefore that of the move plus the shortest path back in the
    graph whose edges are moves; no cycle of it is negative. Shortest paths by Floyd (1962, doi:10.1145/367766.368168).
    """
    costs_in_place = np.take_along_axis(costs, labels[:, np.newaxis], axis=2)
    moves = costs_in_place - np.einsum("sjj->sj", costs_in_place)[:, :, np.newaxis]
    paths = moves.copy()
    for m in range(paths.shape[1]):
        paths = np.minimum(paths, paths[:, :, m, np.newaxis] + paths[:, m, np.newaxis])
    return np.asarray(np.maximum(moves + paths.transpose(0, 2, 1), 0.0))


def nearest_components(reference: MixtureParameters, mixtures: MixtureDraws) -> IntArray:
    """(S, K) the reference's component nearest to each component of a draw, by the Bhattacharyya distance."""
    return np.concatenate(
        [
            distances_to_reference(reference, mixtures.means[batch], mixtures.covariances[batch]).argmin(axis=1)
            for batch in _batches(mixtures.n_draws)
        ]
    )


def _batches(n_draws: int) -> Iterator[slice]:
    return (slice(begin, begin + _BATCH) for begin in range(0, n_draws, _BATCH))


def _cross_entropies(draws: UnlabelledDraws, reference: MixtureParameters) -> FloatArray:
    """(S, K, K) costs of the method "cross-entropy"."""
    mixtures = draws.mixtures
    return np.concatenate(
        [
            label_costs(reference, mixtures.weights[batch], mixtures.means[batch], mixtures.covariances[batch])
            for batch in _batches(mixtures.n_draws)
        ]
    )


def _by_cross_entropy(draws: UnlabelledDraws, reference: MixtureParameters) -> Labelling:
    return best_permutations(_cross_entropies(draws, reference))


def _by_ecr(draws: UnlabelledDraws, reference: MixtureParameters) -> Labelling:
    return best_permutations(-draws.agreements, _cross_entropies(draws, reference))


def _by_kullback_leibler(draws: UnlabelledDraws, reference: MixtureParameters) -> Labelling:
    tie_breakers = _cross_entropies(draws, reference)
    labelling = best_permutations(-draws.agreements, tie_breakers)
    n_iterations, changing = 0, True
    while changing and n_iterations < _MAX_ITERATIONS:
        previous_labels = labelling.labels
        mean = _mean_responsibilities(draws, previous_labels)
        labelling = best_permutations(_divergences(draws, mean), tie_breakers)
        changing = not np.array_equal(labelling.labels, previous_labels)
        n_iterations += 1
    if changing:
        warnings.warn(
            f"Kullback-Leibler relabelling still changed labels after {n_iterations} iterations; its last labels are "
            f'used. The components may not be distinguishable: see label_report, or use method="ecr".',
            BayesgmmWarning,
            stacklevel=3,
        )
    # Permuting all draws in the same way changes no divergence, so the components can be named after the reference's.
    agreements = np.take_along_axis(draws.agreements, labelling.labels[:, np.newaxis], axis=2).sum(axis=0)
    names = linear_sum_assignment(-agreements - _TIE * np.eye(len(agreements)))[1]
    return Labelling(labelling.labels[:, names], labelling.margins[:, names], n_iterations)


def _mean_responsibilities(draws: UnlabelledDraws, labels: IntArray) -> FloatArray:
    """(n, K) responsibilities of the rows, averaged over the relabelled draws."""
    total = np.zeros((len(draws.rows), labels.shape[1]))
    for permutation, responsibilities in zip(labels, _responsibilities(draws), strict=True):
        total += responsibilities[:, permutation]
    return total / len(labels)


def _divergences(draws: UnlabelledDraws, mean_responsibilities: FloatArray) -> FloatArray:
    """(S, K, K) -sum_i r_ik log q_ij: the part of the divergence of a draw's r from the mean q that labels change."""
    minus_log_mean = -np.log(np.maximum(mean_responsibilities, np.finfo(float).tiny)).T
    return np.array([minus_log_mean @ responsibilities for responsibilities in _responsibilities(draws)])


def _responsibilities(draws: UnlabelledDraws) -> Iterator[FloatArray]:
    return responsibilities_of_draws(draws.rows, *draws.mixtures.arrays)


ECR = Relabelling("ecr", "rows", True, _by_ecr)
KULLBACK_LEIBLER = Relabelling("kullback-leibler", "nats", True, _by_kullback_leibler)
CROSS_ENTROPY = Relabelling("cross-entropy", "nats per row", False, _by_cross_entropy)

# Why these three, with ECR as the default: docs/decisions/0050.
RELABELLINGS: dict[str, Relabelling] = {
    relabelling.name: relabelling for relabelling in (ECR, KULLBACK_LEIBLER, CROSS_ENTROPY)
}


def relabelling_named(method: str) -> Relabelling:
    """Look up a method by its name; raise InputError if there is none of that name."""
    if not isinstance(method, str) or method not in RELABELLINGS:
        raise InputError(f"method must be one of {', '.join(RELABELLINGS)}; received {shown(method)}.")
    return RELABELLINGS[method]
