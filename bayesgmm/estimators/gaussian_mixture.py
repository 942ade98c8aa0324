"""`GaussianMixture`: EM as a scikit-learn estimator."""

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from bayesgmm.em.fit import fit_em
from bayesgmm.em.result import EMFit
from bayesgmm.errors import BayesgmmWarning, InputError
from bayesgmm.estimators.shared import LAYOUTS, FitRows, MixtureEstimator, RandomState
from bayesgmm.mixture.checked_rows import as_rows
from bayesgmm.mixture.covariance import STRUCTURES, structure_named
from bayesgmm.mixture.data_covariance import split_into_equal_volumes, total_cholesky
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import CovarianceName, FloatArray, IntArray
from bayesgmm.validation import as_numbers

# scikit-learn's name of each start strategy, and the name that `fit_em` has for it.
_STARTS = {"k-means++": "k-means++", "random_from_data": "random"}
# scikit-learn's other start strategies, which begin with responsibilities.
_REFUSED_STARTS = {"kmeans", "random"}


class GaussianMixture(MixtureEstimator):
    """A Gaussian mixture fitted by EM, as an estimator with the parameters of `sklearn.mixture.GaussianMixture`.

    Three things differ from scikit-learn: nothing is added to the covariances, there are many starts, and EM stops
    near the limit of the log-likelihood instead of where its gains become small. `docs/from-scikit-learn.md` gives
    the reasons.

    Parameters
    ----------
    n_components : number of components K.
    covariance_type : "full", "tied", "diag" or "spherical".
    tol : stop when the log-likelihood of all rows is estimated to be within `tol` of its limit.
    max_iter : largest number of iterations of one run.
    n_init : number of starts; by default 100 and more where the best maximum was reached fewer than three times.
        `fit_em` says how long each of them runs.
    init_params : how the rows at which the means start are chosen: "k-means++" or "random_from_data".
    weights_init, means_init, precisions_init : your own start, in the shapes of `weights_`, `means_` and
        `precisions_`. With `means_init` EM runs once, from that start, and the components keep their order. Default
        weights are equal; default covariances are the data's, scaled to K equal volumes.
    random_state : int, numpy.random.RandomState or None, as in scikit-learn. An int gives the same fit as
        `fit_em(rng=random_state)`.

    Attributes
    ----------
    weights_, means_, covariances_, precisions_, precisions_cholesky_ : the fitted mixture, in scikit-learn's shapes,
        read-only; components in decreasing order of weight.
    parameters_ : MixtureParameters, the fitted mixture as one value.
    converged_ : whether `tol` was reached.
    n_iter_ : number of iterations of the best run.
    lower_bound_, lower_bounds_ : log-likelihood per row, at the end and after each iteration of the best run.
    n_features_in_, feature_names_in_ : number of columns of the data, and their names if they are strings.
    em_ : EMFit, the fit that `fit_em` returns, for `em_.standard_errors()` and `compare(em_, posterior)`. It refers
        to the rows that were fitted, so a pickle of the estimator includes them.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> mixture = bg.GaussianMixture(2, random_state=1).fit(bg.datasets.load_faithful())
    >>> mixture.weights_.round(3).tolist()
    [0.644, 0.356]
    """

    em_: EMFit

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(STRUCTURES))],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left"), None],
        "init_params": [StrOptions({*_STARTS, *_REFUSED_STARTS})],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "random_state": ["random_state"],
    }

    _refused: ClassVar[dict[str, str]] = {
        "reg_covar": "nothing is added to the covariances, since the right amount depends on the units. Runs that "
        "collapse are replaced. Leave it out.",
        "warm_start": "pass means_init=mixture.means_ (and weights_init, precisions_init) to begin where a fit ended.",
        "verbose": "em_.history holds the log-likelihood of every iteration. Leave it out.",
        "verbose_interval": "em_.history holds the log-likelihood of every iteration. Leave it out.",
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: CovarianceName = "full",
        tol: float = 1e-6,
        max_iter: int = 10_000,
        n_init: int | None = None,
        init_params: str = "k-means++",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        random_state: RandomState = None,
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
    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Fit the mixture to the rows of `X` (n_samples, n_features). `y` is ignored.

        For weighted rows use `fit_em`.

        Raises
        ------
        InputError, FitError
            As `fit_em` does. scikit-learn's own checks of the parameters and of the table raise scikit-learn's errors.

        Warns
        -----
        BayesgmmWarning
            EM stopped at `max_iter`, most starts collapsed, or the maximum may be spurious; `em_.problems` has the
            details.
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

    def predict(self, X: ArrayLike) -> IntArray:
        """Most probable component of each row (n_samples,)."""
        rows = self._rows_to_predict(X)
        return self.parameters_.predict(rows)

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Probability of each component given each row (n_samples, n_components); rows sum to 1."""
        rows = self._rows_to_predict(X)
        return self.parameters_.responsibilities(rows)

    def score_samples(self, X: ArrayLike) -> FloatArray:
        """Natural logarithm of the density of each row (n_samples,)."""
        rows = self._rows_to_predict(X)
        return self.parameters_.log_density(rows)

    def sample(self, n_samples: int = 1) -> tuple[FloatArray, IntArray]:
        """Draw rows (n_samples, n_features) from the mixture, and the component (n_samples,) of each.

        With an int as `random_state` every call returns the same rows.
        """
        check_is_fitted(self, "em_")
        return self.parameters_.sample(n_samples, self._generator())

    def aic(self, X: ArrayLike) -> float:
        """Akaike's criterion on the rows of `X`: -2 log-likelihood + 2 n_free. Smaller is better."""
        return float(-2 * self.score_samples(X).sum() + 2 * self.em_.n_free)

    def bic(self, X: ArrayLike) -> float:
        """Bayesian criterion on the rows of `X`: -2 log-likelihood + n_free log(n_samples). Smaller is better."""
        log_densities = self.score_samples(X)
        return float(-2 * log_densities.sum() + self.em_.n_free * np.log(len(log_densities)))

    @property
    def _fitted_covariance(self) -> str:
        return self.em_.covariance

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
        """Number of iterations of the best run."""
        return self.em_.n_iterations

    @property
    def lower_bound_(self) -> float:
        """Log-likelihood per row at the fit."""
        return self.em_.log_likelihood / self.em_.n_samples

    @property
    def lower_bounds_(self) -> FloatArray:
        """Log-likelihood per row after each iteration of the best run, an array of length `n_iter_`."""
        return self.em_.history[1:] / self.em_.n_samples

    def _start(self, rows: FitRows) -> MixtureParameters | str:
        """Return the user's start, or the name that `fit_em` has for the start strategy."""
        if self.means_init is None:
            if self.weights_init is not None or self.precisions_init is not None:
                raise InputError(
                    "weights_init and precisions_init need means_init, which says which component is which. "
                    "Pass means_init too, or leave them out."
                )
            if self.init_params in _REFUSED_STARTS:
                raise InputError(
                    f"init_params={self.init_params!r} is not available: the starts are rows of the data, chosen by "
                    f"init_params='k-means++' (the default) or 'random_from_data', and there are 100 of them. To begin "
                    f"with groups of your own, pass responsibilities as fit_em(X, K, start=...)."
                )
            return _STARTS[self.init_params]
        checked, layout = as_rows(rows), LAYOUTS[self.covariance_type]
        K, D = self.n_components, checked.n_features
        if self.precisions_init is None:
            cholesky = total_cholesky(checked, structure_named(self.covariance_type))
            covariances = np.broadcast_to(split_into_equal_volumes(cholesky @ cholesky.T, K, D), (K, D, D))
        else:
            precisions = layout.unpack(_init_array(self.precisions_init, "precisions_init", layout.shape(K, D)), K, D)
            covariances = _inverses(precisions)
        weights = (
            np.full(K, 1 / K) if self.weights_init is None else _init_array(self.weights_init, "weights_init", (K,))
        )
        means = _init_array(self.means_init, "means_init", (K, D))
        return MixtureParameters(weights, means, covariances, checked.features)


def _init_array(value: ArrayLike, name: str, shape: tuple[int, ...]) -> FloatArray:
    """Return the user's start values as an array of this shape, or raise InputError."""
    array = as_numbers(value, name)
    if array.shape != shape:
        raise InputError(f"{name} must have shape {shape} for this data and these options; it has {array.shape}.")
    return array


def _inverses(precisions: FloatArray) -> FloatArray:
    try:
        np.linalg.cholesky(precisions)
    except np.linalg.LinAlgError as error:
        raise InputError("precisions_init must be positive definite: pass inverses of covariances.") from error
    return np.linalg.inv(precisions)
