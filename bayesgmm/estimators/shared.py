"""What both estimators share: the checks at the door, the attributes, and scikit-learn's layout of covariances."""

from collections.abc import Callable
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from bayesgmm.em.result import EMFit
from bayesgmm.errors import InputError
from bayesgmm.kernel.triangular import lower_inverses
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import FloatArray
from bayesgmm.validation import as_generator


class Layout(NamedTuple):
    """How scikit-learn lays out the covariances, or the precisions, of K components of D features.

    shape(K, D) of the array; pack(matrices (K, D, D)) -> array; unpack(array, K, D) -> matrices.
    """

    shape: Callable[[int, int], tuple[int, ...]]
    pack: Callable[[FloatArray], FloatArray]
    unpack: Callable[[FloatArray, int, int], FloatArray]


LAYOUTS = {
    "full": Layout(lambda K, D: (K, D, D), lambda matrices: matrices, lambda array, K, D: array),
    "tied": Layout(
        lambda K, D: (D, D), lambda matrices: matrices[0], lambda array, K, D: np.broadcast_to(array, (K, D, D))
    ),
    "diag": Layout(
        lambda K, D: (K, D),
        lambda matrices: np.diagonal(matrices, axis1=1, axis2=2),
        lambda array, K, D: array[:, :, np.newaxis] * np.eye(D),
    ),
    "spherical": Layout(
        lambda K, D: (K,),
        lambda matrices: matrices[:, 0, 0],
        lambda array, K, D: array[:, np.newaxis, np.newaxis] * np.eye(D),
    ),
}


class MixtureEstimator(DensityMixin, BaseEstimator):
    """An estimator whose attributes are the numbers of `parameters_`, read-only; a fit that is edited would be none."""

    random_state: Any
    em_: EMFit

    @property
    def parameters_(self) -> MixtureParameters:
        """The fitted mixture as one value."""
        raise NotImplementedError

    @property
    def weights_(self) -> FloatArray:
        """(n_components,) weights, sum 1."""
        return self.parameters_.weights

    @property
    def means_(self) -> FloatArray:
        """(n_components, n_features) means."""
        return self.parameters_.means

    @property
    def covariances_(self) -> FloatArray:
        """Covariances: (K, D, D) full, (D, D) tied, (K, D) diag, (K,) spherical, as in scikit-learn."""
        return self._laid_out(self.parameters_.covariances)

    @property
    def precisions_(self) -> FloatArray:
        """Inverses of the covariances, in their shape."""
        factors = self._precision_factors()
        return self._laid_out(factors @ factors.swapaxes(1, 2))

    @property
    def precisions_cholesky_(self) -> FloatArray:
        """Upper triangular U with U U' the precision, in the covariances' shape."""
        return self._laid_out(self._precision_factors())

    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        raise NotImplementedError

    def score_samples(self, X: ArrayLike) -> FloatArray:
        raise NotImplementedError

    def fit_predict(self, X: ArrayLike, y: Any = None) -> NDArray[np.intp]:
        """Fit, and the most probable component (n_samples,) of each row. `y` is not used."""
        self.fit(X, y)
        return self.predict(X)

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Mean of `score_samples` over the rows; larger is better. `y` is not used."""
        return float(self.score_samples(X).mean())

    def _rows_to_fit(self, X: Any) -> Any:
        """`X` as scikit-learn takes it, remembering its columns; a frame with their names when they have any."""
        _refuse_masked(X)
        rows = validate_data(self, X, ensure_min_samples=2)
        named = getattr(self, "feature_names_in_", None)
        return rows if named is None else pd.DataFrame(rows, columns=named, copy=False)

    def _rows_to_predict(self, X: Any) -> NDArray[Any]:
        """`X` (n_samples, n_features), refused when its columns are not those of the fit."""
        check_is_fitted(self, "em_")
        _refuse_masked(X)
        return np.asarray(validate_data(self, X, reset=False))

    def _generator(self) -> np.random.Generator:
        """Of `random_state`. A whole number is bayesgmm's `rng`; the global state counts when it is None."""
        if isinstance(self.random_state, Integral):
            return as_generator(int(self.random_state))
        return as_generator(check_random_state(self.random_state).randint(2**32, size=4, dtype=np.uint32))

    def _precision_factors(self) -> FloatArray:
        factors: FloatArray = lower_inverses(np.linalg.cholesky(self.parameters_.covariances)).swapaxes(1, 2)
        return factors

    def _laid_out(self, matrices: FloatArray) -> FloatArray:
        array = LAYOUTS[self.em_.covariance].pack(matrices)
        array.flags.writeable = False
        return array


def _refuse_masked(X: Any) -> None:
    # scikit-learn would take what is under the mask for values.
    if np.ma.is_masked(X):
        raise InputError("X has masked values; no value may be missing. Fill them or leave their rows out.")
