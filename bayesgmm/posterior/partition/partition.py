"""Which rows belong together, free of labels: co-clustering probabilities, the best partition, and how sure it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from bayesgmm.display.cards import Card, Displayed, count
from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.draws import MixtureDraws, responsibilities_of_draws
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.posterior.draws import mixture_draws, rows_for
from bayesgmm.posterior.partition.losses import Binder, VariationOfInformation, by_size, hierarchical, search
from bayesgmm.types import FloatArray
from bayesgmm.validation import as_generator, check_count, check_fraction

type Labels = NDArray[np.intp]
type LossName = Literal["vi", "binder"]

# Responsibilities of several draws are multiplied at once, this many columns of them.
_COLUMNS = 256
# Partitions drawn that the search is offered.
_N_OFFERED_DRAWS = 10


@dataclass(frozen=True, eq=False, repr=False)
class CoClustering:
    """How probable it is that two rows share a component.

    Attributes
    ----------
    probabilities : (n, n), symmetric, 1 on the diagonal.
    rows : (n,) which rows of X these are: all of them, or evenly chosen ones of too many.
    n_samples : how many rows X has.
    n_draws : how many draws were averaged over.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_faithful(), 2, draws=200, rng=1, progress=False)
    >>> together = bg.co_clustering(posterior, max_rows=100)
    >>> together.probabilities.shape, together.rows[:3].tolist(), together.n_samples
    ((100, 100), [0, 3, 5], 272)
    """

    probabilities: FloatArray
    rows: Labels
    n_samples: int
    n_draws: int

    def __post_init__(self) -> None:
        _freeze(self.probabilities, self.rows)

    def __repr__(self) -> str:
        return (
            f"CoClustering: probability that two rows share a component, {len(self.rows)} of "
            f"{count(self.n_samples, 'row')}, over {count(self.n_draws, 'draw')}"
        )


class Bound(NamedTuple):
    """A partition drawn from the posterior, at the edge of a credible ball.

    Attributes
    ----------
    labels : (n,) cluster of each row; clusters are numbered by size, the largest 0.
    n_clusters : number of clusters.
    distance : from the point partition.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_faithful(), 2, draws=200, rng=1, progress=False)
    >>> ball = bg.point_partition(posterior, rng=1).ball
    >>> ball.horizontal.distance == ball.radius, ball.horizontal.n_clusters, len(ball.horizontal.labels)
    (True, 2, 272)
    """

    labels: Labels
    n_clusters: int
    distance: float

    def __repr__(self) -> str:
        return f"Bound({count(self.n_clusters, 'cluster')}, distance {self.distance:.4g})"


@dataclass(frozen=True, eq=False)
class CredibleBall:
    """The smallest ball around the point partition that holds `ci_prob` of the partitions drawn.

    Wade and Ghahramani (2018, section 4, doi:10.1214/17-BA1073). Distances are the loss between two partitions; each
    bound is the first of those drawn that qualify.

    Attributes
    ----------
    ci_prob : probability that was asked for.
    radius : distance of the farthest partition in the ball.
    probability : share of the partitions drawn that the ball holds, `ci_prob` or more.
    upper : vertical upper bound: of the partitions in the ball with the fewest clusters, the most distant.
    lower : vertical lower bound: the same with the most clusters.
    horizontal : the most distant of all.

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
    """The partition of the rows with the least posterior expected loss that was found.

    Attributes
    ----------
    labels : (n,) cluster of each row of `co_clustering.rows`; clusters are numbered by size, the largest 0.
    n_clusters : number of clusters, which may differ from the number of components.
    loss : "vi", the variation of information (Meila 2007) in bits, from 0 to log2 n; or "binder", twice the number of
        pairs that one partition joins and the other parts, over n^2: from 0 to 1 - 1/n.
    expected_loss : of `labels`. Binder's is exact given the draws; the variation of information is averaged over one
        partition from each draw.
    ball : CredibleBall around `labels`.
    co_clustering : the probabilities that the search used.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_faithful(), 2, draws=200, rng=1, progress=False)
    >>> partition = bg.point_partition(posterior, loss="binder", rng=1)
    >>> partition.n_clusters, partition.expected_loss < 0.05
    (2, True)
    """

    labels: Labels
    n_clusters: int
    loss: LossName
    expected_loss: float
    ball: CredibleBall
    co_clustering: CoClustering

    def __post_init__(self) -> None:
        _freeze(self.labels, *(bound.labels for bound in (self.ball.upper, self.ball.lower, self.ball.horizontal)))

    def _card(self) -> Card:
        title, *lines = self.summary().split("\n")
        return Card(title, lines)

    def summary(self) -> str:
        """A few lines for a person."""
        unit, ball, n = _UNITS[self.loss], self.ball, len(self.labels)
        rows = f"{n} rows" if n == self.co_clustering.n_samples else f"{n} of the {self.co_clustering.n_samples} rows"
        sizes = ", ".join(map(str, np.bincount(self.labels)))
        return "\n".join(
            [
                f"Partition of {rows} into {self.n_clusters} cluster(s) of {sizes}",
                f"expected {_TITLES[self.loss]} {self.expected_loss:.4g}{unit}, over {self.co_clustering.n_draws} "
                f"draws",
                f"{100 * ball.ci_prob:g} % credible ball: radius {ball.radius:.4g}{unit}; {ball.upper.n_clusters} to "
                f"{ball.lower.n_clusters} clusters",
            ]
        )


_TITLES = {"vi": "variation of information", "binder": "Binder loss"}
_UNITS = {"vi": " bits", "binder": ""}


def co_clustering(
    posterior: xr.DataTree, X: ArrayLike | None = None, *, n_draws: int = 1000, max_rows: int = 4000
) -> CoClustering:
    """Posterior probability that two rows share a component, for every pair of rows.

    The average over draws of sum_k r_ik r_jk, r the responsibilities: assignments are summed out and not drawn, so
    that nothing but the draws themselves is random, and labels do not matter.

    Parameters
    ----------
    posterior : DataTree as `sample_posterior` or `align` returns it.
    X : rows (n_samples, n_features); by default those that the posterior was drawn from.
    n_draws : draws to average over at most, evenly spaced.
    max_rows : of more rows than this, evenly chosen ones are taken, and `rows` of the result says which. The matrix
        takes 8 max_rows^2 bytes.

    Returns
    -------
    CoClustering

    Raises
    ------
    InputError
        The posterior lacks a variable or rows, `X` has other columns, or a count is none.

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
    rows, n_samples, values, draws = _chosen(posterior, X, n_draws, max_rows)
    probabilities = _probabilities(len(rows), responsibilities_of_draws(values, *draws.arrays), len(draws.weights))
    return CoClustering(probabilities, rows, n_samples, len(draws.weights))


def point_partition(
    posterior: xr.DataTree,
    X: ArrayLike | None = None,
    *,
    loss: LossName = "vi",
    start: MixtureParameters | None = None,
    ci_prob: float = 0.95,
    n_draws: int = 1000,
    max_rows: int = 4000,
    rng: Any = None,
) -> Partition:
    """The partition of the rows with the least posterior expected loss, and a credible ball around it.

    Wade and Ghahramani (2018, doi:10.1214/17-BA1073). Rows move one by one to the cluster where the expected loss is
    least, until none does, as in Dahl, Johnson and Mueller (2022, doi:10.1080/10618600.2022.2069779); the search
    begins at hierarchical clusterings of 1 - the co-clustering probabilities, at partitions drawn, at that of `start`,
    and at rows without clusters in random orders. It finds a minimum that no move of one row improves; that it is the
    least of all is not certain.

    Parameters
    ----------
    posterior : DataTree as `sample_posterior` or `align` returns it; labels do not matter.
    X : rows (n_samples, n_features); by default those that the posterior was drawn from.
    loss : "vi" or "binder" (see `Partition`). Binder's tends to leave rows between clusters in clusters of their own.
    start : a mixture whose partition the search looks at too, usually `em.parameters`.
    ci_prob : probability of the credible ball.
    n_draws : draws to use at most, evenly spaced; one partition is drawn from each.
    max_rows : of more rows than this, evenly chosen ones are taken (see `co_clustering`).
    rng : int, Generator or None: the partitions drawn and the orders of the search.

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
    if loss not in ("vi", "binder"):
        raise InputError(f"loss must be 'vi' (variation of information) or 'binder'; received {loss!r}.")
    ci_prob = check_fraction(ci_prob, "ci_prob")
    for_labels, for_search = as_generator(rng).spawn(2)
    rows, n_samples, values, draws = _chosen(posterior, X, n_draws, max_rows)
    offered = [start.predict(values)] if start is not None else []
    S, K = draws.weights.shape
    drawn = np.empty((len(rows), S), dtype=np.int32)
    stream = _drawing_labels(responsibilities_of_draws(values, *draws.arrays), drawn, for_labels)
    together = CoClustering(_probabilities(len(rows), stream, S), rows, n_samples, S)

    criterion = (VariationOfInformation if loss == "vi" else Binder)(together.probabilities, drawn, K)
    offered += [drawn[:, s].astype(np.intp) for s in spaced(S, _N_OFFERED_DRAWS)]
    offered += hierarchical(together.probabilities, 2 * K)
    labels = by_size(search(criterion, offered, for_search))
    ball = _ball(criterion.distances(labels), drawn, ci_prob)
    return Partition(labels, int(labels.max()) + 1, loss, criterion.expected(labels), ball, together)


def _chosen(
    posterior: xr.DataTree, X: ArrayLike | None, n_draws: int, max_rows: int
) -> tuple[Labels, int, NDArray[Any], MixtureDraws]:
    """Numbers of the rows taken, how many there are, the rows taken, and the draws."""
    n_draws, max_rows = check_count(n_draws, "n_draws"), check_count(max_rows, "max_rows", minimum=2)
    values, draws = rows_for(posterior, X), mixture_draws(posterior, n_draws)
    rows = spaced(len(values), max_rows)
    taken = values if len(rows) == len(values) else values[rows]
    return rows, len(values), np.ascontiguousarray(taken), draws


def _probabilities(n: int, stream: Iterator[FloatArray], n_draws: int) -> FloatArray:
    """(n, n) average of R R' over responsibilities R (n, K), as products of many columns at once."""
    total = np.zeros((n, n))
    batch: list[FloatArray] = []
    for responsibilities in stream:
        batch.append(responsibilities)
        if sum(part.shape[1] for part in batch) >= _COLUMNS:
            total += _square(batch)
            batch = []
    if batch:
        total += _square(batch)
    total /= n_draws
    np.clip(total, 0, 1, out=total)  # rounding
    np.fill_diagonal(total, 1)
    return total


def _square(batch: list[FloatArray]) -> FloatArray:
    columns = np.concatenate(batch, axis=1)
    with threadpool_limits(limits=1, user_api="blas"):  # the same sums on any number of cores
        return np.asarray(columns @ columns.T)


def _drawing_labels(
    stream: Iterator[FloatArray], drawn: NDArray[np.int32], rng: np.random.Generator
) -> Iterator[FloatArray]:
    """Passes responsibilities on, and draws a partition from each: into drawn (n, S)."""
    for s, responsibilities in enumerate(stream):
        cumulative = np.cumsum(responsibilities, axis=1)
        uniform = rng.random((len(drawn), 1)) * cumulative[:, -1:]
        drawn[:, s] = (cumulative[:, :-1] <= uniform).sum(axis=1)
        yield responsibilities


def _ball(distances: FloatArray, drawn: NDArray[np.int32], ci_prob: float) -> CredibleBall:
    # The smallest of the distances that ci_prob of them do not exceed; equal ones differ by rounding.
    needed = int(np.ceil(ci_prob * len(distances) - 1e-9))
    radius = float(np.sort(distances)[needed - 1])
    inside = np.flatnonzero(distances <= radius + 1e-12)
    n_clusters = np.array([len(np.unique(drawn[:, s])) for s in inside])

    def bound(among: NDArray[np.bool]) -> Bound:
        candidates = inside[among]
        s = candidates[distances[candidates].argmax()]
        labels = by_size(drawn[:, s].astype(np.intp))
        return Bound(labels, int(labels.max()) + 1, float(distances[s]))

    return CredibleBall(
        ci_prob=ci_prob,
        radius=radius,
        probability=len(inside) / len(distances),
        upper=bound(n_clusters == n_clusters.min()),
        lower=bound(n_clusters == n_clusters.max()),
        horizontal=bound(np.ones(len(inside), dtype=bool)),
    )


def _freeze(*arrays: NDArray[Any]) -> None:
    for array in arrays:
        array.flags.writeable = False
