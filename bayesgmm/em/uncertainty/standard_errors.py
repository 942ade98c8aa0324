"""`StandardErrors`: how far EM's estimates would differ on other rows, by any of six methods."""

import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from bayesgmm.display.cards import Card, Displayed
from bayesgmm.display.tables import to_grid
from bayesgmm.em.uncertainty.curvature import Maximum, curvature, jacobian, sandwich
from bayesgmm.em.uncertainty.resampling import (
    Replicates,
    bootstrap,
    check_simulated,
    counted,
    jackknife_covariance,
    jackknife_groups,
    parametric,
    replicates,
    weighted,
    without,
)
from bayesgmm.errors import BayesgmmWarning, FitError, InputError
from bayesgmm.mixture.scalars import PARAMETERS, values_of
from bayesgmm.types import FloatArray
from bayesgmm.validation import as_generator, check_count, check_fraction

_FROM_CURVATURE = ("information", "sandwich")
_RESAMPLINGS = {"bootstrap": bootstrap, "weighted": weighted}
METHODS = (*_FROM_CURVATURE, *_RESAMPLINGS, "parametric", "jackknife")
_N_REPLICATES = 999
# A larger share of replicates that failed or have no clear labels than this is warned of.
_MOST_DOUBTFUL = 0.05
# For each parameter a scale without bounds, the way back, and the derivative of the way there.
_SCALES: dict[str, Any] = {
    "weights": (logit, expit, lambda p: 1 / (p * (1 - p))),
    "means": (np.asarray, np.asarray, np.ones_like),
    "stds": (np.log, np.exp, lambda s: 1 / s),
    "correlations": (np.arctanh, np.tanh, lambda r: 1 / (1 - r**2)),
}


@dataclass(frozen=True, eq=False, repr=False)
class StandardErrors(Displayed):
    """Standard errors of an EM fit.

    Attributes
    ----------
    table : DataFrame, a row a number of the mixture, named as in `Comparison.table`: parameter, component, feature,
        estimate, standard_error, and the bounds `lower` and `upper` of the interval.
    covariance : (n_entries, n_entries) of the estimates, in the order of the table. Weights sum to 1, so that it is
        singular from two components on.
    method : how they were found.
    ci_prob : probability of the intervals.
    n_replicates : fits of resampled rows, those that failed among them; 0 for "information" and "sandwich".
    n_failed : replicates that collapsed or reached no maximum; they are left out.
    n_ambiguous : replicates whose components, each given to the nearest of the fit's, make no permutation; they count.
    replicates : (n, n_entries) the estimates of the replicates that did not fail, in the order of the table; of the
        jackknife those without each group.
    notes : what a reader should know of these numbers, in sentences.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> errors = bg.fit_em(bg.datasets.load_faithful(), 2, rng=1).standard_errors()
    >>> means = errors.table.query("parameter == 'means'")[["estimate", "standard_error", "lower", "upper"]]
    >>> print(means.round(2).to_string(index_names=False))
                         estimate  standard_error  lower  upper
    means[0, eruptions]      4.29            0.03   4.24   4.34
    means[0, waiting]       79.97            0.46  79.22  80.72
    means[1, eruptions]      2.04            0.03   1.99   2.08
    means[1, waiting]       54.48            0.59  53.51  55.45
    """

    table: pd.DataFrame
    covariance: FloatArray
    method: str
    ci_prob: float
    n_replicates: int
    n_failed: int
    n_ambiguous: int
    replicates: FloatArray
    notes: tuple[str, ...]

    def _card(self) -> Card:
        counts = f", {self.n_replicates} replicates, {self.n_failed} failed" if self.n_replicates else ""
        grid, notes = to_grid(self._written())
        return Card(f"StandardErrors: {self.method}{counts}", self.notes, grid, notes)

    def summary(self) -> str:
        """Text for a person: the method and the table."""
        return "\n".join([f"Standard errors of EM: {self.method}", *self.notes, "", self._written().to_string()])

    def _written(self) -> pd.DataFrame:
        """The table in few digits."""
        return pd.DataFrame(
            {
                "estimate": self.table["estimate"].map("{:.5g}".format),
                "standard error": self.table["standard_error"].map("{:.2g}".format),
                f"{100 * self.ci_prob:g} % interval": [
                    f"{low:.5g} to {high:.5g}"
                    for low, high in zip(self.table["lower"], self.table["upper"], strict=True)
                ],
            },
            index=self.table.index,
        )


def standard_errors(
    maximum: Maximum,
    method: str,
    *,
    ci_prob: float,
    n_replicates: int | None,
    rng: Any,
    progress: bool,
) -> StandardErrors:
    """See `EMFit.standard_errors`."""
    if not isinstance(method, str) or method not in METHODS:
        raise InputError(f"method must be one of {', '.join(METHODS)}; received {method!r}.")
    ci_prob, generator = check_fraction(ci_prob, "ci_prob"), as_generator(rng)
    if n_replicates is not None:
        if method in _FROM_CURVATURE:
            raise InputError(f"method={method!r} has no replicates; leave n_replicates out, or use a bootstrap.")
        n_replicates = check_count(n_replicates, "n_replicates", 2)
    with threadpool_limits(limits=1, user_api="blas"):  # the same digits on any number of cores
        root = curvature(maximum).root
        if method in _FROM_CURVATURE:
            return _from_curvature(maximum, root, method, ci_prob)
        if method == "jackknife":
            return _from_jackknife(maximum, root, ci_prob, n_replicates, generator, progress)
        return _from_bootstrap(maximum, root, method, ci_prob, n_replicates or _N_REPLICATES, generator, progress)


def _from_curvature(maximum: Maximum, root: FloatArray, method: str, ci_prob: float) -> StandardErrors:
    moves = root @ root.T if method == "information" else sandwich(maximum, root)
    changes = jacobian(maximum)
    covariance = changes @ moves @ changes.T
    return _result(maximum, covariance, method, ci_prob)


def _from_bootstrap(
    maximum: Maximum,
    root: FloatArray,
    method: str,
    ci_prob: float,
    n: int,
    rng: np.random.Generator,
    progress: bool,
) -> StandardErrors:
    n_rows, streams, simulated = len(counted(maximum.rows)), rng.spawn(n), method == "parametric"
    if simulated:
        check_simulated(maximum.rows)
        drawn = [partial(parametric, maximum, stream) for stream in streams]
    else:
        drawn = [partial(_RESAMPLINGS[method], n_rows, stream) for stream in streams]
    fits = replicates(maximum, maximum.mixture, root @ root.T, drawn, simulated=simulated, progress=progress)
    covariance = np.atleast_2d(np.cov(fits.values, rowvar=False))
    return _result(maximum, covariance, method, ci_prob, fits)


def _from_jackknife(
    maximum: Maximum,
    root: FloatArray,
    ci_prob: float,
    n: int | None,
    rng: np.random.Generator,
    progress: bool,
) -> StandardErrors:
    n_rows = len(counted(maximum.rows))
    groups = jackknife_groups(n_rows, n, rng)
    sizes = np.array([len(group) for group in groups])
    drawn = [partial(without, n_rows, group) for group in groups]
    fits = replicates(maximum, maximum.mixture, root @ root.T, drawn, simulated=False, progress=progress)
    if len(fits.values) < len(groups):
        raise FitError(
            f"{len(groups) - len(fits.values)} of {len(groups)} fits without some rows collapsed or did not end, "
            f"and the jackknife needs all. Use method='bootstrap', or ask for fewer components."
        )
    covariance = jackknife_covariance(_estimates(maximum), fits.values, sizes)
    size = f"{sizes.min()}" if sizes.min() == sizes.max() else f"{sizes.min()} or {sizes.max()}"
    left_out = "each row alone" if sizes.max() == 1 else f"{len(groups)} random groups of {size} rows in turn"
    return _result(maximum, covariance, "jackknife", ci_prob, fits, f"Left out: {left_out}.")


def _estimates(maximum: Maximum) -> FloatArray:
    """(n_entries,) the fit's numbers."""
    return values_of(maximum.found, {name: getattr(maximum.mixture, name) for name in PARAMETERS})


def _table(maximum: Maximum, covariance: FloatArray, ci_prob: float) -> pd.DataFrame:
    """Intervals are symmetric on the scale of `_SCALES`, where the standard error follows by the delta method."""
    found, estimates, ses = maximum.found, _estimates(maximum), np.sqrt(np.diagonal(covariance))
    width, lower, upper = norm.ppf((1 + ci_prob) / 2) * ses, np.empty(len(ses)), np.empty(len(ses))
    for parameter, (there, back, slope) in _SCALES.items():
        at = [i for i, entry in enumerate(found) if entry.parameter == parameter]
        middle, half = there(estimates[at]), width[at] * slope(estimates[at])
        lower[at], upper[at] = back(middle - half), back(middle + half)
    return pd.DataFrame(
        {
            "parameter": [entry.parameter for entry in found],
            "component": [entry.component for entry in found],
            "feature": [entry.feature for entry in found],
            "estimate": estimates,
            "standard_error": ses,
            "lower": lower,
            "upper": upper,
        },
        index=pd.Index([entry.name for entry in found], name="name"),
    )


def _result(
    maximum: Maximum,
    covariance: FloatArray,
    method: str,
    ci_prob: float,
    fits: Replicates | None = None,
    note: str = "",
) -> StandardErrors:
    table = _table(maximum, covariance, ci_prob)
    if not np.isfinite(table.select_dtypes(float).to_numpy()).all():
        raise FitError(
            f"method={method!r} found standard errors that are not finite: an estimate is at the edge of what it can "
            f"be. Ask for fewer components."
        )
    covariance.flags.writeable = False
    if fits is None:
        return StandardErrors(table, covariance, method, ci_prob, 0, 0, 0, np.empty((0, len(table))), ())
    fits.values.flags.writeable = False
    n_failed = fits.n_collapsed + fits.n_unfinished
    n = len(fits.values) + n_failed
    notes = [note or f"{n} replicates."]
    if n_failed:
        notes.append(f"Left out: {fits.n_collapsed} replicates that collapsed, {fits.n_unfinished} without a maximum.")
    if fits.n_ambiguous:
        notes.append(
            f"The components of {fits.n_ambiguous} replicates are not clearly those of the fit; they were matched all "
            f"the same."
        )
    if max(n_failed, fits.n_ambiguous) > _MOST_DOUBTFUL * n:
        warnings.warn(
            f"Of {n} replicates {n_failed} failed and {fits.n_ambiguous} have no clear labels: read these standard "
            f"errors as a sign that the components are poorly determined. Ask for fewer components, or describe "
            f"the fit by the posterior.",
            BayesgmmWarning,
            stacklevel=5,
        )
    return StandardErrors(table, covariance, method, ci_prob, n, n_failed, fits.n_ambiguous, fits.values, tuple(notes))
