"""Records of the runs of a fit: how each run ended, the maxima that the runs reached, and the problems of the fit."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal, NamedTuple, get_args

from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import FloatArray
from bayesgmm.wording import count


class Status(Enum):
    """How a run of EM ended; `text` names it, and `remedy` says what to do about it.

    CONVERGED: the log-likelihood has reached its limit. MAX_ITER: the run used all its iterations. ABANDONED: the run
    was stopped after the short run, in favour of others. COLLAPSED: the covariance of a component became singular.

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
    ABANDONED = (
        "abandoned",
        "no action needed, this start was dropped after its short run because it was worse than, or close to, runs "
        "that continued",
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
        """Log-likelihood at the end of the run."""
        return float(self.history[-1])

    @property
    def n_passes(self) -> int:
        """Passes over the rows; the first gives the log-likelihood of the start."""
        return len(self.history) + self.n_failed

    def __repr__(self) -> str:
        of_sample = " of a sample of the rows" if self.sampled else ""
        return (
            f"Restart({self.start}, {self.status.text} after {count(len(self.history) - 1, 'iteration')}, "
            f"log-likelihood{of_sample} {self.log_likelihood:.4f})"
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


type FitProblemKind = Literal[
    "collapsed starts",
    "spurious maximum",
    "equal components",
    "reached once",
    "few rows",
    "few values",
    "row weights",
]
FIT_PROBLEM_KINDS: tuple[FitProblemKind, ...] = get_args(FitProblemKind.__value__)


@dataclass(frozen=True)
class FitProblem:
    """A reason not to trust a fit by EM.

    Attributes
    ----------
    kind : one of

        - "collapsed starts": most runs collapsed;
        - "spurious maximum": a component holds few rows and is flat, or hardly more rows than it needs to exist;
        - "equal components": two components are equal, at a point that is no maximum;
        - "reached once": a single start reached the best maximum;
        - "few rows": there are fewer rows than free parameters;
        - "few values": columns have few different values;
        - "row weights": the row weights sum to less than one row per component, or to 1.

    text : what is wrong, and what to do about it.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> em = bg.fit_em([[0.0, 1.0], [2.0, 0.5], [1.0, 3.0], [4.0, 4.5]], 1)
    >>> [problem.kind for problem in em.problems]
    ['few rows']
    """

    kind: FitProblemKind
    text: str
