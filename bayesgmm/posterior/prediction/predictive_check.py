"""Posterior predictive checks: data sets replicated from the posterior, and statistics compared with them."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import xarray as xr

from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.draws import MixtureDraws
from bayesgmm.parallel import on_threads, one_blas_thread
from bayesgmm.posterior.draws import (
    check_memory,
    has_rows,
    interval,
    interval_names,
    mixture_dataset,
    mixture_draws,
    observed_group,
    observed_rows,
    with_group,
)
from bayesgmm.row_index import coordinate_of
from bayesgmm.types import FloatArray, Seed
from bayesgmm.validation import as_generator, check_count, check_fraction

# Multiplications that cost as much as drawing one number, multiplying it by a Cholesky factor and computing its share
# of the statistics.
_WORK_PER_NUMBER = 50


def add_posterior_predictive(
    posterior: xr.DataTree, n_rows: int | None = None, *, n_draws: int = 100, rng: Seed = None
) -> xr.DataTree:
    """Draw data sets from the posterior predictive distribution, one for each of several draws.

    Parameters
    ----------
    posterior : DataTree as `sample_posterior` or `align` returns it; labels do not matter.
    n_rows : rows of each data set; by default as many as in `observed_data`.
    n_draws : number of data sets, from evenly spaced draws, the same number for every chain. If it is no multiple of
        the number of chains, the next multiple is used.
    rng : int, numpy.random.Generator or None. The same seed gives the same rows on any number of cores.

    Returns
    -------
    DataTree
        A new one, with the group `posterior_predictive`: X[chain, draw, row, feature]. The coordinate `draw` has the
        numbers of the draws used. ArviZ's plots, such as `arviz.plot_ppc_dist`, accept it.

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
    coordinate = {} if n_rows is not None or not has_rows(posterior) else coordinate_of(observed_group(posterior))
    n_rows = len(observed_rows(posterior, draws.features).values) if n_rows is None else check_count(n_rows, "n_rows")
    n_chains, chain_length, D = dataset.sizes["chain"], dataset.sizes["draw"], draws.n_features
    draws_used = spaced(chain_length, -(-check_count(n_draws, "n_draws") // n_chains))
    index = (chain_length * np.arange(n_chains)[:, np.newaxis] + draws_used).ravel()
    check_memory(len(index) * n_rows * D, f"{len(index)} data sets of {n_rows} rows", "Lower n_draws or n_rows.")
    X = np.empty((n_chains, len(draws_used), n_rows, D))

    def store(i: int, replicate: FloatArray) -> None:
        X[divmod(i, len(draws_used))] = replicate

    over_replicates(draws.select(index), n_rows, rng, store)
    group = xr.Dataset(
        {"X": (("chain", "draw", "row", "feature"), X)},
        {
            "chain": dataset["chain"].values,
            "draw": dataset["draw"].values[draws_used],
            "feature": list(draws.features),
            **coordinate,
        },
    )
    return with_group(posterior, "posterior_predictive", group)


def predictive_check(
    posterior: xr.DataTree, *, n_draws: int = 400, ci_prob: float = 0.9, rng: Seed = None
) -> pd.DataFrame:
    """Compare statistics of the rows with those of data sets drawn from the posterior.

    For each draw, a data set is drawn that is as long as the observed one. The p-value of a statistic T is the share of
    draws with

        T(replicate, draw) >= T(observed rows, draw)      (Gelman, Meng and Stern 1996, section 2.3)

    A p-value near 0 means that the statistic is larger for the rows than for the model's data, one near 1 that it is
    smaller. These p-values are not uniform if the model is right: they concentrate around 1/2, the more so the better
    the model can fit the statistic, and fall below a small a with probability at most 2a (Meng 1994,
    doi:10.1214/aos/1176325622). Among many statistics, some are extreme by chance.

    Parameters
    ----------
    posterior : DataTree with the rows in `observed_data`; labels do not matter.
    n_draws : number of evenly spaced draws for which a data set is drawn. With 400 the Monte Carlo error of a p-value
        is at most 0.025.
    ci_prob : probability of the replicated statistics' equal-tailed interval, between 0 and 1.
    rng : int, numpy.random.Generator or None. The same seed gives the same table on any number of cores.

    Returns
    -------
    DataFrame
        One line per statistic, such as "kurtosis[waiting]". The columns are statistic, feature, observed, replicated,
        the interval of the replicated values (`eti90_lb`, `eti90_ub` at ci_prob 0.9), and p_value. Observed and
        replicated are means over the draws. The statistics are

        - of each feature the sd, skewness, excess kurtosis, minimum and maximum, and of each pair of features the
          correlation. Full covariances fit the sd and correlation of any data, so these two check other structures.
          Means are left out, because every mixture fits them;
        - of the rows' log densities under the draw, the lowest (a row that the mixture does not expect) and the sd
          (tails or gaps that Gaussian components do not have). These two depend on all features jointly.

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
    ... # Data with two peaks have less kurtosis than data of one Gaussian.
    >>> check.loc["kurtosis[waiting]", "observed"].round(1).item(), check.loc["kurtosis[waiting]", "p_value"] > 0.99
    (-1.1, np.True_)
    """
    ci_prob, draws = check_fraction(ci_prob, "ci_prob"), mixture_draws(posterior, check_count(n_draws, "n_draws"))
    X = varying_rows(posterior, draws.features)
    observed_feature_statistics = _feature_statistics(X)

    def statistics(s: int, replicate: FloatArray) -> tuple[FloatArray, FloatArray]:
        return (
            np.concatenate([observed_feature_statistics, _log_density_statistics(X, draws, s)]),
            np.concatenate([_feature_statistics(replicate), _log_density_statistics(replicate, draws, s)]),
        )

    per_draw = over_replicates(draws, len(X), rng, statistics)
    observed, replicated = (np.array(values) for values in zip(*per_draw, strict=True))
    names = _statistic_names(draws.features)
    p_values = (replicated >= observed).mean(axis=0)
    bounds = interval(replicated.T.copy(), ci_prob)
    lower, upper = interval_names(ci_prob)
    return pd.DataFrame(
        {
            "statistic": [statistic for statistic, _ in names],
            "feature": [feature for _, feature in names],
            "observed": observed.mean(axis=0),
            "replicated": replicated.mean(axis=0),
            lower: bounds[:, 0],
            upper: bounds[:, 1],
            "p_value": p_values,
        },
        index=pd.Index([f"{statistic}[{feature}]" if feature else statistic for statistic, feature in names]),
    )


def varying_rows(posterior: xr.DataTree, features: tuple[str, ...]) -> FloatArray:
    """(N, D) observed rows; raises InputError if a feature is constant."""
    X = observed_rows(posterior, features).values.astype(np.float64)
    constant = [name for name, x in zip(features, X.T, strict=True) if x.min() == x.max()]
    if constant:
        raise InputError(
            f"All rows are equal in {', '.join(constant)}: skewness and correlations are undefined. Leave the feature "
            f"out with marginal()."
        )
    return X


def over_replicates[T](
    draws: MixtureDraws, n_rows: int, rng: Seed, function: Callable[[int, FloatArray], T]
) -> list[T]:
    """[function(s, X)] of a data set X (n_rows, D) drawn from each mixture s.

    It runs on all cores. Each data set has its own random stream, so that results do not depend on the cores.
    """
    streams, choleskys = as_generator(rng).spawn(draws.n_draws), draws.choleskys

    def replicate(s: int) -> FloatArray:
        weights = draws.weights[s]
        labels = streams[s].choice(len(weights), size=n_rows, p=weights / weights.sum())
        rows = streams[s].standard_normal((n_rows, draws.n_features))
        for k, (mean, cholesky) in enumerate(zip(draws.means[s], choleskys[s], strict=True)):
            members = labels == k
            rows[members] = mean + rows[members] @ cholesky.T
        return rows

    work = draws.n_draws * n_rows * draws.n_features * _WORK_PER_NUMBER
    with one_blas_thread():
        return list(on_threads(lambda s: function(s, replicate(s)), range(draws.n_draws), work))


def _statistic_names(features: tuple[str, ...]) -> list[tuple[str, str]]:
    """(statistic, feature) in the order of `_feature_statistics` and `_log_density_statistics`."""
    names = [(name, feature) for name in ("sd", "skewness", "kurtosis", "minimum", "maximum") for feature in features]
    names += [("correlation", f"{features[j]}, {features[i]}") for i, j in _pairs(len(features))]
    return [*names, ("lowest log density", ""), ("sd of log density", "")]


def _pairs(n_features: int) -> Iterator[tuple[int, int]]:
    return ((i, j) for i in range(n_features) for j in range(i))


def _feature_statistics(X: FloatArray) -> FloatArray:
    """The sd, skewness, excess kurtosis, minimum and maximum of each feature, and correlations."""
    difference = X - X.mean(axis=0)
    covariance = difference.T @ difference / len(X)
    sd = np.sqrt(np.diagonal(covariance))
    z = difference / sd
    squares = z * z
    correlations = covariance / np.outer(sd, sd)
    skewness, kurtosis = (squares * z).mean(axis=0), (squares * squares).mean(axis=0) - 3
    marginals = [sd, skewness, kurtosis, X.min(axis=0), X.max(axis=0)]
    return np.concatenate([*marginals, [correlations[i, j] for i, j in _pairs(X.shape[1])]])


def _log_density_statistics(X: FloatArray, draws: MixtureDraws, s: int) -> FloatArray:
    """The lowest log density of rows under draw s, and the sd of their log densities."""
    log_densities = draws.log_densities_of_draw(s, X)
    return np.array([log_densities.min(), log_densities.std()])
