"""Base class of the estimators: checks of the arguments, fitted attributes, scikit-learn's layout of covariances."""

from collections.abc import Callable, Iterable
from numbers import Integral
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from bayesgmm.errors import InputError
from bayesgmm.kernel.triangular import lower_inverses
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import CovarianceName, FloatArray, IntArray, RowArray
from bayesgmm.validation import as_generator

# The values that scikit-learn accepts as `random_state`.
type RandomState = int | np.random.RandomState | None
# Checked rows; a data frame if the columns have names.
type FitRows = RowArray | pd.DataFrame


class Layout(NamedTuple):
    """The array in which scikit-learn keeps the covariances, or precisions, of one covariance structure.

    Attributes
    ----------
    shape : shape(K, D) of the array, for K components of D features.
    pack : pack(matrices (K, D, D)) -> array.
    unpack : unpack(array, K, D) -> matrices (K, D, D).
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


class UnknownParameterError(InputError, TypeError):
    """A parameter of scikit-learn's class that this estimator does not have; Python raises TypeError for those."""


class MixtureEstimator(DensityMixin, BaseEstimator):
    """Base class of the estimators. The fitted attributes are read-only views of `parameters_`."""

    random_state: RandomState
    covariance_type: CovarianceName
    # Parameters of scikit-learn's class that are refused, and what to do instead.
    _refused: ClassVar[dict[str, str]] = {}

    def __new__(cls, *_: object, **parameters: object) -> Self:
        """Refuse parameters of scikit-learn's class that would be ignored."""
        cls._refuse(parameters)
        estimator: Self = super().__new__(cls)
        return estimator

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, as in scikit-learn; returns the estimator."""
        self._refuse(params)
        super().set_params(**params)
        return self

    @classmethod
    def _refuse(cls, parameters: Iterable[str]) -> None:
        for name in parameters:
            if name in cls._refused:
                raise UnknownParameterError(
                    f"{cls.__name__} has no {name}, unlike scikit-learn's class of this name: {cls._refused[name]}"
                )

    @property
    def parameters_(self) -> MixtureParameters:
        """The fitted mixture as one value."""
        raise NotImplementedError

    @property
    def weights_(self) -> FloatArray:
        """Weights (n_components,), whose sum is 1."""
        return self.parameters_.weights

    @property
    def means_(self) -> FloatArray:
        """Means (n_components, n_features)."""
        return self.parameters_.means

    @property
    def covariances_(self) -> FloatArray:
        """Covariances: (K, D, D) full, (D, D) tied, (K, D) diag, (K,) spherical, as in scikit-learn."""
        return self._in_layout(self.parameters_.covariances)

    @property
    def precisions_(self) -> FloatArray:
        """Inverses of the covariances, in the shape of `covariances_`."""
        factors = self._precision_factors()
        return self._in_layout(factors @ factors.swapaxes(1, 2))

    @property
    def precisions_cholesky_(self) -> FloatArray:
        """Upper triangular U such that U U' is the precision, in the shape of `covariances_`."""
        return self._in_layout(self._precision_factors())

    @property
    def _fitted_covariance(self) -> str:
        """The covariance structure of the fit, whatever `covariance_type` was set to since."""
        raise NotImplementedError

    def predict(self, X: ArrayLike) -> IntArray:
        """Most probable component of each row (n_samples,)."""
        raise NotImplementedError

    def score_samples(self, X: ArrayLike) -> FloatArray:
        """Natural logarithm of the density of each row (n_samples,)."""
        raise NotImplementedError

    def fit_predict(self, X: ArrayLike, y: object = None) -> IntArray:
        """Fit, then return the most probable component of each row (n_samples,). `y` is ignored."""
        self.fit(X, y)
        return self.predict(X)

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Mean of `score_samples` over the rows. Larger is better. `y` is ignored."""
        return float(self.score_samples(X).mean())

    def _rows_to_fit(self, X: ArrayLike) -> FitRows:
        """Check `X` as scikit-learn does and remember its columns; a data frame if they have names."""
        _refuse_masked(X)
        rows: RowArray = _checked(self, X, ensure_min_samples=2)
        names = getattr(self, "feature_names_in_", None)
        return rows if names is None else pd.DataFrame(rows, columns=names, copy=False)

    def _rows_to_predict(self, X: ArrayLike) -> RowArray:
        """Check `X` (n_samples, n_features); its columns must be those of the fit."""
        check_is_fitted(self, "em_")
        _refuse_masked(X)
        return _checked(self, X, reset=False)

    def _generator(self) -> np.random.Generator:
        """Generator for `random_state`. An int is used as `rng`; None takes a seed from NumPy's global state."""
        if isinstance(self.random_state, Integral):
            return as_generator(int(self.random_state))
        return as_generator(check_random_state(self.random_state).randint(2**32, size=4, dtype=np.uint32))

    def _precision_factors(self) -> FloatArray:
        """Return U (K, D, D), upper triangular, such that U U' is the precision of each component."""
        factors: FloatArray = lower_inverses(np.linalg.cholesky(self.parameters_.covariances)).swapaxes(1, 2)
        return factors

    def _in_layout(self, matrices: FloatArray) -> FloatArray:
        """Return matrices (K, D, D) as a read-only array in scikit-learn's layout."""
        array = LAYOUTS[self._fitted_covariance].pack(matrices)
        array.flags.writeable = False
        return array


def _checked(estimator: BaseEstimator, X: ArrayLike, **options: Any) -> RowArray:
    """The rows by scikit-learn's checks, whose errors are those that its users know."""
    try:
        return np.asarray(validate_data(estimator, X, **options))
    except TypeError as error:
        if "NAType" not in str(error):
            raise
        raise InputError(
            "X must hold real numbers, without missing values; received pandas.NA among objects. Fill missing values "
            "or leave their rows out, and convert it, for instance with X.astype(float)."
        ) from error


def _refuse_masked(X: ArrayLike) -> None:
    # scikit-learn ignores the mask and would use the values below it.
    if np.ma.is_masked(X):
        raise InputError("X has masked values, and no value may be missing. Fill them in, or drop their rows.")
