"""EM's density held against the posterior predictive density: how far apart they are, and where."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from scipy.stats import norm, qmc

from bayesgmm.display.cards import Card, Displayed
from bayesgmm.em.result import EMFit
from bayesgmm.errors import InputError
from bayesgmm.mixture.draws import MixtureDraws, log_densities_of_draws
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.posterior.draws import check_same_shape, interval, interval_names, log_mean, mixture_draws, rows_for
from bayesgmm.types import FloatArray
from bayesgmm.validation import check_count, check_fraction

# Shifts of the Sobol' sequence; the spread between them is the error. Their seeds are fixed, so that two calls give the
# same numbers.
_SEEDS = range(8)
_TYPICAL = 0.95


@dataclass(frozen=True)
class Distance:
    """A distance of EM's density from the posterior predictive density, and the posterior's own as the yardstick.

    Attributes
    ----------
    value : of EM's density.
    error : standard error of `value` by the numerical integral.
    typical : the same distance for 95 % of the posterior's own draws at most.
    share_beyond : share of the posterior's draws that are farther than `value`.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_galaxies()
    >>> em = bg.fit_em(X, 1, rng=1)
    >>> posterior = bg.sample_posterior(X, 1, start=em.parameters, draws=200, rng=1, progress=False)
    >>> distance = bg.density_distances(em, posterior, n_points=256).hellinger
    >>> distance.value < distance.typical, distance.share_beyond > 0.5
    (True, True)
    """

    value: float
    error: float
    typical: float
    share_beyond: float


@dataclass(frozen=True, repr=False)
class DensityDistances(Displayed):
    """Distances of EM's density p from the posterior predictive density q, which is the mean of the draws' densities.

    Attributes
    ----------
    hellinger : sqrt(1/2 integral (sqrt p - sqrt q)^2), from 0 to 1.
    kl_from_em : integral p log(p / q), nats: what q loses when rows come from p.
    kl_from_predictive : integral q log(q / p), nats: what p loses when rows come from q.
    n_draws : how many draws make q and the yardsticks.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_galaxies()
    >>> em = bg.fit_em(X, 1, rng=1)
    >>> posterior = bg.sample_posterior(X, 1, start=em.parameters, draws=200, rng=1, progress=False)
    >>> distances = bg.density_distances(em, posterior, n_points=256)
    >>> distances.hellinger.value < 0.1, distances.n_draws
    (True, 200)
    """

    hellinger: Distance
    kl_from_em: Distance
    kl_from_predictive: Distance
    n_draws: int

    def _card(self) -> Card:
        return Card("DensityDistances: EM's density and the posterior predictive", self.summary().split("\n"))

    def summary(self) -> str:
        """A few lines for a person."""
        shown = {
            "Hellinger distance": self.hellinger,
            "Kullback-Leibler divergence from EM (nats)": self.kl_from_em,
            "Kullback-Leibler divergence from the predictive (nats)": self.kl_from_predictive,
        }
        return "\n".join(
            f"{name}: {d.value:.4g} +- {d.error:.1g} (95 % of the posterior's {self.n_draws} draws: up to "
            f"{d.typical:.4g}; {100 * d.share_beyond:.0f} % are farther)"
            for name, d in shown.items()
        )


def density_distances(
    em: EMFit, posterior: xr.DataTree, *, n_draws: int = 200, n_points: int = 2048
) -> DensityDistances:
    """Hellinger distance and both Kullback-Leibler divergences between EM's density and the posterior predictive.

    Labels do not matter. The integrals are by importance sampling from (p + q) / 2 at randomly shifted Sobol' points
    (Cranley and Patterson 1976, doi:10.1137/0713071). The integrands are nowhere negative, so that small distances keep
    their digits: p log(p / q) - p + q integrates to the divergence and is 0 where p = q.

    Parameters
    ----------
    em : EMFit
    posterior : DataTree as `sample_posterior` or `align` returns it.
    n_draws : draws at most, evenly spaced. Each is part of the predictive that it is held against, which makes the
        yardstick shorter by about 1 / n_draws.
    n_points : points of each of 8 sequences from each of p and q, a power of 2. More make `error` smaller; it is large
        where one density has much longer tails than the other.

    Returns
    -------
    DensityDistances

    Raises
    ------
    InputError
        The posterior lacks a variable, has other components or features than `em`, or an option is out of range.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> posterior = bg.sample_posterior(X, 2, start=em.parameters, draws=200, rng=1, progress=False)
    >>> distances = bg.density_distances(em, posterior, n_points=256)
    >>> distances.hellinger.value < distances.hellinger.typical  # nearer than most draws are
    True
    """
    draws = mixture_draws(posterior, check_count(n_draws, "n_draws"))
    check_same_shape(em.parameters, draws)
    if check_count(n_points, "n_points").bit_count() != 1:
        raise InputError(f"n_points must be a power of 2, such as 2048; received {n_points}.")
    return distances_of(em.parameters, draws, n_points)


def distances_of(parameters: MixtureParameters, draws: MixtureDraws, n_points: int) -> DensityDistances:
    """The distances of a mixture's density from the mean density of draws."""
    S, K, D = draws.means.shape
    em = parameters.weights, parameters.means, parameters.covariances
    predictive = draws.weights.ravel() / S, draws.means.reshape(S * K, D), draws.covariances.reshape(S * K, D, D)
    of_em, of_draws = [], []
    for seed in _SEEDS:
        points = np.concatenate([_quasi_rows(w, m, c, n_points, seed) for w, m, c in (em, predictive)])
        log_draws = np.array(list(log_densities_of_draws(points, *draws.arrays)))
        log_q = logsumexp(log_draws, axis=0) - np.log(S)
        log_em = parameters.log_density(points)
        log_proposal = np.logaddexp(log_em, log_q) - np.log(2)
        of_em.append(_integrals(log_em, log_q, log_proposal))
        of_draws.append(_integrals(log_draws, log_q, log_proposal))
    value, own = np.mean(of_em, axis=0), np.mean(of_draws, axis=0)
    error = np.std(of_em, axis=0, ddof=1) / np.sqrt(len(_SEEDS))
    root = np.sqrt(value[0])
    return DensityDistances(
        # d sqrt(h) = d h / (2 sqrt(h))
        _distance(root, error[0] / (2 * root) if root > 0 else np.sqrt(error[0]), np.sqrt(own[0])),
        _distance(value[1], error[1], own[1]),
        _distance(value[2], error[2], own[2]),
        S,
    )


def _integrals(log_p: FloatArray, log_q: FloatArray, log_proposal: FloatArray) -> FloatArray:
    """(3, ...) squared Hellinger distance, divergences from p and from q: means over the proposal's points (..., n)."""
    p, q = np.exp(log_p - log_proposal), np.exp(log_q - log_proposal)
    difference = log_p - log_q
    integrands = 0.5 * (np.sqrt(p) - np.sqrt(q)) ** 2, p * difference - p + q, p - q - q * difference
    return np.stack([integrand.mean(axis=-1) for integrand in integrands])


def _distance(value: float, error: float, own: FloatArray) -> Distance:
    return Distance(float(value), float(error), float(np.quantile(own, _TYPICAL)), float((own > value).mean()))


def _quasi_rows(
    weights: FloatArray, means: FloatArray, covariances: FloatArray, n_points: int, seed: int
) -> FloatArray:
    """Rows (n, D) that fill the mixture evenly."""
    D = means.shape[1]
    shift = np.random.default_rng(seed).random(D + 1)
    uniform = (qmc.Sobol(D + 1, scramble=False).random(n_points) + shift) % 1
    cumulative = np.cumsum(weights)
    labels = np.searchsorted(cumulative / cumulative[-1], uniform[:, 0])
    # A point may lie on the edge of the cube, where the normal quantile is infinite.
    noise = norm.ppf(np.clip(uniform[:, 1:], 1e-12, 1 - 1e-12))
    choleskys = np.linalg.cholesky(covariances)
    return np.asarray(means[labels] + np.einsum("nij,nj->ni", choleskys[labels], noise))


def density_difference(
    em: EMFit,
    posterior: xr.DataTree,
    X: ArrayLike | None = None,
    *,
    ci_prob: float = 0.9,
    n_draws: int = 1000,
) -> pd.DataFrame:
    """Where EM's density differs from the posterior's, point by point. Labels do not matter.

    Parameters
    ----------
    em : EMFit
    posterior : DataTree as `sample_posterior` or `align` returns it.
    X : points (n_points, n_features); by default the rows that the posterior was drawn from.
    ci_prob : probability of the equal-tailed interval of the log density.
    n_draws : draws at most, evenly spaced.

    Returns
    -------
    DataFrame
        A row a point, natural logarithms, density per unit of the data:

        - em: EM's log density.
        - predictive: log of the posterior predictive density, the mean of the draws' densities.
        - mean, sd, and `eti90_lb`, `eti90_ub` at ci_prob 0.9: of the draws' log densities.
        - z = (em - mean) / sd; not finite where the draws have no spread.
        - inside: whether `em` is within the interval.

    Raises
    ------
    InputError
        The posterior lacks a variable or rows, has other components or features than `em`, `X` has other columns, or
        an option is out of range.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> posterior = bg.sample_posterior(X, 2, start=em.parameters, draws=200, rng=1, progress=False)
    >>> difference = bg.density_difference(em, posterior, [[4.3, 80.0], [3.1, 68.0]])  # among the rows, and in a gap
    >>> difference["inside"].tolist(), bool(difference["sd"][1] > 2 * difference["sd"][0])
    ([True, True], True)
    """
    ci_prob, n_draws = check_fraction(ci_prob, "ci_prob"), check_count(n_draws, "n_draws", minimum=2)
    values, draws = rows_for(posterior, X), mixture_draws(posterior, n_draws)
    check_same_shape(em.parameters, draws)
    return difference_at(values, em.parameters, draws, ci_prob)


def difference_at(
    values: NDArray[Any], parameters: MixtureParameters, draws: MixtureDraws, ci_prob: float
) -> pd.DataFrame:
    """What `density_difference` returns, of a mixture and draws at points (n, D)."""
    log_em = parameters.log_density(values)
    (predictive, mean, sd), bounds = np.empty((3, len(values))), np.empty((len(values), 2))

    def finish(rows: slice, log_densities: FloatArray, _: FloatArray) -> None:
        predictive[rows] = log_mean(log_densities)
        mean[rows], sd[rows] = log_densities.mean(axis=-1), log_densities.std(axis=-1, ddof=1)
        bounds[rows] = interval(log_densities, ci_prob)

    draws.over(values, finish)
    lower, upper = bounds.T
    lower_name, upper_name = interval_names(ci_prob)
    return pd.DataFrame(
        {
            "em": log_em,
            "predictive": predictive,
            "mean": mean,
            "sd": sd,
            lower_name: lower,
            upper_name: upper,
            "z": (log_em - mean) / sd,
            "inside": (lower <= log_em) & (log_em <= upper),
        }
    )
