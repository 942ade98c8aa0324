"""What stands in the way of trusting draws, in sentences that say what to do."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesgmm.convergence import failing
from bayesgmm.thresholds import Thresholds
from bayesgmm.types import FloatArray


@dataclass(frozen=True)
class Problem:
    """A reason not to trust the draws.

    Attributes
    ----------
    kind : "interrupted", "chains disagree", "labels", "few draws", "divergences", "energy", "modes" or
        "empty component".
    text : a sentence that says what is wrong, and what to do about it.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_galaxies(), 1, draws=500, rng=1, progress=False)
    >>> diagnosis = bg.diagnose(posterior, bg.Thresholds(min_ess=20_000))
    >>> diagnosis.problems[0].kind
    'few draws'
    """

    kind: str
    text: str


def problems_of(
    label_free: pd.DataFrame,
    parameters: pd.DataFrame,
    n_divergences: int,
    n_all: int,
    bfmi: FloatArray,
    unclear: float,
    partial: bool,
    thresholds: Thresholds,
) -> list[Problem]:
    problems = []
    if partial:
        problems.append(Problem("partial", "sampling was interrupted before all draws were done. Run it to the end."))
    bad = failing(label_free, thresholds, "r_hat")
    if bad:
        problems.append(
            Problem(
                "chains disagree",
                f"chains disagree on quantities that do not depend on labels ({_list(bad)}): they are in different "
                f"modes or have not converged. Raise tune and draws; if it stays, the posterior has several modes.",
            )
        )
    bad_labels = failing(parameters, thresholds, "r_hat")
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
    if unclear > thresholds.max_unclear:
        problems.append(
            Problem(
                "labels",
                f"{100 * unclear:.0f} % of the draws have no clear labels: their components are not the "
                f"reference's one by one. Ask for fewer components, or compare densities and partitions.",
            )
        )
    few = {
        *failing(label_free, thresholds, "ess_bulk", "ess_tail"),
        *failing(parameters, thresholds, "ess_bulk", "ess_tail"),
    }
    if few:
        problems.append(
            Problem(
                "few draws",
                f"fewer than {thresholds.min_ess:g} effective draws for {_list(sorted(map(str, few)))}. Raise draws.",
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
    if not (bfmi >= thresholds.min_bfmi).all():
        problems.append(
            Problem(
                "energy",
                f"E-BFMI is {bfmi.min():.2f}, below {thresholds.min_bfmi:g}: heavy tails were hardly explored. Raise "
                f"draws, or use a tighter prior.",
            )
        )
    return problems


def of_other_modes(modes: pd.DataFrame, thresholds: Thresholds) -> list[Problem]:
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
    if held <= thresholds.max_other_modes:
        return []
    return [
        Problem(
            "modes",
            f"other modes hold {100 * held:.0f} % of the posterior ({shares_in_words(modes)}), and these draws are of "
            f"the heaviest alone. Report each mode by itself (the draws of mode 1 are in posterior['modes/1']), or ask "
            f"for fewer components, use a tighter prior, or add rows.",
        )
    ]


def of_an_empty_component(share: float, thresholds: Thresholds) -> list[Problem]:
    """What stands in the way when one component fewer does nearly as well: chains may not go where one is empty."""
    if share <= thresholds.max_other_modes:
        return []
    held = "an unknown share" if np.isnan(share) else f"about {100 * share:.0f} %"
    return [
        Problem(
            "empty component",
            f"{held} of the posterior has a component without rows (Laplace's formula for one component fewer), where "
            f"EM's fit is not; chains may seldom pass between the two. Ask for fewer components.",
        )
    ]


def shares_in_words(modes: pd.DataFrame) -> str:
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


def _list(names: list[Any]) -> str:
    shown = ", ".join(map(str, names[:4]))
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"
