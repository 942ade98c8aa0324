"""`label_report`: how firmly the labels of an aligned posterior stand, component by component."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayesgmm.display.cards import Card, Displayed
from bayesgmm.display.tables import to_grid
from bayesgmm.errors import InputError

_LOW = 0.05


@dataclass(frozen=True, eq=False, repr=False)
class LabelReport(Displayed):
    """How an aligned posterior got its labels, and how firmly they stand.

    Attributes
    ----------
    table : DataFrame, a row a component: weight_mean, its posterior mean weight; share_changed, the share of draws in
        which another place of the draw, as it was sampled, became this component; non_permutation_rate, the share of
        draws in which not exactly one component is nearest to this component of the reference; margin_median and
        margin_q05, the median and the 5 % quantile over draws of how much the best permutation that puts another
        component there costs more, in `unit`; expected_rows, how many of the posterior's rows the component is expected
        to hold. What the posterior does not carry is NaN, and `notes` says so.
    method : of `align`, by which the labels were found.
    unit : of the margins: "rows" for ecr.
    n_rows : rows that `align` read, 0 when the posterior carries none.
    n_iterations : passes until the labels stood still; 1 where they are found draw by draw.
    share_changed : share of draws in which any component changed its place.
    non_permutation_rate : share of draws whose components are not those of the reference one by one.
    notes : what else there is to know.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> posterior = bg.sample_posterior(X, 2, start=em.parameters, draws=200, rng=1, progress=False)
    >>> report = bg.label_report(bg.align(posterior, em.parameters))
    >>> report.method, report.unit, report.n_rows, report.non_permutation_rate
    ('ecr', 'rows', 272, 0.0)
    """

    table: pd.DataFrame
    method: str
    unit: str
    n_rows: int
    n_iterations: int
    share_changed: float
    non_permutation_rate: float
    notes: tuple[str, ...]

    def _card(self) -> Card:
        grid, notes = to_grid(self._written(), "component")
        title, found = self._opening().split(": ", 1)
        return Card(f"LabelReport: {title}", [found, *self.notes], grid, [*notes, self._closing()])

    def summary(self) -> str:
        """A few lines and the table, for a person."""
        notes = [f"- {note}" for note in self.notes]
        return "\n".join([f"Labels by {self._opening()}", *notes, self._written().to_string(), self._closing()])

    def _opening(self) -> str:
        rows = f", {self.n_rows} rows read" if self.n_rows else ""
        passes = f", {self.n_iterations} iterations" if self.n_iterations > 1 else ""
        return (
            f"{self.method}{rows}{passes}: {self.share_changed:.1%} of the draws changed their order, "
            f"{self.non_permutation_rate:.1%} have components that are not the reference's one by one"
        )

    def _closing(self) -> str:
        return f"Margins are in {self.unit}: what the best labelling without this component in its place would lose."

    def _written(self) -> pd.DataFrame:
        """The table in few digits."""
        return pd.DataFrame(
            {
                "weight": self.table["weight_mean"].map("{:.3f}".format),
                "changed": self.table["share_changed"].map("{:.1%}".format),
                "no permutation": self.table["non_permutation_rate"].map("{:.1%}".format),
                "median margin": self.table["margin_median"].map("{:.4g}".format),
                "5 % margin": self.table["margin_q05"].map("{:.4g}".format),
                "expected rows": self.table["expected_rows"].map("{:.1f}".format),
            }
        )


def label_report(aligned: xr.DataTree) -> LabelReport:
    """Report on the labels of a posterior that `align` has relabelled.

    Changes are counted from the order of components that `align` received, which is the order of sampling.

    Parameters
    ----------
    aligned : DataTree as `align` returns it, also one that was saved and read.

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
    stats = aligned["sample_stats"].to_dataset()
    if not {"label", "label_clear"} <= set(stats.data_vars):
        raise InputError("aligned has no labels. Pass align(posterior, em.parameters).")
    draws = aligned["posterior"].to_dataset()
    component = pd.Index(draws["component"].values, name="component")
    changed = stats["label"].values != np.arange(len(component))
    missing = pd.Series(np.nan, component)
    table = pd.DataFrame(
        {
            "weight_mean": draws["weights"].values.mean(axis=(0, 1)),
            "share_changed": changed.mean(axis=(0, 1)),
            "non_permutation_rate": missing,
            "margin_median": missing,
            "margin_q05": missing,
            "expected_rows": missing,
        },
        index=component,
    )
    notes = [str(aligned.attrs["align_note"])] if "align_note" in aligned.attrs else []
    if "label_margin" in stats:
        margins = stats["label_margin"].values
        # Of one component the margin is infinite; interpolation would make it NaN.
        table["margin_median"], table["margin_q05"] = np.quantile(margins, [0.5, _LOW], axis=(0, 1), method="lower")
        nearest = stats["label_nearest"].values[..., np.newaxis] == np.arange(len(component))
        table["non_permutation_rate"] = (nearest.sum(axis=2) != 1).mean(axis=(0, 1))
    else:
        notes.append("margins were not kept when this posterior was aligned; align it again to have them")
    if "label_rows" in stats:
        n_used, n_all = aligned.attrs["align_rows"], aligned["observed_data"].sizes["row"]
        table["expected_rows"] = stats["label_rows"].values.mean(axis=(0, 1)) * n_all / n_used
    elif "label_margin" in stats:
        notes.append("this posterior carries no rows, so nothing is known of how many each component holds")
    return LabelReport(
        table=table,
        # Before the method was recorded there was one.
        method=str(aligned.attrs.get("align_method", "cross-entropy")),
        unit=str(stats["label_margin"].attrs.get("units", "")) if "label_margin" in stats else "nats a row",
        n_rows=int(aligned.attrs.get("align_rows", 0)),
        n_iterations=int(aligned.attrs.get("align_iterations", 1)),
        share_changed=float(changed.any(axis=2).mean()),
        non_permutation_rate=float(1 - stats["label_clear"].values.mean()),
        notes=tuple(notes),
    )
