"""Reasons not to trust draws: one function per problem, each with a sentence that says what to do."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from bayesgmm.convergence import FEWEST_DRAWS, ConvergenceColumn, failing_quantities
from bayesgmm.thresholds import Thresholds
from bayesgmm.types import FloatArray
from bayesgmm.wording import count, listed, shortened

type ProblemKind = Literal[
    "interrupted",
    "NaN draws",
    "one chain",
    "stuck chain",
    "chains disagree",
    "labels",
    "few draws",
    "divergences",
    "energy",
    "modes",
    "empty component",
    "few rows",
    "few values",
    "equal rows",
]

_MOST_NAMES = 4  # quantities that a sentence names


@dataclass(frozen=True)
class Problem:
    """A reason not to trust the draws.

    Attributes
    ----------
    kind : "interrupted", "NaN draws", "one chain", "stuck chain", "chains disagree", "labels", "few draws",
        "divergences", "energy", "modes" or "empty component"; of the rows, "few rows",
        "few values" or "equal rows".
    text : a sentence that says what is wrong, and what to do about it.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_galaxies()
    >>> posterior = bg.sample_posterior(X, 1, draws=1000, rng=1, progress=False)
    >>> strict = bg.Thresholds(min_ess=100_000)
    >>> [problem.kind for problem in bg.diagnose(posterior, strict).problems]
    ['few draws']
    """

    kind: ProblemKind
    text: str


class UndefinedDraws(NamedTuple):
    """Quantities whose R-hat and effective draws are undefined, because of some chains.

    names: of the quantities; chains: of the chains, by their coordinate; n_draws: number of draws concerned.
    """

    names: list[str]
    chains: list[int]
    n_draws: int


class RowFacts(NamedTuple):
    """What the rows say about the model.

    n_rows: their number; n_free: free numbers of the mixture; few_values: features with few distinct values, and how
    many each has.
    """

    n_rows: int
    n_free: int
    few_values: dict[str, int]


class Spike(NamedTuple):
    """A component on equal values of a feature: the number of rows that have the value, and the component's sd."""

    feature: str
    value: float
    n_rows: int
    component: int
    std: float


class Measurements(NamedTuple):
    """The facts about a posterior that problems are found from.

    label_free, parameters, n_divergences, n_chains, bfmi, label_clear, aligned, interrupted, modes: as in `Diagnosis`.
    not_finite: quantities with draws that are NaN or infinite; stuck: quantities with a chain that never moved.
    n_draws: number of draws per chain.
    empty_component_share: share of the posterior in which some component holds no row; NaN if unknown.
    rows: None if the posterior holds none.
    spikes: values that many rows share and that a component sits on.
    """

    label_free: pd.DataFrame
    parameters: pd.DataFrame
    not_finite: UndefinedDraws
    stuck: UndefinedDraws
    n_divergences: int
    n_chains: int
    n_draws: int
    bfmi: FloatArray
    label_clear: float
    aligned: bool
    interrupted: bool
    modes: pd.DataFrame
    empty_component_share: float
    rows: RowFacts | None
    spikes: tuple[Spike, ...]

    def failing(self, table: pd.DataFrame, thresholds: Thresholds, *columns: ConvergenceColumn) -> list[Hashable]:
        """Names of the quantities of a table that fail in one of these columns, for no reason that is told already."""
        told = {*self.not_finite.names, *self.stuck.names}
        if self.n_chains == 1 or self.n_draws < FEWEST_DRAWS:
            columns = tuple(column for column in columns if column != "r_hat")
        return [name for name in failing_quantities(table, thresholds, *columns) if name not in told]


def find_problems(measurements: Measurements, thresholds: Thresholds) -> tuple[Problem, ...]:
    """All problems, in the order in which to look at them."""
    problems = (check(measurements, thresholds) for check in _CHECKS)
    return tuple(problem for problem in problems if problem is not None)


def _interruption(measured: Measurements, thresholds: Thresholds) -> Problem | None:
    if not measured.interrupted:
        return None
    return Problem("interrupted", "sampling was interrupted before all draws were done. Run it to the end.")


def _not_finite(measured: Measurements, thresholds: Thresholds) -> Problem | None:
    names, chains, n_draws = measured.not_finite
    if not names:
        return None
    remedy = "Sample again"
    if len(chains) < measured.n_chains:
        remedy = f"Leave out {_chains(chains)}, or sample again"
    return Problem(
        "NaN draws",
        f"NaN or infinity in {n_draws} of {measured.n_chains * measured.n_draws} draws, in {_chains(chains)} "
        f"({_names(names)}): means, intervals and R-hat of these are undefined. {remedy}.",
    )


def _one_chain(measured: Measurements, thresholds: Thresholds) -> Problem | None:
    if measured.n_chains > 1:
        return None
    return Problem(
        "one chain",
        "there is one chain, so that nothing tells whether it has converged: R-hat compares chains. Sample several, "
        "such as chains=4.",
    )


def _stuck_chain(measured: Measurements, thresholds: Thresholds) -> Problem | None:
    names, chains, _ = measured.stuck
    if not names:
        return None
    return Problem(
        "stuck chain",
        f"all draws of {_names(names)} are equal in {_chains(chains)}: R-hat and effective draws are undefined. "
        f"Either the chain never moved, or the rows leave no freedom, as many equal values do. Raise tune and draws, "
        f"or look at the rows.",
    )


def _different_regions(measured: Measurements, thresholds: Thresholds) -> Problem | None:
    failing = measured.failing(measured.label_free, thresholds, "r_hat")
    if not failing:
        return None
    return Problem(
        "chains disagree",
        f"chains disagree on quantities that do not depend on labels ({_names(failing)}): they are in different modes "
        f"or have not converged. Raise tune and draws; if that does not help, the posterior has several modes.",
    )


def _different_parameters(measured: Measurements, thresholds: Thresholds) -> Problem | None:
    failing = measured.failing(measured.parameters, thresholds, "r_hat")
    if not failing:
        return None
    if measured.failing(measured.label_free, thresholds, "r_hat"):
        return Problem("chains disagree", f"chains disagree on parameters too ({_names(failing)}).")
    disagreement = f"chains disagree on parameters ({_names(failing)}) though not on label-free quantities"
    if not measured.aligned:
        return Problem(
            "labels",
            f"{disagreement}: these draws are not relabelled. Pass align(posterior, em.parameters).",
        )
    if measured.label_clear >= thresholds.min_label_clear:
        largest = measured.parameters.loc[failing, "r_hat"].max()
        return Problem(
            "few draws",
            f"{disagreement}, and {100 * measured.label_clear:.1f} % of the draws have clear labels: the largest "
            f"R-hat, {largest:.3f}, is above {thresholds.max_r_hat:g} because there are too few draws. Raise draws.",
        )
    return Problem(
        "labels",
        f"{disagreement}: the components' labels are ambiguous. Compare densities and partitions instead of "
        f"components, or ask for fewer components.",
    )


def _unclear_labels(measured: Measurements, thresholds: Thresholds) -> Problem | None:
    if not measured.label_clear < thresholds.min_label_clear:  # NaN, for a posterior without labels, is no problem
        return None
    return Problem(
        "labels",
        f"{100 * (1 - measured.label_clear):.0f} % of the draws have no clear labels: their components do not match "
        f"the reference's one to one. Ask for fewer components, or compare densities and partitions.",
    )


def _few_draws(measured: Measurements, thresholds: Thresholds) -> Problem | None:
    failing = {
        *measured.failing(measured.label_free, thresholds, "ess_bulk", "ess_tail"),
        *measured.failing(measured.parameters, thresholds, "ess_bulk", "ess_tail"),
    }
    if not failing:
        return None
    names = _names(sorted(map(str, failing)))
    return Problem("few draws", f"fewer than {thresholds.min_ess:g} effective draws for {names}. Raise draws.")


def _divergences(measured: Measurements, thresholds: Thresholds) -> Problem | None:
    if not measured.n_divergences:
        return None
    return Problem(
        "divergences",
        f"{measured.n_divergences} of {measured.n_chains * measured.n_draws} draws diverged: part of the posterior may "
        f"be missing. Use a tighter prior, fewer components, or more rows.",
    )


def _low_energy_information(measured: Measurements, thresholds: Thresholds) -> Problem | None:
    if (measured.bfmi >= thresholds.min_bfmi).all():  # also if there is none; NaN is a problem
        return None
    return Problem(
        "energy",
        f"E-BFMI is {measured.bfmi.min():.2f}, below {thresholds.min_bfmi:g}: heavy tails were hardly explored. Raise "
        f"draws, or use a tighter prior.",
    )


def _other_modes(measured: Measurements, thresholds: Thresholds) -> Problem | None:
    modes = measured.modes
    if len(modes) < 2:
        return None
    if np.isnan(modes["share"].iloc[0]):
        return _unknown_shares(modes)
    share = modes["share"].iloc[1:].sum()
    if share <= thresholds.max_other_modes:
        return None
    return Problem(
        "modes",
        f"other modes hold {100 * share:.0f} % of the posterior ({shares_in_words(modes)}), and these draws are of the "
        f"heaviest alone. Report each mode by itself (the draws of mode 1 are in posterior['modes/1']), or ask for "
        f"fewer components, use a tighter prior, or add rows.",
    )


def _unknown_shares(modes: pd.DataFrame) -> Problem:
    other_modes = modes.iloc[1:]
    doubtful = other_modes[other_modes["share"].isna() & (other_modes["region"] == other_modes.index)]
    states = "; ".join(f"{number}: {state}" for number, state in doubtful["state"].items())
    return Problem(
        "modes",
        f"how much of the posterior other modes hold is unknown ({states or 'its estimate is too uncertain'}), and "
        f"these draws are of one mode alone. Raise draws; if that does not help, ask for fewer components or use a "
        f"tighter prior.",
    )


def _empty_component(measured: Measurements, thresholds: Thresholds) -> Problem | None:
    share = measured.empty_component_share
    if share <= thresholds.max_other_modes:  # an unknown share, NaN, is a problem
        return None
    amount = "an unknown share" if np.isnan(share) else f"about {100 * share:.0f} %"
    return Problem(
        "empty component",
        f"in {amount} of the posterior some component holds no rows (Laplace's formula for fewer components); EM's "
        f"fit is outside that region, and chains may seldom enter it. Ask for fewer components.",
    )


def _few_rows(measured: Measurements, thresholds: Thresholds) -> Problem | None:
    rows = measured.rows
    if rows is None or rows.n_rows > rows.n_free:
        return None
    return Problem(
        "few rows",
        f"{count(rows.n_rows, 'row')} for {count(rows.n_free, 'free number')}: the rows can be fitted by chance, and "
        f"the posterior is mostly the prior. Ask for fewer components or features, or for covariance='diag' or "
        f"'spherical'.",
    )


def _few_values(measured: Measurements, thresholds: Thresholds) -> Problem | None:
    if measured.rows is None or not measured.rows.few_values:
        return None
    columns = listed(f"{name} ({n} values)" for name, n in measured.rows.few_values.items())
    return Problem(
        "few values",
        f"columns with few distinct values: {columns}. Gaussian components do not describe such columns: a component "
        f"tends to a single value, and its standard deviation says nothing. Leave them out, or fit each of their "
        f"groups by itself.",
    )


def _equal_rows(measured: Measurements, thresholds: Thresholds) -> Problem | None:
    if not measured.spikes:
        return None
    shown = [
        f"{spike.n_rows} rows have {shortened(spike.feature, 60)} equal to {spike.value:.6g}, on which component "
        f"{spike.component} sits with a standard deviation of {spike.std:.2g}"
        for spike in measured.spikes[:_MOST_NAMES]
    ]
    more = len(measured.spikes) - len(shown)
    hidden = f"; and {more} more" if more else ""
    return Problem(
        "equal rows",
        f"{'; '.join(shown)}{hidden}. Such a standard deviation comes from the prior's resolution (the spacing of the "
        f"values) and not from the rows. Treat these rows apart (zeros, clipped values, codes for missing), or leave "
        f"the column out.",
    )


_CHECKS: tuple[Callable[[Measurements, Thresholds], Problem | None], ...] = (
    _not_finite,
    _interruption,
    _equal_rows,  # before what follows from it
    _one_chain,
    _stuck_chain,
    _different_regions,
    _different_parameters,
    _unclear_labels,
    _few_draws,
    _divergences,
    _low_energy_information,
    _other_modes,
    _empty_component,
    _few_rows,
    _few_values,
)


def shares_in_words(modes: pd.DataFrame) -> str:
    """The modes' shares of the posterior in words; modes with less than 1 % are summed up."""
    parts = []
    for number, (share, error, state) in enumerate(
        zip(modes["share"], modes["share_error"], modes["state"], strict=True)
    ):
        if np.isnan(share):
            parts.append(f"mode {number} {'unknown' if number == 0 else state}")
        elif share >= 0.01 or number == 0:
            parts.append(f"mode {number} {100 * share:.1f} %" + (f" +- {100 * error:.1f}" if error > 0 else ""))
    shares = modes["share"].iloc[1:]
    light_shares = shares[shares < 0.01]
    if len(light_shares):
        parts.append(f"{len(light_shares)} others {100 * light_shares.sum():.2g} % together")
    return ", ".join(parts)


def _chains(chains: list[int]) -> str:
    return f"chain {chains[0]}" if len(chains) == 1 else f"chains {listed(chains)}"


def _names(names: Iterable[Hashable]) -> str:
    texts = list(map(str, names))
    shown = ", ".join(texts[:_MOST_NAMES])
    return shown if len(texts) <= _MOST_NAMES else f"{shown} and {len(texts) - _MOST_NAMES} more"
