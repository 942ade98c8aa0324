"""EM's estimates held against the posterior, number by number and free of labels, with a verdict in words."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from bayesgmm.comparison.densities import DensityDistances, distances_of
from bayesgmm.comparison.partitions import agreement_with_draws
from bayesgmm.comparison.verdict import agreement, differences, few_divergences, likely_causes, obstacles
from bayesgmm.display.cards import Card, Displayed
from bayesgmm.display.tables import to_grid, to_latex, to_markdown
from bayesgmm.em.result import EMFit
from bayesgmm.errors import FitError, InputError
from bayesgmm.mixture.scalars import PARAMETERS, values_of
from bayesgmm.posterior.diagnosis.diagnose import Diagnosis, diagnose
from bayesgmm.posterior.draws import (
    check_aligned,
    check_same_shape,
    interval_names,
    mixture_draws,
    posterior_entries,
    rows_for,
)
from bayesgmm.thresholds import Thresholds, check_thresholds
from bayesgmm.types import FloatArray
from bayesgmm.validation import check_fraction

type Verdict = Literal["agree", "differ", "not comparable"]

# Distances and partitions are averaged over this many draws, evenly spaced.
_N_DRAWS = 200
_N_POINTS = 2**9  # of each of 8 sequences
_MOST_NUMBERS = 8  # that a repr shows


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Displayed):
    """EM against the posterior.

    Attributes
    ----------
    verdict : "agree", "differ" or "not comparable".
    reasons : why, in sentences, the weightiest first.
    table : DataFrame, a row a number of the mixture: parameter, component, feature, em, em_se (EM's own standard error,
        from the observed information), mean, sd, the bounds of the equal-tailed interval (`eti90_lb`, `eti90_ub` at
        ci_prob 0.9), z = (em - mean) / sd, inside, differs (outside, or beyond the largest z), cause (what may have
        moved a number that differs, in words).
    ci_prob : probability of the intervals.
    thresholds : where the lines were drawn.
    densities : distances between EM's density and the posterior predictive density.
    partition_agreement : adjusted Rand index between EM's partition of the rows and a draw's, averaged over draws; NaN
        when the posterior carries no rows.
    notes : what a reader should know of these numbers, in sentences.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_galaxies()
    >>> em = bg.fit_em(X, 1, rng=1)
    >>> posterior = bg.sample_posterior(X, 1, start=em.parameters, draws=500, rng=1, progress=False)
    >>> comparison = bg.compare(em, bg.align(posterior, em.parameters))
    >>> comparison.verdict, comparison.interval_columns
    ('agree', ('eti90_lb', 'eti90_ub'))
    >>> print(comparison.table[["em", "em_se", "mean"]].round(1).to_string(index_names=False))
                          em  em_se  mean
    means[0, velocity]  20.8    0.5  20.8
    stds[0, velocity]    4.5    0.4   4.6
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    table: pd.DataFrame
    ci_prob: float
    thresholds: Thresholds
    densities: DensityDistances
    partition_agreement: float
    notes: tuple[str, ...] = ()

    def _card(self) -> Card:
        table, hellinger = self.table, self.densities.hellinger
        # Their order in the table is kept; where z cannot be said, the number is shown first.
        order = np.argsort(table["z"].abs().to_numpy())[::-1]
        shown = sorted(order[:_MOST_NUMBERS])
        grid, notes = to_grid(self._written().iloc[shown])
        if len(shown) < len(table):
            notes = [
                f"The {len(shown)} of {len(table)} numbers that are farthest from the posterior mean; .summary() "
                f"shows all, .table every digit."
            ]
        more = f" ({len(self.reasons) - 1} more in .reasons)" if len(self.reasons) > 1 else ""
        return Card(
            f"Comparison: {self.verdict}",
            [
                f"{self.reasons[0]}{more}",
                f"{table['differs'].sum()} of {len(table)} numbers differ; Hellinger distance of the densities "
                f"{hellinger.value:.3f}, of 95 % of the posterior's own draws up to {hellinger.typical:.3f}",
            ],
            grid,
            [*notes, "z: EM's distance from the posterior mean, in posterior standard deviations."],
        )

    def summary(self) -> str:
        """Text for a person: the verdict in two sentences, the other reasons, the table, and what is free of labels."""
        n = int(self.table["differs"].sum())
        opening = {
            "agree": (
                "EM's estimates agree with the posterior: you can trust them to the precision of the intervals below."
            ),
            "differ": (
                f"EM's estimates differ from the posterior in {n} of {len(self.table)} numbers: do not report them "
                f"without saying so."
            ),
            "not comparable": "EM's estimates cannot be compared with this posterior, component by component.",
        }[self.verdict]
        hellinger = self.densities.hellinger
        partitions = ""
        if np.isfinite(self.partition_agreement):
            partitions = f", partitions agree to an adjusted Rand index of {self.partition_agreement:.3f}"
        return "\n".join(
            [
                f"Verdict: {self.verdict}",
                opening,
                self.reasons[0],
                *(f"- {reason}" for reason in self.reasons[1:]),
                "",
                self._written().to_string(),
                "",
                f"Intervals are equal-tailed; z is EM's distance from the posterior mean in posterior sd. Label-free: "
                f"Hellinger distance of the densities {hellinger.value:.3f} (95 % of the posterior's own draws: up to "
                f"{hellinger.typical:.3f}){partitions}.",
                *self.notes,
            ]
        )

    def to_csv(self, path: str | Path) -> None:
        """Write `table`, every digit of it, as CSV to the file `path`."""
        self.table.to_csv(path)

    def to_markdown(self) -> str:
        """The table as `summary` shows it, in Markdown.

        Examples
        --------
        >>> import bayesgmm as bg
        >>> X = bg.datasets.load_galaxies()
        >>> em = bg.fit_em(X, 1, rng=1)
        >>> posterior = bg.align(bg.sample_posterior(X, 1, draws=200, rng=1, progress=False), em.parameters)
        >>> print(bg.compare(em, posterior).to_markdown().splitlines()[0])
        |  | EM | EM s.e. | posterior mean | sd | 90 % interval | z | inside |
        """
        return to_markdown(self._written())

    def to_latex(self) -> str:
        """The table as `summary` shows it, in LaTeX; needs the package booktabs."""
        return to_latex(self._written())

    @property
    def interval_columns(self) -> tuple[str, str]:
        """Names of the interval's columns in `table`."""
        return interval_names(self.ci_prob)

    def _written(self) -> pd.DataFrame:
        """The table in few digits."""
        table, (lower, upper) = self.table, self.interval_columns
        columns: dict[str, Any] = {"EM": table["em"].map("{:.5g}".format)}
        if table["em_se"].notna().any():
            columns["EM s.e."] = table["em_se"].map("{:.2g}".format)
        columns |= {
            "posterior mean": table["mean"].map("{:.5g}".format),
            "sd": table["sd"].map("{:.2g}".format),
            f"{100 * self.ci_prob:g} % interval": [
                f"{low:.5g} to {high:.5g}" for low, high in zip(table[lower], table[upper], strict=True)
            ],
            "z": table["z"].map("{:+.2f}".format),
            "inside": table["inside"].map({True: "yes", False: "NO"}),
        }
        return pd.DataFrame(columns)


def compare(
    em: EMFit,
    posterior: xr.DataTree,
    *,
    diagnosis: Diagnosis | None = None,
    ci_prob: float = 0.9,
    thresholds: Thresholds | None = None,
) -> Comparison:
    """Compare an EM fit with a posterior that was aligned to it.

    Parameters
    ----------
    em : EMFit of the same rows.
    posterior : DataTree from `align(posterior, em.parameters)`.
    diagnosis : of that posterior, when it is at hand; made here otherwise.
    ci_prob : probability of the equal-tailed intervals, between 0 and 1.
    thresholds : where the lines are drawn; `Thresholds()` by default, whose documentation says why.

    Returns
    -------
    Comparison
        Its verdict is

        - "not comparable" when the diagnosis found a problem (other than no more divergences than
          `thresholds.max_divergent`), a component is empty or has a twin, EM did not converge, or the two were fitted
          to different rows or structures;
        - "differ" when an EM estimate is outside its interval or farther than `thresholds.max_z` from the posterior
          mean, when EM's density is farther from the posterior predictive than 95 % of the posterior's own draws are,
          or when a draw, or the posterior mean, has a higher log-likelihood than EM reached;
        - "agree" otherwise.

    Raises
    ------
    InputError
        The posterior was not aligned, has other components or features than `em`, or an option is out of range.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> posterior = bg.sample_posterior(X, 2, start=em.parameters, draws=1000, rng=1, progress=False)
    >>> posterior = bg.align(posterior, em.parameters)
    >>> bg.compare(em, posterior).verdict
    'agree'
    >>> bg.compare(bg.fit_em(X[:200], 2, rng=1), posterior).verdict  # the fit is of other rows
    'not comparable'
    """
    ci_prob, thresholds = check_fraction(ci_prob, "ci_prob"), check_thresholds(thresholds)
    check_aligned(posterior)
    some = mixture_draws(posterior, _N_DRAWS)
    check_same_shape(em.parameters, some)
    diagnosis = diagnosis or diagnose(posterior, thresholds)
    table, notes = _table(em, posterior, ci_prob, thresholds)
    if few_divergences(diagnosis, thresholds):
        notes = (*notes, f"{diagnosis.n_divergences} draws diverged, too few to stand in the way of a comparison.")
    densities = distances_of(em.parameters, some, _N_POINTS)
    partitions = float("nan")
    if "observed_data" in posterior:
        partitions = agreement_with_draws(em.parameters, rows_for(posterior, None), some)
    in_the_way = obstacles(em, posterior, diagnosis, thresholds)
    apart = differences(em, posterior, table, densities)
    verdict: Verdict = "not comparable" if in_the_way else "differ" if apart else "agree"
    reasons = tuple(in_the_way or apart or [agreement(table)])
    return Comparison(verdict, reasons, table, ci_prob, thresholds, densities, partitions, notes)


def _table(
    em: EMFit, posterior: xr.DataTree, ci_prob: float, thresholds: Thresholds
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table, and notes on it."""
    found, values = posterior_entries(posterior)
    estimates = values_of(found, {name: getattr(em.parameters, name) for name in PARAMETERS})
    mean, sd = values.mean(axis=(0, 1)), values.std(axis=(0, 1), ddof=1)
    lower, upper = np.quantile(values, [(1 - ci_prob) / 2, (1 + ci_prob) / 2], axis=(0, 1))
    z, inside = (estimates - mean) / sd, (lower <= estimates) & (estimates <= upper)
    lower_name, upper_name = interval_names(ci_prob)
    names = [entry.name for entry in found]
    errors, notes = _standard_errors(em, names)
    table = pd.DataFrame(
        {
            "parameter": [entry.parameter for entry in found],
            "component": [entry.component for entry in found],
            "feature": [entry.feature for entry in found],
            "em": estimates,
            "em_se": errors,
            "mean": mean,
            "sd": sd,
            lower_name: lower,
            upper_name: upper,
            "z": z,
            "inside": inside,
            "differs": ~inside | ~(np.abs(z) <= thresholds.max_z),
        },
        index=pd.Index(names, name="name"),
    )
    return table.assign(cause=likely_causes(em, posterior, table, values, thresholds)), notes


def _standard_errors(em: EMFit, names: list[str]) -> tuple[FloatArray, tuple[str, ...]]:
    """EM's standard errors by these names, NaN with a note where there are none."""
    try:
        errors = em.standard_errors("information").table["standard_error"]
    except (FitError, InputError) as error:
        return np.full(len(names), np.nan), (f"EM's standard errors (em_se) are missing: {error}",)
    return errors.reindex(names).to_numpy(dtype=np.float64), ()
