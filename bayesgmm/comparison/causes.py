"""Likely causes of the differences between EM's estimates and the posterior, one function per cause.

A cause is a function that returns one text per number of the table, "" for numbers that the cause does not explain.
`CAUSES` lists them in the order in which they are reported.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from bayesgmm.em.result import EMFit
from bayesgmm.posterior.diagnosis.sensitivity import prior_sensitivity
from bayesgmm.posterior.draws import mixture_draws
from bayesgmm.thresholds import Thresholds
from bayesgmm.types import FloatArray

# A component of EM with less volume than all but this share of the draws is taken to be collapsing.
_COLLAPSING = 0.001


class Numbers(NamedTuple):
    """The numbers of a comparison.

    em, posterior : the fit, and the posterior aligned to it.
    table : one row per number, with the columns parameter, component, z and differs.
    draws : (n_chains, n_draws, n_numbers) the posterior draws of the table's numbers.
    thresholds : the limits at which a cause is reported.
    """

    em: EMFit
    posterior: xr.DataTree
    table: pd.DataFrame
    draws: FloatArray
    thresholds: Thresholds


type Cause = Callable[[Numbers], list[str]]


def likely_causes(numbers: Numbers) -> list[str]:
    """The likely causes of each number that differs, joined by "; "; "" for the other numbers."""
    differs = numbers.table["differs"].tolist()
    if not any(differs):
        return [""] * len(differs)
    texts_by_number = zip(*(cause(numbers) for cause in CAUSES), strict=True)
    return ["; ".join(filter(None, texts)) if d else "" for d, texts in zip(differs, texts_by_number, strict=True)]


def few_rows(numbers: Numbers) -> list[str]:
    """The component has few rows per number, so that maximum likelihood is biased."""
    table, em = numbers.table, numbers.em
    n_numbers = table[table["parameter"] != "weights"].groupby("component", sort=False).size()
    texts = {}
    for component, n in n_numbers.items():
        rows = em.n_samples * (em.parameters.weights[component] if isinstance(component, int) else 1.0)
        if rows < numbers.thresholds.rows_per_number * n:
            holder = f"component {component}" if isinstance(component, int) else "the data"
            texts[component] = f"{holder} holds few rows ({rows:.0f}) for {n} numbers"
    return [texts.get(component, "") for component in table["component"]]


def collapsing(numbers: Numbers) -> list[str]:
    """EM's component has less volume than in nearly all draws: EM is on its way to a collapse."""
    volumes = np.linalg.slogdet(mixture_draws(numbers.posterior).covariances)[1]
    em_volumes = np.linalg.slogdet(numbers.em.parameters.covariances)[1]
    narrower = set(np.flatnonzero((volumes < em_volumes).mean(axis=0) < _COLLAPSING).tolist())
    return [
        f"EM's component {component} is narrower than in 99.9 % of the draws, as a collapsing component is"
        if component in narrower
        else ""
        for component in numbers.table["component"]
    ]


def skewed(numbers: Numbers) -> list[str]:
    """The posterior is skewed, with EM's estimate on the side of the mode."""
    texts = []
    for i, z in enumerate(numbers.table["z"]):
        skewness = _skewness(numbers.draws[..., i])
        explains = abs(skewness) > numbers.thresholds.min_skewness and skewness * z < 0
        side = "above" if skewness > 0 else "below"
        texts.append(
            f"its posterior is skewed, its mean {side} its mode (skewness {skewness:+.1f})" if explains else ""
        )
    return texts


def _skewness(draws: FloatArray) -> float:
    """Skewness of the draws; 0 if all are equal to rounding, where it is undefined."""
    deviations = draws - draws.mean()
    sd = float(deviations.std())
    return float(((deviations / sd) ** 3).mean()) if sd > 1e-10 * float(np.abs(draws).max()) else 0.0


def informative_prior(numbers: Numbers) -> list[str]:
    """The prior moves the posterior."""
    sensitivity = prior_sensitivity(numbers.posterior, numbers.draws)
    if sensitivity is None:
        return [""] * len(numbers.table)
    return [
        f"the prior pulls on it (power-scaling sensitivity {s:.2f})" if s > numbers.thresholds.min_sensitivity else ""
        for s in sensitivity
    ]


CAUSES: tuple[Cause, ...] = (few_rows, collapsing, skewed, informative_prior)
