"""The verdict of a comparison and the reasons for it, one function per reason.

A reason is a function of the evidence that returns sentences, or an empty list where it does not apply. `OBSTACLES`
lists the reasons for "not comparable", `DIFFERENCES` the reasons for "differ". To add a reason, write its function and
put it in the list, at the place where its sentences should stand.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from bayesgmm.comparison.densities import DensityDistances
from bayesgmm.em.result import EMFit
from bayesgmm.errors import InputError
from bayesgmm.mixture.draws import MixtureDraws
from bayesgmm.mixture.evaluation import log_densities_at
from bayesgmm.mixture.matching import bhattacharyya_distances
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.posterior.diagnosis.diagnose import Diagnosis
from bayesgmm.posterior.diagnosis.problems import Problem, ProblemKind
from bayesgmm.posterior.draws import (
    has_rows,
    mixture_dataset,
    mixture_draws,
    n_rows_of,
    observed_rows,
    sample_stats,
)
from bayesgmm.thresholds import Thresholds
from bayesgmm.types import RowArray
from bayesgmm.wording import in_sds

type Verdict = Literal["agree", "differ", "not comparable"]

# Draws, evenly spaced, in which near-duplicate components are looked for.
_N_DRAWS = 400
_ABOUT_ROWS: tuple[ProblemKind, ...] = ("few rows", "few values")
# Nats by which a log-likelihood must exceed EM's; EM's tolerance and rounding stay well below this.
_SLACK = 0.5


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything that a verdict is based on.

    em, posterior : the fit, and the posterior aligned to it.
    diagnosis : of that posterior.
    thresholds : the limits that decide the verdict.
    table : the table of `Comparison`.
    densities : distances between EM's density and the posterior predictive density.
    """

    em: EMFit
    posterior: xr.DataTree
    diagnosis: Diagnosis
    thresholds: Thresholds
    table: pd.DataFrame
    densities: DensityDistances

    @property
    def few_divergences(self) -> bool:
        """Whether draws diverged, but too few of them to prevent a comparison."""
        n_draws = self.diagnosis.n_draws * self.diagnosis.n_chains
        return 0 < self.diagnosis.n_divergences <= self.thresholds.max_divergent * n_draws

    @cached_property
    def local_maximum(self) -> str:
        """A sentence if a draw or the posterior mean has a higher log-likelihood than EM reached, otherwise ""."""
        where, highest = _highest_log_likelihood(self.posterior, self.em.parameters.features)
        if not highest > self.em.log_likelihood + _SLACK:
            return ""
        return (
            f"{where} has log-likelihood {highest:.3f}, above EM's {self.em.log_likelihood:.3f}: EM is at a local "
            f"maximum. Start EM from there, or raise n_init."
        )


type Reason = Callable[[Evidence], list[str]]


def verdict_of(evidence: Evidence) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict and the sentences that explain it."""
    about_rows = tuple(row_problems(evidence))
    if obstacles := _sentences(OBSTACLES, evidence):
        return "not comparable", (*obstacles, *about_rows)
    if differences := _sentences(DIFFERENCES, evidence):
        return "differ", (*differences, *about_rows)
    if about_rows:
        return "not comparable", about_rows
    return "agree", (_agreement(evidence.table),)


def _sentences(reasons: tuple[Reason, ...], evidence: Evidence) -> tuple[str, ...]:
    return tuple(sentence for reason in reasons for sentence in reason(evidence))


# Reasons for "not comparable"


def sampling_problems(evidence: Evidence) -> list[str]:
    """The diagnosis found problems of the draws; a small number of divergences does not count here."""
    ignored = {*_ABOUT_ROWS, "divergences"} if evidence.few_divergences else set(_ABOUT_ROWS)
    return [_sentence(problem) for problem in evidence.diagnosis.problems if problem.kind not in ignored]


def row_problems(evidence: Evidence) -> list[str]:
    """The diagnosis found rows that no agreement can vouch for; a difference can still be told."""
    return [_sentence(problem) for problem in evidence.diagnosis.problems if problem.kind in _ABOUT_ROWS]


def _sentence(problem: Problem) -> str:
    return problem.text[0].upper() + problem.text[1:]


def em_not_converged(evidence: Evidence) -> list[str]:
    """EM did not reach a maximum."""
    return [] if evidence.em.converged else [f"EM {evidence.em.status}."]


def different_structures(evidence: Evidence) -> list[str]:
    """EM and the posterior have different covariance structures."""
    of_em = evidence.em.covariance
    of_posterior = evidence.posterior.attrs.get("covariance", of_em)
    if of_posterior == of_em:
        return []
    return [f"EM fitted {of_em} covariances, the posterior has {of_posterior} ones. Fit both with the same structure."]


def different_rows(evidence: Evidence) -> list[str]:
    """EM was fitted to other rows than the posterior, or to weighted rows."""
    em, n_posterior = evidence.em, n_rows_of(evidence.posterior)
    if not n_posterior:
        return []
    if abs(em.n_samples - n_posterior) > 1e-9 * n_posterior:
        return [
            f"EM was fitted to {em.n_samples:g} rows (or weights with that sum), the posterior to {n_posterior}. Fit "
            f"both to the same rows, without weights."
        ]
    rows = observed_rows(evidence.posterior, em.parameters.features).values
    if em.rows is None:  # the fit was read from a file
        is_same = _has_log_likelihood_of(em, rows)
    else:
        is_same = np.array_equal(em.rows.values, rows) and bool((em.rows.weights == 1).all())
    if is_same:
        return []
    return [
        "EM was fitted to other rows than the posterior, in values, order or weights. Fit both to the same rows, "
        "without weights."
    ]


def _has_log_likelihood_of(em: EMFit, rows: RowArray) -> bool:
    try:
        em.with_rows(rows)
    except InputError:
        return False
    return True


def empty_components(evidence: Evidence) -> list[str]:
    """A component holds almost no rows in many draws."""
    posterior, n_samples, thresholds = evidence.posterior, evidence.em.n_samples, evidence.thresholds
    stats = sample_stats(posterior)
    if "label_rows" in stats:
        n_read = stats["label_rows"].values.sum(axis=-1, keepdims=True)
        n_rows = stats["label_rows"].values * n_samples / n_read
    else:
        n_rows = mixture_dataset(posterior)["weights"].values * n_samples
    shares = (n_rows < thresholds.empty_rows).mean(axis=(0, 1))
    return [
        f"Component {k} is empty in {100 * share:.0f} % of the draws (fewer than {thresholds.empty_rows:g} rows): "
        f"there its parameters are drawn from the prior. Ask for fewer components."
        for k, share in enumerate(shares)
        if share > thresholds.max_empty
    ]


def near_duplicate_components(evidence: Evidence) -> list[str]:
    """Two components are almost the same Gaussian in many draws."""
    draws, thresholds = mixture_draws(evidence.posterior, _N_DRAWS), evidence.thresholds
    return [
        f"Components {i} and {j} are near-duplicates in {100 * share:.0f} % of the draws: almost the same Gaussian, so "
        f"that their labels are arbitrary. Ask for fewer components."
        for (i, j), share in near_duplicate_shares(draws, thresholds.duplicate_distance).items()
        if share > thresholds.max_duplicate
    ]


def near_duplicate_shares(draws: MixtureDraws, distance: float) -> dict[tuple[int, int], float]:
    """For each pair of components, the share of draws in which their Bhattacharyya distance is below `distance`."""
    means, covariances = draws.means, draws.covariances
    shares = {}
    for i, j in combinations(range(draws.n_components), 2):
        distances = bhattacharyya_distances(means[:, i], covariances[:, i], means[:, j], covariances[:, j])
        shares[i, j] = float((distances < distance).mean())
    return shares


OBSTACLES: tuple[Reason, ...] = (
    different_rows,
    different_structures,
    em_not_converged,
    sampling_problems,
    empty_components,
    near_duplicate_components,
)


# Reasons for "differ"


def local_maximum(evidence: Evidence) -> list[str]:
    """The posterior contains a mixture with a higher log-likelihood than EM reached."""
    return [evidence.local_maximum] if evidence.local_maximum else []


def differing_numbers(evidence: Evidence) -> list[str]:
    """EM estimates outside their interval or far from the posterior mean, the farthest first."""
    differing = evidence.table[evidence.table["differs"]]
    farthest_first = differing["z"].abs().sort_values(ascending=False).index
    no_cause = "" if evidence.local_maximum else " No cause is visible."
    sentences = []
    for name, row in differing.reindex(farthest_first).iterrows():
        if np.isnan(row["z"]):
            sentences.append(f"{name}: EM's {row['em']:.5g} is not the posterior's {row['mean']:.5g}, in every draw.")
            continue
        side = "above" if row["z"] > 0 else "below"
        outside = "" if row["inside"] else ", outside its interval"
        cause = f" Likely because {row['cause']}." if row["cause"] else no_cause
        sentences.append(
            f"{name}: EM's {row['em']:.5g} is {in_sds(abs(row['z']))} posterior sd {side} the posterior mean "
            f"{row['mean']:.5g}{outside}.{cause}"
        )
    return sentences


def distant_density(evidence: Evidence) -> list[str]:
    """EM's density is farther from the posterior predictive density than most draws are."""
    distance = evidence.densities.hellinger
    if not distance.value > distance.typical:
        return []
    return [
        f"EM's density is farther from the posterior predictive (Hellinger {distance.value:.3f}) than 95 % of the "
        f"posterior's own draws ({distance.typical:.3f})."
    ]


DIFFERENCES: tuple[Reason, ...] = (local_maximum, differing_numbers, distant_density)


def _highest_log_likelihood(posterior: xr.DataTree, features: tuple[str, ...]) -> tuple[str, float]:
    """Where in the posterior the log-likelihood is highest, in words, and its value; -inf where nothing is known."""
    stats = sample_stats(posterior)
    candidates = [("", -np.inf)]
    if "total_log_likelihood" in stats:
        candidates.append(("A posterior draw", float(stats["total_log_likelihood"].max())))
    if has_rows(posterior):
        means = mixture_dataset(posterior)[["weights", "means", "covariances"]].mean(("chain", "draw"))
        weights = means["weights"].values
        mixture = MixtureParameters(weights / weights.sum(), means["means"].values, means["covariances"].values)
        rows = observed_rows(posterior, features).values
        candidates.append(("The posterior mean", float(log_densities_at(mixture, rows).sum())))
    return max(candidates, key=lambda candidate: candidate[1])


def _agreement(table: pd.DataFrame) -> str:
    distances = table["z"].abs()
    return (
        f"Every EM estimate is inside its interval; the farthest from its posterior mean is {distances.idxmax()}, by "
        f"{in_sds(distances.max())} posterior sd."
    )
