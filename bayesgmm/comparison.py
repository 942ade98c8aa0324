"""EM's estimates held against the posterior, number by number and free of labels, with a verdict in words."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.assignments import agreement_with_draws
from bayesgmm.bayes.diagnose import Diagnosis, diagnose, posterior_entries
from bayesgmm.bayes.draws import mixture_draws, rows_for
from bayesgmm.densities import distances_of
from bayesgmm.em.result import EMFit
from bayesgmm.exceptions import InputError
from bayesgmm.mixture.entries import values_of
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.validation import check_fraction, check_positive

type FloatArray = NDArray[np.float64]
type Verdict = Literal["agree", "differ", "not comparable"]

# Distances and partitions are averaged over this many draws, evenly spaced.
_N_DRAWS = 200
_N_POINTS = 2**9  # of each of 8 sequences


@dataclass(frozen=True, eq=False)
class Comparison:
    """EM against the posterior.

    Attributes
    ----------
    verdict : "agree", "differ" or "not comparable".
    reasons : why, in sentences.
    table : DataFrame, a row a number of the mixture: parameter, component, feature, em, mean, sd, the bounds of the
        equal-tailed interval (`eti90_lb`, `eti90_ub` at ci_prob 0.9), z = (em - mean) / sd, inside.
    ci_prob : probability of the intervals.
    max_z : largest |z| that still agrees.
    density_distance : Hellinger distance (0 to 1) between EM's density and the posterior predictive density.
    density_distance_typical : the same distance for 95 % of the posterior's own draws at most.
    partition_agreement : adjusted Rand index between EM's partition of the rows and a draw's, averaged over draws.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    table: pd.DataFrame
    ci_prob: float
    max_z: float
    density_distance: float
    density_distance_typical: float
    partition_agreement: float

    def summary(self) -> str:
        """Text for a person: the verdict, why, and the table."""
        opening = {
            "agree": (
                "EM's estimates agree with the posterior: you can trust them to the precision of the intervals below."
            ),
            "differ": "EM's estimates differ from the posterior: do not report them without saying so.",
            "not comparable": "EM's estimates cannot be compared with this posterior, component by component.",
        }[self.verdict]
        lower, upper = self.interval_columns
        shown = pd.DataFrame(
            {
                "EM": self.table["em"].map("{:.5g}".format),
                "posterior mean": self.table["mean"].map("{:.5g}".format),
                "sd": self.table["sd"].map("{:.2g}".format),
                f"{100 * self.ci_prob:g} % interval": [
                    f"{low:.5g} to {high:.5g}" for low, high in zip(self.table[lower], self.table[upper], strict=True)
                ],
                "z": self.table["z"].map("{:+.2f}".format),
                "inside": self.table["inside"].map({True: "yes", False: "NO"}),
            }
        )
        return "\n".join(
            [
                f"Verdict: {self.verdict}",
                opening,
                *(f"- {reason}" for reason in self.reasons),
                "",
                shown.to_string(),
                "",
                f"Intervals are equal-tailed; z is EM's distance from the posterior mean in posterior sd. Label-free: "
                f"Hellinger distance of the densities {self.density_distance:.3f} (95 % of the posterior's own draws: "
                f"up to {self.density_distance_typical:.3f}), partitions agree to an adjusted Rand index of "
                f"{self.partition_agreement:.3f}.",
            ]
        )

    @property
    def interval_columns(self) -> tuple[str, str]:
        """Names of the interval's columns in `table`."""
        stem = f"eti{100 * self.ci_prob:g}"
        return f"{stem}_lb", f"{stem}_ub"


def compare(
    em: EMFit,
    posterior: xr.DataTree,
    *,
    diagnosis: Diagnosis | None = None,
    ci_prob: float = 0.9,
    max_z: float = 1.0,
) -> Comparison:
    """Compare an EM fit with a posterior that was aligned to it.

    Parameters
    ----------
    em : EMFit of the same rows.
    posterior : DataTree from `align(posterior, em.parameters)`.
    diagnosis : of that posterior, when it is at hand; made here otherwise.
    ci_prob : probability of the equal-tailed intervals, between 0 and 1.
    max_z : largest distance of an EM estimate from its posterior mean, in posterior standard deviations, that agrees.

    Returns
    -------
    Comparison. Its verdict is

    - "not comparable" when the diagnosis found a problem, EM did not converge, or the two were fitted to different rows
      or structures;
    - "differ" when an EM estimate is outside its interval or farther than `max_z` from the posterior mean, when EM's
      density is farther from the posterior predictive than 95 % of the posterior's own draws are, or when a draw has a
      higher log-likelihood than EM reached;
    - "agree" otherwise.

    Raises
    ------
    InputError
        The posterior was not aligned, has other components or features than `em`, or an option is out of range.
    """
    ci_prob, max_z = check_fraction(ci_prob, "ci_prob"), check_positive(max_z, "max_z")
    if not posterior.attrs.get("aligned", 0):
        raise InputError(
            "posterior is not aligned: its components have no fixed labels. Pass align(posterior, em.parameters)."
        )
    draws = posterior["posterior"].to_dataset()
    shape = draws.sizes["component"], draws.sizes["feature"]
    if em.parameters.means.shape != shape:
        raise InputError(
            f"em has {em.parameters.n_components} components of {em.parameters.n_features} features; the posterior has "
            f"{shape[0]} of {shape[1]}."
        )
    diagnosis = diagnosis or diagnose(posterior)
    table = _table(em.parameters, posterior, draws, ci_prob)
    some = mixture_draws(posterior, _N_DRAWS)
    hellinger = distances_of(em.parameters, some, _N_POINTS).hellinger
    distance, typical = hellinger.value, hellinger.typical
    agreement = float("nan")
    if "observed_data" in posterior:
        agreement = agreement_with_draws(em.parameters, rows_for(posterior, None), some)

    obstacles = _obstacles(em, posterior, diagnosis)
    differences = _differences(em, posterior, table, max_z, distance, typical)
    verdict: Verdict = "not comparable" if obstacles else "differ" if differences else "agree"
    reasons = obstacles or differences or [_agreement(table)]
    return Comparison(verdict, tuple(reasons), table, ci_prob, max_z, distance, typical, agreement)


def _table(parameters: MixtureParameters, posterior: xr.DataTree, draws: xr.Dataset, ci_prob: float) -> pd.DataFrame:
    found = posterior_entries(posterior)
    names = ("weights", "means", "stds", "correlations")
    values = values_of(found, {name: draws[name].values for name in names}).reshape(-1, len(found))
    em = values_of(found, {name: getattr(parameters, name) for name in names})
    mean, sd = values.mean(axis=0), values.std(axis=0, ddof=1)
    lower, upper = np.quantile(values, [(1 - ci_prob) / 2, (1 + ci_prob) / 2], axis=0)
    stem = f"eti{100 * ci_prob:g}"
    return pd.DataFrame(
        {
            "parameter": [entry.parameter for entry in found],
            "component": [entry.component for entry in found],
            "feature": [entry.feature for entry in found],
            "em": em,
            "mean": mean,
            "sd": sd,
            f"{stem}_lb": lower,
            f"{stem}_ub": upper,
            "z": (em - mean) / sd,
            "inside": (lower <= em) & (em <= upper),
        },
        index=pd.Index([entry.name for entry in found], name="name"),
    )


def _obstacles(em: EMFit, posterior: xr.DataTree, diagnosis: Diagnosis) -> list[str]:
    found = [problem.text[0].upper() + problem.text[1:] for problem in diagnosis.problems]
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
    return found


def _differences(
    em: EMFit, posterior: xr.DataTree, table: pd.DataFrame, max_z: float, distance: float, typical: float
) -> list[str]:
    found = []
    bad = table[(table["z"].abs() > max_z) | ~table["inside"]]
    for name, row in bad.reindex(bad["z"].abs().sort_values(ascending=False).index).iterrows():
        where = "above" if row["z"] > 0 else "below"
        found.append(
            f"{name}: EM's {row['em']:.5g} is {abs(row['z']):.2f} posterior sd {where} the posterior mean "
            f"{row['mean']:.5g}{'' if row['inside'] else ', outside its interval'}."
        )
    if distance > typical:
        found.append(
            f"EM's density is farther from the posterior predictive (Hellinger {distance:.3f}) than 95 % of the "
            f"posterior's own draws ({typical:.3f})."
        )
    stats = posterior["sample_stats"]
    if "total_log_likelihood" in stats:
        best = float(stats["total_log_likelihood"].max())
        # A maximum of the likelihood is above every draw; half a nat leaves room for tolerances.
        if best > em.log_likelihood + 0.5:
            found.append(
                f"A posterior draw has log-likelihood {best:.3f}, above EM's {em.log_likelihood:.3f}: EM is at a local "
                f"maximum. Start it from that draw, or raise n_init."
            )
    return found


def _agreement(table: pd.DataFrame) -> str:
    worst: Any = table["z"].abs().idxmax()
    return (
        f"Every EM estimate is inside its interval; the farthest from its posterior mean is {worst}, by "
        f"{abs(table.loc[worst, 'z']):.2f} posterior sd."
    )
