"""EM's density against the posterior predictive density: how far apart they are, and where."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike
from scipy.special import logsumexp
from scipy.stats import norm, qmc

from bayesgmm.comparison.arguments import draws_beside
from bayesgmm.display.cards import Card, Displayed
from bayesgmm.display.tables import to_grid
from bayesgmm.em.result import EMFit
from bayesgmm.errors import InputError
from bayesgmm.mixture.draws import MixtureDraws, log_densities_of_draws
from bayesgmm.mixture.evaluation import log_densities_at
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.mixture.random_rows import rows_from_noise
from bayesgmm.posterior.draws import interval, interval_names, log_mean, mean_and_sd, rows_for, standardised
from bayesgmm.types import FloatArray, RowArray
from bayesgmm.validation import check_count, check_fraction
from bayesgmm.wording import count

# Seeds of the random shifts of the Sobol' sequence, fixed so that two calls give the same numbers. The spread between
# shifts gives the standard error.
_SEEDS = range(8)
_TYPICAL = 0.95  # share of the posterior's own draws that are no farther than `Distance.typical`


@dataclass(frozen=True)
class Distance:
    """A distance of EM's density from the posterior predictive density, with the posterior's draws as the yardstick.

    Attributes
    ----------
    value : the distance.
    se : standard error of `value` from the numerical integration.
    typical : 95 % of the posterior's own draws have at most this distance from the predictive density.
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
    se: float
    typical: float
    share_beyond: float


@dataclass(frozen=True, repr=False)
class DensityDistances(Displayed):
    """Distances of EM's density p from the posterior predictive density q, the mean of the draws' densities.

    Attributes
    ----------
    hellinger : sqrt(1/2 integral (sqrt p - sqrt q)^2), from 0 to 1.
    kl_from_em : integral p log(p / q), nats: loss of log density when q describes rows drawn from p.
    kl_from_predictive : integral q log(q / p), nats: loss of log density when p describes rows drawn from q.
    n_draws : number of draws that make q and the yardsticks.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_galaxies()
    >>> em = bg.fit_em(X, 1, rng=1)
    >>> posterior = bg.sample_posterior(X, 1, start=em.parameters, draws=200, rng=1, progress=False)
    >>> distances = bg.density_distances(em, posterior, n_points=256)
    >>> distances.hellinger.value < 0.1, distances.n_draws
    (True, 200)
    >>> distances.table.columns.tolist()
    ['value', 'se', 'typical', 'share_beyond']
    """

    hellinger: Distance
    kl_from_em: Distance
    kl_from_predictive: Distance
    n_draws: int

    @property
    def table(self) -> pd.DataFrame:
        """DataFrame, one row per distance (hellinger, kl_from_em, kl_from_predictive), one column per attribute."""
        names = ("hellinger", "kl_from_em", "kl_from_predictive")
        return pd.DataFrame([asdict(getattr(self, name)) for name in names], index=pd.Index(names, name="distance"))

    def _card(self) -> Card:
        table = self.table
        written = pd.DataFrame(
            {
                "EM": table["value"].map("{:.4g}".format),
                "se": table["se"].map("{:.1g}".format),
                "95 % of draws up to": table["typical"].map("{:.4g}".format),
                "draws beyond": table["share_beyond"].map("{:.0%}".format),
            },
        ).set_axis(["Hellinger", "Kullback-Leibler from EM (nats)", "Kullback-Leibler from the predictive (nats)"])
        return Card(
            "DensityDistances: from the posterior predictive density",
            grid=to_grid(written, "distance"),
            notes=[f"The yardstick is the distance of {count(self.n_draws, 'posterior draw')}."],
        )


def density_distances(
    em: EMFit, posterior: xr.DataTree, *, n_draws: int = 200, n_points: int = 2048
) -> DensityDistances:
    """Hellinger distance and both Kullback-Leibler divergences between EM's density and the posterior predictive.

    The distances do not depend on labels. The integrals are computed by importance sampling from (p + q) / 2 at
    randomly shifted Sobol' points (Cranley and Patterson 1976, doi:10.1137/0713071). The integrands are nowhere
    negative, so that small distances keep their digits: p log(p / q) - p + q integrates to the divergence and is 0
    where p = q.

    Parameters
    ----------
    em : EMFit
    posterior : DataTree as `sample_posterior` or `align` returns it.
    n_draws : number of evenly spaced draws to use at most. Each draw is part of the predictive density that it is
        compared with, which shortens the yardstick by about 1 / n_draws.
    n_points : points of each of 8 sequences from each of p and q, a power of 2. More points make `se` smaller; it is
        large where one density has much longer tails than the other.

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
    draws = draws_beside(em, posterior, check_count(n_draws, "n_draws"))
    if check_count(n_points, "n_points").bit_count() != 1:
        raise InputError(f"n_points must be a power of 2, such as 2048; received {n_points}.")
    return density_distances_of(em.parameters, draws, n_points)


def density_distances_of(parameters: MixtureParameters, draws: MixtureDraws, n_points: int) -> DensityDistances:
    """The distances of a mixture's density from the mean density of draws."""
    em_integrals, draw_integrals = zip(*_integrals_by_shift(parameters, draws, n_points), strict=True)
    values, draw_values = np.mean(em_integrals, axis=0), np.mean(draw_integrals, axis=0)
    errors = np.std(em_integrals, axis=0, ddof=1) / np.sqrt(len(_SEEDS))
    hellinger = np.sqrt(values[0])
    # The first integral is the squared distance h: d sqrt(h) = d h / (2 sqrt(h)).
    hellinger_error = errors[0] / (2 * hellinger) if hellinger > 0 else np.sqrt(errors[0])
    return DensityDistances(
        _distance(hellinger, hellinger_error, np.sqrt(draw_values[0])),
        _distance(values[1], errors[1], draw_values[1]),
        _distance(values[2], errors[2], draw_values[2]),
        draws.n_draws,
    )


def _integrals_by_shift(
    parameters: MixtureParameters, draws: MixtureDraws, n_points: int
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """For each shift of the Sobol' sequence, the integrals (3,) of EM's density and (3, S) of the draws' densities."""
    S, K, D = draws.means.shape
    em = parameters.weights, parameters.means, parameters.covariances
    predictive = draws.weights.ravel() / S, draws.means.reshape(S * K, D), draws.covariances.reshape(S * K, D, D)
    for seed in _SEEDS:
        points = np.concatenate([_quasi_rows(w, m, c, n_points, seed) for w, m, c in (em, predictive)])
        log_draws = np.array(list(log_densities_of_draws(points, *draws.arrays)))
        log_q = logsumexp(log_draws, axis=0) - np.log(S)
        log_em = log_densities_at(parameters, points)
        log_proposal = np.logaddexp(log_em, log_q) - np.log(2)
        yield _integrals(log_em, log_q, log_proposal), _integrals(log_draws, log_q, log_proposal)


def _integrals(log_p: FloatArray, log_q: FloatArray, log_proposal: FloatArray) -> FloatArray:
    """(3, ...) squared Hellinger distance, KL(p || q) and KL(q || p): means over the proposal's points (..., n)."""
    p, q = np.exp(log_p - log_proposal), np.exp(log_q - log_proposal)
    difference = log_p - log_q
    integrands = 0.5 * (np.sqrt(p) - np.sqrt(q)) ** 2, p * difference - p + q, p - q - q * difference
    return np.stack([integrand.mean(axis=-1) for integrand in integrands])


def _distance(value: float, error: float, draw_values: FloatArray) -> Distance:
    typical, share_beyond = np.quantile(draw_values, _TYPICAL), (draw_values > value).mean()
    return Distance(float(value), float(error), float(typical), float(share_beyond))


def _quasi_rows(
    weights: FloatArray, means: FloatArray, covariances: FloatArray, n_points: int, seed: int
) -> FloatArray:
    """(n_points, D) quasi-random rows of a mixture, from a randomly shifted Sobol' sequence."""
    D = means.shape[1]
    shift = np.random.default_rng(seed).random(D + 1)
    uniform = (qmc.Sobol(D + 1, scramble=False).random(n_points) + shift) % 1
    cumulative = np.cumsum(weights)
    labels = np.searchsorted(cumulative / cumulative[-1], uniform[:, 0])
    # A point on the edge of the cube would have an infinite normal quantile.
    noise = norm.ppf(np.clip(uniform[:, 1:], 1e-12, 1 - 1e-12))
    choleskys = np.linalg.cholesky(covariances)
    return rows_from_noise(means[labels], choleskys[labels], noise)


def density_difference(
    em: EMFit,
    posterior: xr.DataTree,
    X: ArrayLike | None = None,
    *,
    ci_prob: float = 0.9,
    n_draws: int = 1000,
) -> pd.DataFrame:
    """Where EM's density differs from the posterior's, point by point. The result does not depend on labels.

    Parameters
    ----------
    em : EMFit
    posterior : DataTree as `sample_posterior` or `align` returns it.
    X : points (n_points, n_features); by default the rows that the posterior was drawn from.
    ci_prob : probability of the equal-tailed interval of the log density.
    n_draws : number of evenly spaced draws to use at most, 2 or more.

    Returns
    -------
    DataFrame
        One row per point, with the index of `X` if that is a data frame. Logarithms are natural, densities per unit of
        the data. The columns are

        - em: EM's log density;
        - predictive: log of the posterior predictive density, the mean of the draws' densities;
        - mean, sd, `eti90_lb`, `eti90_ub`: mean, standard deviation and equal-tailed interval of the draws' log
          densities (90 stands for `ci_prob` 0.9);
        - z: (em - mean) / sd; where the draws are all equal, 0 if em equals them and NaN otherwise;
        - inside: whether em is within the interval.

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
    draws, rows = draws_beside(em, posterior, n_draws), rows_for(posterior, X)
    if draws.n_draws < 2:
        raise InputError("posterior has one draw; the spread of one is unknown. Pass a posterior of more draws.")
    return difference_table(rows.values, em.parameters, draws, ci_prob).set_axis(rows.index)


def difference_table(
    points: RowArray, parameters: MixtureParameters, draws: MixtureDraws, ci_prob: float
) -> pd.DataFrame:
    """The table of `density_difference` for a mixture and draws at points (n_points, n_features)."""
    log_em = log_densities_at(parameters, points)
    (predictive, mean, sd), bounds = np.empty((3, len(points))), np.empty((len(points), 2))

    def finish(piece: slice, log_densities: FloatArray, _: FloatArray) -> None:
        predictive[piece] = log_mean(log_densities)
        mean[piece], sd[piece] = mean_and_sd(log_densities)
        bounds[piece] = interval(log_densities, ci_prob)

    draws.score_in_pieces(points, finish)
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
            "z": standardised(log_em, mean, sd),
            "inside": (lower <= log_em) & (log_em <= upper),
        }
    )
