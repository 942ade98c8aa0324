"""What summaries of a posterior are made from: some of its draws, evenly spaced, and the rows."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.exceptions import InputError
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.validation import as_table

type FloatArray = NDArray[np.float64]

_NAMES = ("weights", "means", "covariances")


class Draws(NamedTuple):
    """S mixtures: weights (S, K), means (S, K, D), covariances (S, K, D, D)."""

    weights: FloatArray
    means: FloatArray
    covariances: FloatArray

    def marginal(self, features: list[int]) -> "Draws":
        """The mixtures of some of the features, by their numbers, in the order given."""
        return Draws(self.weights, self.means[:, :, features], self.covariances[:, :, features][..., features])


def spaced(n: int, most: int) -> NDArray[np.intp]:
    """At most `most` of the numbers 0 to n - 1, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.intp))


def some_draws(posterior: xr.DataTree, most: int) -> Draws:
    """At most `most` draws, evenly spaced over all chains.

    Raises InputError when the posterior lacks weights, means or covariances.
    """
    draws = posterior["posterior"].to_dataset()
    missing = sorted(set(_NAMES) - set(draws.data_vars))
    if missing:
        raise InputError(
            f"posterior has no variable {', '.join(missing)}; weights, means and covariances are needed. Pass what "
            f"sample_posterior or align returns."
        )
    flat = [draws[name].values.reshape(-1, *draws[name].shape[2:]) for name in _NAMES]
    index = spaced(len(flat[0]), most)
    return Draws(*(array[index] for array in flat))


def rows_for(posterior: xr.DataTree, X: Any) -> NDArray[Any]:
    """(N, D) the rows of `X`, or those that the posterior was drawn from when `X` is None.

    Raises InputError when there are none, or `X` has other columns than the posterior.
    """
    if X is not None:
        features = tuple(map(str, posterior["posterior"].to_dataset()["feature"].values))
        return as_table(X, features=features).values
    if "observed_data" not in posterior or "X" not in posterior["observed_data"].to_dataset():
        raise InputError("posterior holds no rows. Pass them as X.")
    values: NDArray[Any] = posterior["observed_data"].to_dataset()["X"].values
    return values


def check_same_shape(parameters: MixtureParameters, draws: Draws) -> None:
    """Refuse, as InputError, to hold EM's mixture against draws of other components or features."""
    K, D = draws.means.shape[1:]
    if parameters.means.shape != (K, D):
        raise InputError(
            f"em has {parameters.n_components} components of {parameters.n_features} features; the posterior has {K} "
            f"of {D}. Fit both with the same n_components to the same columns."
        )


def check_aligned(posterior: xr.DataTree) -> None:
    if not posterior.attrs.get("aligned", 0):
        raise InputError(
            "posterior is not aligned: its components have no fixed labels. Pass align(posterior, em.parameters)."
        )


def interval_names(ci_prob: float) -> tuple[str, str]:
    """Names of an equal-tailed interval's columns."""
    stem = f"eti{100 * ci_prob:g}"
    return f"{stem}_lb", f"{stem}_ub"
