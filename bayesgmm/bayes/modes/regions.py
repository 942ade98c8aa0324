"""Chains from every mode that matters, and whether they are in different regions of the posterior."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from scipy.special import gammaincinv

from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.model.permutations import nearest_orders, relabelled
from bayesgmm.bayes.modes.find import (
    APART,
    HEAVIEST,
    JOINED,
    LIGHT,
    MAX_ERROR,
    NOT_SAMPLED,
    UNCLEAR,
    VISITED,
    Mode,
    Region,
    are_heavy,
    evidence_of_draws,
)
from bayesgmm.convergence import converged, label_free_r_hat
from bayesgmm.errors import SamplingError
from bayesgmm.thresholds import Thresholds
from bayesgmm.types import FloatArray

# Chains are apart when R-hat over all of them is larger than the first, though each mode's own agree to the second.
_APART, _SETTLED = 1.1, 1.05
# A chain has visited a mode when this many of its draws are in the ellipsoid that would hold 99.9 % of the mode's mass
# if it were Gaussian. Of modes in one region every chain has tens to thousands of draws there, of separate ones none.
_VISITS, _ELLIPSOID = 10, 0.999


@dataclass(frozen=True, eq=False)
class Drawn:
    """Chains of one mode: the posterior, and in unconstrained space thetas (chain, draw, P), P = 0 for a PyMC model."""

    tree: xr.DataTree
    thetas: FloatArray
    partial: bool


# Chains from a mode, until the function says of the draws so far that they are enough.
type Sample = Callable[[Mode, Callable[[xr.DataTree], bool]], Drawn]
type Known = tuple[Region, Drawn | None]


def explore(
    density: MixtureDensity,
    modes: Sequence[Mode],
    first: Drawn,
    sample: Sample,
    rng: np.random.Generator,
    thresholds: Thresholds,
) -> list[Known]:
    """What is known of each mode, that whose region is the heaviest first; `first` are the chains of the first.

    A mode that may hold 1 %, and that every chain of a mode before has not visited already, gets chains. They go on
    until they have joined those of one before, or have converged apart from all of them.
    """
    known: list[Known] = [(Region(modes[0], HEAVIEST, 0), first)]
    interrupted = first.partial
    for number, (mode, is_heavy) in enumerate(zip(modes[1:], are_heavy(modes)[1:], strict=True), 1):
        before = {
            region.home: drawn for region, drawn in known if drawn is not None and region.state in (HEAVIEST, APART)
        }
        visiting = [at for at, drawn in before.items() if is_heavy and _has_visited(density, mode, drawn)]
        drawn, region = None, Region(mode, NOT_SAMPLED, number, "interrupted")
        if not is_heavy:
            region = Region(mode, LIGHT, number)
        elif visiting:
            region = Region(mode, VISITED, visiting[0])
        elif not interrupted:
            try:
                drawn = sample(mode, _decider([one.tree for one in before.values()], thresholds))
                region, interrupted = _region(mode, number, drawn, before, thresholds), drawn.partial
            except SamplingError as error:
                region = Region(mode, NOT_SAMPLED, number, str(error))
            except KeyboardInterrupt:  # before there was a draw: what was drawn before is kept
                interrupted = True
        known.append((region, drawn))
    return _heaviest_first(_weighed(density, known, rng))


def _has_visited(density: MixtureDensity, mode: Mode, drawn: Drawn) -> bool:
    """Whether every chain has been around a mode, in whatever order of the components."""
    curvature, (chains, draws, P) = mode.curvature, drawn.thetas.shape
    if curvature.whitening is None:
        return False
    thetas = drawn.thetas.reshape(-1, P)
    thetas = relabelled(density, thetas, nearest_orders(density, thetas, curvature.mode, curvature.units))
    distances = np.square(np.linalg.solve(curvature.whitening, (thetas - curvature.mode).T)).sum(axis=0)
    inside = distances <= 2 * gammaincinv(P / 2, _ELLIPSOID)  # the quantile of chi-squared
    return bool((inside.reshape(chains, draws).sum(axis=1) >= _VISITS).all())


def _decider(others: Sequence[xr.DataTree], thresholds: Thresholds) -> Callable[[xr.DataTree], bool]:
    """Whether draws show that they are where one of the others is, or elsewhere."""
    agreed = label_free_r_hat(others[:1]) <= _SETTLED

    def is_decided(tree: xr.DataTree) -> bool:
        nearest = min(label_free_r_hat([tree, other]) for other in others)
        return not agreed or nearest <= thresholds.max_r_hat or (nearest >= _APART and converged(tree, thresholds))

    return is_decided


def _region(mode: Mode, number: int, drawn: Drawn, before: dict[int, Drawn], thresholds: Thresholds) -> Region:
    """What the chains of a mode are to those of the modes before, by number."""
    together = {at: label_free_r_hat([drawn.tree, other.tree]) for at, other in before.items()}
    nearest = min(together, key=lambda at: together[at])
    if together[nearest] <= thresholds.max_r_hat:
        return Region(mode, JOINED, nearest)
    if label_free_r_hat([before[0].tree]) > _SETTLED:
        return Region(mode, UNCLEAR, number, "the chains of the first mode disagree with each other")
    if label_free_r_hat([drawn.tree]) > _SETTLED:
        return Region(mode, UNCLEAR, number, "its chains disagree with each other")
    if together[nearest] < _APART:
        return Region(
            mode, UNCLEAR, number, f"R-hat over its chains and those of another mode is {together[nearest]:.3f}"
        )
    return Region(mode, APART, number)


def _weighed(density: MixtureDensity, known: list[Known], rng: np.random.Generator) -> list[Known]:
    """With the evidence, from draws, of every region that has chains to itself, where there are several."""
    if sum(region.state in (HEAVIEST, APART) for region, _ in known) < 2:
        return known
    weighed: list[Known] = []
    for region, drawn in known:
        if drawn is not None and region.state in (HEAVIEST, APART):
            values = np.asarray(drawn.tree["sample_stats"].to_dataset()["lp"].values)
            evidence, error = evidence_of_draws(density, region.mode, drawn.thetas, values, rng)
            region = replace(region, log_evidence=evidence, error=error)
            if not error <= MAX_ERROR:
                region = replace(region, state=UNCLEAR, detail=f"its evidence from draws has an error of {error:.2g}")
        weighed.append((region, drawn))
    return weighed


def _heaviest_first(known: list[Known]) -> list[Known]:
    """That region first which draws say is the heaviest: its chains are the posterior's."""
    evidences = [-np.inf if np.isnan(region.log_evidence) else region.log_evidence for region, _ in known]
    heaviest = int(np.argmax(evidences))
    order = [heaviest, *(at for at in range(len(known)) if at != heaviest)]
    moved: list[Known] = []
    for at in order:
        region, drawn = known[at]
        state = HEAVIEST if at == heaviest else APART if region.state == HEAVIEST else region.state
        moved.append((replace(region, state=state, home=order.index(region.home)), drawn))
    return moved
