"""`co_clustering` and `point_partition`: which rows belong together, whatever the labels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from bayesgmm.display.cards import Card, Displayed
from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.draws import MixtureDraws, responsibilities_of_draws
from bayesgmm.mixture.evaluation import labels_at
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.parallel import one_blas_thread
from bayesgmm.posterior.draws import check_comparable, mixture_draws, rows_for
from bayesgmm.posterior.partition.losses import (
    Binder,
    VariationOfInformation,
    hierarchical_partitions,
    numbered_by_size,
    search_partition,
)
from bayesgmm.posterior.partition.search import SampledLabels
from bayesgmm.received import check_result
from bayesgmm.types import BoolArray, FloatArray, IntArray, RowArray, Seed
from bayesgmm.validation import as_generator, check_count, check_fraction
from bayesgmm.wording import count, shown

type LossName = Literal["vi", "binder"]

# Columns of responsibilities, of several draws, per matrix product: few large products are faster than many small ones.
_COLUMNS_PER_PRODUCT = 256
# Sampled partitions among the candidates of the search.
_N_SAMPLED_CANDIDATES = 10
_LOSS_TITLES = {"vi": "variation of information", "binder": "Binder loss"}
_LOSS_UNITS = {"vi": " bits", "binder": ""}


@dataclass(frozen=True, eq=False, repr=False)
class CoClustering:
    """Posterior probability that two rows share a component.

    Attributes
    ----------
    probabilities : (n, n), symmetric, 1 on the diagonal.
    rows : (n,) numbers of these rows in X: all of them, or evenly spaced ones if X has too many.
    index : (n,) their index in the data frame X; their numbers if X had none.
    n_samples : number of rows of X.
    n_draws : number of draws averaged over.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_faithful(), 2, draws=200, rng=1, progress=False)
    >>> similarity = bg.co_clustering(posterior, max_rows=100)
    >>> similarity.probabilities.shape, similarity.rows[:3].tolist(), similarity.n_samples
    ((100, 100), [0, 3, 5], 272)
    """

    probabilities: FloatArray
    rows: IntArray
    n_samples: int
    n_draws: int
    index: pd.Index

    def __post_init__(self) -> None:
        _make_read_only(self.probabilities, self.rows)

    def __repr__(self) -> str:
        return (
            f"CoClustering: probability that two rows share a component, {len(self.rows)} of "
            f"{count(self.n_samples, 'row')}, over {count(self.n_draws, 'draw')}"
        )


class Bound(NamedTuple):
    """A partition sampled from the posterior, at the edge of a credible ball.

    Attributes
    ----------
    labels : (n,) cluster of each row; clusters are numbered by size, the largest 0.
    n_clusters : number of clusters.
    distance : loss between this partition and the point partition.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_faithful(), 2, draws=200, rng=1, progress=False)
    >>> ball = bg.point_partition(posterior, rng=1).ball
    >>> ball.horizontal.distance == ball.radius, ball.horizontal.n_clusters, len(ball.horizontal.labels)
    (True, 2, 272)
    """

    labels: IntArray
    n_clusters: int
    distance: float

    def __repr__(self) -> str:
        return f"Bound({count(self.n_clusters, 'cluster')}, distance {self.distance:.4g})"


@dataclass(frozen=True, eq=False)
class CredibleBall:
    """The smallest ball around the point partition that holds `ci_prob` of the sampled partitions.

    Wade and Ghahramani (2018, section 4, doi:10.1214/17-BA1073). The distance between two partitions is the loss. If
    several sampled partitions qualify as a bound, the first is taken.

    Attributes
    ----------
    ci_prob : probability that was asked for.
    radius : distance of the farthest partition in the ball.
    probability : share of the sampled partitions that the ball holds, `ci_prob` or more.
    upper : vertical upper bound: the most distant of the partitions in the ball with the fewest clusters.
    lower : vertical lower bound: the most distant of the partitions in the ball with the most clusters.
    horizontal : the most distant partition in the ball.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_faithful(), 2, draws=200, rng=1, progress=False)
    >>> ball = bg.point_partition(posterior, rng=1).ball
    >>> ball.probability >= ball.ci_prob, ball.upper.n_clusters, ball.lower.n_clusters
    (True, 2, 2)
    """

    ci_prob: float
    radius: float
    probability: float
    upper: Bound
    lower: Bound
    horizontal: Bound


@dataclass(frozen=True, eq=False, repr=False)
class Partition(Displayed):
    """The partition of the rows with the least posterior expected loss found.

    Attributes
    ----------
    labels : (n,) cluster of each row of `co_clustering.rows`; clusters are numbered by size, the largest 0.
    n_clusters : number of clusters, which may differ from the number of components.
    loss : "vi", the variation of information (Meila 2007) in bits, from 0 to log2 n; or "binder", twice the number of
        pairs of rows that only one of two partitions joins, divided by n^2, from 0 to 1 - 1/n.
    expected_loss : posterior expected loss of `labels`. Binder's is exact given the draws; the variation of information
        is averaged over one sampled partition per draw.
    ball : CredibleBall around `labels`.
    co_clustering : CoClustering, the probabilities that the search used.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_faithful(), 2, draws=200, rng=1, progress=False)
    >>> partition = bg.point_partition(posterior, loss="binder", rng=1)
    >>> partition.n_clusters, partition.expected_loss < 0.05
    (2, True)
    """

    labels: IntArray
    n_clusters: int
    loss: LossName
    expected_loss: float
    ball: CredibleBall
    co_clustering: CoClustering

    def __post_init__(self) -> None:
        _make_read_only(
            self.labels, *(bound.labels for bound in (self.ball.upper, self.ball.lower, self.ball.horizontal))
        )

    @property
    def table(self) -> pd.DataFrame:
        """DataFrame with the column cluster, one line per row of `labels`, under the row's index."""
        return pd.DataFrame({"cluster": self.labels}, index=self.co_clustering.index)

    def _card(self) -> Card:
        title, *lines = self.summary().split("\n")
        return Card(title, lines)

    def summary(self) -> str:
        """Return the partition in a few lines."""
        unit, ball, n = _LOSS_UNITS[self.loss], self.ball, len(self.labels)
        rows = f"{n} rows" if n == self.co_clustering.n_samples else f"{n} of the {self.co_clustering.n_samples} rows"
        sizes = ", ".join(map(str, np.bincount(self.labels)))
        return "\n".join(
            [
                f"Partition of {rows} into {self.n_clusters} cluster(s) of {sizes}",
                f"expected {_LOSS_TITLES[self.loss]} {self.expected_loss:.4g}{unit}, over {self.co_clustering.n_draws} "
                f"draws",
                f"{100 * ball.ci_prob:g} % credible ball: radius {ball.radius:.4g}{unit}; {ball.upper.n_clusters} to "
                f"{ball.lower.n_clusters} clusters",
            ]
        )


def co_clustering(
    posterior: xr.DataTree, X: ArrayLike | None = None, *, n_draws: int = 1000, max_rows: int = 4000
) -> CoClustering:
    """Posterior probability that two rows share a component, for every pair of rows.

    The probability is the average over draws of sum_k r_ik r_jk, with r the responsibilities. Allocations are summed
    out and not sampled, so the draws are the only source of randomness. Labels do not matter.

    Parameters
    ----------
    posterior : DataTree as `sample_posterior` or `align` returns it.
    X : (n_samples, n_features) rows; by default those that the posterior was sampled for.
    n_draws : draws to average over at most, evenly spaced.
    max_rows : if there are more rows than this, this many evenly spaced ones are used, and `rows` of the result has
        their numbers. The matrix takes 8 max_rows^2 bytes.

    Returns
    -------
    CoClustering

    Raises
    ------
    InputError
        The posterior lacks a variable or rows, `X` has other columns, or an option is out of range.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> X["eruptions"][:3].tolist()
    [3.6, 1.8, 3.333]
    >>> posterior = bg.sample_posterior(X, 2, draws=200, rng=1, progress=False)
    >>> bg.co_clustering(posterior).probabilities[:3, :3].round(1).tolist()
    [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]
    """
    rows, draws = _rows_and_draws(posterior, X, n_draws, max_rows)
    responsibilities_of_each_draw = responsibilities_of_draws(rows.values, *draws.arrays)
    similarity = _similarity(len(rows.values), responsibilities_of_each_draw, draws.n_draws)
    return CoClustering(similarity, rows.numbers, rows.n_samples, draws.n_draws, rows.index)


def point_partition(
    posterior: xr.DataTree,
    X: ArrayLike | None = None,
    *,
    loss: LossName = "vi",
    start: MixtureParameters | None = None,
    ci_prob: float = 0.9,
    n_draws: int = 1000,
    max_rows: int = 4000,
    rng: Seed = None,
) -> Partition:
    """The partition of the rows with the least posterior expected loss, and a credible ball around it.

    Wade and Ghahramani (2018, doi:10.1214/17-BA1073). Rows move one at a time to the cluster with the least expected
    loss, until no row moves, as in Dahl, Johnson and Mueller (2022, doi:10.1080/10618600.2022.2069779). The search
    starts from hierarchical clusterings of 1 - the co-clustering probabilities, from sampled partitions, from the
    partition of `start`, and from rows without clusters in random orders. It finds a partition that no move of one row
    improves, which is not certain to be the global minimum.

    Parameters
    ----------
    posterior : DataTree as `sample_posterior` or `align` returns it; labels do not matter.
    X : (n_samples, n_features) rows; by default those that the posterior was sampled for.
    loss : "vi" or "binder" (see `Partition`). With Binder's, rows between clusters tend to become single-row clusters.
    start : a mixture whose partition is also a candidate of the search, usually `em.parameters`.
    ci_prob : probability of the credible ball, between 0 and 1.
    n_draws : draws to use at most, evenly spaced; one partition is sampled from each.
    max_rows : if there are more rows than this, this many evenly spaced ones are used (see `co_clustering`).
    rng : int, numpy.random.Generator or None, for the sampled partitions and the orders of the search.

    Returns
    -------
    Partition

    Raises
    ------
    InputError
        `loss` is unknown, the posterior lacks a variable or rows, `X` or `start` has other columns, or an option is
        out of range.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> posterior = bg.sample_posterior(X, 2, draws=200, rng=1, progress=False)
    >>> partition = bg.point_partition(posterior, rng=1)
    >>> X["eruptions"].groupby(partition.labels).mean().round(1).tolist()
    [4.3, 2.0]
    """
    if not isinstance(loss, str) or loss not in ("vi", "binder"):
        raise InputError(f"loss must be 'vi' (variation of information) or 'binder'; received {shown(loss)}.")
    ci_prob = check_fraction(ci_prob, "ci_prob")
    rng_of_labels, rng_of_search = as_generator(rng).spawn(2)
    rows, draws = _rows_and_draws(posterior, X, n_draws, max_rows)
    if start is not None:
        check_comparable(check_result(start, MixtureParameters, "start"), draws, "start")
    candidates = [labels_at(start, rows.values)] if start is not None else []
    S, K = draws.weights.shape
    sampled_labels = np.empty((len(rows.values), S), dtype=np.int32)
    responsibilities_of_each_draw = responsibilities_of_draws(rows.values, *draws.arrays)
    responsibilities_of_each_draw = _sampling_labels(responsibilities_of_each_draw, sampled_labels, rng_of_labels)
    similarity = _similarity(len(rows.values), responsibilities_of_each_draw, S)

    expected_loss = (VariationOfInformation if loss == "vi" else Binder)(similarity, sampled_labels, K)
    candidates += [sampled_labels[:, s].astype(np.intp) for s in spaced(S, _N_SAMPLED_CANDIDATES)]
    candidates += hierarchical_partitions(similarity, 2 * K)
    labels = numbered_by_size(search_partition(expected_loss, candidates, rng_of_search))
    return Partition(
        labels=labels,
        n_clusters=int(labels.max()) + 1,
        loss=loss,
        expected_loss=expected_loss.expected(labels),
        ball=_credible_ball(expected_loss.distances(labels), sampled_labels, ci_prob),
        co_clustering=CoClustering(similarity, rows.numbers, rows.n_samples, S, rows.index),
    )


@dataclass(frozen=True)
class _SelectedRows:
    """The rows that are used: values (n, D), numbers and index (n,), and the number of rows there were."""

    values: RowArray
    numbers: IntArray
    index: pd.Index
    n_samples: int


def _rows_and_draws(
    posterior: xr.DataTree, X: ArrayLike | None, n_draws: int, max_rows: int
) -> tuple[_SelectedRows, MixtureDraws]:
    n_draws, max_rows = check_count(n_draws, "n_draws"), check_count(max_rows, "max_rows", minimum=2)
    rows, draws = rows_for(posterior, X), mixture_draws(posterior, n_draws)
    numbers = spaced(len(rows.values), max_rows)
    selected = rows.values if len(numbers) == len(rows.values) else rows.values[numbers]
    return _SelectedRows(np.ascontiguousarray(selected), numbers, rows.index[numbers], len(rows.values)), draws


def _similarity(n: int, responsibilities_of_each_draw: Iterator[FloatArray], n_draws: int) -> FloatArray:
    """(n, n) average over draws of R R', with R (n, K) the responsibilities, from products of many columns at once."""
    total = np.zeros((n, n))
    batch: list[FloatArray] = []
    for responsibilities in responsibilities_of_each_draw:
        batch.append(responsibilities)
        if sum(part.shape[1] for part in batch) >= _COLUMNS_PER_PRODUCT:
            total += _product_with_itself(batch)
            batch = []
    if batch:
        total += _product_with_itself(batch)
    total /= n_draws
    np.clip(total, 0, 1, out=total)  # rounding
    np.fill_diagonal(total, 1)
    return total


def _product_with_itself(batch: list[FloatArray]) -> FloatArray:
    columns = np.concatenate(batch, axis=1)
    with one_blas_thread():  # the order of the sums must not depend on the number of cores
        return np.asarray(columns @ columns.T)


def _sampling_labels(
    responsibilities_of_each_draw: Iterator[FloatArray], sampled_labels: SampledLabels, rng: np.random.Generator
) -> Iterator[FloatArray]:
    """Pass the responsibilities on, and sample a partition from each, into sampled_labels (n, S)."""
    for s, responsibilities in enumerate(responsibilities_of_each_draw):
        cumulative = np.cumsum(responsibilities, axis=1)
        uniform = rng.random((len(sampled_labels), 1)) * cumulative[:, -1:]
        sampled_labels[:, s] = (cumulative[:, :-1] <= uniform).sum(axis=1)
        yield responsibilities


def _credible_ball(distances: FloatArray, sampled_labels: SampledLabels, ci_prob: float) -> CredibleBall:
    """The ball from the distances (S,) between the point partition and the sampled ones."""
    # Distances that are equal in exact arithmetic differ by rounding, hence the tolerances.
    n_inside = int(np.ceil(ci_prob * len(distances) - 1e-9))
    radius = float(np.sort(distances)[n_inside - 1])
    inside = np.flatnonzero(distances <= radius + 1e-12)
    n_clusters = np.array([len(np.unique(sampled_labels[:, s])) for s in inside])

    def most_distant(is_candidate: BoolArray) -> Bound:
        candidates = inside[is_candidate]
        s = candidates[distances[candidates].argmax()]
        labels = numbered_by_size(sampled_labels[:, s].astype(np.intp))
        return Bound(labels, int(labels.max()) + 1, float(distances[s]))

    return CredibleBall(
        ci_prob=ci_prob,
        radius=radius,
        probability=len(inside) / len(distances),
        upper=most_distant(n_clusters == n_clusters.min()),
        lower=most_distant(n_clusters == n_clusters.max()),
        horizontal=most_distant(np.ones(len(inside), dtype=bool)),
    )


def _make_read_only(*arrays: FloatArray | IntArray) -> None:
    for array in arrays:
        array.flags.writeable = False
