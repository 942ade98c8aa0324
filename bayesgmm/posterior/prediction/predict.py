"""`predict` and `predict_density`: components and densities of rows, averaged over a posterior."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from bayesgmm.checked_tables import as_table
from bayesgmm.posterior.draws import check_aligned, interval, interval_names, log_mean, mixture_draws
from bayesgmm.row_index import index_for
from bayesgmm.types import FloatArray, IntArray
from bayesgmm.validation import check_count, check_fraction
from bayesgmm.wording import count


@dataclass(frozen=True, eq=False, repr=False)
class PredictiveDensity:
    """The posterior predictive density at rows, with its uncertainty.

    Attributes
    ----------
    log_density : (n_samples,) log of the density averaged over the draws; natural logarithm, density per unit of the
        data.
    log_density_interval : (n_samples, 2) equal-tailed interval of the log density over the draws.
    ci_prob : probability of the intervals.
    n_draws : number of draws averaged over.
    index : index of the data frame `X`; numbers from 0 if it had none.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_faithful(), 2, draws=200, rng=1, progress=False)
    >>> density = bg.predict_density(posterior, [[4.3, 80.0], [3.1, 68.0]])  # among the rows, and in a gap
    >>> low, high = density.log_density_interval.T
    >>> ((high - low)[1] > 2 * (high - low)[0]).item()
    True
    """

    log_density: FloatArray
    log_density_interval: FloatArray
    ci_prob: float
    n_draws: int
    index: pd.Index

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}: {count(len(self.log_density), 'row')}, averaged over "
            f"{count(self.n_draws, 'draw')}, {100 * self.ci_prob:g} % intervals; see .table"
        )

    @cached_property
    def table(self) -> pd.DataFrame:
        """DataFrame with one line per row of `X`, and its index, so that `X.join(prediction.table)` is right.

        Its columns are log_density and the bounds of its interval, log_density_eti90_lb and log_density_eti90_ub at
        ci_prob 0.9. A `Prediction` has before them label, and probability_0, probability_1, ... with their bounds.
        """
        return pd.DataFrame(self._columns(), index=self.index)

    def _columns(self) -> dict[str, FloatArray | IntArray]:
        return self._with_bounds("log_density", self.log_density, self.log_density_interval)

    def _with_bounds(self, name: str, values: FloatArray, bounds: FloatArray) -> dict[str, FloatArray | IntArray]:
        lower, upper = interval_names(self.ci_prob)
        return {name: values, f"{name}_{lower}": bounds[:, 0], f"{name}_{upper}": bounds[:, 1]}


@dataclass(frozen=True, eq=False, repr=False)
class Prediction(PredictiveDensity):
    """Components of rows with their uncertainty, and the predictive density.

    Attributes
    ----------
    labels : (n_samples,) the most probable component of each row.
    probabilities : (n_samples, n_components) responsibilities averaged over the draws; rows sum to 1.
    probability_intervals : (n_samples, n_components, 2) equal-tailed intervals of the responsibilities over the draws.
    log_density, log_density_interval, ci_prob, n_draws, index, table : as for `PredictiveDensity`.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> posterior = bg.sample_posterior(X, 2, start=em.parameters, draws=200, rng=1, progress=False)
    >>> prediction = bg.predict(bg.align(posterior, em.parameters), X)
    >>> columns = ["label", "probability_0", "probability_0_eti90_lb"]
    >>> print(prediction.table[columns].head(2).round(2).to_string(index_names=False))
       label  probability_0  probability_0_eti90_lb
    0      0            1.0                     1.0
    1      1            0.0                     0.0
    """

    labels: IntArray
    probabilities: FloatArray
    probability_intervals: FloatArray

    def _columns(self) -> dict[str, FloatArray | IntArray]:
        columns: dict[str, FloatArray | IntArray] = {"label": self.labels}
        for k in range(self.probabilities.shape[1]):
            columns |= self._with_bounds(f"probability_{k}", self.probabilities[:, k], self.probability_intervals[:, k])
        return columns | super()._columns()


def predict(posterior: xr.DataTree, X: ArrayLike, *, ci_prob: float = 0.9, n_draws: int = 1000) -> Prediction:
    """Probability of each component for each row, averaged over the posterior, with intervals.

        probabilities[i, k] = 1/S sum_s r_ik(s),   r_ik = w_k N(x_i | mu_k, Sigma_k) / sum_j w_j N(x_i | mu_j, Sigma_j)

    with the parameters of draw s in r_ik(s). A row between two components has a probability near 1/2 and a narrow
    interval; a row whose component depends on the uncertain parameters has a wide interval.

    Parameters
    ----------
    posterior : DataTree from `align`.
    X : (n_samples, n_features) rows with the columns of the posterior, the fitted ones or new ones.
    ci_prob : probability of the equal-tailed intervals, between 0 and 1.
    n_draws : average at most this many draws, evenly spaced over all chains. With independent draws the Monte Carlo
        error of an average is 1/sqrt(n_draws) times the posterior standard deviation, 3 % of it for 1000 draws. The
        error of the bounds of a 90 % interval is about twice as large.

    Returns
    -------
    Prediction
        Temporary memory is at most 8 MB per core, or one row's share if that is larger.

    Raises
    ------
    InputError
        The posterior is not aligned or describes no mixture, `X` has other columns or holds NaN or infinity, or an
        option is out of range.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> posterior = bg.sample_posterior(X, 2, start=em.parameters, draws=200, rng=1, progress=False)
    >>> prediction = bg.predict(bg.align(posterior, em.parameters), [[2.0, 50.0], [4.5, 80.0]])
    >>> prediction.labels.tolist(), prediction.probabilities.max(axis=1).round(2).tolist()
    ([1, 0], [1.0, 1.0])
    """
    check_aligned(posterior)
    ci_prob, draws = check_fraction(ci_prob, "ci_prob"), mixture_draws(posterior, check_count(n_draws, "n_draws"))
    table = as_table(X, features=draws.features)
    N, K = table.n_samples, draws.n_components
    log_density, log_density_interval = np.empty(N), np.empty((N, 2))
    probabilities, probability_intervals = np.empty((N, K)), np.empty((N, K, 2))

    def finish(rows: slice, log_densities: FloatArray, responsibilities: FloatArray) -> None:
        log_density[rows] = log_mean(log_densities)
        log_density_interval[rows] = interval(log_densities, ci_prob)
        probabilities[rows] = responsibilities.mean(axis=-1)
        probability_intervals[rows] = interval(responsibilities, ci_prob)

    draws.score_in_pieces(table.values, finish, responsibilities=True)
    labels = probabilities.argmax(axis=1)
    for array in (log_density, log_density_interval, labels, probabilities, probability_intervals):
        array.flags.writeable = False
    return Prediction(
        log_density,
        log_density_interval,
        ci_prob,
        draws.n_draws,
        index_for(X, N),
        labels,
        probabilities,
        probability_intervals,
    )


def predict_density(
    posterior: xr.DataTree, X: ArrayLike, *, ci_prob: float = 0.9, n_draws: int = 1000
) -> PredictiveDensity:
    """Log of the posterior predictive density at each row, and an interval of the log density over the draws.

        log_density[i] = log 1/S sum_s p(x_i | draw s)

    Parameters
    ----------
    posterior : DataTree as `sample_posterior` or `align` returns it; labels do not matter.
    X : (n_samples, n_features) rows with the columns of the posterior, the fitted ones or new ones.
    ci_prob : probability of the equal-tailed interval, between 0 and 1.
    n_draws : average at most this many draws, evenly spaced over all chains (see `predict`).

    Returns
    -------
    PredictiveDensity

    Raises
    ------
    InputError
        The posterior describes no mixture, `X` has other columns or holds NaN or infinity, or an option is out of
        range.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_faithful(), 2, draws=200, rng=1, progress=False)
    >>> long_wait, contradiction = bg.predict_density(posterior, [[4.3, 80.0], [2.0, 80.0]]).log_density
    >>> bool(long_wait > contradiction + 5)  # such a wait hardly ever follows a short eruption
    True
    """
    ci_prob, draws = check_fraction(ci_prob, "ci_prob"), mixture_draws(posterior, check_count(n_draws, "n_draws"))
    table = as_table(X, features=draws.features)
    log_density, log_density_interval = np.empty(table.n_samples), np.empty((table.n_samples, 2))

    def finish(rows: slice, log_densities: FloatArray, _: FloatArray) -> None:
        log_density[rows] = log_mean(log_densities)
        log_density_interval[rows] = interval(log_densities, ci_prob)

    draws.score_in_pieces(table.values, finish)
    log_density.flags.writeable = log_density_interval.flags.writeable = False
    return PredictiveDensity(log_density, log_density_interval, ci_prob, draws.n_draws, index_for(X, table.n_samples))
