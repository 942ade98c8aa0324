"""`Prior`: every hyperparameter of the mixture, in the units of the data, with defaults scaled to the data."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bayesgmm.bayes.model.std_priors import LogNormal, StdPrior
from bayesgmm.display.cards import Card, Displayed, Grid, hidden_in_words, rows_shown
from bayesgmm.errors import InputError
from bayesgmm.frozen import freeze
from bayesgmm.kernel.rows import Rows
from bayesgmm.mixture.checked_rows import as_rows
from bayesgmm.mixture.covariance import CovarianceStructure, structure_named
from bayesgmm.mixture.data_covariance import total_covariance
from bayesgmm.types import FloatArray
from bayesgmm.validation import as_numbers


@dataclass(frozen=True, eq=False, repr=False)
class Prior(Displayed):
    """Prior of a Gaussian mixture, in the units of the data; the same for every component.

    weights ~ Dirichlet(concentration); means ~ Normal(mean_location, mean_scale), features independent;
    covariance = diag(sd) R diag(sd) with sd ~ `std` and R ~ LKJ(correlation_eta) (Lewandowski, Kurowicka and Joe 2009,
    doi:10.1016/j.jmva.2009.04.008).

    Parameters
    ----------
    mean_location, mean_scale : number or (n_features,), in the units of the data.
    std : one of LogNormal, HalfNormal, Gamma, InverseGamma, Uniform, Exponential, Fixed.
    concentration : above 0; 1 is uniform over all weights.
    correlation_eta : above 0; 1 is uniform over all correlation matrices, larger values favour small correlations.

    Raises
    ------
    InputError
        A value is not finite or, where it must be, not positive.

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

    def __post_init__(self) -> None:
        for name in ("mean_location", "mean_scale", "concentration", "correlation_eta"):
            value = np.array(as_numbers(getattr(self, name), f"Prior.{name}"))
            scalar = name in ("concentration", "correlation_eta")
            if value.ndim > (0 if scalar else 1) or value.size == 0 or not np.isfinite(value).all():
                raise InputError(
                    f"Prior.{name} must be finite, one number{'' if scalar else ' or one a feature'}; "
                    f"received {value.tolist()}."
                )
            if name != "mean_location" and not (value > 0).all():
                raise InputError(f"Prior.{name} must be above 0; received {value.tolist()}.")
            freeze(self, **{name: float(value) if scalar else value})
        if not isinstance(self.std, StdPrior):
            raise InputError(
                f"Prior.std must be a prior of standard deviations such as LogNormal(median=1.0); "
                f"received {self.std!r}."
            )

    def _card(self) -> Card:
        columns = {"mean's location": self.mean_location, "mean's scale": self.mean_scale}
        columns |= {f"sd's {field.name}": getattr(self.std, field.name) for field in fields(self.std)}
        arrays = np.broadcast_arrays(*(np.atleast_1d(np.asarray(value)) for value in columns.values()))
        n, of_one = len(arrays[0]), all(np.ndim(value) == 0 for value in columns.values())
        shown = rows_shown(n)
        rows = [
            ["every feature" if of_one else f"feature {i}", *(f"{array[i]:.5g}" for array in arrays)]
            for i in range(shown)
        ]
        missing = [f"Not shown: {text}." for text in hidden_in_words(n, shown, "feature")]
        return Card(
            f"Prior: weights ~ Dirichlet({self.concentration:g}), means ~ Normal, standard deviations (sd) ~ "
            f"{type(self.std).__name__}, correlations ~ LKJ({self.correlation_eta:g})",
            grid=Grid(["", *columns], rows),
            notes=["The same for every component, in the units of the data.", *missing],
        )

    def expression(self) -> str:
        """The call that makes this prior, every digit of it."""

        def call(value: Any) -> str:
            if not isinstance(value, Prior | StdPrior):
                return repr(np.asarray(value).tolist())
            arguments = ", ".join(f"{field.name}={call(getattr(value, field.name))}" for field in fields(value))
            return f"{type(value).__name__}({arguments})"

        return call(self)

    @classmethod
    def for_data(cls, X: ArrayLike, covariance: str = "full", **changes: Any) -> "Prior":
        """Weakly informative defaults from the data's location and spread.

        Means: Normal around the middle of each feature's range, with the range as standard deviation (Richardson and
        Green 1997, doi:10.1111/1467-9868.00095). Standard deviations: log-normal with the median at half the
        feature's standard deviation and a spread of e on either side. Weights and correlations: uniform.

        Parameters
        ----------
        X : (n_samples, n_features) array or data frame.
        covariance : structure; "spherical" has one standard deviation for all features.
        **changes : fields of `Prior` to set otherwise.

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
        >>> prior.mean_location.tolist(), prior.concentration
        ([2.5], 2.0)
        """
        return cls.for_rows(as_rows(X), structure_named(covariance), **changes)

    @classmethod
    def for_rows(cls, rows: Rows, structure: CovarianceStructure, **changes: Any) -> "Prior":
        """`for_data` of rows that were checked before."""
        low, high = (np.asarray(f(rows.values, axis=0), dtype=np.float64) for f in (np.min, np.max))
        span = high - low
        middle = low + span / 2
        stds = np.sqrt(np.diagonal(total_covariance(rows)))
        median = np.sqrt(np.mean(np.square(stds))) / 2 if _is_spherical(structure) else stds / 2
        values: dict[str, Any] = {"mean_location": middle, "mean_scale": span, "std": LogNormal(median)}
        unknown = set(changes) - {field.name for field in fields(cls)}
        if unknown:
            raise InputError(
                f"Prior has no field {', '.join(sorted(unknown))}; its fields are "
                f"{', '.join(f.name for f in fields(cls))}."
            )
        return cls(**(values | changes))

    def for_features(self, n: int, structure: CovarianceStructure) -> "Prior":
        """The same prior with one value a feature where it has one a feature, checked against `structure`."""

        def one_a_feature(name: str, numbers: ArrayLike) -> FloatArray:
            value = np.asarray(numbers, dtype=np.float64)
            if value.ndim and value.shape != (n,):
                raise InputError(f"Prior.{name} must be one number or have shape ({n},); it has shape {value.shape}.")
            return np.broadcast_to(value, (n,))

        return replace(
            self,
            mean_location=one_a_feature("mean_location", self.mean_location),
            mean_scale=one_a_feature("mean_scale", self.mean_scale),
            std=self.std.common() if _is_spherical(structure) else self.std.for_features(n),
        )

    def log_density(self, values: Mapping[str, FloatArray], structure: CovarianceStructure) -> FloatArray:
        """(...,) log prior density of the weights, means, standard deviations and correlations, up to a constant.

        values: weights (..., K), means, stds (..., K, D), correlations (..., K, D, D); of what components or features
        share, the first counts. Fixed standard deviations add nothing.
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
        return np.asarray(density)


def check_prior(prior: Any) -> None:
    if prior is not None and not isinstance(prior, Prior):
        raise InputError(f"prior must be a Prior, such as Prior.for_data(X); received {type(prior).__name__}.")


def _is_spherical(structure: CovarianceStructure) -> bool:
    return structure.name == "spherical"
