"""Whether data made by the posterior look like the data: replicates, and statistics held against them."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from threadpoolctl import threadpool_limits

from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.draws import MixtureDraws
from bayesgmm.parallel import on_threads
from bayesgmm.posterior.draws import check_memory, interval, mixture_dataset, mixture_draws, observed_rows, with_group
from bayesgmm.types import FloatArray
from bayesgmm.validation import as_generator, check_count, check_fraction

# A random number, its multiplication by a Cholesky factor and its share of the statistics cost about as much as this
# many multiplications.
_WORK_A_NUMBER = 50


def add_posterior_predictive(
    posterior: xr.DataTree, n_rows: int | None = None, *, n_draws: int = 100, rng: Any = None
) -> xr.DataTree:
    """Draw data sets from the posterior predictive distribution: one from each of some draws.

    Parameters
    ----------
    posterior : DataTree, as `sample_posterior` or `align` returns it; labels do not matter.
    n_rows : rows of each data set; by default as many as in `observed_data`.
    n_draws : number of data sets, from evenly spaced draws, as many of each chain; when the number of chains does not
        divide it, the next multiple that does.
    rng : int, numpy.random.Generator or None. The same seed gives the same rows on any number of cores.

    Returns
    -------
    DataTree
        A new one, with the group `posterior_predictive`: X[chain, draw, row, feature]. Coordinate `draw` says from
        which draws. ArviZ's plots, such as `arviz.plot_ppc_dist`, take it.

    Raises
    ------
    InputError
        The posterior describes no mixture or holds no rows to count, an option is out of range, or the result would
        take more than 4 GB.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_galaxies(), 1, draws=200, rng=1, progress=False)
    >>> replicated = bg.add_posterior_predictive(posterior, n_draws=100, rng=1)["posterior_predictive"]
    >>> dict(replicated["X"].sizes)
    {'chain': 4, 'draw': 25, 'row': 82, 'feature': 1}
    """
    dataset, draws = mixture_dataset(posterior), mixture_draws(posterior)
    n_rows = len(observed_rows(posterior, draws.features)) if n_rows is None else check_count(n_rows, "n_rows")
    chains, length, D = dataset.sizes["chain"], dataset.sizes["draw"], draws.n_features
    chosen = spaced(length, -(-check_count(n_draws, "n_draws") // chains))
    index = (length * np.arange(chains)[:, np.newaxis] + chosen).ravel()
    check_memory(len(index) * n_rows * D, f"{len(index)} data sets of {n_rows} rows", "Lower n_draws or n_rows.")
    X = np.empty((chains, len(chosen), n_rows, D))

    def fill(i: int, replicate: FloatArray) -> None:
        X[divmod(i, len(chosen))] = replicate

    over_replicates(draws.some(index), n_rows, rng, fill)
    group = xr.Dataset(
        {"X": (("chain", "draw", "row", "feature"), X)},
        {
            "chain": dataset["chain"].values,
            "draw": dataset["draw"].values[chosen],
            "feature": list(draws.features),
        },
    )
    return with_group(posterior, "posterior_predictive", group)


def predictive_check(
    posterior: xr.DataTree, *, n_draws: int = 400, ci_prob: float = 0.9, rng: Any = None
) -> pd.DataFrame:
    """Hold statistics of the rows against those of data that the posterior makes.

    Each draw makes a data set as long as the observed one. The p-value of a statistic T is the share of draws with

        T(replicate, draw) >= T(observed rows, draw)      (Gelman, Meng and Stern 1996, section 2.3)

    Near 0, the rows have more of it than the model makes; near 1, less. Such p-values are not uniform when the model is
    right: they gather around 1/2, the more so the better the model can fit the statistic, and fall below a small a with
    probability at most 2a (Meng 1994, doi:10.1214/aos/1176325622). Of many statistics, some are extreme by chance.

    Parameters
    ----------
    posterior : DataTree with the rows in `observed_data`; labels do not matter.
    n_draws : how many evenly spaced draws make a data set. The Monte Carlo error of a p-value is 0.025 at most for 400.
    ci_prob : probability of the replicated statistics' equal-tailed interval, between 0 and 1.
    rng : int, numpy.random.Generator or None. The same seed gives the same table on any number of cores.

    Returns
    -------
    DataFrame
        A line a statistic, such as "kurtosis[waiting]": statistic, feature, observed, replicated, the interval of the
        replicated ones (`eti90_lb`, `eti90_ub` at ci_prob 0.9), p_value. Observed and replicated are means over the
        draws. The statistics are

        - of each feature sd, skewness, excess kurtosis, minimum and maximum, and the correlation of each pair. Full
          covariances fit sd and correlation of any data: these check the other structures. Means any mixture fits;
          they are left out;
        - of the rows' log densities under the draw, the lowest (a row that the mixture does not expect) and the sd
          (tails or gaps that Gaussian components do not have). They see all features together.

    Raises
    ------
    InputError
        The posterior describes no mixture or holds no rows, all rows are equal in a feature, or an option is out of
        range.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_faithful(), 1, draws=200, rng=1, progress=False)
    >>> check = bg.predictive_check(posterior, n_draws=200, rng=1)
    ... # Two peaks have less kurtosis than data that one Gaussian makes.
    >>> check.loc["kurtosis[waiting]", "observed"].round(1).item(), check.loc["kurtosis[waiting]", "p_value"] > 0.99
    (-1.1, np.True_)
    """
    ci_prob, draws = check_fraction(ci_prob, "ci_prob"), mixture_draws(posterior, check_count(n_draws, "n_draws"))
    X = varying_rows(posterior, draws.features)
    fixed = _of_features(X)

    def statistics(s: int, replicate: FloatArray) -> tuple[FloatArray, FloatArray]:
        return (
            np.concatenate([fixed, _of_log_densities(X, draws, s)]),
            np.concatenate([_of_features(replicate), _of_log_densities(replicate, draws, s)]),
        )

    each = over_replicates(draws, len(X), rng, statistics)
    observed, replicated = (np.array(values) for values in zip(*each, strict=True))
    names = _names(draws.features)
    p_values = (replicated >= observed).mean(axis=0)
    bounds = interval(replicated.T.copy(), ci_prob)
    stem = f"eti{100 * ci_prob:g}"
    return pd.DataFrame(
        {
            "statistic": [statistic for statistic, _ in names],
            "feature": [feature for _, feature in names],
            "observed": observed.mean(axis=0),
            "replicated": replicated.mean(axis=0),
            f"{stem}_lb": bounds[:, 0],
            f"{stem}_ub": bounds[:, 1],
            "p_value": p_values,
        },
        index=pd.Index([f"{statistic}[{feature}]" if feature else statistic for statistic, feature in names]),
    )


def varying_rows(posterior: xr.DataTree, features: tuple[str, ...]) -> FloatArray:
    """The observed rows (N, D); refused when a feature is the same in all."""
    X = observed_rows(posterior, features).astype(np.float64)
    constant = [name for name, x in zip(features, X.T, strict=True) if x.min() == x.max()]
    if constant:
        raise InputError(
            f"All rows are equal in {', '.join(constant)}: there are no skewness and no correlations to check. Leave "
            f"the feature out with marginal()."
        )
    return X


def over_replicates[T](draws: MixtureDraws, n_rows: int, rng: Any, function: Callable[[int, FloatArray], T]) -> list[T]:
    """function(s, X) of a data set X (n_rows, D) from each mixture s; on all cores, each data set of its own stream."""
    streams, choleskys = as_generator(rng).spawn(draws.n_draws), draws.choleskys

    def replicate(s: int) -> FloatArray:
        weights = draws.weights[s]
        labels = streams[s].choice(len(weights), size=n_rows, p=weights / weights.sum())
        rows = streams[s].standard_normal((n_rows, draws.n_features))
        for k, (mean, cholesky) in enumerate(zip(draws.means[s], choleskys[s], strict=True)):
            mine = labels == k
            rows[mine] = mean + rows[mine] @ cholesky.T
        return rows

    work = draws.n_draws * n_rows * draws.n_features * _WORK_A_NUMBER
    with threadpool_limits(limits=1, user_api="blas"):
        return list(on_threads(lambda s: function(s, replicate(s)), range(draws.n_draws), work))


def _names(features: tuple[str, ...]) -> list[tuple[str, str]]:
    """(statistic, feature) in the order of `_of_features` and `_of_log_densities`."""
    found = [(name, feature) for name in ("sd", "skewness", "kurtosis", "minimum", "maximum") for feature in features]
    found += [("correlation", f"{features[j]}, {features[i]}") for i, j in _pairs(len(features))]
    return [*found, ("lowest log density", ""), ("sd of log density", "")]


def _pairs(n_features: int) -> Iterator[tuple[int, int]]:
    return ((i, j) for i in range(n_features) for j in range(i))


def _of_features(X: FloatArray) -> FloatArray:
    """sd, skewness, excess kurtosis, minimum, maximum of each feature, and correlations."""
    difference = X - X.mean(axis=0)
    covariance = difference.T @ difference / len(X)
    sd = np.sqrt(np.diagonal(covariance))
    z = difference / sd
    squares = z * z
    correlations = covariance / np.outer(sd, sd)
    found = [sd, (squares * z).mean(axis=0), (squares * squares).mean(axis=0) - 3, X.min(axis=0), X.max(axis=0)]
    return np.concatenate([*found, [correlations[i, j] for i, j in _pairs(X.shape[1])]])


def _of_log_densities(X: FloatArray, draws: MixtureDraws, s: int) -> FloatArray:
    log_densities = draws.log_densities(s, X)
    return np.array([log_densities.min(), log_densities.std()])
