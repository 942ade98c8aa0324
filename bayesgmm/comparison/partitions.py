"""EM's labels against the posterior: how far the partitions agree, and which rows may be labelled wrongly."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike
from sklearn.metrics import adjusted_rand_score

from bayesgmm.comparison.arguments import draws_beside
from bayesgmm.display.cards import Card, Displayed
from bayesgmm.em.result import EMFit
from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.draws import MixtureDraws, responsibilities_of_draws
from bayesgmm.mixture.evaluation import labels_at, responsibilities_at
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.posterior.draws import check_aligned, interval, interval_names, rows_for
from bayesgmm.posterior.partition.partition import Partition, point_partition
from bayesgmm.received import check_result
from bayesgmm.types import FloatArray, IntArray, RowArray, Seed
from bayesgmm.validation import as_generator, check_count, check_fraction

_N_ROWS = 5_000  # rows, evenly spaced, on which partitions of draws are compared with EM's at most
_N_DRAWS = 200  # draws, evenly spaced, whose partitions are compared with EM's
_PIECE = 4096  # rows that are processed at a time, so that no array holds every draw at every row


@dataclass(frozen=True, eq=False, repr=False)
class PartitionAgreement(Displayed):
    """Agreement of EM's partition of the rows with the posterior's partitions.

    Each number is an adjusted Rand index (Hubert and Arabie 1985, doi:10.1007/BF01908075): 1 for equal partitions, 0 on
    average for unrelated ones. It does not depend on labels.

    Attributes
    ----------
    draws : agreement with the partition of a draw, each row in its most probable component, averaged over draws.
    vi : agreement with the partition of least expected variation of information.
    binder : agreement with the partition of least expected Binder loss.
    vi_partition, binder_partition : the two partitions, each a Partition.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> posterior = bg.sample_posterior(X, 2, start=em.parameters, draws=200, rng=1, progress=False)
    >>> agreement = bg.partition_agreement(em, posterior, n_draws=200, rng=1)
    >>> agreement.vi_partition.n_clusters, agreement.binder_partition.n_clusters
    (2, 2)
    """

    draws: float
    vi: float
    binder: float
    vi_partition: Partition
    binder_partition: Partition

    def _card(self) -> Card:
        return Card(
            "PartitionAgreement: adjusted Rand index of EM's partition",
            [
                f"with the partitions of draws, on average: {self.draws:.3f}",
                f"with the partition of least variation of information: {self.vi:.3f}",
                f"with the partition of least Binder loss: {self.binder:.3f}",
            ],
        )


def partition_agreement(
    em: EMFit, posterior: xr.DataTree, X: ArrayLike | None = None, *, n_draws: int = 1000, rng: Seed = None
) -> PartitionAgreement:
    """How far EM's partition of the rows agrees with the posterior's partitions.

    Parameters
    ----------
    em : EMFit
    posterior : DataTree as `sample_posterior` or `align` returns it.
    X : rows (n_samples, n_features); by default the rows that the posterior was drawn from. Of many rows, evenly spaced
        ones are used: 4000 for the point partitions (see `point_partition`), 5000 for the average over 200 draws.
    n_draws : number of evenly spaced draws for the point partitions.
    rng : int, numpy.random.Generator or None, for `point_partition`.

    Returns
    -------
    PartitionAgreement

    Raises
    ------
    InputError
        As `point_partition` does, or `em` has other components or features than the posterior.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> posterior = bg.sample_posterior(X, 2, start=em.parameters, draws=200, rng=1, progress=False)
    >>> agreement = bg.partition_agreement(em, posterior, n_draws=200, rng=1)
    >>> agreement.vi > 0.95, agreement.binder > 0.95, agreement.draws > 0.95
    (True, True, True)
    """
    draws, values = draws_beside(em, posterior, _N_DRAWS), rows_for(posterior, X).values
    streams = as_generator(rng).spawn(2)
    vi = point_partition(posterior, X, loss="vi", start=em.parameters, n_draws=n_draws, rng=streams[0])
    binder = point_partition(posterior, X, loss="binder", start=em.parameters, n_draws=n_draws, rng=streams[1])
    labels = labels_at(em.parameters, values[vi.co_clustering.rows])  # both partitions are of the same rows
    return PartitionAgreement(
        draws=agreement_with_draws(em.parameters, values, draws),
        vi=float(adjusted_rand_score(labels, vi.labels)),
        binder=float(adjusted_rand_score(labels, binder.labels)),
        vi_partition=vi,
        binder_partition=binder,
    )


def agreement_with_draws(parameters: MixtureParameters, values: RowArray, draws: MixtureDraws) -> float:
    """Adjusted Rand index of a mixture's partition with the partition of a draw, averaged over draws.

    Of more than 5000 rows, 5000 evenly spaced ones are used.
    """
    rows = np.ascontiguousarray(values[spaced(len(values), _N_ROWS)]) if len(values) > _N_ROWS else values
    labels = labels_at(parameters, rows)
    indices = [
        adjusted_rand_score(labels, responsibilities.argmax(axis=1))
        for responsibilities in responsibilities_of_draws(rows, *draws.arrays)
    ]
    return float(np.mean(indices))


def row_uncertainty(
    em: EMFit,
    posterior: xr.DataTree,
    X: ArrayLike | None = None,
    *,
    ci_prob: float = 0.9,
    n_draws: int = 1000,
) -> pd.DataFrame:
    """How certain EM's label of each row is under the posterior.

    Parameters
    ----------
    em : EMFit
    posterior : DataTree from `align(posterior, em.parameters)`.
    X : two or more rows (n_samples, n_features); by default the rows that the posterior was drawn from.
    ci_prob : probability of the equal-tailed interval.
    n_draws : number of evenly spaced draws to use at most.

    Returns
    -------
    DataFrame
        One row per row of `X`, with the index of the data frame that the rows came from. Its columns are

        - label: the component l that is most probable under EM;
        - em: EM's probability of that component, its responsibility r_il;
        - mean, `eti90_lb`, `eti90_ub`: posterior mean and equal-tailed interval of r_il (90 stands for `ci_prob` 0.9);
        - p_wrong: 1 - mean, the probability that the row belongs to another component. It is meaningful only where
          labels are clear (see `diagnose`);
        - disagreement: expected share of the other rows on which EM and the posterior disagree about being in the same
          cluster as this row: mean over j of abs([EM joins i and j] - probability that i and j share a component). It
          does not depend on labels. Its average over the rows, times (n - 1) / n, is Binder's expected loss of EM's
          partition (Binder 1978, doi:10.1093/biomet/65.1.31).

    Raises
    ------
    InputError
        The posterior is not aligned, lacks a variable or rows, has other components or features than `em`, `X` has
        other columns or fewer than two rows, or an option is out of range.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> posterior = bg.sample_posterior(X, 2, start=em.parameters, draws=200, rng=1, progress=False)
    >>> rows = bg.row_uncertainty(em, bg.align(posterior, em.parameters))
    >>> X.iloc[rows["p_wrong"].idxmax()].tolist()  # the row whose label is least sure lies between the components
    [2.9, 63.0]
    >>> (rows["p_wrong"] > 0.1).sum().item()
    1
    """
    ci_prob, n_draws = check_fraction(ci_prob, "ci_prob"), check_count(n_draws, "n_draws")
    check_result(em, EMFit, "em")
    check_aligned(posterior, em.parameters)
    draws = draws_beside(em, posterior, n_draws)
    rows = rows_for(posterior, X)
    values = rows.values
    if len(values) < 2:
        raise InputError("X has one row; each row is compared with the others. Pass two rows or more.")
    N, labels = len(values), labels_at(em.parameters, values)
    totals = _responsibility_totals(values, labels, draws)
    n_members = np.rint(totals[:, :, 0].sum(axis=1))  # rows of each of EM's components
    # A row of EM's component l disagrees on pairs that EM joins but a draw separates, and on pairs that EM separates
    # but a draw joins: n_members[l] + sum over k of r_ik (totals[all, k] - 2 totals[l, k]).
    pair_totals = totals.sum(axis=0) - 2 * totals
    mean, bounds, disagreement = np.empty(N), np.empty((N, 2)), np.empty(N)

    def finish(piece: slice, _: FloatArray, r: FloatArray) -> None:
        em_labels = labels[piece]
        label_responsibilities = r[np.arange(len(r)), em_labels]
        # Adding r takes the row's pair with itself out of the sum.
        pairs = np.einsum("nks,nks->n", r, pair_totals[em_labels] + r) / draws.n_draws
        disagreement[piece] = np.clip((n_members[em_labels] - 1 + pairs) / (N - 1), 0, 1)
        mean[piece], bounds[piece] = label_responsibilities.mean(axis=-1), interval(label_responsibilities, ci_prob)

    draws.score_in_pieces(values, finish, responsibilities=True)
    lower, upper = interval_names(ci_prob)
    return pd.DataFrame(
        {
            "label": labels,
            "em": responsibilities_at(em.parameters, values).max(axis=1),
            "mean": mean,
            lower: bounds[:, 0],
            upper: bounds[:, 1],
            "p_wrong": 1 - mean,
            "disagreement": disagreement,
        },
        index=rows.index,
    )


def _responsibility_totals(values: RowArray, labels: IntArray, draws: MixtureDraws) -> FloatArray:
    """(K, K, S) sums of draw s's responsibilities of component k over EM's component l, at [l, k, s]."""
    K = draws.n_components
    totals = np.zeros((K, K, draws.n_draws))
    for start in range(0, len(values), _PIECE):
        piece = slice(start, start + _PIECE)
        members = (labels[piece] == np.arange(K)[:, np.newaxis]).astype(np.float64)
        for s, responsibilities in enumerate(responsibilities_of_draws(values[piece], *draws.arrays)):
            totals[:, :, s] += members @ responsibilities
    return totals
