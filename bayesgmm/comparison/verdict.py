"""What stands in the way of a comparison, where EM and the posterior differ, and what may be the cause."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import skew

from bayesgmm.comparison.densities import DensityDistances
from bayesgmm.em.result import EMFit
from bayesgmm.mixture.draws import MixtureDraws
from bayesgmm.mixture.matching import bhattacharyya_distances
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.posterior.diagnosis.diagnose import Diagnosis
from bayesgmm.posterior.diagnosis.sensitivity import prior_sensitivity
from bayesgmm.posterior.draws import mixture_draws
from bayesgmm.thresholds import Thresholds
from bayesgmm.types import FloatArray, RowArray

# Twins and empty components are looked for in this many draws, evenly spaced.
_N_DRAWS = 400
# A maximum of the likelihood is above every draw; half a nat leaves room for tolerances.
_SLACK = 0.5
# A component of EM's narrower than all but this share of the draws' is collapsing.
_COLLAPSING = 0.001


def obstacles(em: EMFit, posterior: xr.DataTree, diagnosis: Diagnosis, thresholds: Thresholds) -> list[str]:
    """Why EM's estimates cannot be held against this posterior number by number, in sentences."""
    found = [
        problem.text[0].upper() + problem.text[1:]
        for problem in diagnosis.problems
        if problem.kind != "divergences" or not few_divergences(diagnosis, thresholds)
    ]
    if not em.converged:
        found.append(f"EM {em.status}.")
    covariance = posterior.attrs.get("covariance", em.covariance)
    if covariance != em.covariance:
        found.append(
            f"EM fitted {em.covariance} covariances, the posterior {covariance} ones. Fit both with the same structure."
        )
    if "observed_data" in posterior:
        n_rows = posterior["observed_data"].sizes["row"]
        if abs(em.n_samples - n_rows) > 1e-9 * n_rows:
            found.append(
                f"EM was fitted to {em.n_samples:g} rows (or weights with that sum), the posterior to {n_rows}. Fit "
                f"both to the same rows, without weights."
            )
    return [*found, *_empty(em, posterior, thresholds), *_twins(posterior, thresholds)]


def few_divergences(diagnosis: Diagnosis, thresholds: Thresholds) -> bool:
    """Whether draws diverged, but too few of them to stand in the way."""
    n_draws = diagnosis.n_draws * diagnosis.n_chains
    return 0 < diagnosis.n_divergences <= thresholds.max_divergent * n_draws


def _empty(em: EMFit, posterior: xr.DataTree, thresholds: Thresholds) -> list[str]:
    stats = posterior["sample_stats"].to_dataset()
    if "label_rows" in stats:
        held = stats["label_rows"].values * em.n_samples / posterior.attrs["align_rows"]
    else:
        held = posterior["posterior"].to_dataset()["weights"].values * em.n_samples
    shares = (held < thresholds.empty_rows).mean(axis=(0, 1))
    return [
        f"Component {k} is empty in {100 * share:.0f} % of the draws (fewer than {thresholds.empty_rows:g} rows): "
        f"its numbers are the prior's there. Ask for fewer components."
        for k, share in enumerate(shares)
        if share > thresholds.max_empty
    ]


def _twins(posterior: xr.DataTree, thresholds: Thresholds) -> list[str]:
    found = []
    for (i, j), share in twin_shares(mixture_draws(posterior, _N_DRAWS), thresholds.twin_distance).items():
        if share > thresholds.max_twin:
            found.append(
                f"Components {i} and {j} are twins in {100 * share:.0f} % of the draws: nearly the same Gaussian, so "
                f"that which is which is chance. Ask for fewer components."
            )
    return found


def twin_shares(draws: MixtureDraws, distance: float) -> dict[tuple[int, int], float]:
    """Share of the draws in which two components are nearer to each other than a Bhattacharyya distance."""
    means, covariances = draws.means, draws.covariances
    pairs = combinations(range(draws.n_components), 2)
    apart = {
        (i, j): bhattacharyya_distances(means[:, i], covariances[:, i], means[:, j], covariances[:, j])
        for i, j in pairs
    }
    return {pair: float((distances < distance).mean()) for pair, distances in apart.items()}


def differences(
    em: EMFit, posterior: xr.DataTree, table: pd.DataFrame, densities: DensityDistances, rows: RowArray | None
) -> list[str]:
    """Where EM and the posterior differ, in sentences, the likely causes first. `table` as `compare` makes it.

    rows (N, D): the posterior's rows, checked; None where it carries none.
    """
    found = _local_maximum(em, posterior, rows)
    unknown = "" if found else " No cause is visible."
    bad = table[table["differs"]]
    for name, row in bad.reindex(bad["z"].abs().sort_values(ascending=False).index).iterrows():
        where = "above" if row["z"] > 0 else "below"
        cause = f" Likely because {row['cause']}." if row["cause"] else unknown
        found.append(
            f"{name}: EM's {row['em']:.5g} is {abs(row['z']):.2f} posterior sd {where} the posterior mean "
            f"{row['mean']:.5g}{'' if row['inside'] else ', outside its interval'}.{cause}"
        )
    distance = densities.hellinger
    if distance.value > distance.typical:
        found.append(
            f"EM's density is farther from the posterior predictive (Hellinger {distance.value:.3f}) than 95 % of the "
            f"posterior's own draws ({distance.typical:.3f})."
        )
    return found


def _local_maximum(em: EMFit, posterior: xr.DataTree, rows: RowArray | None) -> list[str]:
    """A higher log-likelihood than EM's, among the draws or at their mean."""
    stats = posterior["sample_stats"].to_dataset()
    candidates = []
    if "total_log_likelihood" in stats:
        candidates.append(("A posterior draw", float(stats["total_log_likelihood"].max())))
    if rows is not None:
        means = posterior["posterior"].to_dataset().mean(("chain", "draw"))
        weights = means["weights"].values
        at_mean = MixtureParameters(weights / weights.sum(), means["means"].values, means["covariances"].values)
        candidates.append(("The posterior mean", float(at_mean.log_densities_at(rows).sum())))
    what, best = max(candidates, key=lambda candidate: candidate[1], default=("", -np.inf))
    if not best > em.log_likelihood + _SLACK:
        return []
    return [
        f"{what} has log-likelihood {best:.3f}, above EM's {em.log_likelihood:.3f}: EM is at a local maximum. Start it "
        f"from there, or raise n_init."
    ]


def likely_causes(
    em: EMFit, posterior: xr.DataTree, table: pd.DataFrame, values: FloatArray, thresholds: Thresholds
) -> list[str]:
    """What may have moved each number that differs, "" for the others and where nothing is visible.

    values (chain, draw, n_entries): the draws of the table's numbers.
    """
    if not table["differs"].any():
        return [""] * len(table)
    sensitivity = prior_sensitivity(posterior, values)
    few, collapsing = _few_rows(em, table, thresholds), _collapsing(em, posterior)
    causes = []
    for i, (_, row) in enumerate(table.iterrows()):
        found = []
        if row["differs"]:
            found += [text for text in (few.get(row["component"]), collapsing.get(row["component"])) if text]
            skewness = float(skew(values[..., i], axis=None))
            if abs(skewness) > thresholds.min_skewness and skewness * row["z"] < 0:
                side = "above" if skewness > 0 else "below"
                found.append(f"its posterior is skewed, its mean {side} its mode (skewness {skewness:+.1f})")
            if sensitivity is not None and sensitivity[i] > thresholds.min_sensitivity:
                found.append(f"the prior pulls on it (power-scaling sensitivity {sensitivity[i]:.2f})")
        causes.append("; ".join(found))
    return causes


def _few_rows(em: EMFit, table: pd.DataFrame, thresholds: Thresholds) -> dict[Any, str]:
    """Components that hold few rows for their numbers."""
    own = table[table["parameter"] != "weights"].groupby("component", sort=False).size()
    texts = {}
    for component, n_numbers in own.items():
        rows = em.n_samples * (em.parameters.weights[component] if isinstance(component, int) else 1.0)
        if rows < thresholds.rows_per_number * n_numbers:
            whose = f"component {component}" if isinstance(component, int) else "the data"
            texts[component] = f"{whose} holds few rows ({rows:.0f}) for {n_numbers} numbers"
    return texts


def _collapsing(em: EMFit, posterior: xr.DataTree) -> dict[Any, str]:
    """Components of EM's of less volume than nearly all draws give them."""
    covariances = mixture_draws(posterior).covariances
    volumes, of_em = np.linalg.slogdet(covariances)[1], np.linalg.slogdet(em.parameters.covariances)[1]
    return {
        k: f"EM's component {k} is narrower than 99.9 % of the draws', as a collapsing one is"
        for k in np.flatnonzero((volumes < of_em).mean(axis=0) < _COLLAPSING).tolist()
    }


def agreement(table: pd.DataFrame) -> str:
    worst: Any = table["z"].abs().idxmax()
    return (
        f"Every EM estimate is inside its interval; the farthest from its posterior mean is {worst}, by "
        f"{abs(table.loc[worst, 'z']):.2f} posterior sd."
    )
