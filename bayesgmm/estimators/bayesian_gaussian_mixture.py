"""`BayesianGaussianMixture`: the posterior as a scikit-learn estimator."""

import warnings
from numbers import Integral
from typing import Any, ClassVar, Self

import xarray as xr
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from bayesgmm.analysis.run import fit_and_sample
from bayesgmm.bayes.model.prior import Prior
from bayesgmm.em.result import EMFit
from bayesgmm.errors import BayesgmmWarning
from bayesgmm.estimators.shared import MixtureEstimator, RandomState
from bayesgmm.mixture.covariance import STRUCTURES
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.posterior.diagnosis.diagnose import Diagnosis, diagnose
from bayesgmm.posterior.draws import mixture_draws
from bayesgmm.posterior.prediction.predict import predict, predict_density
from bayesgmm.types import CovarianceName, FloatArray, IntArray


class BayesianGaussianMixture(MixtureEstimator):
    """The posterior of a Gaussian mixture, as an estimator with the parameters of scikit-learn's mixtures.

    scikit-learn's class of this name approximates the posterior by a simpler distribution (variational inference).
    This class draws from the posterior, starting at the modes found from EM's optima and by a search of its own, and
    labels the components of each draw as EM's fit does. Predictions are averaged over the draws. See
    `docs/from-scikit-learn.md`.

    Parameters
    ----------
    n_components : number of components K.
    covariance_type : "full", "tied", "diag" or "spherical".
    prior : Prior, by default `Prior.for_data(X, covariance_type)`.
    n_init : number of starts of EM, as in `fit_em`.
    draws, max_draws, tune, chains, progress : as in `sample_posterior`. Without `draws`, sampling stops when the
        chains have converged, or after `max_draws` draws per chain.
    random_state : int, numpy.random.RandomState or None, as in scikit-learn. An int gives the same posterior as
        `analyze(rng=random_state)`.

    Attributes
    ----------
    weights_, means_, covariances_ : posterior means, in scikit-learn's shapes, read-only; components in EM's order.
    precisions_, precisions_cholesky_ : inverses of `covariances_`, and their Cholesky factors.
    parameters_ : MixtureParameters, the posterior means as one value.
    posterior_ : xarray.DataTree in ArviZ's schema, aligned to EM's labels; it includes the rows that were fitted.
    diagnosis_ : Diagnosis of the draws, with every problem found.
    converged_ : whether the diagnosis found no problem.
    em_ : EMFit whose optima the chains started from; `compare(em_, posterior_)` says whether the two agree. None if EM
        found no maximum; the chains then started elsewhere.
    n_features_in_, feature_names_in_ : number of columns of the data, and their names if they are strings.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> mixture = bg.BayesianGaussianMixture(2, random_state=1).fit(bg.datasets.load_faithful())
    >>> mixture.weights_.round(2).tolist()
    [0.64, 0.36]
    """

    em_: EMFit | None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(STRUCTURES))],
        "prior": [Prior, None],
        "n_init": [Interval(Integral, 1, None, closed="left"), None],
        "draws": [Interval(Integral, 4, None, closed="left"), None],
        "max_draws": [Interval(Integral, 4, None, closed="left")],
        "tune": [Interval(Integral, 1, None, closed="left"), None],
        "chains": [Interval(Integral, 1, None, closed="left")],
        "progress": ["boolean"],
        "random_state": ["random_state"],
    }

    _refused: ClassVar[dict[str, str]] = {
        **dict.fromkeys(
            (
                "weight_concentration_prior_type",
                "weight_concentration_prior",
                "mean_precision_prior",
                "mean_prior",
                "degrees_of_freedom_prior",
                "covariance_prior",
            ),
            "the prior is one value in the units of the data. Pass prior=bayesgmm.Prior(...).",
        ),
        **dict.fromkeys(
            ("tol", "max_iter"),
            "sampling stops when the chains have converged. Pass draws or max_draws to limit it.",
        ),
        "reg_covar": "nothing is added to the covariances; the prior keeps them away from zero. Leave it out.",
        "init_params": "the chains start at EM's maxima, from starts at rows chosen by k-means++. Leave it out.",
        "warm_start": "every fit begins anew. Leave it out.",
        "verbose": "pass progress=True to see the sampling.",
        "verbose_interval": "pass progress=True to see the sampling.",
    }

    posterior_: xr.DataTree
    diagnosis_: Diagnosis

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: CovarianceName = "full",
        prior: Prior | None = None,
        n_init: int | None = None,
        draws: int | None = None,
        max_draws: int = 10_000,
        tune: int | None = None,
        chains: int = 4,
        progress: bool = False,
        random_state: RandomState = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.prior = prior
        self.n_init = n_init
        self.draws = draws
        self.max_draws = max_draws
        self.tune = tune
        self.chains = chains
        self.progress = progress
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Sample the posterior given the rows of `X` (n_samples, n_features). `y` is ignored.

        Raises
        ------
        InputError, SamplingError
            As `sample_posterior` does. scikit-learn's own checks of the parameters and of the table raise
            scikit-learn's errors.

        Warns
        -----
        BayesgmmWarning
            EM found no maximum, or the diagnosis found problems, such as chains that disagree, ambiguous labels or
            other modes. The warning says what to do about each.
        """
        rows = self._rows_to_fit(X)
        em, self.posterior_ = fit_and_sample(
            rows,
            self.n_components,
            self.covariance_type,
            n_init=self.n_init,
            rng=self._generator(),
            prior=self.prior,
            draws=self.draws,
            max_draws=self.max_draws,
            tune=self.tune,
            chains=self.chains,
            progress=self.progress,
        )
        self.em_ = em if isinstance(em, EMFit) else None
        self.diagnosis_ = diagnose(self.posterior_)
        if self.diagnosis_.problems:
            problems = "\n".join(f"- {problem.text}" for problem in self.diagnosis_.problems)
            warnings.warn(
                f"The draws of this posterior cannot be trusted as they are (see diagnosis_):\n{problems}",
                BayesgmmWarning,
                stacklevel=3,
            )
        return self

    def predict(self, X: ArrayLike) -> IntArray:
        """Most probable component of each row (n_samples,), by probabilities averaged over the draws."""
        rows = self._rows_to_predict(X)
        return predict(self.posterior_, rows).labels

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Probability of each component given each row (n_samples, n_components), averaged over the draws.

        `bayesgmm.predict(posterior_, X)` gives intervals as well.
        """
        rows = self._rows_to_predict(X)
        return predict(self.posterior_, rows).probabilities

    def score_samples(self, X: ArrayLike) -> FloatArray:
        """Log posterior predictive density of each row (n_samples,): log of the mean density over the draws."""
        rows = self._rows_to_predict(X)
        return predict_density(self.posterior_, rows).log_density

    def sample(self, n_samples: int = 1) -> tuple[FloatArray, IntArray]:
        """Draw rows (n_samples, n_features) from the posterior predictive, and the component (n_samples,) of each.

        Each row comes from a posterior draw picked at random. With an int as `random_state` every call returns the
        same rows.
        """
        check_is_fitted(self, "em_")
        return mixture_draws(self.posterior_).sample(n_samples, self._generator())

    @property
    def _fitted_covariance(self) -> str:
        return str(self.posterior_.attrs["covariance"])

    @property
    def parameters_(self) -> MixtureParameters:
        """Posterior means of weights, means and covariances."""
        draws = mixture_draws(self.posterior_)
        weights, means, covariances = (array.mean(axis=0) for array in draws.arrays)
        return MixtureParameters(weights, means, covariances, draws.features)

    @property
    def converged_(self) -> bool:
        """Whether the diagnosis found no problem."""
        return self.diagnosis_.ok
