"""`StandardErrors`: how much EM's estimates would vary over other samples of rows, by any of six methods."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import norm

from bayesgmm.display.cards import Card, Displayed
from bayesgmm.display.tables import to_grid
from bayesgmm.em.uncertainty.curvature import Maximum, jacobian, observed_information, sandwich
from bayesgmm.em.uncertainty.resampling import (
    ReplicateData,
    Replicates,
    bootstrap_multipliers,
    check_simulated,
    dirichlet_multipliers,
    fit_replicates,
    jackknife_covariance,
    jackknife_groups,
    leave_out_multipliers,
    positive_rows,
    simulated_rows,
)
from bayesgmm.errors import FitError, InputError
from bayesgmm.mixture.scalars import PARAMETERS, scalar_values
from bayesgmm.parallel import one_blas_thread
from bayesgmm.types import FloatArray, Seed, StandardErrorMethod
from bayesgmm.validation import as_generator, check_count, check_flag, check_fraction
from bayesgmm.wording import shown

# Replicates of a bootstrap, unless the user asks for another number.
_N_REPLICATES = 999
# Share of replicates that failed, or whose labels are unclear, above which the user is warned.
_MOST_DOUBTFUL = 0.05


class _Scale(NamedTuple):
    """A scale without bounds for a parameter: the map to it, the way back, and the derivative of the map."""

    forward: Callable[[FloatArray], FloatArray]
    back: Callable[[FloatArray], FloatArray]
    slope: Callable[[FloatArray], FloatArray]


_SCALES = {
    "weights": _Scale(logit, expit, lambda p: 1 / (p * (1 - p))),
    "means": _Scale(np.asarray, np.asarray, np.ones_like),
    "stds": _Scale(np.log, np.exp, lambda s: 1 / s),
    "correlations": _Scale(np.arctanh, np.tanh, lambda r: 1 / (1 - r**2)),
}


@dataclass(frozen=True, eq=False, repr=False)
class StandardErrors(Displayed):
    """Standard errors of an EM fit, and confidence intervals.

    Attributes
    ----------
    table : DataFrame with one row for each scalar of the mixture, named as in `Comparison.table`. Columns: parameter,
        component, feature, estimate, se (the standard error), and the bounds of the confidence interval, which are
        named after `ci_prob`: ci90_lb and ci90_ub for 0.9. Everything is in the units of the data.
    covariance : (n_scalars, n_scalars) covariance of the estimates, in the order of the table. Weights sum to 1, so
        that it is singular from two components on.
    method : name of the method.
    ci_prob : probability of the confidence intervals.
    n_replicates : number of fits of resampled rows, including those that failed; 0 for "information" and "sandwich".
    n_failed : number of replicates that collapsed or reached no maximum; they are left out.
    n_ambiguous : number of replicates whose components, each assigned to the nearest component of the fit, are no
        permutation of them; they are kept.
    replicates : (n, n_scalars) estimates of the replicates that did not fail, in the order of the table; for the
        jackknife, the estimates without each group of rows.
    notes : remarks on the replicates, in sentences.

    Notes
    -----
    The intervals are normal, whatever the method: symmetric about the estimate on the scale of the logarithm for
    standard deviations, of Fisher's z for correlations, and of the logit for weights. Quantiles of the replicates of a
    bootstrap are `numpy.quantile(errors.replicates, [0.05, 0.95], axis=0)`; as intervals they cover standard deviations
    about 1 % less often (`docs/validation.md`).

    The meaning of `sample_weight` depends on the method. "information" and "parametric" trust the model and read
    weights as frequencies: a row of weight 2 is two observations, and doubling all weights divides each standard error
    by sqrt(2). The other methods take each row of positive weight as one observation, which is drawn, left out or
    reweighted as a whole; its weight says how much it matters, as in a survey, and doubling all weights changes
    nothing. To use one of these methods with weights that are counts, fit `numpy.repeat(X, counts, axis=0)`.

    Replicates are fitted by quasi-Newton steps that begin at the fit. They describe the uncertainty about this maximum,
    and not which of several maxima is found. The components of a replicate get the labels of the fit by the assignment
    of least cross-entropy.

    Where components overlap so much that the log-likelihood is far from quadratic, "information" and "sandwich"
    understate the uncertainty, and the bootstrap is closer to the truth.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> errors = bg.fit_em(bg.datasets.load_faithful(), 2, rng=1).standard_errors()
    >>> means = errors.table.query("parameter == 'means'")[["estimate", "se", "ci90_lb", "ci90_ub"]]
    >>> print(means.round(2).to_string(index_names=False))
                         estimate    se  ci90_lb  ci90_ub
    means[0, eruptions]      4.29  0.03     4.24     4.34
    means[0, waiting]       79.97  0.46    79.22    80.72
    means[1, eruptions]      2.04  0.03     1.99     2.08
    means[1, waiting]       54.48  0.59    53.51    55.45
    """

    table: pd.DataFrame
    covariance: FloatArray
    method: StandardErrorMethod
    ci_prob: float
    n_replicates: int
    n_failed: int
    n_ambiguous: int
    replicates: FloatArray
    notes: tuple[str, ...]

    def _card(self) -> Card:
        counts = f", {self.n_replicates} replicates, {self.n_failed} failed" if self.n_replicates else ""
        return Card(f"StandardErrors: {self.method}{counts}", self.notes, to_grid(self._table_of_text()))

    def _table_of_text(self) -> pd.DataFrame:
        """The table in few digits, with the interval in one column."""
        bounds = (self.table[name] for name in interval_columns(self.ci_prob))
        return pd.DataFrame(
            {
                "estimate": self.table["estimate"].map("{:.5g}".format),
                "standard error": self.table["se"].map("{:.2g}".format),
                f"{100 * self.ci_prob:g} % interval": [
                    f"{low:.5g} to {high:.5g}" for low, high in zip(*bounds, strict=True)
                ],
            },
            index=self.table.index,
        )


def interval_columns(ci_prob: float) -> tuple[str, str]:
    """Names of the columns with the bounds of a confidence interval."""
    stem = f"ci{100 * ci_prob:g}"
    return f"{stem}_lb", f"{stem}_ub"


class _Options(NamedTuple):
    """The user's options, checked."""

    ci_prob: float
    n_replicates: int | None
    rng: np.random.Generator
    progress: bool


class _Estimate(NamedTuple):
    """The covariance of the estimates by some method, with the replicates that it is based on, and a note on them."""

    covariance: FloatArray
    replicates: Replicates | None = None
    note: str = ""


class _Method(NamedTuple):
    """A method: estimate(maximum, root (P, n_free) of the inverse information, options) -> covariance, and more."""

    estimate: Callable[[Maximum, FloatArray, _Options], _Estimate]
    has_replicates: bool


def _by_information(maximum: Maximum, root: FloatArray, options: _Options) -> _Estimate:
    return _Estimate(_covariance_of_scalars(maximum, root @ root.T))


def _by_sandwich(maximum: Maximum, root: FloatArray, options: _Options) -> _Estimate:
    return _Estimate(_covariance_of_scalars(maximum, sandwich(maximum, root)))


def _covariance_of_scalars(maximum: Maximum, covariance_of_moves: FloatArray) -> FloatArray:
    derivatives = jacobian(maximum)
    return np.asarray(derivatives @ covariance_of_moves @ derivatives.T)


def _by_bootstrap(maximum: Maximum, root: FloatArray, options: _Options) -> _Estimate:
    return _by_multipliers(maximum, root, options, bootstrap_multipliers)


def _by_weighted_bootstrap(maximum: Maximum, root: FloatArray, options: _Options) -> _Estimate:
    return _by_multipliers(maximum, root, options, dirichlet_multipliers)


def _by_multipliers(
    maximum: Maximum, root: FloatArray, options: _Options, draw: Callable[[int, np.random.Generator], FloatArray]
) -> _Estimate:
    n_rows = len(positive_rows(maximum.rows))
    data = [partial(draw, n_rows, stream) for stream in _streams(options)]
    return _by_replicates(maximum, root, options, data, simulated=False)


def _by_simulation(maximum: Maximum, root: FloatArray, options: _Options) -> _Estimate:
    check_simulated(maximum.rows)
    data = [partial(simulated_rows, maximum, stream) for stream in _streams(options)]
    return _by_replicates(maximum, root, options, data, simulated=True)


def _streams(options: _Options) -> list[np.random.Generator]:
    """One random generator for each replicate of a bootstrap."""
    return options.rng.spawn(options.n_replicates or _N_REPLICATES)


def _by_replicates(
    maximum: Maximum, root: FloatArray, options: _Options, data: Sequence[ReplicateData], *, simulated: bool
) -> _Estimate:
    replicates = fit_replicates(maximum, root @ root.T, data, simulated=simulated, progress=options.progress)
    return _Estimate(np.atleast_2d(np.cov(replicates.values, rowvar=False)), replicates, f"{len(data)} replicates.")


def _by_jackknife(maximum: Maximum, root: FloatArray, options: _Options) -> _Estimate:
    n_rows = len(positive_rows(maximum.rows))
    groups = jackknife_groups(n_rows, options.n_replicates, options.rng)
    sizes = np.array([len(group) for group in groups])
    data = [partial(leave_out_multipliers, n_rows, group) for group in groups]
    replicates = fit_replicates(maximum, root @ root.T, data, simulated=False, progress=options.progress)
    if len(replicates.values) < len(groups):
        raise FitError(
            f"{len(groups) - len(replicates.values)} of {len(groups)} fits without some rows collapsed or did not end, "
            f"and the jackknife needs all. Use method='bootstrap', or ask for fewer components."
        )
    covariance = jackknife_covariance(_estimates(maximum), replicates.values, sizes)
    size = f"{sizes.min()}" if sizes.min() == sizes.max() else f"{sizes.min()} or {sizes.max()}"
    left_out = "each row alone" if sizes.max() == 1 else f"{len(groups)} random groups of {size} rows in turn"
    return _Estimate(covariance, replicates, f"Left out: {left_out}.")


METHODS: dict[StandardErrorMethod, _Method] = {
    "information": _Method(_by_information, has_replicates=False),
    "sandwich": _Method(_by_sandwich, has_replicates=False),
    "bootstrap": _Method(_by_bootstrap, has_replicates=True),
    "weighted": _Method(_by_weighted_bootstrap, has_replicates=True),
    "parametric": _Method(_by_simulation, has_replicates=True),
    "jackknife": _Method(_by_jackknife, has_replicates=True),
}


def standard_errors(
    maximum: Maximum,
    method: StandardErrorMethod,
    *,
    ci_prob: float,
    n_replicates: int | None,
    rng: Seed,
    progress: bool,
) -> StandardErrors:
    """See `EMFit.standard_errors`, which also warns: see `warning_about`."""
    if not isinstance(method, str) or method not in METHODS:
        raise InputError(f"method must be one of {', '.join(METHODS)}; received {shown(method)}.")
    ci_prob, generator = check_fraction(ci_prob, "ci_prob"), as_generator(rng)
    if n_replicates is not None:
        if not METHODS[method].has_replicates:
            raise InputError(f"method={method!r} has no replicates; leave n_replicates out, or use a bootstrap.")
        n_replicates = check_count(n_replicates, "n_replicates", 2)
    options = _Options(ci_prob, n_replicates, generator, check_flag(progress, "progress"))
    with one_blas_thread():  # the same digits on any number of cores
        estimate = METHODS[method].estimate(maximum, observed_information(maximum).root, options)
        return _result(maximum, method, ci_prob, estimate)


def warning_about(errors: StandardErrors) -> str | None:
    """The warning that the user needs if many replicates failed or have unclear labels."""
    if max(errors.n_failed, errors.n_ambiguous) <= _MOST_DOUBTFUL * errors.n_replicates:
        return None
    return (
        f"Of {errors.n_replicates} replicates {errors.n_failed} failed and {errors.n_ambiguous} have no clear labels: "
        f"read these standard errors as a sign that the components are poorly determined. Ask for fewer components, or "
        f"describe the fit by the posterior."
    )


def _result(maximum: Maximum, method: StandardErrorMethod, ci_prob: float, estimate: _Estimate) -> StandardErrors:
    covariance, replicates, note = estimate
    table = _table(maximum, covariance, ci_prob)
    if not np.isfinite(table.select_dtypes(float).to_numpy()).all():
        raise FitError(
            f"method={method!r} found standard errors or intervals that are not finite: the data, which count as "
            f"{maximum.rows.total_weight:.4g} rows, are too few, or an estimate is at the edge of the values that it "
            f"can take. Ask for fewer components, and check that sample_weight counts rows."
        )
    covariance.flags.writeable = False
    if replicates is None:
        return StandardErrors(table, covariance, method, ci_prob, 0, 0, 0, np.empty((0, len(table))), ())
    values, n_collapsed, n_unfinished, n_ambiguous = replicates
    values.flags.writeable = False
    n_failed = n_collapsed + n_unfinished
    notes = [note]
    if n_failed:
        notes.append(f"Left out: {n_collapsed} replicates that collapsed, {n_unfinished} without a maximum.")
    if n_ambiguous:
        notes.append(f"The components of {n_ambiguous} replicates are not clearly those of the fit; they are kept.")
    n = len(values) + n_failed
    return StandardErrors(table, covariance, method, ci_prob, n, n_failed, n_ambiguous, values, tuple(notes))


def _estimates(maximum: Maximum) -> FloatArray:
    """(n_scalars,) the scalars of the fit."""
    return scalar_values(maximum.scalars, {name: getattr(maximum.mixture, name) for name in PARAMETERS})


def _table(maximum: Maximum, covariance: FloatArray, ci_prob: float) -> pd.DataFrame:
    """`StandardErrors.table`. The standard error on the scale of an interval is by the delta method."""
    scalars, estimates, ses = maximum.scalars, _estimates(maximum), np.sqrt(np.diagonal(covariance))
    half_widths, lower, upper = norm.ppf((1 + ci_prob) / 2) * ses, np.empty(len(ses)), np.empty(len(ses))
    for parameter, scale in _SCALES.items():
        index = [i for i, scalar in enumerate(scalars) if scalar.parameter == parameter]
        middle, half_width = scale.forward(estimates[index]), half_widths[index] * scale.slope(estimates[index])
        with np.errstate(over="ignore"):  # `_result` refuses what is not finite
            lower[index], upper[index] = scale.back(middle - half_width), scale.back(middle + half_width)
    lower_name, upper_name = interval_columns(ci_prob)
    columns: dict[str, Any] = {
        "parameter": [scalar.parameter for scalar in scalars],
        "component": [scalar.component for scalar in scalars],
        "feature": [scalar.feature for scalar in scalars],
        "estimate": estimates,
        "se": ses,
        lower_name: lower,
        upper_name: upper,
    }
    return pd.DataFrame(columns, index=pd.Index([scalar.name for scalar in scalars], name="name"))
