"""EM's labels held against the posterior: how far the partitions agree, and which rows may be labelled wrongly."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import adjusted_rand_score

from bayesgmm.em.result import EMFit
from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.draws import MixtureDraws, responsibilities_of_draws
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.posterior.draws import check_aligned, check_same_shape, interval, interval_names, mixture_draws, rows_for
from bayesgmm.posterior.partition.partition import Partition, point_partition
from bayesgmm.types import FloatArray
from bayesgmm.validation import as_generator, check_count, check_fraction

# Partitions of draws are held against EM's over this many rows, evenly chosen.
_N_ROWS = 5_000
# Rows are taken in pieces, so that no array holds every draw at every row.
_PIECE = 4096


@dataclass(frozen=True, eq=False, repr=False)
class PartitionAgreement:
    """Adjusted Rand index (Hubert and Arabie 1985, doi:10.1007/BF01908075) of EM's partition with the posterior's.

    1 for equal partitions, 0 on average for unrelated ones. Labels do not matter.

    Attributes
    ----------
    draws : with the partition of a draw's most probable components, averaged over draws.
    vi, binder : with the partition of least expected variation of information, and Binder loss.
    vi_partition, binder_partition : those partitions.

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

    def __repr__(self) -> str:
        return (
            f"PartitionAgreement: adjusted Rand index of EM's partition with the draws' {self.draws:.3f}, with the "
            f"point partition by vi {self.vi:.3f}, by binder {self.binder:.3f}"
        )


def partition_agreement(
    em: EMFit, posterior: xr.DataTree, X: ArrayLike | None = None, *, n_draws: int = 1000, rng: Any = None
) -> PartitionAgreement:
    """How far EM's partition of the rows agrees with the posterior's partitions.

    Parameters
    ----------
    em : EMFit
    posterior : DataTree as `sample_posterior` or `align` returns it.
    X : rows (n_samples, n_features); by default those that the posterior was drawn from. The point partitions are of
        4000 rows at most, evenly chosen (`point_partition`); the average over draws is of 5000 at most, and of 200
        draws.
    n_draws : draws for the point partitions.
    rng : int, Generator or None, for `point_partition`.

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
    few = mixture_draws(posterior, 200)
    check_same_shape(em.parameters, few)
    values = rows_for(posterior, X)
    streams = as_generator(rng).spawn(2)
    vi = point_partition(posterior, values, loss="vi", start=em.parameters, n_draws=n_draws, rng=streams[0])
    binder = point_partition(posterior, values, loss="binder", start=em.parameters, n_draws=n_draws, rng=streams[1])
    labels = em.parameters.predict(values[vi.co_clustering.rows])  # both partitions are of the same rows
    return PartitionAgreement(
        draws=agreement_with_draws(em.parameters, values, few),
        vi=float(adjusted_rand_score(labels, vi.labels)),
        binder=float(adjusted_rand_score(labels, binder.labels)),
        vi_partition=vi,
        binder_partition=binder,
    )


def agreement_with_draws(parameters: MixtureParameters, values: NDArray[Any], draws: MixtureDraws) -> float:
    """Adjusted Rand index of a mixture's partition with a draw's, averaged over draws; of 5000 rows at most."""
    rows = np.ascontiguousarray(values[spaced(len(values), _N_ROWS)]) if len(values) > _N_ROWS else values
    labels = parameters.labels_at(rows)
    found = responsibilities_of_draws(rows, *draws.arrays)
    return float(np.mean([adjusted_rand_score(labels, r.argmax(axis=1)) for r in found]))


def row_uncertainty(
    em: EMFit,
    posterior: xr.DataTree,
    X: ArrayLike | None = None,
    *,
    ci_prob: float = 0.9,
    n_draws: int = 1000,
) -> pd.DataFrame:
    """How sure EM's label of each row is, under the posterior.

    Parameters
    ----------
    em : EMFit
    posterior : DataTree from `align(posterior, em.parameters)`.
    X : rows (n_samples, n_features); by default those that the posterior was drawn from. Each is held against all the
        others.
    ci_prob : probability of the equal-tailed interval.
    n_draws : draws at most, evenly spaced.

    Returns
    -------
    DataFrame
        A row a row of `X`:

        - em_label: EM's most probable component; em_probability: how probable EM holds it.
        - posterior_probability: mean over draws of r_il, the responsibility of that component l, and `eti90_lb`,
          `eti90_ub` at ci_prob 0.9: the interval of r_il over draws.
        - p_wrong = 1 - posterior_probability: the probability that the row is of another component. It needs clear
          labels (`diagnose`: unclear).
        - disagreement: expected share of the other rows that EM joins to this row and the posterior parts from it, or
          the other way round: mean over j of abs([EM joins i and j] - probability that i and j share a component).
          Labels do not matter. Its average over the rows is Binder's expected loss of EM's partition times n / (n - 1)
          (Binder 1978, doi:10.1093/biomet/65.1.31).

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
    check_aligned(posterior)
    draws = mixture_draws(posterior, n_draws)
    check_same_shape(em.parameters, draws)
    values = rows_for(posterior, X)
    if len(values) < 2:
        raise InputError("X has one row; each is held against the others. Pass two rows or more.")
    N, labels = len(values), em.parameters.predict(values)
    together = _members_by_component(values, labels, draws)
    n_members = np.rint(together[:, :, 0].sum(axis=1))  # of each of EM's components
    # Of a row's disagreement: EM's mates that it shares no component with, and the others that it does share one with.
    sharing = together.sum(axis=0) - 2 * together
    probability, bounds, disagreement = np.empty(N), np.empty((N, 2)), np.empty(N)

    def finish(rows: slice, _: FloatArray, r: FloatArray) -> None:
        own = r[np.arange(len(r)), labels[rows]]
        shared = np.einsum("nks,nks->n", r, sharing[labels[rows]] + r) / draws.n_draws  # the row itself is neither
        disagreement[rows] = np.clip((n_members[labels[rows]] - 1 + shared) / (N - 1), 0, 1)
        probability[rows], bounds[rows] = own.mean(axis=-1), interval(own, ci_prob)

    draws.over(values, finish, responsibilities=True)
    lower, upper = interval_names(ci_prob)
    return pd.DataFrame(
        {
            "em_label": labels,
            "em_probability": em.parameters.responsibilities(values).max(axis=1),
            "posterior_probability": probability,
            lower: bounds[:, 0],
            upper: bounds[:, 1],
            "p_wrong": 1 - probability,
            "disagreement": disagreement,
        },
        index=pd.RangeIndex(len(values), name="row"),
    )


def _members_by_component(values: NDArray[Any], labels: NDArray[np.intp], draws: MixtureDraws) -> FloatArray:
    """(K, K, S) sum over the rows that EM gives to component l of a draw's responsibilities of k, at [l, k, s]."""
    K = draws.n_components
    total = np.zeros((K, K, draws.n_draws))
    for begin in range(0, len(values), _PIECE):
        piece = slice(begin, begin + _PIECE)
        members = (labels[piece] == np.arange(K)[:, np.newaxis]).astype(np.float64)
        for s, responsibilities in enumerate(responsibilities_of_draws(values[piece], *draws.arrays)):
            total[:, :, s] += members @ responsibilities
    return total
