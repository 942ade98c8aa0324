"""Families of priors of a standard deviation, in the units of the data."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from bayesgmm.display.cards import rows_shown
from bayesgmm.exceptions import InputError
from bayesgmm.types import FloatArray
from bayesgmm.validation import as_numbers

# The kinds of families, as compiled code tells them apart. LOG_SCALE: the unconstrained parameter is log sd. INTERVAL: it
# is the logit of the position between two bounds. FIXED: there is no parameter.
LOG_SCALE, INTERVAL, FIXED = 0, 1, 2
# Rows of the table in which compiled code receives the `coefficients`; it has one column per feature.
STD_ROWS = 7


@dataclass(frozen=True, eq=False, repr=False)
class StdPrior:
    """Prior of a standard deviation; each parameter a number, or (n_features,) one a feature.

    `distribution` is PyMC's name of the family, `arguments()` its parameters there. Fields are positive.
    """

    distribution: ClassVar[str]
    kind: ClassVar[int] = LOG_SCALE

    def __post_init__(self) -> None:
        for field in fields(self):
            value = np.array(as_numbers(getattr(self, field.name), f"{type(self).__name__}.{field.name}"))
            if value.ndim > 1 or value.size == 0 or not (np.isfinite(value) & (value > 0)).all():
                raise InputError(
                    f"{type(self).__name__}.{field.name} must be finite and above 0, one number or one a feature; "
                    f"received {value.tolist()}."
                )
            value.flags.writeable = False
            object.__setattr__(self, field.name, value)
        shapes = {field.name: getattr(self, field.name).shape for field in fields(self)}
        if len({shape for shape in shapes.values() if shape not in ((), (1,))}) > 1:
            raise InputError(
                f"{type(self).__name__} must have one value, or one a feature, for each parameter; it has shapes "
                f"{shapes}."
            )

    def __repr__(self) -> str:
        parts = [f"{name}={_written(getattr(self, name))}" for name in (field.name for field in fields(self))]
        return f"{type(self).__name__}({', '.join(parts)})"

    def arguments(self) -> Mapping[str, FloatArray]:
        """Keyword arguments of the PyMC distribution."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def log_scale_coefficients(self) -> FloatArray:
        """The family's density of log sd, for `density.py`: rows v0, c0, c1, c2, c3, c4, c5, one column a feature.

        log p(log sd) = c0 + c1 u + c2 u^2 + c3 e^u + c4 e^-u + c5 e^2u with u = log sd - v0.
        """
        raise NotImplementedError

    def coefficients(self) -> FloatArray:
        """x"""
        return self.log_scale_coefficients()

    def known_value(self) -> FloatArray | None:
        """x"""
        return None

    def log_density(self, stds: FloatArray) -> FloatArray:
        """(...,) log density of standard deviations (..., K, D)."""
        v0, c0, c1, c2, c3, c4, c5 = self.log_scale_coefficients()
        log_stds = np.log(stds)
        u = log_stds - v0
        of_logs = c0 + c1 * u + c2 * u**2 + c3 * np.exp(u) + c4 * np.exp(-u) + c5 * np.exp(2 * u)
        return np.asarray((of_logs - log_stds).sum(axis=(-2, -1)))

    def for_features(self, n: int) -> "StdPrior":
        """The same prior with every parameter of shape (n,)."""
        try:
            return replace(self, **{f.name: np.broadcast_to(getattr(self, f.name), (n,)) for f in fields(self)})
        except ValueError as error:
            shapes = {f.name: getattr(self, f.name).shape for f in fields(self)}
            raise InputError(
                f"{type(self).__name__} must have one value, or {n}, for each parameter; it has shapes {shapes}."
            ) from error

    def common(self) -> "StdPrior":
        """The same prior with every parameter a single number, for a standard deviation that features share."""
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
    """log(sd) ~ Normal(log(median), log_sd). Vanishes at 0 faster than any power of sd.

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
        return {"mu": np.log(np.asarray(self.median)), "sigma": np.asarray(self.log_sd)}

    def log_scale_coefficients(self) -> FloatArray:
        sigma = np.asarray(self.log_sd)
        return _rows(np.log(np.asarray(self.median)), c0=-np.log(sigma) - 0.5 * np.log(2 * np.pi), c2=-0.5 / sigma**2)


@dataclass(frozen=True, eq=False, repr=False)
class HalfNormal(StdPrior):
    """sd ~ abs(Normal(0, sigma)). Positive at 0: with two equal rows the posterior is improper.

    Parameters
    ----------
    sigma : above 0, in the units of the data; one number or (n_features,).

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.simulate(50, 1, 1, rng=1).X  # no two rows are equal
    >>> prior = bg.Prior.for_data(X, std=bg.HalfNormal(5.0))
    >>> posterior = bg.sample_posterior(X, 1, prior=prior, draws=200, rng=1, progress=False)
    >>> bool(abs(posterior["posterior"]["stds"].mean() - X.std()) < 0.1)
    True
    """

    distribution = "HalfNormal"
    sigma: ArrayLike

    def log_scale_coefficients(self) -> FloatArray:
        return _rows(np.log(np.asarray(self.sigma)), c0=0.5 * np.log(2 / np.pi), c1=1.0, c5=-0.5)


@dataclass(frozen=True, eq=False, repr=False)
class Gamma(StdPrior):
    """sd ~ Gamma(alpha, beta), mean alpha / beta.

    The posterior is improper when more than alpha rows are equal in a feature.

    Parameters
    ----------
    alpha : above 0, the shape, without units; one number or (n_features,).
    beta : above 0, the rate, in 1 / the units of the data; one number or (n_features,).

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_galaxies()
    >>> prior = bg.Prior.for_data(X, std=bg.Gamma(alpha=4.0, beta=1.0))
    >>> posterior = bg.sample_posterior(X, 1, prior=prior, draws=200, rng=1, progress=False)
    >>> round(float(posterior["posterior"]["stds"].mean()))
    5
    """

    distribution = "Gamma"
    alpha: ArrayLike
    beta: ArrayLike

    def log_scale_coefficients(self) -> FloatArray:
        alpha = np.asarray(self.alpha)
        return _rows(-np.log(np.asarray(self.beta)), c0=-gammaln(alpha), c1=alpha, c3=-1.0)


@dataclass(frozen=True, eq=False, repr=False)
class InverseGamma(StdPrior):
    """sd ~ InverseGamma(alpha, beta), mode beta / (alpha + 1). Vanishes at 0 faster than any power of sd.

    Parameters
    ----------
    alpha : above 0, the shape, without units; one number or (n_features,).
    beta : above 0, the scale, in the units of the data; one number or (n_features,).

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> prior = bg.Prior.for_data(X, std=bg.InverseGamma(alpha=3.0, beta=[1.0, 10.0]))  # beta: one for each feature
    >>> posterior = bg.sample_posterior(X, 1, prior=prior, draws=200, rng=1, progress=False)
    >>> (posterior["posterior"]["stds"].mean(("chain", "draw", "component")).values / X.std().values).round(1).tolist()
    [1.0, 1.0]
    """

    distribution = "InverseGamma"
    alpha: ArrayLike
    beta: ArrayLike

    def log_scale_coefficients(self) -> FloatArray:
        alpha = np.asarray(self.alpha)
        return _rows(np.log(np.asarray(self.beta)), c0=-gammaln(alpha), c1=-alpha, c4=-1.0)


@dataclass(frozen=True, eq=False, repr=False)
class Uniform(StdPrior):
    """sd ~ Uniform(lower, upper). lower is above 0: a uniform that reaches 0 has an improper posterior under ties.

    Parameters
    ----------
    lower, upper : above 0, in the units of the data; one number or (n_features,).

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_galaxies()
    >>> prior = bg.Prior.for_data(X, std=bg.Uniform(lower=0.5, upper=4.0))
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
        return np.stack([np.asarray(self.lower), np.asarray(self.upper)])

    def log_density(self, stds: FloatArray) -> FloatArray:
        lower, upper = np.asarray(self.lower), np.asarray(self.upper)
        inside = (stds >= lower) & (stds <= upper)
        return np.asarray(np.where(inside, -np.log(upper - lower), -np.inf).sum(axis=(-2, -1)))


@dataclass(frozen=True, eq=False, repr=False)
class Exponential(StdPrior):
    """sd ~ Exponential with this mean. Positive at 0: with two equal rows the posterior is improper.

    Parameters
    ----------
    mean : above 0, in the units of the data; one number or (n_features,).

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.simulate(50, 1, 1, rng=1).X  # no two rows are equal
    >>> prior = bg.Prior.for_data(X, std=bg.Exponential(mean=2.0))
    >>> posterior = bg.sample_posterior(X, 1, prior=prior, draws=200, rng=1, progress=False)
    >>> bool(abs(posterior["posterior"]["stds"].mean() - X.std()) < 0.1)
    True
    """

    distribution = "Exponential"
    mean: ArrayLike

    def arguments(self) -> Mapping[str, FloatArray]:
        return {"scale": np.asarray(self.mean)}

    def log_scale_coefficients(self) -> FloatArray:
        return _rows(np.log(np.asarray(self.mean)), c1=1.0, c3=-1.0)


@dataclass(frozen=True, eq=False, repr=False)
class Fixed(StdPrior):
    """The standard deviation is known, and the same in every component.

    Parameters
    ----------
    value : above 0, in the units of the data; one number or (n_features,).

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_galaxies()
    >>> prior = bg.Prior.for_data(X, std=bg.Fixed(4.5))
    >>> posterior = bg.sample_posterior(X, 1, prior=prior, draws=200, rng=1, progress=False)
    >>> round(float(posterior["posterior"]["means"].std()), 1), round(4.5 / len(X) ** 0.5, 1)
    (0.5, 0.5)
    """

    distribution = ""
    kind = FIXED
    value: ArrayLike

    def coefficients(self) -> FloatArray:
        return np.log(np.asarray(self.value))[np.newaxis]

    def known_value(self) -> FloatArray:
        return np.asarray(self.value)

    def log_density(self, stds: FloatArray) -> FloatArray:
        return np.zeros(stds.shape[:-2])


def _rows(
    v0: ArrayLike,
    *,
    c0: ArrayLike = 0.0,
    c1: ArrayLike = 0.0,
    c2: ArrayLike = 0.0,
    c3: ArrayLike = 0.0,
    c4: ArrayLike = 0.0,
    c5: ArrayLike = 0.0,
) -> FloatArray:
    return np.stack(np.broadcast_arrays(v0, c0, c1, c2, c3, c4, c5))


def _written(value: ArrayLike) -> str:
    """A number, or the first of several."""
    array = np.asarray(value)
    if array.ndim == 0:
        return f"{array:.5g}"
    n = rows_shown(array.size)
    more = [f"... {array.size - n} more"] if n < array.size else []
    return f"[{', '.join([*(f'{number:.5g}' for number in array[:n]), *more])}]"
