"""The posterior: effective draws a second of sampling, against PyMC as its users write it, and NumPyro."""

import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

import bayesgmm as bg
from benchmarks import pymc_peer
from benchmarks.cases import Data, faithful, iris, simulated
from benchmarks.draws import Sampled, aligned_ess

HAS_NUMPYRO = find_spec("numpyro") is not None
if HAS_NUMPYRO:
    from benchmarks import numpyro_peer


class Case(NamedTuple):
    """Data; how often all take their turn; forms in PyMC; NumPyro's draws a chain, after as many of tuning."""

    data: Data
    repeats: int = 3
    forms: tuple[str, ...] = tuple(pymc_peer.FORMS)
    numpyro_draws: int = 1000


CASES = [
    Case(Data("Old Faithful 272, 2, 2", faithful, 2)),
    Case(Data("iris 150, 4, 3", iris, 3)),
    # Here the peers take minutes. Only the form in PyMC whose gradient is the faster one: see gradient.py.
    Case(Data("simulated 5000, 2, 3", simulated(5000, 3, 2), 3), 2, ("PyMC, list",), 100),
    Case(Data("simulated 2000, 5, 4", simulated(2000, 4, 5), 4), 2, ("PyMC, list",), 100),
]
MOST_SECONDS = 900.0
_VARIABLES = ("weights", "means", "covariances")


class Measured(NamedTuple):
    """Seconds of compilation, sampling and the whole call; smallest bulk-ESS; draws of each chain."""

    compilation: float
    sampling: float
    whole: float
    ess: float
    draws: int

    @property
    def rate(self) -> float:
        return self.ess / self.sampling


def bayesgmm(X: np.ndarray, start: bg.MixtureParameters, draws: int, seed: int) -> Measured:
    began = time.perf_counter()
    posterior = bg.sample_posterior(X, start.n_components, start=start, draws=draws, rng=seed, progress=False)
    whole = time.perf_counter() - began
    ess = aligned_ess({name: posterior["posterior"][name].values for name in _VARIABLES}, start)
    return Measured(0.0, posterior.attrs.get("seconds_sampling", whole), whole, ess, draws)


def of_peer(sampled: Sampled, start: bg.MixtureParameters) -> Measured:
    whole = sampled.compilation + sampled.seconds
    ess = aligned_ess(sampled.values, start)
    return Measured(sampled.compilation, sampled.seconds, whole, ess, sampled.values["weights"].shape[1])


class PyMC:
    """One form of the model, compiled once for all seeds."""

    def __init__(self, form: str, X: np.ndarray, start: bg.MixtureParameters, draws: int, most_seconds: float):
        self._model, self._compilation = pymc_peer.compiled(pymc_peer.FORMS[form](X, start.n_components), start)
        self._start, self._draws, self._most_seconds = start, draws, most_seconds

    def __call__(self, seed: int) -> Measured:
        sampled = pymc_peer.sampled(self._model, self._draws, self._draws, seed, self._most_seconds)
        return of_peer(sampled._replace(compilation=self._compilation), self._start)


def numpyro(X: np.ndarray, start: bg.MixtureParameters, draws: int, seed: int) -> Measured:
    return of_peer(numpyro_peer.sampled(X, start, draws, draws, seed), start)


def measure(case: Case, draws: int, most_seconds: float) -> dict[str, list[Measured]]:
    """One measurement a turn of each sampler."""
    X, K = case.data.load(), case.data.n_components
    start = bg.fit_em(X, K, rng=1).parameters
    samplers: dict[str, Callable[[int], Measured]] = {"bayesgmm": partial(bayesgmm, X, start, draws)}
    samplers |= {form: PyMC(form, X, start, draws, most_seconds) for form in case.forms}
    if HAS_NUMPYRO:
        samplers["NumPyro"] = partial(numpyro, X, start, min(draws, case.numpyro_draws))
    samplers["bayesgmm"](0)  # loads what is cached
    measured: dict[str, list[Measured]] = {name: [] for name in samplers}
    for seed in range(1, case.repeats + 1):
        for name, sampler in samplers.items():
            measured[name].append(sampler(seed))
    return measured


def posterior_table(cases=tuple(CASES), draws=1000, most_seconds=MOST_SECONDS):
    print("\nPosterior, 4 chains from EM's fit: smallest bulk-ESS over weights, means and covariances, labels aligned")
    print("Medians over the turns; sampling is tuning and drawing; the peers tune for as many draws as they keep, and")
    print(f"PyMC is stopped after {most_seconds:g} s")
    if not HAS_NUMPYRO:
        print("NumPyro is not installed: skipped")
    heads = f"{'draws':>8} {'compile':>8} {'sample':>10} {'whole call':>11}"
    print(f"{'N, D, K':>22} {'':>14} {heads} {'ESS (least, most)':>20} {'ESS / s':>9} {'ratio':>8}")
    for case in cases:
        measured = measure(case, draws, most_seconds)
        for name, runs in measured.items():
            compilation, sampling, whole, ess, done = np.median(np.array(runs), axis=0)
            rates = np.array([run.rate for run in runs])
            line = f"{case.data.name:>22} {name:>14} {f'4 x {done:.0f}':>8} {compilation:>6.1f} s {sampling:>8.2f} s "
            if np.isnan(ess):
                print(f"{line}{whole:>9.2f} s   stopped before there were draws to count", flush=True)
                continue
            ratio = np.median([ours.rate for ours in measured["bayesgmm"]] / rates)
            spread = f"{ess:.0f} ({min(run.ess for run in runs):.0f}, {max(run.ess for run in runs):.0f})"
            shown = "" if name == "bayesgmm" else f"{ratio:>7.1f}x"
            print(f"{line}{whole:>9.2f} s {spread:>20} {np.median(rates):>9.1f} {shown}", flush=True)
