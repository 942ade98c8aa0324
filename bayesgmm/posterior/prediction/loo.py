"""Predictive accuracy without refitting: leave-one-out cross-validation by importance sampling."""

from dataclasses import dataclass

import arviz as az
import numpy as np
import xarray as xr
from arviz_stats.base import array_stats
from numpy.typing import NDArray

from bayesgmm.display.cards import Card, Displayed
from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import spaced
from bayesgmm.posterior.draws import check_memory, log_mean, mixture_dataset, mixture_draws, observed_rows, with_group
from bayesgmm.types import FloatArray

# With fewer draws, less than five of them are the tail that is smoothed.
_FEWEST_DRAWS = 25
# Above 0.7 no feasible number of draws is enough (Vehtari et al. 2024, section 3.2.4).
_WORST_K = 0.7
# The draws' efficiency is judged at this many rows; it only decides how many draws are the tail.
_N_EFFICIENCY_ROWS = 50


@dataclass(frozen=True, eq=False, repr=False)
class LOO(Displayed):
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

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_galaxies(), 1, draws=500, rng=1, progress=False)
    >>> found = bg.loo(posterior)
    >>> round(found.elpd), round(found.se), found.ok
    (-243, 10, True)
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
        """Whether nothing stands in the way of trusting `elpd`."""
        return not self.problems

    def _card(self) -> Card:
        return Card("LOO: leave-one-out cross-validation", self.summary().split("\n"))

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
    DataTree
        A new one, with the group `log_likelihood`: X[chain, draw, row].

    Raises
    ------
    InputError
        The posterior describes no mixture or holds no rows, or the result would take more than 4 GB. `loo` does
        without it.

    Examples
    --------
    >>> import arviz as az
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_galaxies(), 1, draws=500, rng=1, progress=False)
    >>> round(float(az.loo(bg.add_log_likelihood(posterior)).elpd))
    -243
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
    (Vehtari, Gelman and Gabry 2017, doi:10.1007/s11222-016-9696-4, eq. 10; Vehtari et al. 2024, arXiv:1507.02646), by
    ArviZ, piece after piece of the rows: `arviz.loo(add_log_likelihood(posterior), reff=loo.efficiency)` without a
    draws x rows array.

    Parameters
    ----------
    posterior : DataTree with the rows in `observed_data`; labels do not matter.

    Returns
    -------
    LOO
        To compare two models of the same rows, take the sum of the differences of `pointwise`; its standard error is
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
    >>> one, two = (bg.loo(bg.sample_posterior(X, K, draws=500, rng=1, progress=False)) for K in (1, 2))
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
    pointwise, pareto_k, gains = np.empty(N), np.empty(N), np.empty(N)

    def finish(rows: slice, log_densities: FloatArray, _: FloatArray) -> None:
        pointwise[rows], pareto_k[rows], gains[rows] = _leave_out(log_densities, efficiency)

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


def _leave_out(log_densities: FloatArray, efficiency: float) -> FloatArray:
    """(3, n) elpd, Pareto k and gain of rows (n, S)."""
    S = log_densities.shape[1]
    # ArviZ's tail (Vehtari et al. 2024, section 4.1). Weights that are one and the same there, as when a chain stood
    # still, have no Pareto distribution, and ArviZ refuses them: they are left as they are, and k is NaN.
    n_tail = int(min(S / 5, 3 * np.sqrt(S / efficiency)))
    lowest = np.partition(log_densities, n_tail - 1, axis=-1)[:, :n_tail]
    still = np.ptp(lowest, axis=-1) == 0
    found = np.empty((3, len(log_densities)))
    if still.any():
        logs = log_densities[still]
        elpd = -log_mean(-logs)
        found[:, still] = elpd, np.full_like(elpd, np.nan), log_mean(logs) - elpd
    if not still.all():
        found[:, ~still] = array_stats.loo(log_densities[~still], chain_axis=None, r_eff=efficiency)
    return found


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
