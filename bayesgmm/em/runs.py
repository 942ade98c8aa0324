"""What the runs of a fit leave behind: how each ended, and the maxima they reached."""

from enum import Enum
from typing import NamedTuple

from bayesgmm.display.cards import count
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import FloatArray


class Status(Enum):
    """How a run of EM ended; `remedy` says what to do about it.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> em = bg.fit_em(bg.datasets.load_faithful(), 2, max_iter=2, rng=1)
    >>> em.status is bg.results.Status.MAX_ITER
    True
    >>> print(em.status)
    stopped at max_iter: raise max_iter, or tol if fewer digits will do
    """

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
    """The record of one run of EM.

    Attributes
    ----------
    start : name of the start: "k-means++", "random", "parameters" or "responsibilities".
    status : how the run ended.
    history : (n_iterations + 1,) log-likelihood at each iteration, in nats.
    sampled : whether the log-likelihoods are those of a sample of the rows.
    n_failed : passes over the rows at points that were rejected because the log-likelihood is lower there.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> em = bg.fit_em(bg.datasets.load_faithful(), 2, rng=1)
    >>> len(em.restarts), em.restarts[0].start, em.restarts[0].status.text
    (100, 'k-means++', 'converged')
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

    def __repr__(self) -> str:
        of = " of a sample of the rows" if self.sampled else ""
        return (
            f"Restart({self.start}, {self.status.text} after {count(len(self.history) - 1, 'iteration')}, "
            f"log-likelihood{of} {self.log_likelihood:.4f})"
        )


class Optimum(NamedTuple):
    """A maximum of the likelihood.

    Attributes
    ----------
    parameters : the mixture at the maximum.
    log_likelihood : float, at `parameters`, in nats.
    n_runs : number of runs that converged to it.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> em = bg.fit_em(bg.datasets.load_faithful(), 2, rng=1)
    >>> em.optima[0].log_likelihood == em.log_likelihood
    True
    """

    parameters: MixtureParameters
    log_likelihood: float
    n_runs: int

    def __repr__(self) -> str:
        return f"Optimum(log-likelihood {self.log_likelihood:.4f}, reached by {count(self.n_runs, 'run')})"
