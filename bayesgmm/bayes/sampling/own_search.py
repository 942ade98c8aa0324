"""The search for a mode that needs no start from the caller: from rows at random, and from rows far apart."""

from dataclasses import replace

import numpy as np

from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.model.resolution import rounding_variances
from bayesgmm.bayes.modes.curvature import find_maxima
from bayesgmm.kernel.rows import Rows
from bayesgmm.mixture.data_covariance import split_into_equal_volumes
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.mixture.resolution import resolution_of
from bayesgmm.types import FloatArray

_N_RANDOM_STARTS, _N_CLUSTERED_STARTS = 10, 3
# Of more rows than this, or than this number per parameter, the search climbs on a random part first.
_FEW_ROWS, _ROWS_PER_PARAMETER = 1000, 5


def own_search(density: MixtureDensity, rng: np.random.Generator) -> list[FloatArray]:
    """Points theta (P,) from which to climb to the highest mode.

    The starts are rows at random and clusters of rows far apart. Of many rows, all climbs but the last are on a part of
    the rows, and one point is left: where the highest of them ended.
    """
    for_part, for_clustered, for_random = rng.spawn(3)
    part = _part(density, for_part)
    rows, K = part.rows, part.n_components
    mixtures = _random_mixtures(rows, K, for_random) + _clustered_mixtures(rows, K, for_clustered)
    starts = [density.unconstrain(mixture) for mixture in mixtures]
    return starts if part is density else find_maxima(part, [starts], rows.cost(K), part.widths)


def _part(density: MixtureDensity, rng: np.random.Generator) -> MixtureDensity:
    """The posterior given some of the rows, at random; all of them if they are few.

    The extreme rows of every feature are among them: a row far from all others has a component of its own.
    """
    rows, n_rows = density.rows, max(_FEW_ROWS, _ROWS_PER_PARAMETER * density.n_dim)
    if rows.n_samples <= n_rows:
        return density
    some = np.concatenate(
        [rng.choice(rows.n_samples, n_rows, replace=False), rows.values.argmin(axis=0), rows.values.argmax(axis=0)]
    )
    values = rows.values[np.unique(some)]
    return replace(density, rows=Rows(values, rows.weights, rows.origin, rows.features))


def _random_mixtures(rows: Rows, n_components: int, rng: np.random.Generator) -> list[MixtureParameters]:
    """Mixtures with random rows as means, equal weights, and variances shrunk from the data's to K equal volumes."""
    variances = split_into_equal_volumes(rows.stds**2, n_components, rows.n_features)
    covariances = np.broadcast_to(np.diag(variances), (n_components, len(variances), len(variances)))
    weights = np.full(n_components, 1 / n_components)
    return [
        MixtureParameters(weights, rows.values[rng.choice(rows.n_samples, n_components, replace=False)], covariances)
        for _ in range(_N_RANDOM_STARTS)
    ]


def _clustered_mixtures(rows: Rows, n_components: int, rng: np.random.Generator) -> list[MixtureParameters]:
    """Mixtures of the rows nearest to each of K rows far apart, with the clusters' own means and variances.

    They lead to modes that random rows miss: a component on a far outlier, or on rows that are all equal.
    """
    X = np.asarray(rows.values - rows.origin, dtype=np.float64) / rows.stds
    return [_clustered_mixture(rows, X, n_components, rng) for _ in range(_N_CLUSTERED_STARTS)]


def _clustered_mixture(rows: Rows, X: FloatArray, n_components: int, rng: np.random.Generator) -> MixtureParameters:
    """One of `_clustered_mixtures`; X (N, D) are the standardised rows.

    A row becomes a centre with probability in proportion to its squared distance from the centres before it
    (k-means++: Arthur and Vassilvitskii 2007).
    """
    N, D = X.shape
    centres = [int(rng.integers(N))]
    squares = [np.square(X - X[centres[0]]).sum(axis=1)]
    for _ in range(n_components - 1):
        nearest = np.min(squares, axis=0)
        total = nearest.sum()
        centres.append(int(rng.choice(N, p=nearest / total)) if total > 0 else int(rng.integers(N)))
        squares.append(np.square(X - X[centres[-1]]).sum(axis=1))
    labels = np.argmin(squares, axis=0)
    counts = np.bincount(labels, minlength=n_components)
    smallest = rounding_variances(resolution_of(rows.values))
    means, covariances = np.empty((n_components, D)), np.zeros((n_components, D, D))
    for k, centre in enumerate(centres):
        members = X[labels == k] if counts[k] else X[[centre]]
        means[k] = rows.origin + rows.stds * members.mean(axis=0)
        variances = np.maximum(np.square(rows.stds) * members.var(axis=0), smallest)
        # One row has no variance: its component starts at the median of the default prior.
        covariances[k] = np.diag(variances if len(members) > 1 else np.square(rows.stds / 2))
    return MixtureParameters((counts + 1) / (N + n_components), means, covariances)
