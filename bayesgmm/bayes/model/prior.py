"""`Prior`: every hyperparameter of the mixture, in the units of the data, with defaults scaled to the data."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike

from bayesgmm.bayes.model.resolution import Resolution, rounding_variances
from bayesgmm.bayes.model.std_priors import LogNormal, StdPrior
from bayesgmm.display.cards import Card, Displayed, Grid, hidden_in_words, rows_shown
from bayesgmm.errors import InputError
from bayesgmm.frozen import freeze
from bayesgmm.kernel.rows import Rows
from bayesgmm.mixture.checked_rows import as_rows
from bayesgmm.mixture.covariance import CovarianceStructure, structure_named
from bayesgmm.mixture.data_covariance import total_covariance
from bayesgmm.mixture.resolution import resolution_of
from bayesgmm.types import FloatArray
from bayesgmm.validation import as_numbers
from bayesgmm.wording import shown


class PriorFields(TypedDict, total=False):
    """The fields of `Prior`, as keyword arguments that change some of the defaults."""

    mean_location: ArrayLike
    mean_scale: ArrayLike
    std: StdPrior
    concentration: float
    correlation_eta: float
    resolution: ArrayLike


@dataclass(frozen=True, eq=False, repr=False)
class Prior(Displayed):
    """Prior of a Gaussian mixture, in the units of the data; the same for every component.

    weights ~ Dirichlet(a, ..., a) with a = `concentration`;

    means: mu_kd ~ Normal(m_d, s_d), independent, with m = `mean_location` and s = `mean_scale`;

    covariances: Sigma_k = diag(sd_k) R_k diag(sd_k), with sd_kd ~ `std` and R_k ~ LKJ(eta), eta = `correlation_eta`,
    whose density is proportional to det(R)^(eta - 1) (Lewandowski, Kurowicka and Joe 2009,
    doi:10.1016/j.jmva.2009.04.008). Tied covariances are one Sigma for all components, diagonal ones have R = I, and
    spherical ones have one sd per component too;

    resolution: the density of each Sigma has the factor exp(-sum_d (h_d / c_d)^2 / 24), h = `resolution` and c_d the
    standard deviation of feature d given the other features. So a standard deviation far below the spacing of the
    feature's values, which data of that spacing cannot show, is not believed: n equal rows by themselves give a
    component a standard deviation of about h / sqrt(12 n), and never 0.

    Parameters
    ----------
    mean_location, mean_scale : number or (n_features,), in the units of the data.
    std : one of LogNormal, HalfNormal, Gamma, InverseGamma, Uniform, Exponential, Fixed.
    concentration : above 0; 1 is uniform over all weights.
    correlation_eta : above 0; 1 is uniform over all correlation matrices, larger values favour small correlations.
    resolution : number or (n_features,), 0 or above, in the units of the data: the smallest spacing of a feature's
        values. 0 leaves the factor out; rows with equal values may then have no proper posterior.

    Raises
    ------
    InputError
        A value is not finite, or not positive where it has to be.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> std = bg.priors.LogNormal(median=[0.5, 5.0])  # minutes, as the features are
    >>> prior = bg.Prior(mean_location=[3.0, 70.0], mean_scale=[2.0, 20.0], std=std, concentration=2.0)
    >>> posterior = bg.sample_posterior(X, 2, prior=prior, draws=200, rng=1, progress=False)
    >>> sorted(posterior["posterior"]["weights"].mean(("chain", "draw")).values.round(1).tolist())
    [0.4, 0.6]
    """

    mean_location: ArrayLike
    mean_scale: ArrayLike
    std: StdPrior
    concentration: float = 1.0
    correlation_eta: float = 1.0
    resolution: ArrayLike = 0.0

    def __post_init__(self) -> None:
        for name in ("mean_location", "mean_scale", "concentration", "correlation_eta", "resolution"):
            self._check(name, is_number=name in ("concentration", "correlation_eta"))
        if not isinstance(self.std, StdPrior):
            raise InputError(
                f"Prior.std must be a prior of standard deviations such as LogNormal(median=1.0); "
                f"received {shown(self.std)}."
            )

    def _check(self, name: str, *, is_number: bool) -> None:
        """Check a numeric field, and replace it by a float or a read-only copy."""
        value = np.array(as_numbers(getattr(self, name), f"Prior.{name}"))
        if value.ndim > (0 if is_number else 1) or value.size == 0 or not np.isfinite(value).all():
            raise InputError(
                f"Prior.{name} must be finite, one number{'' if is_number else ' or one per feature'}; "
                f"received {shown(value.tolist())}."
            )
        if name == "resolution":
            if not (value >= 0).all():
                raise InputError(f"Prior.resolution must be 0 or above; received {shown(value.tolist())}.")
        elif name != "mean_location" and not (value > 0).all():
            raise InputError(f"Prior.{name} must be above 0; received {shown(value.tolist())}.")
        freeze(self, **{name: float(value) if is_number else value})

    def _card(self) -> Card:
        columns = {"mean's location": self.mean_location, "mean's scale": self.mean_scale}
        columns |= {f"sd's {field.name}": getattr(self.std, field.name) for field in fields(self.std)}
        columns["resolution"] = self.resolution
        arrays = np.broadcast_arrays(*(np.atleast_1d(np.asarray(value)) for value in columns.values()))
        n, is_common = len(arrays[0]), all(np.ndim(value) == 0 for value in columns.values())
        shown = rows_shown(n)
        rows = [
            ["every feature" if is_common else f"feature {i}", *(f"{array[i]:.5g}" for array in arrays)]
            for i in range(shown)
        ]
        missing = [f"Not shown: {text}." for text in hidden_in_words(n, shown, "feature")]
        return Card(
            f"Prior: weights ~ Dirichlet({self.concentration:g}), means ~ Normal, standard deviations (sd) ~ "
            f"{type(self.std).__name__}, correlations ~ LKJ({self.correlation_eta:g})",
            grid=Grid(["", *columns], rows),
            notes=[
                "The same for every component, in the units of the data. A sd far below the resolution, the spacing of "
                "a feature's values, is not believed.",
                *missing,
            ],
        )

    def expression(self) -> str:
        """Return the Python call that makes this prior, with every digit."""

        def call(value: object) -> str:
            if not isinstance(value, Prior | StdPrior):
                return repr(np.asarray(value).tolist())
            arguments = ", ".join(f"{field.name}={call(getattr(value, field.name))}" for field in fields(value))
            return f"{type(value).__name__}({arguments})"

        return call(self)

    @classmethod
    def for_data(cls, X: ArrayLike, covariance: str = "full", **changes: Unpack[PriorFields]) -> "Prior":
        """Weakly informative defaults from the data's location and spread.

        Means: Normal around the middle of each feature's range, with the range as standard deviation (Richardson and
        Green 1997, doi:10.1111/1467-9868.00095). Standard deviations: log-normal with the median at half the feature's
        standard deviation, and standard deviation 1 of the logarithm. Weights and correlations: uniform. Resolution:
        the smallest spacing between distinct values of each feature, below which no standard deviation is believed.
        It matters where many rows are equal (zeros, clipped values, scores) and hardly ever elsewhere. Values that
        differ by rounding of float64 count as equal.

        Parameters
        ----------
        X : (n_samples, n_features) array or data frame.
        covariance : "full", "tied", "diag" or "spherical"; "spherical" has one standard deviation for all features.
        **changes : fields of `Prior` that replace the defaults.

        Returns
        -------
        Prior

        Raises
        ------
        InputError
            `X` cannot be used or has a constant column, or a field does not exist or cannot have its value.

        Examples
        --------
        >>> import bayesgmm as bg
        >>> prior = bg.Prior.for_data([0.0, 1.0, 2.0, 5.0], concentration=2.0)
        >>> prior.mean_location.tolist(), prior.concentration, prior.resolution.tolist()
        ([2.5], 2.0, [1.0])
        """
        return cls.for_rows(as_rows(X), structure_named(covariance), **changes)

    @classmethod
    def for_rows(cls, rows: Rows, structure: CovarianceStructure, **changes: Unpack[PriorFields]) -> "Prior":
        """Return the defaults of `for_data` for rows that have been checked."""
        low, high = (np.asarray(f(rows.values, axis=0), dtype=np.float64) for f in (np.min, np.max))
        span = high - low
        middle = low + span / 2
        stds = np.sqrt(np.diagonal(total_covariance(rows)))
        median = np.sqrt(np.mean(np.square(stds))) / 2 if structure.spherical else stds / 2
        unknown = set(changes) - {field.name for field in fields(cls)}
        if unknown:
            raise InputError(
                f"Prior has no field {', '.join(sorted(unknown))}; its fields are "
                f"{', '.join(f.name for f in fields(cls))}."
            )
        defaults = PriorFields(
            mean_location=middle, mean_scale=span, std=LogNormal(median), resolution=resolution_of(rows.values)
        )
        return cls(**(defaults | changes))

    def for_features(self, n: int, structure: CovarianceStructure) -> "Prior":
        """Return the same prior with one value per feature, checked against the structure.

        Under spherical covariances the prior of standard deviations has single numbers instead.
        """

        def one_per_feature(name: str, numbers: ArrayLike) -> FloatArray:
            value = np.asarray(numbers, dtype=np.float64)
            if value.ndim and value.shape != (n,):
                raise InputError(f"Prior.{name} must be one number or have shape ({n},); it has shape {value.shape}.")
            return np.broadcast_to(value, (n,))

        return replace(
            self,
            mean_location=one_per_feature("mean_location", self.mean_location),
            mean_scale=one_per_feature("mean_scale", self.mean_scale),
            std=self.std.common() if structure.spherical else self.std.for_features(n),
            resolution=one_per_feature("resolution", self.resolution),
        )

    def log_density(self, values: Mapping[str, FloatArray], structure: CovarianceStructure) -> FloatArray:
        """Return the log prior density (...,) of weights, means, standard deviations and correlations.

        It is known up to an additive constant; fixed standard deviations add nothing.

        Parameters
        ----------
        values : weights (..., K), means and stds (..., K, D), correlations (..., K, D, D).
        structure : a value that components or features share is counted once.
        """
        means, stds, correlations = values["means"], values["stds"], values["correlations"]
        if structure.shared:
            stds, correlations = stds[..., :1, :], correlations[..., :1, :, :]
        if structure.spherical:
            stds = stds[..., :1]
        standardised = (means - np.asarray(self.mean_location)) / np.asarray(self.mean_scale)
        density = (self.concentration - 1) * np.log(values["weights"]).sum(axis=-1)
        density = density - 0.5 * np.square(standardised).sum(axis=(-2, -1)) + self.std.log_density(stds)
        if not structure.diagonal and self.correlation_eta != 1:
            log_determinants = np.linalg.slogdet(correlations)[1]
            density = density + (self.correlation_eta - 1) * log_determinants.sum(axis=-1)
        variances = np.broadcast_to(rounding_variances(np.asarray(self.resolution)), means.shape[-1:])
        if variances.any():
            precisions = np.einsum("...dd->...d", np.linalg.inv(correlations))
            precisions = precisions / np.square(values["stds"][..., : stds.shape[-2], :])
            density = density - 0.5 * (variances * precisions).sum(axis=(-2, -1))
        return np.asarray(density)


def resolution_factor(prior: Prior, structure: CovarianceStructure) -> Resolution:
    """Return the arguments of the resolution's factor; the prior is one from `for_features`."""
    variances = rounding_variances(np.asarray(prior.resolution))
    return Resolution(variances, prior.std, prior.correlation_eta, structure)


def check_prior(prior: object) -> None:
    """Raise InputError unless the argument is a Prior or None."""
    if prior is not None and not isinstance(prior, Prior):
        raise InputError(f"prior must be a Prior, such as Prior.for_data(X); received {type(prior).__name__}.")
