"""`GaussianMixture`: EM under scikit-learn's contract."""

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from bayesgmm.em.fit import fit_em
from bayesgmm.errors import BayesgmmWarning, InputError
from bayesgmm.estimators.shared import LAYOUTS, MixtureEstimator
from bayesgmm.kernel.rows import rows_of
from bayesgmm.mixture.covariance import STRUCTURES, structure_named
from bayesgmm.mixture.data_covariance import total_cholesky
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import FloatArray
from bayesgmm.validation import as_numbers, as_table

# scikit-learn's names of the starts that are `fit_em`'s too.
_STARTS = {"k-means++": "k-means++", "random_from_data": "random"}


class GaussianMixture(MixtureEstimator):
    """A Gaussian mixture fitted by EM, with the names and the contract of `sklearn.mixture.GaussianMixture`.

    What differs from scikit-learn, and why, stands in `docs/from-scikit-learn.md`: nothing is added to covariances,
    there are many starts, and EM stops near the limit of the log-likelihood, not where it becomes slow.

    Parameters
    ----------
    n_components : number of components K.
    covariance_type : "full", "tied", "diag" or "spherical".
    tol : stop when the log-likelihood, that of all rows, is estimated to be within `tol` of its limit.
    max_iter : iterations of a run at most.
    n_init : number of starts; see `fit_em` for how far each runs.
    init_params : how starts pick the rows that their means begin at: "k-means++" or "random_from_data".
    weights_init, means_init, precisions_init : a start of your own, in the shapes of `weights_`, `means_` and
        `precisions_`. With `means_init` there is one run, from there, and components keep its order. Where the others
        are None, weights are equal and covariances are the data's, shrunk to K equal volumes.
    random_state : int, numpy.random.RandomState or None, as in scikit-learn. An int gives the fit of
        `fit_em(rng=random_state)`.

    Attributes
    ----------
    weights_, means_, covariances_, precisions_, precisions_cholesky_ : the fitted mixture, in scikit-learn's shapes,
        read-only; components in decreasing order of weight.
    parameters_ : MixtureParameters, the same as one value.
    converged_ : whether `tol` was reached.
    n_iter_ : iterations of the best run.
    lower_bound_, lower_bounds_ : log-likelihood a row, at the end and after each iteration.
    n_features_in_, feature_names_in_ : columns of the data, and their names when they are text.
    em_ : EMFit, the fit that `fit_em` returns: `em_.standard_errors()`, and `compare(em_, posterior)`. It refers to the
        rows that were fitted, so that a pickle holds them.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> mixture = bg.GaussianMixture(2, random_state=1).fit(bg.datasets.load_faithful())
    >>> mixture.weights_.round(3).tolist()
    [0.644, 0.356]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(STRUCTURES))],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions(set(_STARTS))],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-6,
        max_iter: int = 10_000,
        n_init: int = 100,
        init_params: str = "k-means++",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Fit the mixture to the rows of `X` (n_samples, n_features). `y` is not used.

        Rows have no weights here; `fit_em` takes them.

        Raises
        ------
        InputError, FitError
            As `fit_em` does. What scikit-learn checks, parameters and the table, is refused by its own errors.

        Warns
        -----
        BayesgmmWarning
            EM stopped at `max_iter`.
        """
        rows = self._rows_to_fit(X)
        self.em_ = fit_em(
            rows,
            self.n_components,
            self.covariance_type,
            start=self._start(rows),
            n_init=self.n_init,
            tol=self.tol,
            max_iter=self.max_iter,
            rng=self._generator(),
        )
        if not self.em_.converged:
            warnings.warn(f"EM {self.em_.status}.", BayesgmmWarning, stacklevel=3)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        """(n_samples,) the most probable component of each row."""
        rows = self._rows_to_predict(X)
        return self.parameters_.predict(rows)

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """(n_samples, n_components) probability of each component given each row; rows sum to 1."""
        rows = self._rows_to_predict(X)
        return self.parameters_.responsibilities(rows)

    def score_samples(self, X: ArrayLike) -> FloatArray:
        """(n_samples,) log density of each row: natural logarithm, density per unit of the data."""
        rows = self._rows_to_predict(X)
        return self.parameters_.log_density(rows)

    def sample(self, n_samples: int = 1) -> tuple[FloatArray, NDArray[np.intp]]:
        """Draw rows (n_samples, n_features), and the component (n_samples,) of each; an int `random_state` repeats."""
        check_is_fitted(self, "em_")
        return self.parameters_.sample(n_samples, self._generator())

    def aic(self, X: ArrayLike) -> float:
        """-2 loglik + 2 p over the rows of `X`; smaller is better."""
        return float(-2 * self.score_samples(X).sum() + 2 * self.em_.n_free)

    def bic(self, X: ArrayLike) -> float:
        """-2 loglik + p log N over the rows of `X`; smaller is better."""
        log_densities = self.score_samples(X)
        return float(-2 * log_densities.sum() + self.em_.n_free * np.log(len(log_densities)))

    @property
    def parameters_(self) -> MixtureParameters:
        """The fitted mixture as one value."""
        return self.em_.parameters

    @property
    def converged_(self) -> bool:
        """Whether `tol` was reached."""
        return self.em_.converged

    @property
    def n_iter_(self) -> int:
        """Iterations of the best run."""
        return self.em_.n_iterations

    @property
    def lower_bound_(self) -> float:
        """Log-likelihood a row at the fit."""
        return self.em_.log_likelihood / self.em_.n_samples

    @property
    def lower_bounds_(self) -> FloatArray:
        """(`n_iter_`,) log-likelihood a row after each iteration of the best run."""
        return self.em_.history[1:] / self.em_.n_samples

    def _start(self, rows: Any) -> MixtureParameters | str:
        if self.means_init is None:
            if self.weights_init is not None or self.precisions_init is not None:
                raise InputError(
                    "weights_init and precisions_init say nothing without means_init, which tells the components "
                    "apart. Pass means_init too, or leave them out."
                )
            return _STARTS[self.init_params]
        table, layout = as_table(rows), LAYOUTS[self.covariance_type]
        K, D = self.n_components, table.n_features
        if self.precisions_init is None:
            cholesky = total_cholesky(rows_of(table.values), table.features, structure_named(self.covariance_type))
            covariances = np.broadcast_to(cholesky @ cholesky.T * K ** (-2 / D), (K, D, D))
        else:
            precisions = layout.unpack(_given(self.precisions_init, "precisions_init", layout.shape(K, D)), K, D)
            covariances = _inverses(precisions)
        weights = np.full(K, 1 / K) if self.weights_init is None else _given(self.weights_init, "weights_init", (K,))
        means = _given(self.means_init, "means_init", (K, D))
        return MixtureParameters(weights, means, covariances, table.features)


def _given(value: ArrayLike, name: str, shape: tuple[int, ...]) -> FloatArray:
    array = as_numbers(value, name)
    if array.shape != shape:
        raise InputError(f"{name} must have shape {shape} for this data and these options; it has {array.shape}.")
    return array


def _inverses(precisions: FloatArray) -> FloatArray:
    try:
        np.linalg.cholesky(precisions)
    except np.linalg.LinAlgError as error:
        raise InputError("precisions_init must be positive definite. Pass the inverses of covariances.") from error
    return np.linalg.inv(precisions)
