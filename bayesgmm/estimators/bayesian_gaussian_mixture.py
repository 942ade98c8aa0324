"""`BayesianGaussianMixture`: the posterior under scikit-learn's contract."""

import warnings
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from bayesgmm.bayes.model.prior import Prior
from bayesgmm.bayes.sampling.sample import sample_posterior
from bayesgmm.em.fit import fit_em
from bayesgmm.errors import BayesgmmWarning, FitError
from bayesgmm.estimators.shared import MixtureEstimator
from bayesgmm.mixture.covariance import STRUCTURES
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.posterior.diagnosis.diagnose import Diagnosis, diagnose
from bayesgmm.posterior.draws import mixture_draws
from bayesgmm.posterior.labels.align import align
from bayesgmm.posterior.prediction.predict import predict, predict_density
from bayesgmm.types import FloatArray


class BayesianGaussianMixture(MixtureEstimator):
    """The posterior of a Gaussian mixture, with the names and the contract of scikit-learn's mixtures.

    scikit-learn's class of this name finds the nearest of a family of simpler distributions (variational inference);
    this one samples the posterior, from the modes that EM's optima lead to, and gives the draws EM's labels.
    Predictions are averaged over the draws. See `docs/from-scikit-learn.md`.

    Parameters
    ----------
    n_components : number of components K.
    covariance_type : "full", "tied", "diag" or "spherical".
    prior : Prior, by default `Prior.for_data(X, covariance_type)`.
    n_init : number of EM's starts.
    draws, max_draws, tune, chains, progress : as in `sample_posterior`. Without `draws` it samples until the chains
        have converged, or `max_draws` a chain.
    random_state : int, numpy.random.RandomState or None, as in scikit-learn. An int gives the posterior of
        `analyze(rng=random_state)`.

    Attributes
    ----------
    weights_, means_, covariances_ : posterior means, in scikit-learn's shapes, read-only; components in EM's order.
    precisions_, precisions_cholesky_ : of the inverses of `covariances_`.
    parameters_ : MixtureParameters, those posterior means as one value.
    posterior_ : xarray.DataTree in ArviZ's schema, aligned to EM's labels; it holds the rows that were fitted.
    diagnosis_ : Diagnosis, whether the draws can be trusted, and what stands in the way.
    converged_ : whether nothing does.
    em_ : EMFit, where the chains started; `compare(em_, posterior_)` says whether the two agree.
    n_features_in_, feature_names_in_ : columns of the data, and their names when they are text.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> mixture = bg.BayesianGaussianMixture(2, random_state=1).fit(bg.datasets.load_faithful())
    >>> mixture.weights_.round(2).tolist()
    [0.64, 0.36]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(STRUCTURES))],
        "prior": [Prior, None],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "draws": [Interval(Integral, 4, None, closed="left"), None],
        "max_draws": [Interval(Integral, 4, None, closed="left")],
        "tune": [Interval(Integral, 1, None, closed="left"), None],
        "chains": [Interval(Integral, 1, None, closed="left")],
        "progress": ["boolean"],
        "random_state": ["random_state"],
    }

    posterior_: xr.DataTree
    diagnosis_: Diagnosis

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        prior: Prior | None = None,
        n_init: int = 100,
        draws: int | None = None,
        max_draws: int = 10_000,
        tune: int | None = None,
        chains: int = 4,
        progress: bool = False,
        random_state: Any = None,
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
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Sample the posterior given the rows of `X` (n_samples, n_features). `y` is not used.

        Raises
        ------
        InputError, FitError, SamplingError
            As `fit_em` and `sample_posterior` do. What scikit-learn checks, parameters and the table, is refused by
            its own errors.

        Warns
        -----
        BayesgmmWarning
            The draws cannot be trusted as they are: chains disagree, labels are ambiguous, there are other modes, or
            another of the problems in `diagnosis_`. The warning says what to do about each.
        """
        rows = self._rows_to_fit(X)
        for_em, for_sampling = self._generator().spawn(2)  # as `analyze` does
        try:
            em = fit_em(rows, self.n_components, self.covariance_type, n_init=self.n_init, rng=for_em)
        except FitError as error:
            error.add_note("The chains start at EM's fit and take its labels. sample_posterior(X, ...) needs neither.")
            raise
        posterior = sample_posterior(
            rows,
            self.n_components,
            self.covariance_type,
            prior=self.prior,
            start=[optimum.parameters for optimum in em.optima],
            draws=self.draws,
            max_draws=self.max_draws,
            tune=self.tune,
            chains=self.chains,
            rng=for_sampling,
            progress=self.progress,
        )
        self.em_ = em
        self.posterior_ = align(posterior, em.parameters)
        self.diagnosis_ = diagnose(self.posterior_)
        if self.diagnosis_.problems:
            found = "\n".join(f"- {problem.text}" for problem in self.diagnosis_.problems)
            warnings.warn(
                f"The draws of this posterior cannot be trusted as they are (diagnosis_ says more):\n{found}",
                BayesgmmWarning,
                stacklevel=3,
            )
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        """(n_samples,) the component of the largest probability, averaged over the draws, of each row."""
        rows = self._rows_to_predict(X)
        return predict(self.posterior_, rows).labels

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """(n_samples, n_components) probability of each component given each row, averaged over the draws.

        `bayesgmm.predict(posterior_, X)` has intervals too.
        """
        rows = self._rows_to_predict(X)
        return predict(self.posterior_, rows).probabilities

    def score_samples(self, X: ArrayLike) -> FloatArray:
        """(n_samples,) log of the posterior predictive density, the draws' densities averaged, at each row."""
        rows = self._rows_to_predict(X)
        return predict_density(self.posterior_, rows).log_density

    def sample(self, n_samples: int = 1) -> tuple[FloatArray, NDArray[np.intp]]:
        """Draw rows (n_samples, n_features) from the posterior predictive, and the component (n_samples,) of each.

        Each row is of a draw picked at random; an int `random_state` repeats.
        """
        check_is_fitted(self, "em_")
        return mixture_draws(self.posterior_).sample(n_samples, self._generator())

    @property
    def parameters_(self) -> MixtureParameters:
        """The posterior means of weights, means and covariances."""
        draws = mixture_draws(self.posterior_)
        weights, means, covariances = (array.mean(axis=0) for array in draws.arrays)
        return MixtureParameters(weights, means, covariances, draws.features)

    @property
    def converged_(self) -> bool:
        """Whether nothing stands in the way of trusting the draws."""
        return self.diagnosis_.ok
