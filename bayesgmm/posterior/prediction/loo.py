"""`loo`: leave-one-out cross-validation without refitting, by importance sampling."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayesgmm.display.cards import Card, Displayed
from bayesgmm.draw_statistics import LeaveOneOut, effective_draws, smoothed_leave_one_out
from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import spaced
from bayesgmm.posterior.draws import (
    check_memory,
    log_mean,
    mixture_dataset,
    mixture_draws,
    observed_group,
    observed_rows,
    sample_stats,
    with_group,
)
from bayesgmm.row_index import coordinate_of
from bayesgmm.types import FloatArray, RowArray
from bayesgmm.wording import shortened

# With fewer draws the tail that is smoothed has less than five of them.
_FEWEST_DRAWS = 25
# Above 0.7 no feasible number of draws is enough (Vehtari et al. 2024, section 3.2.4).
_LARGEST_GOOD_K = 0.7
# Rows that the draws' efficiency is averaged over; it only sets the length of the tail.
_N_EFFICIENCY_ROWS = 50
_MOST_ROWS_NAMED = 4  # in a problem's sentence


@dataclass(frozen=True, eq=False, repr=False)
class LOO(Displayed):
    """Leave-one-out predictive accuracy of a posterior.

    Attributes
    ----------
    elpd : sum over the rows of log p(row | the other rows), in nats; larger is better.
    se : standard error of `elpd`, with the rows regarded as a sample from a population.
    p : effective number of parameters: the sum over the rows of the log density gained by having fitted the row.
    pointwise : (n_samples,) each row's contribution to `elpd`.
    pareto_k : (n_samples,) shape of the tail of each row's importance weights; NaN if it has none.
    good_k : largest shape at which a row's contribution can be trusted.
    efficiency : effective draws per draw, which sets the lengths of the tails; ArviZ calls it `reff`.
    n_draws : number of draws.
    problems : reasons not to trust `elpd`, in sentences; empty if there are none.
    index : index of the data frame that the rows came from; numbers from 0 if it had none.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_galaxies(), 1, draws=500, rng=1, progress=False)
    >>> accuracy = bg.loo(posterior)
    >>> round(accuracy.elpd), round(accuracy.se), accuracy.ok
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
    index: pd.Index

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return not self.problems

    @property
    def table(self) -> pd.DataFrame:
        """DataFrame with one line per row, under the row's index, and the columns elpd and pareto_k."""
        return pd.DataFrame({"elpd": self.pointwise, "pareto_k": self.pareto_k}, index=self.index)

    def _card(self) -> Card:
        return Card("LOO: leave-one-out cross-validation", self.summary().split("\n"))

    def summary(self) -> str:
        """Return the result in a few lines."""
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
    """Add the log density of every row under every draw, for functions of ArviZ that need it: `arviz.loo`, `psense`.

    Parameters
    ----------
    posterior : DataTree with the rows in `observed_data`; labels do not matter.

    Returns
    -------
    DataTree
        A new one, with the group `log_likelihood`: X[chain, draw, row]; and, if `sample_stats` has the log prior
        density of the draws, with the group `log_prior`, which `arviz.psense` needs.

    Raises
    ------
    InputError
        The posterior describes no mixture or holds no rows, or the result would take more than 4 GB. (`loo` does not
        need this group.)

    Examples
    --------
    >>> import arviz as az
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_galaxies(), 1, draws=500, rng=1, progress=False)
    >>> round(float(az.loo(bg.add_log_likelihood(posterior)).elpd))
    -243
    """
    dataset, draws = mixture_dataset(posterior), mixture_draws(posterior)
    X = observed_rows(posterior, draws.features).values
    shape = dataset.sizes["chain"], dataset.sizes["draw"], len(X)
    check_memory(
        len(X) * draws.n_draws,
        f"Log-likelihoods of {len(X)} rows under {draws.n_draws} draws",
        "loo() does not need them; or take fewer draws, such as posterior.isel(draw=slice(None, None, 10)).",
    )
    log_likelihood = np.empty((draws.n_draws, len(X)))

    def finish(rows: slice, log_densities: FloatArray, _: FloatArray) -> None:
        log_likelihood[:, rows] = log_densities.T

    draws.score_in_pieces(X, finish)
    coords = {"chain": dataset["chain"], "draw": dataset["draw"], **coordinate_of(observed_group(posterior))}
    variable = xr.DataArray(log_likelihood.reshape(shape), coords, ("chain", "draw", "row"))
    tree = with_group(posterior, "log_likelihood", xr.Dataset({"X": variable}))
    stats = sample_stats(posterior)
    return with_group(tree, "log_prior", stats[["log_prior"]]) if "log_prior" in stats else tree


def loo(posterior: xr.DataTree) -> LOO:
    """Estimate how well the model predicts each row from the others, by importance sampling from the one posterior.

        elpd_i = log sum_s v_is p(x_i | draw s) / sum_s v_is

    with weights v_is = 1 / p(x_i | draw s), the largest of which are smoothed by a generalised Pareto distribution
    (Vehtari, Gelman and Gabry 2017, doi:10.1007/s11222-016-9696-4, eq. 10; Vehtari et al. 2024, arXiv:1507.02646).
    ArviZ does the smoothing, for a few rows at a time. The result equals
    `arviz.loo(add_log_likelihood(posterior), reff=loo.efficiency)` but needs no array of draws x rows.

    Parameters
    ----------
    posterior : DataTree with the rows in `observed_data`; labels do not matter.

    Returns
    -------
    LOO
        To compare two models of the same rows, sum the differences of their `pointwise`. The standard error of the
        sum is sqrt(n_samples) times the standard deviation of the differences.

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
    rows = observed_rows(posterior, draws.features)
    X = rows.values
    N, S = len(X), draws.n_draws
    if N < 2:
        raise InputError("posterior holds one row; leaving it out leaves none. Pass the posterior of more rows.")
    if S < _FEWEST_DRAWS:
        raise InputError(f"posterior has {S} draws; the tail of the weights needs {_FEWEST_DRAWS}. Draw more.")
    efficiency = _efficiency(posterior, X)
    pointwise, pareto_k, gains = np.empty(N), np.empty(N), np.empty(N)

    def finish(rows: slice, log_densities: FloatArray, _: FloatArray) -> None:
        pointwise[rows], pareto_k[rows], gains[rows] = _leave_one_out(log_densities, efficiency)

    draws.score_in_pieces(X, finish)
    good_k = min(1 - 1 / np.log10(S), _LARGEST_GOOD_K)
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
        problems=tuple(_problems(pareto_k, good_k, rows.index)),
        index=rows.index,
    )


def _leave_one_out(log_densities: FloatArray, efficiency: float) -> LeaveOneOut:
    """Leave-one-out statistics of rows with log densities (n, S).

    A row whose tail is constant, as when a chain did not move, has no Pareto distribution, and ArviZ refuses it; of a
    row whose largest weight is beyond double precision ArviZ makes NaN. Such weights stay unsmoothed, and their Pareto
    k is NaN.
    """
    S = log_densities.shape[1]
    n_tail = int(min(S / 5, 3 * np.sqrt(S / efficiency)))  # as in ArviZ (Vehtari et al. 2024, section 4.1)
    tails = np.partition(log_densities, n_tail - 1, axis=-1)[:, :n_tail]
    is_constant = np.ptp(tails, axis=-1) == 0
    statistics = np.empty((3, len(log_densities)))
    if is_constant.any():
        statistics[:, is_constant] = _unsmoothed_leave_one_out(log_densities[is_constant])
    if not is_constant.all():
        with np.errstate(all="ignore"):
            statistics[:, ~is_constant] = smoothed_leave_one_out(log_densities[~is_constant], efficiency)
        is_undefined = ~np.isfinite(statistics[[0, 2]]).all(axis=0)
        if is_undefined.any():
            statistics[:, is_undefined] = _unsmoothed_leave_one_out(log_densities[is_undefined])
    return LeaveOneOut(*statistics)


def _unsmoothed_leave_one_out(log_densities: FloatArray) -> LeaveOneOut:
    elpd = -log_mean(-log_densities)
    return LeaveOneOut(elpd, np.full_like(elpd, np.nan), log_mean(log_densities) - elpd)


def _efficiency(posterior: xr.DataTree, X: RowArray) -> float:
    """Effective draws per draw of the density at a few rows, which unlike a parameter does not depend on labels."""
    dataset, draws = mixture_dataset(posterior), mixture_draws(posterior)
    n_chains, n_draws = dataset.sizes["chain"], dataset.sizes["draw"]
    if n_chains == 1:
        return 1.0  # as in ArviZ
    rows = X[spaced(len(X), _N_EFFICIENCY_ROWS)]
    densities = np.empty((draws.n_draws, len(rows)))

    def finish(piece: slice, log_densities: FloatArray, _: FloatArray) -> None:
        densities[:, piece] = np.exp(log_densities - log_densities.max(axis=-1, keepdims=True)).T

    draws.score_in_pieces(rows, finish)
    effective = effective_draws(densities.reshape(n_chains, n_draws, -1), "mean")
    return float(effective.mean() / draws.n_draws)


def _problems(pareto_k: FloatArray, good_k: float, index: pd.Index) -> list[str]:
    """A sentence on the rows whose Pareto k is too large or NaN, which are named by their index."""
    bad_rows = np.flatnonzero(~(pareto_k <= good_k))
    if not len(bad_rows):
        return []
    worst_first = bad_rows[np.argsort(-np.nan_to_num(pareto_k[bad_rows], nan=np.inf), kind="stable")]
    named = ", ".join(
        f"{shortened(str(index[row]), 60)} ({pareto_k[row]:.2f})" for row in worst_first[:_MOST_ROWS_NAMED]
    )
    n_unnamed = len(bad_rows) - _MOST_ROWS_NAMED
    more = f" and {n_unnamed} more" if n_unnamed > 0 else ""
    return [
        f"{len(bad_rows)} of {len(pareto_k)} rows have a Pareto k above {good_k:.2f} or none: {named}{more} (the rows "
        f"by their index, with k). Without such a row the posterior would differ so much that these draws do not cover "
        f"it, and elpd is probably too high. Look at the row, fit again without it, or raise draws if k is near the "
        f"limit."
    ]
