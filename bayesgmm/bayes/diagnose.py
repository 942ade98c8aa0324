"""Whether the draws can be trusted: convergence before and after relabelling, by ArviZ."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.bayes.label_report import label_report
from bayesgmm.exceptions import InputError
from bayesgmm.mixture.entries import Entry, entries, values_of
from bayesgmm.mixture.parameters import log_densities_of_draws

type FloatArray = NDArray[np.float64]

# Vehtari et al. 2021 (doi:10.1214/20-BA1221): rank-normalised R-hat at most 1.01, 100 effective draws a chain of four.
MAX_RHAT, MIN_ESS = 1.01, 400
# Betancourt 2016 (arXiv:1604.00695): below 0.3 the sampler sees too little of the energy's spread.
MIN_BFMI = 0.3
# Above this share of draws whose components are not those of the reference one by one (`align`: label_clear), a
# component's marginal posterior mixes components. Well-separated mixtures have none, galaxies with K = 3 has 18 %.
MAX_UNCLEAR = 0.05
# Above this share of the posterior in other modes, what is said of the heaviest is not said of the posterior.
MAX_OTHER_MODES = 0.05
_N_POINTS = 8


@dataclass(frozen=True)
class Problem:
    """Something that stands in the way of trusting the draws. kind: one word; text: what, and what to do."""

    kind: str
    text: str


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Convergence of a posterior.

    Attributes
    ----------
    label_free : DataFrame, quantities that do not depend on labels: r_hat, ess_bulk, ess_tail. When these fail, chains
        are in different places.
    parameters : DataFrame, the same for every parameter, after relabelling when `aligned`. When only these fail, the
        labels are what is unclear.
    n_divergences, n_chains, n_draws : counts; draws a chain.
    bfmi : (n_chains,) energy fraction of missing information.
    unclear : share of draws whose labels are not clear (`align`: label_clear); NaN when not aligned.
    labels : DataFrame, how firmly each component's labels stand (`label_report`: table); None when not aligned.
    aligned, partial : whether the draws were relabelled, whether sampling was interrupted.
    problems : what stands in the way; empty when nothing does.
    modes : DataFrame, a row a mode that `sample_posterior` knew of, row 0 that of these draws; its notes say what the
        columns are. Without rows when the posterior does not tell.
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
        return not self.problems

    def summary(self) -> str:
        """A few lines for a person."""
        labels = "after relabelling" if self.aligned else "not relabelled"
        lines = [
            f"{self.n_chains} chains x {self.n_draws} draws{' (interrupted)' if self.partial else ''}; "
            f"{self.n_divergences} divergences; lowest E-BFMI {self.bfmi.min():.2f}",
            f"label-free quantities: {_worst(self.label_free)}",
            f"parameters, {labels}: {_worst(self.parameters)}",
        ]
        if np.isfinite(self.unclear):
            lines.append(f"draws without clear labels: {100 * self.unclear:.1f} %{_weakest(self.labels)}")
        if len(self.modes) > 1:
            lines.append(f"modes: {len(self.modes)} known; {_shares(self.modes)}")
        lines += [f"problem: {problem.text}" for problem in self.problems] or ["no problem found"]
        return "\n".join(lines)


def diagnose(posterior: xr.DataTree) -> Diagnosis:
    """Diagnose a posterior, usually one that `align` has relabelled.

    Parameters
    ----------
    posterior : DataTree as `sample_posterior` or `align` returns it.

    Returns
    -------
    Diagnosis. A statistic that is NaN counts as a failure, never as a pass.

    Raises
    ------
    InputError
        The posterior lacks weights, means, stds or correlations.
    """
    draws = posterior["posterior"].to_dataset()
    stats = posterior["sample_stats"].to_dataset()
    needed = {"weights", "means", "stds", "correlations", "covariances"}
    if not needed <= set(draws.data_vars):
        raise InputError(f"posterior has no variable {', '.join(sorted(needed - set(draws.data_vars)))}.")
    found = posterior_entries(posterior)
    arrays = {name: draws[name].values for name in ("weights", "means", "stds", "correlations")}
    parameters = convergence(values_of(found, arrays), [entry.name for entry in found])
    label_free = convergence(*_label_free(posterior, draws, stats))
    unclear = float(1 - stats["label_clear"].mean()) if "label_clear" in stats else float("nan")
    diverging = stats["diverging"].values
    bfmi = np.atleast_1d(np.asarray(az.bfmi(posterior)["energy"].values, dtype=np.float64))
    modes = posterior["modes"].to_dataset().to_dataframe() if "modes" in posterior else pd.DataFrame()
    aligned, partial = bool(posterior.attrs.get("aligned", 0)), bool(posterior.attrs.get("partial", 0))
    return Diagnosis(
        label_free=label_free,
        parameters=parameters,
        n_divergences=int(diverging.sum()),
        n_chains=draws.sizes["chain"],
        n_draws=draws.sizes["draw"],
        bfmi=bfmi,
        unclear=unclear,
        labels=label_report(posterior).table if "label_clear" in stats else None,
        aligned=aligned,
        partial=partial,
        problems=(
            *_problems(label_free, parameters, int(diverging.sum()), diverging.size, bfmi, unclear, partial),
            *_of_other_modes(modes),
        ),
        modes=modes,
    )


def converged(posterior: xr.DataTree) -> bool:
    """Whether what does not depend on labels has R-hat at most 1.01 and 400 effective draws, bulk and tail."""
    draws, stats = posterior["posterior"].to_dataset(), posterior["sample_stats"].to_dataset()
    return not _failing(convergence(*_label_free(posterior, draws, stats)), "r_hat", "ess_bulk", "ess_tail")


def label_free_r_hat(posteriors: Sequence[xr.DataTree]) -> float:
    """The largest R-hat of what does not depend on labels over the chains of several posteriors of the same rows.

    Of each as many draws as the shortest has, evenly spaced. Infinite when some R-hat cannot be said.
    """
    values = []
    for posterior in posteriors:
        draws, stats = posterior["posterior"].to_dataset(), posterior["sample_stats"].to_dataset()
        values.append(_label_free(posterior, draws, stats)[0])
    n = min(chains.shape[1] for chains in values)
    even = [chains[:, np.linspace(0, chains.shape[1] - 1, n).round().astype(int)] for chains in values]
    names = [str(i) for i in range(values[0].shape[-1])]
    largest = convergence(np.concatenate(even), names)["r_hat"].max(skipna=False)
    return float(largest) if np.isfinite(largest) else float("inf")


def convergence(values: FloatArray, names: list[str]) -> pd.DataFrame:
    """R-hat and effective draws of each quantity; values (chain, draw, quantity). What cannot be said is NaN."""
    data = xr.Dataset({"x": (("chain", "draw", "quantity"), values)})
    with np.errstate(all="ignore"):  # constant or missing draws give NaN, which is reported as a failure
        columns = {
            "r_hat": az.rhat(data)["x"].values,
            "ess_bulk": az.ess(data, method="bulk")["x"].values,
            "ess_tail": az.ess(data, method="tail")["x"].values,
        }
    table = pd.DataFrame(columns, index=pd.Index(names, name="quantity"))
    constant = np.ptp(values, axis=1).min(axis=0) == 0  # a chain that did not move
    table.loc[constant | ~np.isfinite(values).all(axis=(0, 1)), :] = np.nan
    return table


def posterior_entries(posterior: xr.DataTree) -> list[Entry]:
    """The numbers of a posterior that vary by the model's structure; those that it fixes are left out."""
    draws = posterior["posterior"].to_dataset()
    covariance = str(posterior.attrs.get("covariance") or _structure_of(draws))
    features = tuple(map(str, draws["feature"].values))
    found = entries(draws.sizes["component"], features, covariance)
    # A prior may fix the standard deviations.
    fixed = {"stds"} if np.ptp(draws["stds"].values, axis=(0, 1)).max() == 0 else set()
    return [entry for entry in found if entry.parameter not in fixed]


def _structure_of(draws: xr.Dataset) -> str:
    """The structure of a posterior that does not name it: what its covariances show."""
    correlations = draws["correlations"].values
    stds = draws["stds"].values
    if not (correlations - np.eye(correlations.shape[-1])).any() and stds.shape[-1] > 1:
        return "spherical" if np.ptp(stds, axis=-1).max() == 0 else "diag"
    return "tied" if np.ptp(stds, axis=2).max() == 0 and stds.shape[2] > 1 else "full"


def _label_free(posterior: xr.DataTree, draws: xr.Dataset, stats: xr.Dataset) -> tuple[FloatArray, list[str]]:
    """(chain, draw, quantity) log posterior, log-likelihood, and log density at a few rows spread over the data."""
    quantities, names = [stats["lp"].values], ["log posterior"]
    if "total_log_likelihood" in stats:
        quantities.append(stats["total_log_likelihood"].values)
        names.append("log-likelihood")
    if "observed_data" in posterior and {"weights", "means", "covariances"} <= set(draws.data_vars):
        # In one layout, whatever the file or the caller had: the sign of the principal axis, and so the order of the
        # rows, must not depend on it.
        X = np.ascontiguousarray(posterior["observed_data"].to_dataset()["X"].values)
        points = X[_spread(X)]
        flat = {
            name: draws[name].values.reshape(-1, *draws[name].shape[2:]) for name in ("weights", "means", "covariances")
        }
        densities = np.array(list(log_densities_of_draws(points, **flat)))
        densities = densities.reshape(draws.sizes["chain"], draws.sizes["draw"], len(points))
        quantities += list(np.moveaxis(densities, -1, 0))
        names += [f"log density at row {row}" for row in _spread(X)]
    return np.stack(quantities, axis=-1), names


def _spread(X: NDArray[Any]) -> NDArray[np.intp]:
    """Row numbers at evenly spaced ranks along the data's first principal axis."""
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    axis = np.linalg.eigh(np.cov(scaled, rowvar=False).reshape(X.shape[1], -1))[1][:, -1]
    ranks = np.unique(np.linspace(0, len(X) - 1, min(_N_POINTS, len(X))).round().astype(int))
    return np.asarray(np.argsort(scaled @ axis, kind="stable")[ranks])


def _problems(
    label_free: pd.DataFrame,
    parameters: pd.DataFrame,
    n_divergences: int,
    n_all: int,
    bfmi: FloatArray,
    unclear: float,
    partial: bool,
) -> list[Problem]:
    problems = []
    if partial:
        problems.append(Problem("partial", "sampling was interrupted before all draws were done. Run it to the end."))
    bad = _failing(label_free, "r_hat")
    if bad:
        problems.append(
            Problem(
                "chains disagree",
                f"chains disagree on quantities that do not depend on labels ({_list(bad)}): they are in different "
                f"modes or have not converged. Raise tune and draws; if it stays, the posterior has several modes.",
            )
        )
    bad_labels = _failing(parameters, "r_hat")
    if bad_labels and not bad:
        problems.append(
            Problem(
                "labels",
                f"chains disagree on parameters ({_list(bad_labels)}) though not on label-free quantities: the "
                f"components' labels are ambiguous. Compare densities and partitions instead of components, or ask for "
                f"fewer components.",
            )
        )
    elif bad_labels:
        problems.append(Problem("chains disagree", f"chains disagree on parameters too ({_list(bad_labels)})."))
    if unclear > MAX_UNCLEAR:
        problems.append(
            Problem(
                "labels",
                f"{100 * unclear:.0f} % of the draws have no clear labels: their components are not the "
                f"reference's one by one. Ask for fewer components, or compare densities and partitions.",
            )
        )
    few = {*_failing(label_free, "ess_bulk", "ess_tail"), *_failing(parameters, "ess_bulk", "ess_tail")}
    if few:
        problems.append(
            Problem(
                "few draws",
                f"fewer than {MIN_ESS} effective draws for {_list(sorted(map(str, few)))}. Raise draws.",
            )
        )
    if n_divergences:
        problems.append(
            Problem(
                "divergences",
                f"{n_divergences} of {n_all} draws diverged: part of the posterior may be missing. Use a tighter "
                f"prior, fewer components, or more rows.",
            )
        )
    if not (bfmi >= MIN_BFMI).all():
        problems.append(
            Problem(
                "energy",
                f"E-BFMI is {bfmi.min():.2f}, below {MIN_BFMI}: heavy tails were hardly explored. Raise draws, or use "
                f"a tighter prior.",
            )
        )
    return problems


def _of_other_modes(modes: pd.DataFrame) -> list[Problem]:
    """What stands in the way when these draws are of one mode and there are others."""
    if len(modes) < 2:
        return []
    others = modes.iloc[1:]
    if np.isnan(modes["share"].iloc[0]):
        doubtful = others[others["share"].isna() & (others["region"] == others.index)]
        said = "; ".join(f"{number}: {state}" for number, state in doubtful["state"].items())
        return [
            Problem(
                "modes",
                f"how much of the posterior other modes hold is unknown ({said or 'no sure number'}), and these draws "
                f"are of one mode alone. Raise draws; if it stays, ask for fewer components or use a tighter prior.",
            )
        ]
    held = others["share"].sum()
    if held <= MAX_OTHER_MODES:
        return []
    return [
        Problem(
            "modes",
            f"other modes hold {100 * held:.0f} % of the posterior ({_shares(modes)}), and these draws are of the "
            f"heaviest alone. Report each mode by itself (the draws of mode 1 are in posterior['modes/1']), or ask for "
            f"fewer components, use a tighter prior, or add rows.",
        )
    ]


def _shares(modes: pd.DataFrame) -> str:
    """The shares in words, those below 1 % together."""
    said = []
    for number, (share, error, state) in enumerate(
        zip(modes["share"], modes["share_error"], modes["state"], strict=True)
    ):
        if not np.isnan(share) and (share >= 0.01 or number == 0):
            said.append(f"mode {number} {100 * share:.1f} %" + (f" +- {100 * error:.1f}" if error > 0 else ""))
        elif np.isnan(share):
            said.append(f"mode {number} {'unknown' if number == 0 else state}")
    light = modes["share"].iloc[1:]
    light = light[light < 0.01]
    if len(light):
        said.append(f"{len(light)} others {100 * light.sum():.2g} % together")
    return ", ".join(said)


def _failing(table: pd.DataFrame, *columns: str) -> list[Hashable]:
    """Quantities that do not pass; NaN does not."""
    passing = np.ones(len(table), dtype=bool)
    for column in columns:
        passing &= (table[column] <= MAX_RHAT if column == "r_hat" else table[column] >= MIN_ESS).to_numpy()
    return list(table.index[~passing])


def _list(names: list[Any]) -> str:
    shown = ", ".join(map(str, names[:4]))
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"


def _worst(table: pd.DataFrame) -> str:
    rhat = table["r_hat"].max(skipna=False)
    bulk, tail = table["ess_bulk"].min(skipna=False), table["ess_tail"].min(skipna=False)
    return f"R-hat <= {rhat:.3f}, ESS bulk >= {bulk:.0f}, tail >= {tail:.0f}"


def _weakest(labels: pd.DataFrame | None) -> str:
    """The component whose labels are unclear in most draws, where any are."""
    if labels is None or not (labels["non_permutation_rate"] > 0).any():
        return ""
    component, rate = labels["non_permutation_rate"].idxmax(), labels["non_permutation_rate"].max()
    return f"; most often component {component}, in {100 * rate:.1f} %"
