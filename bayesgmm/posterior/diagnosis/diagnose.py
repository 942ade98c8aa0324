"""`diagnose`: whether the draws can be trusted, by convergence before and after relabelling."""

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
import xarray as xr

from bayesgmm.convergence import convergence, label_free_quantities
from bayesgmm.display.cards import Card, Displayed, Grid, Listing
from bayesgmm.draw_statistics import e_bfmi
from bayesgmm.mixture.covariance import CovarianceStructure, n_free_parameters
from bayesgmm.mixture.resolution import few_values
from bayesgmm.posterior.diagnosis.problems import (
    Measurements,
    Problem,
    RowFacts,
    UndefinedDraws,
    find_problems,
    shares_in_words,
)
from bayesgmm.posterior.diagnosis.spikes import find_spikes
from bayesgmm.posterior.draws import (
    feature_names,
    has_rows,
    mixture_dataset,
    observed_rows,
    posterior_entries,
    sample_stats,
    structure_of,
    tree_of,
)
from bayesgmm.posterior.labels.report import label_report
from bayesgmm.thresholds import Thresholds, check_thresholds
from bayesgmm.types import BoolArray, FloatArray, RowArray
from bayesgmm.wording import count

_LABELS = {"label", "label_clear"}
_MODE_COLUMNS = {"state", "region", "share", "share_error"}


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis(Displayed):
    """Convergence of a posterior, and every reason not to trust it.

    Attributes
    ----------
    label_free : DataFrame with columns r_hat, ess_bulk and ess_tail, one row per quantity that does not depend on
        labels. If these fail, the chains are in different regions or have not converged.
    parameters : DataFrame with the same columns, one row per parameter; after relabelling if `aligned`. If only these
        fail, the labels are ambiguous.
    n_divergences : number of divergent draws of all chains.
    n_chains : number of chains.
    n_draws : number of draws per chain.
    bfmi : (n_chains,) energy fraction of missing information; (0,) if the sampler has no energy.
    label_clear : share of draws with clear labels (`align`: label_clear); NaN if not aligned.
    labels : DataFrame, how certain each component's labels are (`label_report`: table); None if not aligned.
    aligned : whether the draws were relabelled.
    interrupted : whether sampling was interrupted.
    problems : reasons not to trust the draws; empty if none was found.
    modes : DataFrame with one row per mode that `sample_posterior` found; row 0 is the mode of these draws. Its columns
        are the mode's state, the region that it belongs to, the region's share of the posterior and the standard
        error of that share, the log mass of the region, the log posterior and the log-likelihood at the mode, and the
        number of searches that led there. No rows if the posterior does not record modes.
    notes : what could not be measured, because the posterior has lost a group or a variable.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> posterior = bg.sample_posterior(X, 2, start=em.parameters, draws=1000, rng=1, progress=False)
    >>> diagnosis = bg.diagnose(bg.align(posterior, em.parameters))
    >>> diagnosis.ok, diagnosis.n_chains, diagnosis.n_draws, diagnosis.label_clear
    (True, 4, 1000, 1.0)
    >>> bool((diagnosis.parameters["r_hat"] < 1.01).all())
    True
    """

    label_free: pd.DataFrame
    parameters: pd.DataFrame
    n_divergences: int
    n_chains: int
    n_draws: int
    bfmi: FloatArray
    label_clear: float
    labels: pd.DataFrame | None
    aligned: bool
    interrupted: bool
    problems: tuple[Problem, ...]
    modes: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return not self.problems

    def _card(self) -> Card:
        n_problems = len(self.problems)
        facts = [f"{count(self.n_chains, 'chain')} x {count(self.n_draws, 'draw')}{self._interruption()}"]
        facts += self._gradient_facts()
        parameters = "parameters, relabelled" if self.aligned else "parameters, not relabelled"
        tables = {"label-free quantities": self.label_free, parameters: self.parameters}
        return Card(
            f"Diagnosis: {count(n_problems, 'problem') if n_problems else 'no problem'} found",
            ["; ".join(facts), *self._label_and_mode_facts(), *self.notes],
            Grid(
                ["", "number", "R-hat at most", "ESS bulk at least", "ESS tail at least"],
                [[name, str(len(table)), *_extremes(table)] for name, table in tables.items()],
                noun="table",
            ),
            [Listing([f"problem: {problem.text}" for problem in self.problems], "problem")],
        )

    def _label_and_mode_facts(self) -> list[str]:
        facts = []
        if np.isfinite(self.label_clear):
            unclear = 100 * (1 - self.label_clear)
            facts.append(f"draws without clear labels: {unclear:.1f} %{_least_clear_component(self.labels)}")
        if len(self.modes) > 1:
            facts.append(f"modes: {len(self.modes)} known; {shares_in_words(self.modes)}")
        return facts

    def _interruption(self) -> str:
        return " (interrupted)" if self.interrupted else ""

    def _gradient_facts(self) -> list[str]:
        if any("no group sample_stats" in note for note in self.notes):
            return []
        if self.bfmi.size:
            return [count(self.n_divergences, "divergence"), f"lowest E-BFMI {self.bfmi.min():.2f}"]
        return ["sampled without gradients, so there are no divergences and no E-BFMI"]


def diagnose(posterior: xr.DataTree, thresholds: Thresholds | None = None) -> Diagnosis:
    """Diagnose a posterior, usually one that `align` has relabelled.

    Parameters
    ----------
    posterior : DataTree as `sample_posterior` or `align` returns it.
    thresholds : limits that decide what is a problem; by default `Thresholds()`, which documents its reasons.

    Returns
    -------
    Diagnosis
        A statistic that is NaN counts as a failure, never as a pass.

    Raises
    ------
    InputError
        `posterior` is no DataTree with draws of weights, means and covariances, or `thresholds` is no Thresholds.

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
    draws, stats = mixture_dataset(posterior), sample_stats(posterior)
    measurements = _measurements(posterior, draws, stats)
    return Diagnosis(
        label_free=measurements.label_free,
        parameters=measurements.parameters,
        n_divergences=measurements.n_divergences,
        n_chains=draws.sizes["chain"],
        n_draws=draws.sizes["draw"],
        bfmi=measurements.bfmi,
        label_clear=measurements.label_clear,
        labels=label_report(posterior).table if set(stats.data_vars) >= _LABELS else None,
        aligned=measurements.aligned,
        interrupted=measurements.interrupted,
        problems=find_problems(measurements, thresholds),
        modes=measurements.modes,
        notes=tuple(_notes(posterior, stats)),
    )


def _measurements(posterior: xr.DataTree, draws: xr.Dataset, stats: xr.Dataset) -> Measurements:
    entries, values = posterior_entries(posterior)
    names = [entry.name for entry in entries]
    X = observed_rows(posterior, feature_names(draws)).values if has_rows(posterior) else None
    groups = {"posterior": draws, "sample_stats": stats} | ({} if X is None else {"observed_data": _group_of(X)})
    label_free, label_free_names = label_free_quantities(tree_of(groups, {}))
    all_values, all_names = np.concatenate([values, label_free], axis=-1), [*names, *label_free_names]
    is_finite = np.isfinite(all_values)
    is_stuck = (np.ptp(all_values, axis=1, keepdims=True) == 0) & (draws.sizes["draw"] > 1)
    chains = draws["chain"].values.tolist()
    return Measurements(
        label_free=convergence(label_free, label_free_names),
        parameters=convergence(values, names),
        not_finite=_undefined(~is_finite, all_names, chains),
        stuck=_undefined(is_stuck & is_finite.all(axis=1, keepdims=True), all_names, chains),
        n_divergences=int(stats["diverging"].sum()) if "diverging" in stats else 0,
        n_chains=draws.sizes["chain"],
        n_draws=draws.sizes["draw"],
        bfmi=e_bfmi(stats["energy"].values) if "energy" in stats else np.empty(0),
        label_clear=float(stats["label_clear"].mean()) if "label_clear" in stats else float("nan"),
        aligned=bool(posterior.attrs.get("aligned", 0)),
        interrupted=bool(posterior.attrs.get("interrupted", 0)),
        modes=_modes(posterior),
        empty_component_share=_empty_component_share(posterior),
        rows=None if X is None else _row_facts(X, structure_of(posterior, draws), draws),
        spikes=find_spikes(posterior),
    )


def _group_of(X: RowArray) -> xr.Dataset:
    return xr.Dataset({"X": (("row", "feature"), X)})


def _undefined(where: BoolArray, names: list[str], chains: list[int]) -> UndefinedDraws:
    """The quantities, chains and draws where `where` (chain, draw or 1, quantity) is true."""
    return UndefinedDraws(
        [name for name, concerned in zip(names, where.any(axis=(0, 1)), strict=True) if concerned],
        [chain for chain, concerned in zip(chains, where.any(axis=(1, 2)), strict=True) if concerned],
        int(where.any(axis=2).sum()),
    )


def _row_facts(X: RowArray, structure: CovarianceStructure, draws: xr.Dataset) -> RowFacts:
    N, D = X.shape
    names = feature_names(draws)
    return RowFacts(
        n_rows=N,
        n_free=n_free_parameters(structure, draws.sizes["component"], D),
        few_values={names[d]: n for d, n in few_values([X], N).items()},
    )


def _modes(posterior: xr.DataTree) -> pd.DataFrame:
    """The table of modes; empty if the posterior records none."""
    if "modes" not in posterior.children:
        return pd.DataFrame()
    modes = posterior["modes"].to_dataset()
    return modes.to_dataframe() if set(modes.data_vars) >= _MODE_COLUMNS else pd.DataFrame()


def _empty_component_share(posterior: xr.DataTree) -> float:
    share = posterior.attrs.get("empty_component_share", 0.0)
    return float(share) if isinstance(share, Real) else float("nan")


def _notes(posterior: xr.DataTree, stats: xr.Dataset) -> Iterator[str]:
    """What could not be measured, because a group or variable is missing."""
    if not stats.data_vars:
        yield "There is no group sample_stats: divergences, energy and the log posterior are unknown."
    elif "lp" not in stats:
        yield "sample_stats has no lp: the log posterior is not monitored."
    if not has_rows(posterior):
        yield "There are no rows (observed_data: X): log densities at rows are not monitored."
    if posterior.attrs.get("aligned", 0) and not set(stats.data_vars) >= _LABELS:
        yield "sample_stats has no label_clear: how clear the labels are is unknown; align the posterior again."


def _extremes(table: pd.DataFrame) -> tuple[str, str, str]:
    """Largest R-hat and smallest effective draws, bulk and tail; NaN if any of them is NaN."""
    largest_r_hat = table["r_hat"].max(skipna=False)
    smallest_bulk, smallest_tail = table["ess_bulk"].min(skipna=False), table["ess_tail"].min(skipna=False)
    return f"{largest_r_hat:.3f}", f"{smallest_bulk:.0f}", f"{smallest_tail:.0f}"


def _least_clear_component(labels: pd.DataFrame | None) -> str:
    """The component whose labels are unclear in most draws, if any component has unclear labels."""
    if labels is None or not (labels["label_clear"] < 1).any():
        return ""
    component, share = labels["label_clear"].idxmin(), labels["label_clear"].min()
    return f"; most often component {component}, in {100 * (1 - share):.1f} %"
