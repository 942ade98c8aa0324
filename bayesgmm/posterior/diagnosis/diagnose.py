"""Whether the draws can be trusted: convergence before and after relabelling, by ArviZ."""

from dataclasses import dataclass

import arviz as az
import numpy as np
import pandas as pd
import xarray as xr

from bayesgmm.convergence import _label_free, convergence
from bayesgmm.display.cards import Card, Displayed, Grid, count
from bayesgmm.errors import InputError
from bayesgmm.posterior.diagnosis.problems import (
    Problem,
    of_an_empty_component,
    of_other_modes,
    problems_of,
    shares_in_words,
)
from bayesgmm.posterior.draws import posterior_entries
from bayesgmm.posterior.labels.report import label_report
from bayesgmm.thresholds import Thresholds, check_thresholds
from bayesgmm.types import FloatArray

_WITHOUT_GRADIENTS = "without gradients, so that there are no divergences and no E-BFMI"
_MOST_PROBLEMS = 3  # that a repr tells


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis(Displayed):
    """Convergence of a posterior.

    Attributes
    ----------
    label_free : DataFrame, quantities that do not depend on labels: r_hat, ess_bulk, ess_tail. When these fail, chains
        are in different places.
    parameters : DataFrame, the same for every parameter, after relabelling when `aligned`. When only these fail, the
        labels are what is unclear.
    n_divergences, n_chains, n_draws : counts; draws a chain.
    bfmi : (n_chains,) energy fraction of missing information; (0,) where the sampler has no energy.
    unclear : share of draws whose labels are not clear (`align`: label_clear); NaN when not aligned.
    labels : DataFrame, how firmly each component's labels stand (`label_report`: table); None when not aligned.
    aligned, partial : whether the draws were relabelled, whether sampling was interrupted.
    problems : what stands in the way; empty when nothing does.
    modes : DataFrame, a row a mode that `sample_posterior` knew of, row 0 that of these draws: state, the region it is
        in, the region's share of the posterior and the share's standard error, log evidence, log posterior and
        log-likelihood at the mode, number of starts that led there. Without rows when the posterior does not tell.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> posterior = bg.sample_posterior(X, 2, start=em.parameters, draws=1000, rng=1, progress=False)
    >>> diagnosis = bg.diagnose(bg.align(posterior, em.parameters))
    >>> diagnosis.ok, diagnosis.n_chains, diagnosis.n_draws, diagnosis.unclear
    (True, 4, 1000, 0.0)
    >>> bool((diagnosis.parameters["r_hat"] < 1.01).all())
    True
    """

    label_free: pd.DataFrame
    parameters: pd.DataFrame
    n_divergences: int
    n_chains: int
    n_draws: int
    bfmi: FloatArray
    unclear: float
    labels: pd.DataFrame | None
    aligned: bool
    partial: bool
    problems: tuple[Problem, ...]
    modes: pd.DataFrame

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return not self.problems

    def _card(self) -> Card:
        n, partial = len(self.problems), " (interrupted)" if self.partial else ""
        facts = [
            f"{count(self.n_chains, 'chain')} x {count(self.n_draws, 'draw')}{partial}",
            *(
                [count(self.n_divergences, "divergence"), f"lowest E-BFMI {self.bfmi.min():.2f}"]
                if self.bfmi.size
                else [_WITHOUT_GRADIENTS]
            ),
        ]
        if np.isfinite(self.unclear):
            facts.append(f"{100 * self.unclear:.1f} % of the draws without clear labels")
        if len(self.modes) > 1:
            facts.append(f"{len(self.modes)} modes known")
        parameters = "parameters, relabelled" if self.aligned else "parameters, not relabelled"
        tables = {"label-free quantities": self.label_free, parameters: self.parameters}
        notes = [f"problem: {problem.text}" for problem in self.problems[:_MOST_PROBLEMS]]
        if n > _MOST_PROBLEMS:
            notes.append(f"{n - _MOST_PROBLEMS} more in .problems; .summary() prints all.")
        return Card(
            f"Diagnosis: {count(n, 'problem') if n else 'no problem'} found",
            ["; ".join(facts)],
            Grid(
                ["", "number", "R-hat at most", "ESS bulk at least", "ESS tail at least"],
                [[name, str(len(table)), *_extremes(table)] for name, table in tables.items()],
            ),
            notes,
        )

    def summary(self) -> str:
        """A few lines for a person."""
        labels = "after relabelling" if self.aligned else "not relabelled"
        lines = [
            f"{self.n_chains} chains x {self.n_draws} draws{' (interrupted)' if self.partial else ''}; "
            + (
                f"{self.n_divergences} divergences; lowest E-BFMI {self.bfmi.min():.2f}"
                if self.bfmi.size
                else _WITHOUT_GRADIENTS
            ),
            f"label-free quantities: {_worst(self.label_free)}",
            f"parameters, {labels}: {_worst(self.parameters)}",
        ]
        if np.isfinite(self.unclear):
            lines.append(f"draws without clear labels: {100 * self.unclear:.1f} %{_weakest(self.labels)}")
        if len(self.modes) > 1:
            lines.append(f"modes: {len(self.modes)} known; {shares_in_words(self.modes)}")
        lines += [f"problem: {problem.text}" for problem in self.problems] or ["no problem found"]
        return "\n".join(lines)


def diagnose(posterior: xr.DataTree, thresholds: Thresholds | None = None) -> Diagnosis:
    """Diagnose a posterior, usually one that `align` has relabelled.

    Parameters
    ----------
    posterior : DataTree as `sample_posterior` or `align` returns it.
    thresholds : where the lines are drawn; `Thresholds()` by default, whose documentation says why.

    Returns
    -------
    Diagnosis
        A statistic that is NaN counts as a failure in it, never as a pass.

    Raises
    ------
    InputError
        The posterior lacks weights, means, stds, correlations or covariances, or `thresholds` is no Thresholds.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> posterior = bg.sample_posterior(X, 2, start=em.parameters, draws=1000, rng=1, progress=False)
    >>> posterior = bg.align(posterior, em.parameters)
    >>> bg.diagnose(posterior).ok
    True
    >>> [problem.kind for problem in bg.diagnose(posterior, bg.Thresholds(min_ess=100_000)).problems]
    ['few draws']
    """
    thresholds = check_thresholds(thresholds)
    draws = posterior["posterior"].to_dataset()
    stats = posterior["sample_stats"].to_dataset()
    needed = {"weights", "means", "stds", "correlations", "covariances"}
    if not needed <= set(draws.data_vars):
        raise InputError(
            f"posterior has no variable {', '.join(sorted(needed - set(draws.data_vars)))}. Pass what "
            f"sample_posterior or align returned; a changed model has to keep these names."
        )
    found, values = posterior_entries(posterior)
    parameters = convergence(values, [entry.name for entry in found])
    label_free = convergence(*_label_free(posterior, draws, stats))
    unclear = float(1 - stats["label_clear"].mean()) if "label_clear" in stats else float("nan")
    n_divergences = int(stats["diverging"].sum()) if "diverging" in stats else 0
    has_energy = "energy" in stats  # NUTS has; the other ways to sample have neither
    bfmi = np.atleast_1d(az.bfmi(posterior)["energy"].values).astype(np.float64) if has_energy else np.empty(0)
    modes = posterior["modes"].to_dataset().to_dataframe() if "modes" in posterior else pd.DataFrame()
    aligned, partial = bool(posterior.attrs.get("aligned", 0)), bool(posterior.attrs.get("partial", 0))
    return Diagnosis(
        label_free=label_free,
        parameters=parameters,
        n_divergences=n_divergences,
        n_chains=draws.sizes["chain"],
        n_draws=draws.sizes["draw"],
        bfmi=bfmi,
        unclear=unclear,
        labels=label_report(posterior).table if "label_clear" in stats else None,
        aligned=aligned,
        partial=partial,
        problems=(
            *problems_of(label_free, parameters, n_divergences, stats["lp"].size, bfmi, unclear, partial, thresholds),
            *of_other_modes(modes, thresholds),
            *of_an_empty_component(posterior.attrs.get("empty_component_share", 0.0), thresholds),
        ),
        modes=modes,
    )


def _extremes(table: pd.DataFrame) -> tuple[str, str, str]:
    """The largest R-hat and the fewest effective draws, bulk and tail; NaN where one is."""
    rhat = table["r_hat"].max(skipna=False)
    bulk, tail = table["ess_bulk"].min(skipna=False), table["ess_tail"].min(skipna=False)
    return f"{rhat:.3f}", f"{bulk:.0f}", f"{tail:.0f}"


def _worst(table: pd.DataFrame) -> str:
    rhat, bulk, tail = _extremes(table)
    return f"R-hat <= {rhat}, ESS bulk >= {bulk}, tail >= {tail}"


def _weakest(labels: pd.DataFrame | None) -> str:
    """The component whose labels are unclear in most draws, where any are."""
    if labels is None or not (labels["non_permutation_rate"] > 0).any():
        return ""
    component, rate = labels["non_permutation_rate"].idxmax(), labels["non_permutation_rate"].max()
    return f"; most often component {component}, in {100 * rate:.1f} %"
