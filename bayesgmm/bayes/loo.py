"""Predictive accuracy without refitting: leave-one-out cross-validation by importance sampling."""

from dataclasses import dataclass

import arviz as az
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import logsumexp

from bayesgmm.bayes.draws import check_memory, mixture_dataset, mixture_draws, observed_rows, spaced, with_group
from bayesgmm.bayes.predict import log_mean
from bayesgmm.exceptions import InputError

type FloatArray = NDArray[np.float64]

# With fewer draws, less than five of them are the tail that is smoothed.
_FEWEST_DRAWS = 25
# Above 0.7 no feasible number of draws is enough (Vehtari et al. 2024, section 3.2.4).
_WORST_K = 0.7
# The draws' efficiency is judged at this many rows; it only decides how many draws are the tail.
_N_EFFICIENCY_ROWS = 50
# Numbers of one step of the Pareto fit that are in memory together.
_FIT_NUMBERS = 500_000


@dataclass(frozen=True, eq=False)
class LOO:
    """Leave-one-out predictive accuracy of a posterior.

    Attributes
    ----------
    elpd : sum over the rows of log p(row | the other rows), in nats; larger is better.
    se : its standard error as a sum over rows drawn from a population.
    p : effective number of parameters, the log density that each row gains by having been fitted.
    pointwise : (n_samples,) the rows' parts of `elpd`.
    pareto_k : (n_samples,) shape of the tail of each row's importance weights; what cannot be said is NaN.
    good_k : the largest shape at which a row's part can be trusted.
    efficiency : effective draws per draw that the tails' lengths rest on; ArviZ calls it `reff`.
    n_draws : number of draws.
    problems : what stands in the way of trusting `elpd`, in sentences; empty when nothing does.
    """

    elpd: float
    se: float
    p: float
    pointwise: FloatArray
    pareto_k: FloatArray
    good_k: float
    efficiency: float
    n_draws: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems

    def summary(self) -> str:
        """A few lines for a person."""
        lines = [
            f"expected log predictive density of {len(self.pointwise)} rows, each left out in turn: {self.elpd:.2f} "
            f"(standard error {self.se:.2f})",
            f"effective number of parameters: {self.p:.1f}",
        ]
        lines += [f"problem: {problem}" for problem in self.problems]
        if not self.problems:
            lines.append(
                f"every row's Pareto k is {self.pareto_k.max():.2f} or less (limit {self.good_k:.2f}): no problem found"
            )
        return "\n".join(lines)


def add_log_likelihood(posterior: xr.DataTree) -> xr.DataTree:
    """Log density of every row under every draw, for ArviZ's functions that need it, such as `arviz.loo`.

    Parameters
    ----------
    posterior : DataTree with the rows in `observed_data`; labels do not matter.

    Returns
    -------
    A new DataTree with the group `log_likelihood`: X[chain, draw, row].

    Raises
    ------
    InputError
        The posterior describes no mixture or holds no rows, or the result would take more than 4 GB. `loo` does
        without it.
    """
    dataset, draws = mixture_dataset(posterior), mixture_draws(posterior)
    X = observed_rows(posterior, draws.features)
    shape = dataset.sizes["chain"], dataset.sizes["draw"], len(X)
    check_memory(
        len(X) * draws.n_draws,
        f"Log-likelihoods of {len(X)} rows under {draws.n_draws} draws",
        "loo() does without them; or take fewer draws, such as posterior.isel(draw=slice(None, None, 10)).",
    )
    log_likelihood = np.empty((draws.n_draws, len(X)))

    def finish(rows: slice, log_densities: FloatArray, _: FloatArray) -> None:
        log_likelihood[:, rows] = log_densities.T

    draws.over(X, finish)
    coords = {name: dataset[name].values for name in ("chain", "draw")}
    variable = xr.DataArray(log_likelihood.reshape(shape), coords, ("chain", "draw", "row"))
    return with_group(posterior, "log_likelihood", xr.Dataset({"X": variable}))


def loo(posterior: xr.DataTree) -> LOO:
    """Estimate how well the model predicts each row from the others, by importance sampling from the one posterior.

        elpd_i = log sum_s v_is p(x_i | draw s) / sum_s v_is

    with v_is the weights 1 / p(x_i | draw s), the largest of which are smoothed by a generalised Pareto distribution
    (Vehtari, Gelman and Gabry 2017, doi:10.1007/s11222-016-9696-4, eq. 10; Vehtari et al. 2024, arXiv:1507.02646). It
    is what `arviz.loo(add_log_likelihood(posterior), reff=loo.efficiency)` gives, without a draws x rows array.

    Parameters
    ----------
    posterior : DataTree with the rows in `observed_data`; labels do not matter.

    Returns
    -------
    LOO. To compare two models of the same rows, take the sum of the differences of `pointwise`; its standard error is
    sqrt(n_samples) times their standard deviation.

    Raises
    ------
    InputError
        The posterior describes no mixture, holds fewer than two rows, or has fewer than 25 draws.

    Examples
    --------
    >>> import numpy as np
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> one, two = (bg.loo(bg.sample_posterior(X, K, draws=1000, rng=1, progress=False)) for K in (1, 2))
    >>> two.problems
    ()
    >>> difference = two.pointwise - one.pointwise
    >>> bool(difference.sum() > 5 * np.sqrt(len(difference)) * difference.std())
    True
    """
    draws = mixture_draws(posterior)
    X = observed_rows(posterior, draws.features)
    N, S = len(X), draws.n_draws
    if N < 2:
        raise InputError("posterior holds one row; leaving it out leaves none. Pass the posterior of more rows.")
    if S < _FEWEST_DRAWS:
        raise InputError(f"posterior has {S} draws; the tail of the weights needs {_FEWEST_DRAWS}. Draw more.")
    efficiency = _efficiency(posterior, X)
    n_tail = int(3 * np.sqrt(S / efficiency)) if S * efficiency > 225 else S // 5
    pointwise, pareto_k, gains = np.empty(N), np.empty(N), np.empty(N)

    def finish(rows: slice, log_densities: FloatArray, _: FloatArray) -> None:
        log_densities.sort(axis=-1)
        pointwise[rows], pareto_k[rows] = _leave_out(log_densities, min(n_tail, S - 1))
        gains[rows] = log_mean(log_densities) - pointwise[rows]

    draws.over(X, finish)
    good_k = min(1 - 1 / np.log10(S), _WORST_K)
    pointwise.flags.writeable = pareto_k.flags.writeable = False
    return LOO(
        elpd=float(pointwise.sum()),
        se=float(np.sqrt(N) * pointwise.std(ddof=1)),
        p=float(gains.sum()),
        pointwise=pointwise,
        pareto_k=pareto_k,
        good_k=good_k,
        efficiency=efficiency,
        n_draws=S,
        problems=tuple(_problems(pareto_k, good_k)),
    )


def _efficiency(posterior: xr.DataTree, X: NDArray[np.float64]) -> float:
    """Effective draws per draw of the density at some rows: unlike the parameters', it does not depend on labels."""
    dataset, draws = mixture_dataset(posterior), mixture_draws(posterior)
    chains, length = dataset.sizes["chain"], dataset.sizes["draw"]
    if chains == 1:
        return 1.0  # as ArviZ has it
    rows = X[spaced(len(X), _N_EFFICIENCY_ROWS)]
    densities = np.empty((draws.n_draws, len(rows)))

    def finish(at: slice, log_densities: FloatArray, _: FloatArray) -> None:
        densities[:, at] = np.exp(log_densities - log_densities.max(axis=-1, keepdims=True)).T

    draws.over(rows, finish)
    data = xr.Dataset({"x": (("chain", "draw", "row"), densities.reshape(chains, length, -1))})
    effective = az.ess(data, method="mean")["x"].values
    return float(effective.mean() / draws.n_draws)


def _leave_out(log_densities: FloatArray, n_tail: int) -> tuple[FloatArray, FloatArray]:
    """elpd (n,) and Pareto k (n,) of rows with log densities (n, S), ascending.

    The largest weights belong to the lowest densities: the first `n_tail` of each row are the tail.
    """
    lowest = log_densities[:, 0]
    log_tail = (lowest[:, np.newaxis] - log_densities[:, :n_tail])[:, ::-1]  # ascending, to 0
    rest = np.exp(lowest[:, np.newaxis] - log_densities[:, n_tail:])
    cutoff = rest[:, :1]
    k, sigma = _pareto_fits(np.exp(log_tail) - cutoff)
    log_smoothed = log_tail.copy()
    smooth = np.isfinite(k) & (sigma > 0)
    quantiles = cutoff[smooth] + _pareto_quantiles(n_tail, k[smooth], sigma[smooth])
    log_smoothed[smooth] = np.minimum(np.log(quantiles), 0.0)
    # A weight that is not smoothed, times its density, is the lowest density.
    total = np.exp(log_smoothed - log_tail).sum(axis=-1) + rest.shape[1]
    return lowest + np.log(total / (np.exp(log_smoothed).sum(axis=-1) + rest.sum(axis=-1))), k


def _pareto_quantiles(n_quantiles: int, k: FloatArray, sigma: FloatArray) -> FloatArray:
    """(n, n_quantiles) evenly spaced quantiles of generalised Pareto distributions, sigma ((1 - p)^-k - 1) / k."""
    log_p = np.log1p(-(np.arange(n_quantiles) + 0.5) / n_quantiles)
    shape = k[:, np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        standard = np.where(shape == 0, -log_p, np.expm1(-shape * log_p) / shape)
    return np.asarray(sigma[:, np.newaxis] * standard)


def _pareto_fits(excesses: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shape k (n,) and scale (n,) of generalised Pareto distributions of excesses (n, M), ascending.

    The empirical Bayes estimate of Zhang and Stephens (2009, doi:10.1198/tech.2009.08017), its k drawn towards 0.5 by
    ten observations' worth of prior (Vehtari et al. 2024, appendix C). NaN where the excesses have no spread.
    """
    n, M = excesses.shape
    n_grid = 30 + int(np.sqrt(M))
    k, sigma = np.full(n, np.nan), np.full(n, np.nan)
    quartile = excesses[:, int(M / 4 + 0.5) - 1]
    fitted = np.flatnonzero((quartile > excesses[:, 0]) & (excesses[:, -1] > 0))
    grid = (1 - np.sqrt(n_grid / (np.arange(n_grid) + 0.5))) / 3
    step = max(1, _FIT_NUMBERS // (n_grid * M))
    for begin in range(0, len(fitted), step):
        some = fitted[begin : begin + step]
        x = excesses[some]
        b = grid / quartile[some, np.newaxis] + 1 / x[:, -1:]
        shapes = np.log1p(-b[:, :, np.newaxis] * x[:, np.newaxis]).mean(axis=-1)
        profile = M * (np.log(-b / shapes) - shapes - 1)
        weights = np.exp(profile - logsumexp(profile, axis=-1, keepdims=True))
        weights[weights < 10 * np.finfo(np.float64).eps] = 0.0
        b_mean = (b * weights).sum(axis=-1) / weights.sum(axis=-1)
        shape = np.log1p(-b_mean[:, np.newaxis] * x).mean(axis=-1)
        sigma[some] = -shape / b_mean
        k[some] = (M * shape + 5.0) / (M + 10)
    return k, sigma


def _problems(pareto_k: FloatArray, good_k: float) -> list[str]:
    """Rows that the posterior with them does not describe without them; NaN is no pass."""
    bad = np.flatnonzero(~(pareto_k <= good_k))
    if not len(bad):
        return []
    worst = bad[np.argsort(-np.nan_to_num(pareto_k[bad], nan=np.inf), kind="stable")]
    shown = ", ".join(f"{row} ({pareto_k[row]:.2f})" for row in worst[:4])
    more = f" and {len(bad) - 4} more" if len(bad) > 4 else ""
    return [
        f"{len(bad)} of {len(pareto_k)} rows have a Pareto k above {good_k:.2f} or none: {shown}{more}. Without such a "
        f"row the posterior would be another one, which these draws do not reach, and elpd is probably too high. Look "
        f"at the row, fit again without it, or raise draws when k is near the limit."
    ]
