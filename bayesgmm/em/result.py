"""`EMFit`: what EM found, and how each run ended."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.mixture.parameters import MixtureParameters

type FloatArray = NDArray[np.float64]


class Status(Enum):
    """How a run of EM ended; `remedy` says what to do about it."""

    CONVERGED = ("converged", "")
    MAX_ITER = ("stopped at max_iter", "raise max_iter, or tol if fewer digits will do")
    OVERTAKEN = (
        "overtaken",
        "none needed: after the short run its log-likelihood was not among the best, and others that ran on were "
        "near it, or it was too far below them",
    )
    COLLAPSED = (
        "collapsed",
        "a component shrank onto too few distinct rows: ask for fewer components, or for covariance='tied', "
        "or add rows",
    )

    def __init__(self, text: str, remedy: str) -> None:
        self.text = text
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.text}: {self.remedy}" if self.remedy else self.text


class Restart(NamedTuple):
    """The record of one run.

    start: how it began; history: log-likelihood at each iteration; sampled: of a sample of the rows, not of all;
    n_failed: passes over the rows that led to no iteration, because the log-likelihood was lower there.
    """

    start: str
    status: Status
    history: FloatArray
    sampled: bool = False
    n_failed: int = 0

    @property
    def log_likelihood(self) -> float:
        return float(self.history[-1])

    @property
    def n_passes(self) -> int:
        """Passes over the rows, the first of which gives the log-likelihood of the start."""
        return len(self.history) + self.n_failed


class Optimum(NamedTuple):
    """A maximum of the likelihood. n_runs: how many of the runs that went on to the end reached it."""

    parameters: MixtureParameters
    log_likelihood: float
    n_runs: int


@dataclass(frozen=True, eq=False)
class EMFit:
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
    optima : the distinct maxima that the runs reached, best first, the fit itself the first: two are one when their
        log-likelihoods and, up to the order of components, their parameters agree (0.001 nats and 0.01 standard
        deviations of the data). Empty in a fit that was saved before it was recorded.
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
    optima: tuple[Optimum, ...] = ()

    @property
    def converged(self) -> bool:
        return self.status is Status.CONVERGED

    @property
    def n_iterations(self) -> int:
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

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, texts and lists, for JSON; `from_dict` restores the fit exactly."""
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


def _numbers(parameters: MixtureParameters) -> dict[str, Any]:
    return {
        "features": list(parameters.features),
        "weights": parameters.weights.tolist(),
        "means": parameters.means.tolist(),
        "covariances": parameters.covariances.tolist(),
    }
