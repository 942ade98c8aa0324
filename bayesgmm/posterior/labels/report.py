"""`label_report`: how certain the labels of an aligned posterior are, component by component."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayesgmm.display.cards import Card, Displayed
from bayesgmm.display.tables import to_grid
from bayesgmm.errors import InputError
from bayesgmm.posterior.draws import mixture_dataset, n_rows_of, sample_stats
from bayesgmm.types import BoolArray
from bayesgmm.wording import count

_LOW_QUANTILE = 0.05


@dataclass(frozen=True, eq=False, repr=False)
class LabelReport(Displayed):
    """How an aligned posterior got its labels, and how certain they are.

    Attributes
    ----------
    table : DataFrame with one row per component. Its columns are

        - weight_mean: posterior mean of the component's weight;
        - share_changed: share of draws in which this component was sampled under a different index;
        - label_clear: share of draws in which exactly one component is nearest to this component of the reference;
        - margin_median, margin_q05: median and 5 % quantile over draws of the extra cost, in `unit`, of the best
          permutation that matches another component here;
        - expected_rows: expected number of the posterior's rows in the component.

        A value that the posterior does not provide is NaN, and `notes` says so.
    method : method of `align` that found the labels.
    unit : unit of the margins: "rows" for ecr.
    n_rows : number of rows that `align` read, 0 if the posterior holds none.
    n_iterations : passes until the labels no longer changed; 1 if each draw is labelled by itself.
    share_changed : share of draws in which any component changed its index.
    label_clear : share of draws with clear labels: their components match the reference's one to one.
    notes : what is missing from the table, and why.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> posterior = bg.sample_posterior(X, 2, start=em.parameters, draws=200, rng=1, progress=False)
    >>> report = bg.label_report(bg.align(posterior, em.parameters))
    >>> report.method, report.unit, report.n_rows, report.label_clear
    ('ecr', 'rows', 272, 1.0)
    """

    table: pd.DataFrame
    method: str
    unit: str
    n_rows: int
    n_iterations: int
    share_changed: float
    label_clear: float
    notes: tuple[str, ...]

    def _card(self) -> Card:
        rows = f", {count(self.n_rows, 'row')} read" if self.n_rows else ""
        iterations = f", {count(self.n_iterations, 'iteration')}" if self.n_iterations > 1 else ""
        shares = f"{self.share_changed:.1%} of the draws changed their order, {self.label_clear:.1%} have clear labels"
        margins = f"Margins, in {self.unit}: extra cost of the best labelling with another component in that place."
        return Card(
            f"LabelReport: {self.method}{rows}{iterations}",
            [shares, *self.notes],
            to_grid(self._formatted_table(), "component"),
            [margins],
        )

    def _formatted_table(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "weight": self.table["weight_mean"].map("{:.3f}".format),
                "changed": self.table["share_changed"].map("{:.1%}".format),
                "clear": self.table["label_clear"].map("{:.1%}".format),
                "median margin": self.table["margin_median"].map("{:.4g}".format),
                "5 % margin": self.table["margin_q05"].map("{:.4g}".format),
                "expected rows": self.table["expected_rows"].map("{:.1f}".format),
            }
        )


def label_report(posterior: xr.DataTree) -> LabelReport:
    """Report on the labels of a posterior that `align` has relabelled.

    Changes are relative to the order of components that `align` received, which is the order of sampling.

    Parameters
    ----------
    posterior : DataTree as `align` returns it, or read from a file.

    Returns
    -------
    LabelReport

    Raises
    ------
    InputError
        The posterior was not aligned.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> posterior = bg.sample_posterior(X, 2, start=em.parameters, draws=200, rng=1, progress=False)
    >>> report = bg.label_report(bg.align(posterior, em.parameters))
    >>> report.table["margin_median"].round(-1).tolist()  # rows that another labelling would lose
    [270.0, 270.0]
    """
    stats = sample_stats(posterior)
    if not {"label", "label_clear"} <= set(stats.data_vars):
        raise InputError(
            "posterior has no labels (label and label_clear in its group sample_stats). Pass align(posterior, "
            "em.parameters)."
        )
    changed = stats["label"].values != np.arange(stats.sizes["component"])
    return LabelReport(
        table=_table(posterior, stats, changed),
        # Posteriors from before the method was recorded were labelled by cross-entropy.
        method=str(posterior.attrs.get("align_method", "cross-entropy")),
        unit=str(stats["label_margin"].attrs.get("units", "")) if "label_margin" in stats else "nats per row",
        n_rows=int(posterior.attrs.get("align_rows", 0)),
        n_iterations=int(posterior.attrs.get("align_iterations", 1)),
        share_changed=float(changed.any(axis=2).mean()),
        label_clear=float(stats["label_clear"].values.mean()),
        notes=_notes(posterior, stats),
    )


def _table(posterior: xr.DataTree, stats: xr.Dataset, changed: BoolArray) -> pd.DataFrame:
    draws = mixture_dataset(posterior)
    component = pd.Index(draws["component"].values, name="component")
    missing = pd.Series(np.nan, component)
    table = pd.DataFrame(
        {
            "weight_mean": draws["weights"].values.mean(axis=(0, 1)),
            "share_changed": changed.mean(axis=(0, 1)),
            "label_clear": missing,
            "margin_median": missing,
            "margin_q05": missing,
            "expected_rows": missing,
        },
        index=component,
    )
    if "label_margin" in stats:
        margins = stats["label_margin"].values
        # method="lower": with one component margins are infinite, and interpolation would make them NaN.
        quantiles = np.quantile(margins, [0.5, _LOW_QUANTILE], axis=(0, 1), method="lower")
        table["margin_median"], table["margin_q05"] = quantiles
        nearest = stats["label_nearest"].values[..., np.newaxis] == np.arange(len(component))
        table["label_clear"] = (nearest.sum(axis=2) == 1).mean(axis=(0, 1))
    if "label_rows" in stats and (n_rows := n_rows_of(posterior)):
        shares = stats["label_rows"].values / stats["label_rows"].values.sum(axis=-1, keepdims=True)
        table["expected_rows"] = shares.mean(axis=(0, 1)) * n_rows
    return table


def _notes(posterior: xr.DataTree, stats: xr.Dataset) -> tuple[str, ...]:
    notes = [str(posterior.attrs["align_note"])] if "align_note" in posterior.attrs else []
    if "label_margin" not in stats:
        notes.append("margins were not stored when this posterior was aligned; align it again to have them")
    elif "label_rows" not in stats or not n_rows_of(posterior):
        notes.append("this posterior holds no rows, so the number of rows in each component is unknown")
    return tuple(notes)
