"""`EMFit`: the fitted mixture, and the records of the runs that led to it."""

import math
import warnings
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from bayesgmm.display.cards import Card, Displayed, Listing, rows_in_words
from bayesgmm.display.components import component_table
from bayesgmm.em.runs import FitProblem, Optimum, Restart, Status
from bayesgmm.em.search.steps import Point
from bayesgmm.em.stored import fields_of, numbers_of
from bayesgmm.em.uncertainty.curvature import Maximum
from bayesgmm.errors import BayesgmmWarning, FitError, InputError
from bayesgmm.interrupts import deferred_interrupts
from bayesgmm.kernel.rows import KernelParameters, Rows, SufficientStatistics
from bayesgmm.mixture.checked_rows import as_rows
from bayesgmm.mixture.covariance import CovarianceStructure, structure_named
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.mixture.scalars import scalars_of
from bayesgmm.types import CovarianceName, FloatArray, Seed, StandardErrorMethod
from bayesgmm.wording import count

if TYPE_CHECKING:
    from bayesgmm.em.uncertainty.standard_errors import StandardErrors


# Largest number of estimates whose covariance matrix is computed; it then takes 200 MB.
_MOST_PARAMETERS = 5000


@dataclass(frozen=True, eq=False, repr=False)
class EMFit(Displayed):
    """A mixture fitted by EM.

    Attributes
    ----------
    parameters : MixtureParameters, components in decreasing order of weight.
    covariance : name of the covariance structure.
    log_likelihood : float, at `parameters`, in nats; with weights, sum_i weight_i log p(x_i). Where float64 cannot hold
        the digits of the maximum, it is that of the rounded parameters, and below the end of `history`.
    status : how the best run ended.
    history : (n_iterations + 1,) log-likelihood of the best run, from its start on.
    restarts : the record of every run, including those that collapsed.
    n_samples : float, number of rows, or the sum of the weights.
    n_free : number of free parameters.
    entropy : float, -sum_ik r_ik log r_ik of the responsibilities r, in nats: how undecided the assignments are.
    rows : the rows and weights that were fitted, not copied; None after `from_dict`, until `with_rows` restores them.
    optima : the distinct maxima that the runs reached, the fit itself first, then the others, best first. Two runs are
        at the same maximum if their log-likelihoods agree to 0.001 nats and, up to the order of components, their
        parameters agree to 0.01 standard deviations of the data. Empty in a fit that was saved without them.
    problems : reasons not to trust the fit, each with what to do about it.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> [round(bg.fit_em(X, K, rng=1).bic) for K in (1, 2, 3)]
    [2608, 2322, 2324]
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> em.converged, em.n_free, em.parameters.weights.round(2).tolist()
    (True, 11, [0.64, 0.36])
    """

    parameters: MixtureParameters
    covariance: CovarianceName
    log_likelihood: float
    status: Status
    history: FloatArray
    restarts: tuple[Restart, ...]
    n_samples: float
    n_free: int
    entropy: float
    rows: Rows | None = None
    optima: tuple[Optimum, ...] = ()
    problems: tuple[FitProblem, ...] = ()

    @property
    def converged(self) -> bool:
        """Whether the best run stopped because it had converged."""
        return self.status is Status.CONVERGED

    @property
    def n_iterations(self) -> int:
        """Number of iterations of the best run."""
        return len(self.history) - 1

    @property
    def aic(self) -> float:
        """-2 loglik + 2 p; smaller is better."""
        return -2 * self.log_likelihood + 2 * self.n_free

    @property
    def bic(self) -> float:
        """-2 loglik + p log N; smaller is better (scikit-learn's sign; mclust's is the opposite)."""
        return float(-2 * self.log_likelihood + self.n_free * np.log(self.n_samples))

    @property
    def icl(self) -> float:
        """BIC + 2 entropy (Biernacki, Celeux and Govaert 2000, doi:10.1109/34.865189); smaller is better."""
        return self.bic + 2 * self.entropy

    def _card(self) -> Card:
        p = self.parameters
        grid, notes = component_table(p.weights, p.means, p.stds, p.features, self.n_samples)
        lines: list[str | Listing] = [self._runs_in_words()]
        if len(self.optima) > 1:
            lower = self.log_likelihood - self.optima[1].log_likelihood
            lines.append(f"{len(self.optima)} distinct maxima (.optima), the next best {lower:.4g} nats lower")
        if self.problems:
            lines.append(Listing([f"Problem: {problem.text}" for problem in self.problems], "problem"))
        return Card(
            f"EMFit: {count(p.n_components, 'component')}, {count(p.n_features, 'feature')}, covariance "
            f"{self.covariance}, {rows_in_words(self.n_samples)}",
            [
                f"log-likelihood {self.log_likelihood:.4f}; AIC {self.aic:.2f}, BIC {self.bic:.2f}, ICL {self.icl:.2f} "
                f"({count(self.n_free, 'free parameter')})",
                *lines,
            ],
            grid,
            notes,
        )

    def _runs_in_words(self) -> str:
        n_collapsed = sum(run.status is Status.COLLAPSED for run in self.restarts)
        return (
            f"{self.status} after {count(self.n_iterations, 'iteration')}; {count(len(self.restarts), 'start')}, "
            f"{n_collapsed} collapsed"
        )

    def standard_errors(
        self,
        method: StandardErrorMethod = "information",
        *,
        ci_prob: float = 0.9,
        n_replicates: int | None = None,
        rng: Seed = None,
        progress: bool = True,
    ) -> "StandardErrors":
        """Standard errors and confidence intervals of weights, means, standard deviations and correlations.

        Parameters
        ----------
        method : one of these; `StandardErrors` says how they differ in their treatment of `sample_weight`.

            - "information": inverse of the observed information, which is minus the second derivatives of the
              log-likelihood. Right if the model is right.
            - "sandwich": that inverse on both sides of the sum of the rows' squared scores (White 1982,
              doi:10.2307/1912526). Right also if the components are not Gaussian.
            - "bootstrap": fits of rows drawn with replacement (Efron 1979, doi:10.1214/aos/1176344552).
            - "weighted": fits of all rows under random Dirichlet weights (Newton and Raftery 1994,
              doi:10.1111/j.2517-6161.1994.tb01956.x).
            - "parametric": fits of rows simulated from the fit.
            - "jackknife": fits without one row, for each row; beyond 200 rows, without one of 200 random groups.
        ci_prob : probability of the confidence intervals.
        n_replicates : number of replicates of a bootstrap, 999 by default; number of groups of the jackknife.
        rng : int, numpy.random.Generator or None, for the methods that draw. The same seed gives the same digits on any
            number of threads.
        progress : count the replicates on standard error if that is a terminal or a notebook.

        Returns
        -------
        StandardErrors

        Raises
        ------
        InputError
            An option is out of range, the fit has no rows (see `with_rows`), or they were changed since the fit.
        FitError
            There are no standard errors: EM did not converge, the information is singular, or most replicates failed.

        Warns
        -----
        BayesgmmWarning
            More than 5 % of the replicates failed, or have components that are not clearly those of the fit.

        Examples
        --------
        >>> import bayesgmm as bg
        >>> em = bg.fit_em(bg.datasets.load_faithful(), 2, rng=1)
        >>> for method in ("information", "sandwich"):
        ...     print(method, em.standard_errors(method).table.loc["stds[0, eruptions]", "se"].round(3))
        information 0.023
        sandwich 0.023
        """
        # Imported here because it imports pandas, which an EM fit does not need.
        from bayesgmm.em.uncertainty.standard_errors import standard_errors, warning_about

        with deferred_interrupts():
            errors = standard_errors(
                maximum_of(self), method, ci_prob=ci_prob, n_replicates=n_replicates, rng=rng, progress=progress
            )
        if (message := warning_about(errors)) is not None:
            warnings.warn(message, BayesgmmWarning, stacklevel=2)
        return errors

    def with_rows(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> "EMFit":
        """The same fit with its rows, for a fit that was read from a file or a dictionary.

        Parameters
        ----------
        X : (n_samples, n_features) the rows that were fitted.
        sample_weight : (n_samples,) their weights, if the fit had any.

        Returns
        -------
        EMFit

        Raises
        ------
        InputError
            The log-likelihood of these rows is not that of the fit.

        Examples
        --------
        >>> import bayesgmm as bg
        >>> X = bg.datasets.load_faithful()
        >>> em = bg.fit_em(X, 2, rng=1)
        >>> again = bg.results.EMFit.from_dict(em.to_dict())
        >>> again.rows is None
        True
        >>> len(again.with_rows(X).standard_errors().table)
        12
        """
        fit = replace(self, rows=as_rows(X, sample_weight, features=self.parameters.features))
        rows_and_statistics(fit)
        return fit

    def to_dict(self) -> dict[str, Any]:
        """The fit as numbers, strings and lists, for JSON; `from_dict` restores it exactly, without its rows.

        Examples
        --------
        >>> import json
        >>> import bayesgmm as bg
        >>> em = bg.fit_em(bg.datasets.load_faithful(), 2, rng=1)
        >>> again = bg.results.EMFit.from_dict(json.loads(json.dumps(em.to_dict())))
        >>> bool((again.parameters.means == em.parameters.means).all())
        True
        """
        return {
            "parameters": numbers_of(self.parameters),
            "covariance": self.covariance,
            "log_likelihood": self.log_likelihood,
            "aic": self.aic,
            "bic": self.bic,
            "icl": self.icl,
            "status": self.status.name,
            "history": self.history.tolist(),
            "restarts": [
                run._asdict() | {"status": run.status.name, "history": run.history.tolist()} for run in self.restarts
            ],
            "n_samples": self.n_samples,
            "n_free": self.n_free,
            "entropy": self.entropy,
            "optima": [optimum._asdict() | {"parameters": numbers_of(optimum.parameters)} for optimum in self.optima],
            "problems": [asdict(problem) for problem in self.problems],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "EMFit":
        """The fit from the dictionary that `to_dict` made.

        Raises
        ------
        InputError
            `values` is no such dictionary: an entry is missing, unknown, of a wrong type, or contradicts the others.
        """
        fit = cls(**fields_of(values))
        for name in ("aic", "bic", "icl"):
            if name in values and not math.isclose(getattr(fit, name), values[name], rel_tol=1e-9, abs_tol=1e-9):
                raise InputError(
                    f"EMFit.from_dict: {name} is {values[name]!r:.50}, and {getattr(fit, name)} by the other entries. "
                    f"Pass what to_dict returned."
                )
        return fit


def is_same_log_likelihood(one: float, other: float, n_samples: float) -> bool:
    """Whether two log-likelihoods of `n_samples` rows differ by rounding alone."""
    return abs(one - other) <= 1e-8 * (abs(other) + n_samples)


def rows_and_statistics(em: EMFit) -> tuple[Rows, SufficientStatistics]:
    """The rows of the fit, and their sufficient statistics at the fit.

    Raises InputError if the fit has no rows, or if these rows are not those that were fitted.
    """
    if em.rows is None:
        raise InputError(
            "This fit has no rows: it was read from a file or a dictionary, which hold estimates only. Call "
            "em.with_rows(X, sample_weight) with the rows that were fitted, and use the fit that it returns."
        )
    statistics = statistics_at(em.rows, em.parameters, structure_named(em.covariance))
    if not is_same_log_likelihood(statistics.log_likelihood, em.log_likelihood, em.n_samples):
        raise InputError(
            f"X and sample_weight are not those of the fit: its log-likelihood is {em.log_likelihood:.8g}, and that of "
            f"these rows {statistics.log_likelihood:.8g}. Pass the rows and weights that were fitted, unchanged."
        )
    return em.rows, statistics


def statistics_at(rows: Rows, mixture: MixtureParameters, structure: CovarianceStructure) -> SufficientStatistics:
    """Sufficient statistics of the rows at a mixture as the user has it, whose numbers are rounded to float64."""
    choleskys = np.linalg.cholesky(mixture.covariances)
    return rows.statistics(
        KernelParameters.of(mixture.weights, mixture.means - rows.origin, choleskys, diagonal=structure.diagonal)
    )


def maximum_of(em: EMFit) -> Maximum:
    """The fit in the form that standard errors are computed from.

    Raises InputError if the fit has no rows, or others than were fitted; FitError if it did not converge.
    """
    rows, statistics = rows_and_statistics(em)
    if em.status is not Status.CONVERGED:
        raise FitError(
            f"EM {em.status}. Standard errors belong to a maximum of the likelihood, and this fit may not be one: fit "
            f"again until it has converged."
        )
    p, structure = em.parameters, structure_named(em.covariance)
    scalars = scalars_of(p.n_components, p.features, em.covariance)
    if len(scalars) > _MOST_PARAMETERS:
        raise InputError(
            f"covariance={em.covariance!r} with {p.n_components} components of {p.n_features} features has "
            f"{len(scalars)} numbers; the covariance of more than {_MOST_PARAMETERS} estimates is not computed. Fit "
            f"fewer components or features, or covariance='diag'."
        )
    point = Point(p.weights.copy(), p.means - rows.origin, np.linalg.cholesky(p.covariances))
    return Maximum(p, rows, structure, point, statistics, scalars)
