"""`compare`: EM's estimates beside the posterior, number by number and independent of labels, with a verdict."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from bayesgmm.comparison.arguments import draws_beside
from bayesgmm.comparison.causes import Numbers, likely_causes
from bayesgmm.comparison.densities import DensityDistances, density_distances_of
from bayesgmm.comparison.partitions import agreement_with_draws
from bayesgmm.comparison.verdict import Evidence, Verdict, verdict_of
from bayesgmm.display.cards import Card, Displayed, Listing
from bayesgmm.display.tables import to_csv, to_grid, to_latex, to_markdown
from bayesgmm.em.result import EMFit
from bayesgmm.errors import FitError, InputError
from bayesgmm.mixture.scalars import PARAMETERS, scalar_values
from bayesgmm.posterior.diagnosis.diagnose import Diagnosis, diagnose
from bayesgmm.posterior.draws import (
    check_aligned,
    has_rows,
    interval_names,
    mean_and_sd,
    own_rows,
    posterior_entries,
    standardised,
)
from bayesgmm.received import check_result
from bayesgmm.thresholds import Thresholds, check_thresholds
from bayesgmm.types import FloatArray
from bayesgmm.validation import check_fraction
from bayesgmm.wording import count, in_sds

# Draws, evenly spaced, over which density distances and partitions are averaged.
_N_DRAWS = 200
_N_POINTS = 2**9  # integration points of each of the 8 sequences of `density_distances`
_MOST_NUMBERS = 8  # rows of the table in a repr
_MOST_REASONS = 2  # in a repr, where nothing can be compared

_OPENINGS: dict[Verdict, str] = {
    "agree": (
        "Given {components}, EM's estimates agree with the posterior: you can trust them to the precision of their "
        "posterior intervals. This does not confirm the number of components."
    ),
    "differ": (
        "Given {components}, EM's estimates differ from the posterior ({n} of {numbers}): do not report them without "
        "saying so."
    ),
    "not comparable": (
        "Given {components}, EM's estimates cannot be compared with this posterior, component by component."
    ),
}


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Displayed):
    """EM against the posterior.

    Attributes
    ----------
    verdict : "agree", "differ" or "not comparable".
    reasons : sentences that explain the verdict, the most important first.
    table : DataFrame, one row per number of the mixture, with the columns

        - parameter, component, feature: which number it is;
        - em, se: EM's estimate and its standard error, from the observed information;
        - mean, sd, `eti90_lb`, `eti90_ub`: posterior mean, standard deviation and equal-tailed interval (90 stands for
          `ci_prob` 0.9);
        - z: (em - mean) / sd; where all draws are equal, 0 if em equals them and NaN, which differs, otherwise;
        - inside: whether em is within the interval;
        - differs: whether em is outside the interval or abs(z) is above `thresholds.max_z`;
        - cause: the likely cause of a difference, in words.
    ci_prob : probability of the intervals.
    thresholds : limits that the verdict was based on.
    densities : distances between EM's density and the posterior predictive density.
    partition_agreement : adjusted Rand index between EM's partition of the rows and the partition of a draw, averaged
        over draws; NaN when the posterior has no rows.
    notes : sentences on how to read these numbers.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_galaxies()
    >>> em = bg.fit_em(X, 1, rng=1)
    >>> posterior = bg.sample_posterior(X, 1, start=em.parameters, draws=500, rng=1, progress=False)
    >>> comparison = bg.compare(em, bg.align(posterior, em.parameters))
    >>> comparison.verdict, comparison.interval_columns
    ('agree', ('eti90_lb', 'eti90_ub'))
    >>> print(comparison.table[["em", "se", "mean"]].round(1).to_string(index_names=False))
                          em   se  mean
    means[0, velocity]  20.8  0.5  20.8
    stds[0, velocity]    4.5  0.4   4.6
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
        # NaN is sorted last, so that numbers without z come first in the ranking.
        farthest_first = np.argsort(self.table["z"].abs().to_numpy())[::-1].tolist()
        n_differing, numbers = int(self.table["differs"].sum()), count(len(self.table), "number")
        opening = _OPENINGS[self.verdict].format(n=n_differing, numbers=numbers, components=self._components())
        # Where nothing can be compared, the reasons come before the numbers.
        is_comparable = self.verdict != "not comparable"
        explanation: list[str | Listing] = [
            opening,
            Listing(self.reasons, "reason", n_shown=1 if is_comparable else _MOST_REASONS),
        ]
        return Card(
            f"Comparison of EM with the posterior: {self.verdict}",
            lines=[] if is_comparable else explanation,
            grid=to_grid(self._written(), noun="number", n_shown=_MOST_NUMBERS, ranking=farthest_first),
            notes=[
                "Intervals are equal-tailed; z is EM's distance from the posterior mean, in posterior sd.",
                self._label_free(),
                *self.notes,
                f"Verdict: {self.verdict}" if is_comparable else f"Verdict: {self.verdict}, see above the table",
                *(explanation if is_comparable else []),
            ],
        )

    def _components(self) -> str:
        is_mean = self.table["parameter"] == "means"
        return count(int(self.table.loc[is_mean, "component"].nunique()), "Gaussian component")

    def _label_free(self) -> str:
        hellinger, partitions = self.densities.hellinger, ""
        if np.isfinite(self.partition_agreement):
            partitions = f", adjusted Rand index of the partitions {self.partition_agreement:.3f}"
        return (
            f"Independent of labels: Hellinger distance of the densities {hellinger.value:.3f} (95 % of the "
            f"posterior's own draws: up to {hellinger.typical:.3f}){partitions}."
        )

    def to_csv(self, path: str | Path) -> None:
        """Write `table` in full precision as CSV to the file `path`.

        A name that a spreadsheet would take for a formula gets an apostrophe before it. Raises InputError if the file
        cannot be written.
        """
        if not isinstance(path, (str, Path)):
            raise InputError(f"path must be the name of a file; received {type(path).__name__}. Pass a text or a Path.")
        try:
            Path(path).write_text(to_csv(self.table), encoding="utf-8", newline="")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{path} cannot be written: {reason}. Name a file in a folder that exists.") from error

    def to_markdown(self) -> str:
        """The table of `summary()` in Markdown.

        Examples
        --------
        >>> import bayesgmm as bg
        >>> X = bg.datasets.load_galaxies()
        >>> em = bg.fit_em(X, 1, rng=1)
        >>> posterior = bg.align(bg.sample_posterior(X, 1, draws=200, rng=1, progress=False), em.parameters)
        >>> print(bg.compare(em, posterior).to_markdown().splitlines()[0])
        |  | EM | EM se | posterior mean | sd | 90 % interval | z | inside |
        """
        return to_markdown(self._written())

    def to_latex(self) -> str:
        """The table of `summary()` in LaTeX; it needs the package booktabs."""
        return to_latex(self._written())

    @property
    def interval_columns(self) -> tuple[str, str]:
        """Names of the columns of `table` with the interval's bounds."""
        return interval_names(self.ci_prob)

    def _written(self) -> pd.DataFrame:
        """The table as text, with few digits."""
        table, (lower, upper) = self.table, self.interval_columns
        columns: dict[str, pd.Series | list[str]] = {"EM": table["em"].map("{:.5g}".format)}
        if table["se"].notna().any():
            columns["EM se"] = table["se"].map("{:.2g}".format)
        columns |= {
            "posterior mean": table["mean"].map("{:.5g}".format),
            "sd": table["sd"].map("{:.2g}".format),
            f"{100 * self.ci_prob:g} % interval": [
                f"{low:.5g} to {high:.5g}" for low, high in zip(table[lower], table[upper], strict=True)
            ],
            "z": table["z"].map(partial(in_sds, signed=True)),
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
    diagnosis : `diagnose(posterior)`, if you have it already.
    ci_prob : probability of the equal-tailed intervals, between 0 and 1.
    thresholds : limits of the verdict; by default `Thresholds()`, whose documentation gives the reasons.

    Returns
    -------
    Comparison
        Its verdict is

        - "not comparable" when the diagnosis found a problem (other than at most a share `thresholds.max_divergent` of
          divergent draws), a component is empty, two components are near-duplicates, EM did not converge, or the two
          were fitted to different rows or structures;
        - "differ" when an EM estimate is outside its interval or farther than `thresholds.max_z` from the posterior
          mean, when EM's density is farther from the posterior predictive than 95 % of the posterior's own draws are,
          or when a draw, or the posterior mean, has a higher log-likelihood than EM reached;
        - "not comparable" when there are no more rows than free numbers, or columns with few distinct values;
        - "agree" otherwise, which says nothing about the number of components.

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
    if diagnosis is not None:
        check_result(diagnosis, Diagnosis, "diagnosis")
    check_result(em, EMFit, "em")
    check_aligned(posterior, em.parameters)
    draws = draws_beside(em, posterior, _N_DRAWS)
    if draws.n_draws < 2:
        raise InputError("posterior has one draw; its intervals are unknown. Pass a posterior of more draws.")
    table, notes = _table(em, posterior, ci_prob, thresholds)
    evidence = Evidence(
        em,
        posterior,
        diagnosis or diagnose(posterior, thresholds),
        thresholds,
        table,
        density_distances_of(em.parameters, draws, _N_POINTS),
    )
    if evidence.few_divergences:
        notes = (
            *notes,
            f"{count(evidence.diagnosis.n_divergences, 'draw')} diverged, too few to prevent a comparison.",
        )
    partition_agreement = float("nan")
    if has_rows(posterior):
        partition_agreement = agreement_with_draws(em.parameters, own_rows(posterior).values, draws)
    else:
        notes = (*notes, "The posterior holds no rows (observed_data: X): partitions are not compared.")
    verdict, reasons = verdict_of(evidence)
    return Comparison(verdict, reasons, table, ci_prob, thresholds, evidence.densities, partition_agreement, notes)


def _table(
    em: EMFit, posterior: xr.DataTree, ci_prob: float, thresholds: Thresholds
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table of a comparison, and notes on it."""
    scalars, draws = posterior_entries(posterior)
    estimates = scalar_values(scalars, {name: getattr(em.parameters, name) for name in PARAMETERS})
    mean, sd = mean_and_sd(draws.reshape(-1, len(scalars)).T)
    lower, upper = np.quantile(draws, [(1 - ci_prob) / 2, (1 + ci_prob) / 2], axis=(0, 1))
    z = standardised(estimates, mean, sd)
    inside = ((lower <= estimates) & (estimates <= upper)) | (z == 0)
    lower_name, upper_name = interval_names(ci_prob)
    names = [scalar.name for scalar in scalars]
    standard_errors, notes = _standard_errors(em, names)
    table = pd.DataFrame(
        {
            "parameter": [scalar.parameter for scalar in scalars],
            "component": [scalar.component for scalar in scalars],
            "feature": [scalar.feature for scalar in scalars],
            "em": estimates,
            "se": standard_errors,
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
    return table.assign(cause=likely_causes(Numbers(em, posterior, table, draws, thresholds))), notes


def _standard_errors(em: EMFit, names: list[str]) -> tuple[FloatArray, tuple[str, ...]]:
    """EM's standard errors in the order of `names`; NaN, and a note, where there are none."""
    try:
        standard_errors = em.standard_errors("information").table["se"]
    except (FitError, InputError) as error:
        return np.full(len(names), np.nan), (f"EM's standard errors (se) are missing: {error}",)
    return standard_errors.reindex(names).to_numpy(dtype=np.float64), ()
