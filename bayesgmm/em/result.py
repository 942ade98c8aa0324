"""`EMFit`: what EM found, and how each run ended."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from bayesgmm.display.cards import Card, Displayed, count, rows_in_words
from bayesgmm.display.components import component_table
from bayesgmm.em.runs import Optimum, Restart, Status
from bayesgmm.em.search.steps import Point
from bayesgmm.em.uncertainty.curvature import Maximum
from bayesgmm.exceptions import FitError, InputError
from bayesgmm.kernel.rows import KernelParameters, Rows, SufficientStatistics, rows_of
from bayesgmm.mixture.covariance import structure_named
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.mixture.scalars import entries
from bayesgmm.types import FloatArray
from bayesgmm.validation import as_table, check_weights

if TYPE_CHECKING:
    from bayesgmm.em.uncertainty.standard_errors import StandardErrors


# Covariance matrices of more estimates than this are refused: 200 MB each.
_MOST_PARAMETERS = 5000


@dataclass(frozen=True, eq=False, repr=False)
class EMFit(Displayed):
    """A mixture fitted by EM.

    Attributes
    ----------
    parameters : MixtureParameters, components in decreasing order of weight.
    covariance : name of the covariance structure.
    log_likelihood : float, at `parameters`; with weights, sum_i weight_i log p(x_i).
    status : how the best run ended.
    history : (n_iterations + 1,) log-likelihood of the best run, from its start on.
    restarts : the record of every run, those that collapsed among them.
    n_samples : float, number of rows, or the sum of the weights.
    n_free : free parameters.
    entropy : float, -sum_ik r_ik log r_ik, how undecided the assignments are (nats).
    rows : the rows and weights that were fitted, not copied; None after `from_dict`, until `with_rows` gives them back.
    optima : the distinct maxima that the runs reached, best first, the fit itself the first: two are one when their
        log-likelihoods and, up to the order of components, their parameters agree (0.001 nats and 0.01 standard
        deviations of the data). Empty in a fit that was saved before it was recorded.

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
    covariance: str
    log_likelihood: float
    status: Status
    history: FloatArray
    restarts: tuple[Restart, ...]
    n_samples: float
    n_free: int
    entropy: float
    rows: Rows | None = None
    optima: tuple[Optimum, ...] = ()

    @property
    def converged(self) -> bool:
        """Whether the best run stopped because it had converged."""
        return self.status is Status.CONVERGED

    @property
    def n_iterations(self) -> int:
        """Iterations of the best run."""
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
        collapsed = sum(run.status is Status.COLLAPSED for run in self.restarts)
        runs = f"{count(len(self.restarts), 'start')}, {collapsed} collapsed"
        if len(self.optima) > 1:
            runs += f"; {len(self.optima)} distinct maxima, see .optima"
        return Card(
            f"EMFit: {count(p.n_components, 'component')}, {count(p.n_features, 'feature')}, covariance "
            f"{self.covariance}, {rows_in_words(self.n_samples)}",
            [
                f"log-likelihood {self.log_likelihood:.4f}; AIC {self.aic:.2f}, BIC {self.bic:.2f}, ICL {self.icl:.2f} "
                f"({count(self.n_free, 'free parameter')})",
                f"{self.status} after {count(self.n_iterations, 'iteration')}; {runs}",
            ],
            grid,
            notes,
        )

    def summary(self) -> str:
        """A few lines for a person."""
        p = self.parameters
        collapsed = sum(run.status is Status.COLLAPSED for run in self.restarts)
        lines = [
            f"Gaussian mixture by EM: {p.n_components} components, covariance {self.covariance}, "
            f"{self.n_samples:g} rows",
            f"log-likelihood {self.log_likelihood:.4f}   AIC {self.aic:.2f}   BIC {self.bic:.2f}   ICL {self.icl:.2f}",
            f"{self.status} after {self.n_iterations} iterations; {len(self.restarts)} starts, {collapsed} collapsed",
        ]
        if len(self.optima) > 1:
            lines.append(
                f"{len(self.optima)} distinct maxima were reached; the next best is "
                f"{self.log_likelihood - self.optima[1].log_likelihood:.4g} nats lower"
            )
        for k in range(p.n_components):
            described = ", ".join(
                f"{name} {mean:.6g} (sd {std:.4g})"
                for name, mean, std in zip(p.features, p.means[k], p.stds[k], strict=True)
            )
            lines.append(f"  component {k}: weight {p.weights[k]:.4f}; {described}")
        return "\n".join(lines)

    def standard_errors(
        self,
        method: str = "information",
        *,
        ci_prob: float = 0.9,
        n_replicates: int | None = None,
        rng: Any = None,
        progress: bool = True,
    ) -> "StandardErrors":
        """Standard errors and intervals of weights, means, standard deviations and correlations.

        Parameters
        ----------
        method : how they are found.

            - "information": the inverse of the observed information, minus the log-likelihood's second derivatives.
              Right when the model is.
            - "sandwich": that inverse on both sides of the sum of the rows' squared scores (White 1982,
              doi:10.2307/1912526). Right also when the components are not Gaussian.
            - "bootstrap": fits of rows drawn with replacement (Efron 1979, doi:10.1214/aos/1176344552).
            - "weighted": fits of all rows under random weights, a Dirichlet's (Newton and Raftery 1994,
              doi:10.1111/j.2517-6161.1994.tb01956.x).
            - "parametric": fits of rows simulated from the fit.
            - "jackknife": fits without one row, in turn; beyond 200 rows without one of 200 random groups of rows.
        ci_prob : probability of the intervals. They are normal, symmetric about the estimate after the logarithm for
            standard deviations, Fisher's z for correlations and the logit for weights, whatever the method. Quantiles
            of the bootstrap's replicates cover standard deviations about 1 % less (`docs/validation.md`); they are
            `numpy.quantile(found.replicates, [0.05, 0.95], axis=0)`.
        n_replicates : replicates of a bootstrap, 999 by default; groups of the jackknife.
        rng : int, numpy.random.Generator or None, for the methods that draw. The same seed gives the same digits on any
            number of threads.
        progress : count replicates on standard error while that is a terminal or a notebook.

        Returns
        -------
        StandardErrors

        Raises
        ------
        InputError
            An option is out of range, the fit has no rows (see `with_rows`), or they were changed since the fit.
        FitError
            There are no standard errors: EM did not converge, the information is singular, or most replicates failed.

        Notes
        -----
        What `sample_weight` means depends on the method, as what is random does. "information" and "parametric" trust
        the model, and read weights as frequencies: a row of weight 2 is two observations, and doubling all weights
        divides each standard error by sqrt(2). The other methods take each row of positive weight as one observation,
        drawn, left out or reweighted as a whole, with a weight that says how much it matters (as in a survey); doubling
        all weights changes nothing. If weights are counts and one of these methods is wanted, fit
        `numpy.repeat(X, counts, axis=0)`.

        Replicates climb from the fit, by quasi-Newton steps that begin with its information: they describe the
        uncertainty around this maximum, not which of several maxima is found. Each is given the fit's labels by the
        assignment of least cross-entropy.

        Where components overlap so much that the log-likelihood is far from a quadratic, curvature understates the
        uncertainty, and the bootstrap is nearer the truth.

        Examples
        --------
        >>> import bayesgmm as bg
        >>> em = bg.fit_em(bg.datasets.load_faithful(), 2, rng=1)
        >>> for method in ("information", "sandwich"):
        ...     print(method, em.standard_errors(method).table.loc["stds[0, eruptions]", "standard_error"].round(3))
        information 0.023
        sandwich 0.023
        """
        # This imports pandas, which an EM fit does without.
        from bayesgmm.em.uncertainty.standard_errors import standard_errors

        return standard_errors(
            maximum_of(self), method, ci_prob=ci_prob, n_replicates=n_replicates, rng=rng, progress=progress
        )

    def with_rows(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> "EMFit":
        """The same fit with the rows that it was fitted to, for a fit that was read from a file or a dictionary.

        Parameters
        ----------
        X : (n_samples, n_features) rows.
        sample_weight : (n_samples,) their weights, if the fit had any.

        Returns
        -------
        EMFit

        Raises
        ------
        InputError
            The log-likelihood of these rows is not the fit's.

        Examples
        --------
        >>> import bayesgmm as bg
        >>> X = bg.datasets.load_faithful()
        >>> em = bg.fit_em(X, 2, rng=1)
        >>> again = bg.EMFit.from_dict(em.to_dict())
        >>> again.rows is None
        True
        >>> len(again.with_rows(X).standard_errors().table)
        12
        """
        table = as_table(X, features=self.parameters.features)
        fit = replace(self, rows=rows_of(table.values, check_weights(sample_weight, table.n_samples)))
        statistics_at(fit)
        return fit

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, texts and lists, for JSON; `from_dict` restores the fit exactly.

        Examples
        --------
        >>> import json
        >>> import bayesgmm as bg
        >>> em = bg.fit_em(bg.datasets.load_faithful(), 2, rng=1)
        >>> again = bg.EMFit.from_dict(json.loads(json.dumps(em.to_dict())))
        >>> bool((again.parameters.means == em.parameters.means).all())
        True
        """
        return {
            "parameters": _numbers(self.parameters),
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
            "optima": [optimum._asdict() | {"parameters": _numbers(optimum.parameters)} for optimum in self.optima],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "EMFit":
        """The fit that `to_dict` described."""
        return cls(
            parameters=MixtureParameters(**values["parameters"]),
            covariance=values["covariance"],
            log_likelihood=values["log_likelihood"],
            status=Status[values["status"]],
            history=np.array(values["history"]),
            restarts=tuple(
                Restart(**run | {"status": Status[run["status"]], "history": np.array(run["history"])})
                for run in values["restarts"]
            ),
            n_samples=values["n_samples"],
            n_free=values["n_free"],
            entropy=values["entropy"],
            optima=tuple(
                Optimum(**optimum | {"parameters": MixtureParameters(**optimum["parameters"])})
                for optimum in values.get("optima", [])
            ),
        )


def statistics_at(em: EMFit) -> SufficientStatistics:
    """One pass over the fit's rows, at the fit.

    Raises InputError when it has no rows, or others than it was fitted to.
    """
    if em.rows is None:
        raise InputError(
            "This fit has no rows: it was read from a file or a dictionary, which hold estimates only. Call "
            "em.with_rows(X, sample_weight) with the rows that it was fitted to, and use what that returns."
        )
    p = em.parameters
    diagonal = structure_named(em.covariance).diagonal
    at = KernelParameters.of(p.weights, p.means - em.rows.origin, np.linalg.cholesky(p.covariances), diagonal=diagonal)
    found = em.rows.statistics(at)
    if not abs(found.log_likelihood - em.log_likelihood) <= 1e-8 * (abs(em.log_likelihood) + em.n_samples):
        raise InputError(
            f"X and sample_weight are not those of the fit: its log-likelihood is {em.log_likelihood:.8g}, and that of "
            f"these rows {found.log_likelihood:.8g}. Pass the rows and weights that it was fitted to, unchanged."
        )
    return found


def maximum_of(em: EMFit) -> Maximum:
    """The fit with its rows.

    Raises InputError when the fit has no rows, or others than it was fitted to; FitError when it did not converge.
    """
    statistics = statistics_at(em)
    if em.status is not Status.CONVERGED:
        raise FitError(
            f"EM {em.status}. Standard errors belong to a maximum of the likelihood, and this fit may not be one: fit "
            f"again until it has converged."
        )
    p, structure = em.parameters, structure_named(em.covariance)
    if len(found := entries(p.n_components, p.features, em.covariance)) > _MOST_PARAMETERS:
        raise InputError(
            f"covariance={em.covariance!r} with {p.n_components} components of {p.n_features} features has "
            f"{len(found)} numbers; the covariance of more than {_MOST_PARAMETERS} estimates is not computed. Fit "
            f"fewer components or features, or covariance='diag'."
        )
    assert em.rows is not None  # or statistics_at would have refused
    point = Point(p.weights.copy(), p.means - em.rows.origin, np.linalg.cholesky(p.covariances))
    return Maximum(p, em.rows, structure, point, statistics, found)


def _numbers(parameters: MixtureParameters) -> dict[str, Any]:
    return {
        "features": list(parameters.features),
        "weights": parameters.weights.tolist(),
        "means": parameters.means.tolist(),
        "covariances": parameters.covariances.tolist(),
    }
