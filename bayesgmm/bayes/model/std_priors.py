"""Families of priors of a standard deviation, in the units of the data."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from bayesgmm.display.cards import rows_shown
from bayesgmm.errors import InputError
from bayesgmm.types import FloatArray
from bayesgmm.validation import as_numbers
from bayesgmm.wording import shown

# The kinds of families, as compiled code tells them apart. LOG_SCALE: the unconstrained parameter is log sd. INTERVAL:
# it is the logit of the position between two bounds. FIXED: there is no parameter.
LOG_SCALE, INTERVAL, FIXED = 0, 1, 2
# Rows of the table in which compiled code receives the `coefficients`; it has one column per feature.
STD_ROWS = 7
# Quadrature over log sd: half width around v0 at first, number of nodes, and the log density below the largest one at
# which the density counts as 0.
_HALF_WIDTH, _N_NODES, _NEGLIGIBLE = 60.0, 2001, 40.0
_FEWEST_NODES = 200  # nodes where the density is not 0; with fewer, the range is narrowed


@dataclass(frozen=True, eq=False, repr=False)
class StdPrior:
    """Prior of a standard deviation sd, in the units of the data; features and components are independent.

    Each parameter is one number, or an array (n_features,) with one number per feature; all are positive. A family
    sets `distribution`, the name of its PyMC distribution, and overrides `log_scale_coefficients`; a family whose
    unconstrained parameter is not log sd sets `kind` and overrides `coefficients`.
    """

    distribution: ClassVar[str]
    kind: ClassVar[int] = LOG_SCALE

    def __post_init__(self) -> None:
        for field in fields(self):
            value = np.array(as_numbers(getattr(self, field.name), f"{type(self).__name__}.{field.name}"))
            if value.ndim > 1 or value.size == 0 or not (np.isfinite(value) & (value > 0)).all():
                raise InputError(
                    f"{type(self).__name__}.{field.name} must be finite and above 0, one number or one per feature; "
                    f"received {shown(value.tolist())}."
                )
            value.flags.writeable = False
            object.__setattr__(self, field.name, value)
        shapes = {field.name: getattr(self, field.name).shape for field in fields(self)}
        if len({shape for shape in shapes.values() if shape not in ((), (1,))}) > 1:
            raise InputError(
                f"{type(self).__name__} must have one value, or one per feature, for each parameter; it has shapes "
                f"{shapes}."
            )

    def __repr__(self) -> str:
        parts = [f"{name}={_shown(getattr(self, name))}" for name in (field.name for field in fields(self))]
        return f"{type(self).__name__}({', '.join(parts)})"

    def arguments(self) -> Mapping[str, FloatArray]:
        """Return the keyword arguments of the PyMC distribution."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def log_scale_coefficients(self) -> FloatArray:
        """Return the coefficients (7, n_features), or (7,), of the family's log density of log sd.

        The rows are v0, c0, ..., c5 of log p(log sd) = c0 + c1 u + c2 u^2 + c3 e^u + c4 e^-u + c5 e^2u with
        u = log sd - v0. Compiled code evaluates every family on the log scale by this one formula.
        """
        raise NotImplementedError

    def coefficients(self) -> FloatArray:
        """Return the table from which compiled code evaluates the density, at most STD_ROWS rows.

        LOG_SCALE: `log_scale_coefficients`; INTERVAL: lower and upper bound; FIXED: the log standard deviation.
        """
        return self.log_scale_coefficients()

    def known_value(self) -> FloatArray | None:
        """Return the standard deviation if the prior fixes it, else None."""
        return None

    def log_density(self, stds: FloatArray) -> FloatArray:
        """Return the log density (...,) of standard deviations (..., K, D)."""
        v0, c0, c1, c2, c3, c4, c5 = self.log_scale_coefficients()
        log_stds = np.log(stds)
        u = log_stds - v0
        on_log_scale = c0 + c1 * u + c2 * u**2 + c3 * np.exp(u) + c4 * np.exp(-u) + c5 * np.exp(2 * u)
        return np.asarray((on_log_scale - log_stds).sum(axis=(-2, -1)))

    def of_feature(self, d: int) -> "StdPrior":
        """Return the prior of feature d's standard deviation, or of the one that all features share."""
        values = {field.name: np.ravel(getattr(self, field.name)) for field in fields(self)}
        return replace(self, **{name: value[d if value.size > 1 else 0] for name, value in values.items()})

    def mean_factors(self, squares: FloatArray) -> FloatArray:
        """Return the means (n,) of exp(-squares / (2 sd^2)) under the prior of one feature; squares (n,)."""
        stds, shares = self.quadrature()
        return np.asarray(np.exp(-0.5 * squares[:, np.newaxis] / np.square(stds)) @ shares)

    def quadrature(self) -> tuple[FloatArray, FloatArray]:
        """Return standard deviations and their shares of the prior of one feature, for sums in place of integrals."""
        v0 = float(np.ravel(self.log_scale_coefficients()[0])[0])
        low, high = v0 - _HALF_WIDTH, v0 + _HALF_WIDTH
        while True:
            log_stds = np.linspace(low, high, _N_NODES)
            log_densities = self.log_density(np.exp(log_stds)[:, np.newaxis, np.newaxis]) + log_stds
            kept = np.flatnonzero(log_densities > log_densities.max() - _NEGLIGIBLE)
            if len(kept) >= _FEWEST_NODES:
                break
            low, high = log_stds[max(kept[0] - 1, 0)], log_stds[min(kept[-1] + 1, _N_NODES - 1)]
        shares = np.exp(log_densities[kept] - log_densities.max())
        return np.exp(log_stds[kept]), shares / shares.sum()

    def for_features(self, n: int) -> "StdPrior":
        """Return the same prior with every parameter of shape (n,)."""
        try:
            return replace(self, **{f.name: np.broadcast_to(getattr(self, f.name), (n,)) for f in fields(self)})
        except ValueError as error:
            shapes = {f.name: getattr(self, f.name).shape for f in fields(self)}
            raise InputError(
                f"{type(self).__name__} must have one value, or {n}, for each parameter; it has shapes {shapes}."
            ) from error

    def common(self) -> "StdPrior":
        """Return the same prior with single numbers as parameters, for a standard deviation that all features share."""
        values = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value.size > 1 and np.ptp(value) > 0:
                raise InputError(
                    f"{type(self).__name__}.{field.name} differs between features, but covariance='spherical' has one "
                    f"standard deviation for all. Pass one number, or use Prior.for_data(X, covariance='spherical')."
                )
            values[field.name] = value.reshape(-1)[0]
        return replace(self, **values)


@dataclass(frozen=True, eq=False, repr=False)
class LogNormal(StdPrior):
    """Log-normal prior: log(sd) ~ Normal(log(median), log_sd).

    p(sd) = exp(-(log(sd / median))^2 / (2 log_sd^2)) / (sd log_sd sqrt(2 pi)) (Johnson, Kotz and Balakrishnan 1994,
    Continuous univariate distributions 1, chapter 14). It vanishes at 0 faster than any power of sd, so the posterior
    is proper however many rows are equal.

    Parameters
    ----------
    median : above 0, in the units of the data; one number or (n_features,).
    log_sd : above 0, standard deviation of log(sd), without units; one number or (n_features,).

    Examples
    --------
    >>> import bayesgmm as bg
    >>> prior = bg.Prior.for_data(bg.datasets.load_faithful())
    >>> type(prior.std).__name__, prior.std.median.round(1).tolist()  # half of each feature's standard deviation
    ('LogNormal', [0.6, 6.8])
    """

    distribution = "LogNormal"
    median: ArrayLike
    log_sd: ArrayLike = 1.0

    def arguments(self) -> Mapping[str, FloatArray]:
        """Return the keyword arguments of the PyMC distribution."""
        return {"mu": np.log(np.asarray(self.median)), "sigma": np.asarray(self.log_sd)}

    def log_scale_coefficients(self) -> FloatArray:
        """Return the coefficients of the log density of log sd."""
        sigma = np.asarray(self.log_sd)
        return _table(np.log(np.asarray(self.median)), c0=-np.log(sigma) - 0.5 * np.log(2 * np.pi), c2=-0.5 / sigma**2)


@dataclass(frozen=True, eq=False, repr=False)
class HalfNormal(StdPrior):
    """Half-normal prior: sd = abs(Normal(0, sigma)).

    p(sd) = sqrt(2 / pi) exp(-sd^2 / (2 sigma^2)) / sigma (Johnson, Kotz and Balakrishnan 1994, Continuous univariate
    distributions 1, chapter 13). It is positive at 0: with two equal rows the posterior is improper.

    Parameters
    ----------
    sigma : above 0, in the units of the data; one number or (n_features,).

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.simulate(50, 1, 1, rng=1).X  # no two rows are equal
    >>> prior = bg.Prior.for_data(X, std=bg.priors.HalfNormal(5.0))
    >>> posterior = bg.sample_posterior(X, 1, prior=prior, draws=200, rng=1, progress=False)
    >>> bool(abs(posterior["posterior"]["stds"].mean() - X.std()) < 0.1)
    True
    """

    distribution = "HalfNormal"
    sigma: ArrayLike

    def log_scale_coefficients(self) -> FloatArray:
        """Return the coefficients of the log density of log sd."""
        return _table(np.log(np.asarray(self.sigma)), c0=0.5 * np.log(2 / np.pi), c1=1.0, c5=-0.5)


@dataclass(frozen=True, eq=False, repr=False)
class Gamma(StdPrior):
    """Gamma prior: sd ~ Gamma(alpha, beta), with mean alpha / beta.

    p(sd) = beta^alpha sd^(alpha - 1) exp(-beta sd) / G(alpha), G the gamma function (Johnson, Kotz and Balakrishnan
    1994, Continuous univariate distributions 1, chapter 17). The posterior is improper if more than alpha rows are
    equal in a feature.

    Parameters
    ----------
    alpha : above 0, the shape, without units; one number or (n_features,).
    beta : above 0, the rate, in 1 / the units of the data; one number or (n_features,).

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_galaxies()
    >>> prior = bg.Prior.for_data(X, std=bg.priors.Gamma(alpha=4.0, beta=1.0))
    >>> posterior = bg.sample_posterior(X, 1, prior=prior, draws=200, rng=1, progress=False)
    >>> round(float(posterior["posterior"]["stds"].mean()))
    5
    """

    distribution = "Gamma"
    alpha: ArrayLike
    beta: ArrayLike

    def log_scale_coefficients(self) -> FloatArray:
        """Return the coefficients of the log density of log sd."""
        alpha = np.asarray(self.alpha)
        return _table(-np.log(np.asarray(self.beta)), c0=-gammaln(alpha), c1=alpha, c3=-1.0)


@dataclass(frozen=True, eq=False, repr=False)
class InverseGamma(StdPrior):
    """Inverse-gamma prior: 1 / sd ~ Gamma(alpha, beta), with the mode of sd at beta / (alpha + 1).

    p(sd) = beta^alpha sd^(-alpha - 1) exp(-beta / sd) / G(alpha), G the gamma function (Gelman et al. 2013, Bayesian
    data analysis, table A.1). It vanishes at 0 faster than any power of sd, so the posterior is proper however many
    rows are equal.

    Parameters
    ----------
    alpha : above 0, the shape, without units; one number or (n_features,).
    beta : above 0, the scale, in the units of the data; one number or (n_features,).

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> prior = bg.Prior.for_data(X, std=bg.priors.InverseGamma(alpha=3.0, beta=[1.0, 10.0]))  # beta: one per feature
    >>> posterior = bg.sample_posterior(X, 1, prior=prior, draws=200, rng=1, progress=False)
    >>> (posterior["posterior"]["stds"].mean(("chain", "draw", "component")).values / X.std().values).round(1).tolist()
    [1.0, 1.0]
    """

    distribution = "InverseGamma"
    alpha: ArrayLike
    beta: ArrayLike

    def log_scale_coefficients(self) -> FloatArray:
        """Return the coefficients of the log density of log sd."""
        alpha = np.asarray(self.alpha)
        return _table(np.log(np.asarray(self.beta)), c0=-gammaln(alpha), c1=-alpha, c4=-1.0)


@dataclass(frozen=True, eq=False, repr=False)
class Uniform(StdPrior):
    """Uniform prior: sd ~ Uniform(lower, upper).

    p(sd) = 1 / (upper - lower) between the bounds. lower is above 0, because with two equal rows the posterior under a
    uniform prior that reaches 0 is improper.

    Parameters
    ----------
    lower, upper : above 0, in the units of the data; one number or (n_features,).

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_galaxies()
    >>> prior = bg.Prior.for_data(X, std=bg.priors.Uniform(lower=0.5, upper=4.0))
    >>> posterior = bg.sample_posterior(X, 1, prior=prior, draws=200, rng=1, progress=False)
    >>> bool(posterior["posterior"]["stds"].max() < 4.0), X["velocity"].std().round(1).item()
    (True, 4.6)
    """

    distribution = "Uniform"
    kind = INTERVAL
    lower: ArrayLike
    upper: ArrayLike

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (np.asarray(self.lower) < np.asarray(self.upper)).all():
            raise InputError(
                f"Uniform.lower must be below Uniform.upper; received {np.asarray(self.lower).tolist()} and "
                f"{np.asarray(self.upper).tolist()}."
            )

    def coefficients(self) -> FloatArray:
        """Return the lower and the upper bound, as a table of two rows."""
        return np.stack([np.asarray(self.lower), np.asarray(self.upper)])

    def quadrature(self) -> tuple[FloatArray, FloatArray]:
        """Return the middles of equal parts of the interval, and their equal shares."""
        lower, upper = float(np.ravel(self.lower)[0]), float(np.ravel(self.upper)[0])
        middles = (np.arange(_N_NODES) + 0.5) / _N_NODES
        return lower + (upper - lower) * middles, np.full(_N_NODES, 1 / _N_NODES)

    def log_density(self, stds: FloatArray) -> FloatArray:
        """Return the log density (...,), minus infinity outside the bounds, of standard deviations (..., K, D)."""
        lower, upper = np.asarray(self.lower), np.asarray(self.upper)
        inside = (stds >= lower) & (stds <= upper)
        return np.asarray(np.where(inside, -np.log(upper - lower), -np.inf).sum(axis=(-2, -1)))


@dataclass(frozen=True, eq=False, repr=False)
class Exponential(StdPrior):
    """Exponential prior: sd ~ Exponential(1 / mean).

    p(sd) = exp(-sd / mean) / mean (Johnson, Kotz and Balakrishnan 1994, Continuous univariate distributions 1, chapter
    19). It is positive at 0: with two equal rows the posterior is improper.

    Parameters
    ----------
    mean : above 0, in the units of the data; one number or (n_features,).

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.simulate(50, 1, 1, rng=1).X  # no two rows are equal
    >>> prior = bg.Prior.for_data(X, std=bg.priors.Exponential(mean=2.0))
    >>> posterior = bg.sample_posterior(X, 1, prior=prior, draws=200, rng=1, progress=False)
    >>> bool(abs(posterior["posterior"]["stds"].mean() - X.std()) < 0.1)
    True
    """

    distribution = "Exponential"
    mean: ArrayLike

    def arguments(self) -> Mapping[str, FloatArray]:
        """Return the keyword arguments of the PyMC distribution."""
        return {"scale": np.asarray(self.mean)}

    def log_scale_coefficients(self) -> FloatArray:
        """Return the coefficients of the log density of log sd."""
        return _table(np.log(np.asarray(self.mean)), c1=1.0, c3=-1.0)


@dataclass(frozen=True, eq=False, repr=False)
class Fixed(StdPrior):
    """A known standard deviation, the same in every component.

    Parameters
    ----------
    value : above 0, in the units of the data; one number or (n_features,).

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_galaxies()
    >>> prior = bg.Prior.for_data(X, std=bg.priors.Fixed(4.5))
    >>> posterior = bg.sample_posterior(X, 1, prior=prior, draws=200, rng=1, progress=False)
    >>> round(float(posterior["posterior"]["means"].std()), 1), round(4.5 / len(X) ** 0.5, 1)
    (0.5, 0.5)
    """

    distribution = ""
    kind = FIXED
    value: ArrayLike

    def coefficients(self) -> FloatArray:
        """Return the log standard deviation, as a table of one row."""
        return np.log(np.asarray(self.value))[np.newaxis]

    def known_value(self) -> FloatArray:
        """Return the standard deviation."""
        return np.asarray(self.value)

    def quadrature(self) -> tuple[FloatArray, FloatArray]:
        """Return the known standard deviation, which has all of the prior."""
        return np.ravel(self.value)[:1], np.ones(1)

    def log_density(self, stds: FloatArray) -> FloatArray:
        """Return zeros (...,): a fixed value has no density."""
        return np.zeros(stds.shape[:-2])


def _table(
    v0: ArrayLike,
    *,
    c0: ArrayLike = 0.0,
    c1: ArrayLike = 0.0,
    c2: ArrayLike = 0.0,
    c3: ArrayLike = 0.0,
    c4: ArrayLike = 0.0,
    c5: ArrayLike = 0.0,
) -> FloatArray:
    """Return the coefficients as a table with one row each."""
    return np.stack(np.broadcast_arrays(v0, c0, c1, c2, c3, c4, c5))


def _shown(value: ArrayLike) -> str:
    """Return a number as text, or the first numbers of an array."""
    array = np.asarray(value)
    if array.ndim == 0:
        return f"{array:.5g}"
    n = rows_shown(array.size)
    more = [f"... {array.size - n} more"] if n < array.size else []
    return f"[{', '.join([*(f'{number:.5g}' for number in array[:n]), *more])}]"
