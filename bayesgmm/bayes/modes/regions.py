"""Chains from every mode that matters, and whether they are in different regions of the posterior."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

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

# Two sets of chains are in different regions if their pooled R-hat exceeds _APART while each set's own R-hat is below
# _SETTLED.
_APART, _SETTLED = 1.1, 1.05
# A chain has visited a mode if at least _N_VISITS of its draws are in the ellipsoid around it that holds this share of
# the mode's Gaussian approximation; see docs/decisions/0032-visits-to-a-mode.md.
_N_VISITS, _ELLIPSOID = 10, 0.999


@dataclass(frozen=True, eq=False)
class ModeChains:
    """Chains that start around one mode.

    tree: their posterior; thetas (chain, draw, P): in unconstrained space, P = 0 for a PyMC model; interrupted: whether
    Ctrl-C ended them early.
    """

    tree: xr.DataTree
    thetas: FloatArray
    interrupted: bool


class KnownMode(NamedTuple):
    """A mode with its state, and its chains if it got some."""

    region: Region
    chains: ModeChains | None


# Chains from a mode, which run until the function says that the draws so far are enough.
type SampleMode = Callable[[Mode, Callable[[xr.DataTree], bool]], ModeChains]


def explore(
    density: MixtureDensity,
    modes: Sequence[Mode],
    first: ModeChains,
    sample: SampleMode,
    rng: np.random.Generator,
    thresholds: Thresholds,
) -> list[KnownMode]:
    """Return every mode with its state and its chains, the one with the heaviest region first.

    A mode gets chains if it may hold 1 % of the posterior and no earlier set of chains has visited it with every chain.
    Its chains run until they have either joined an earlier set or converged apart from all of them.

    Parameters
    ----------
    density, modes : the posterior and its modes, from `find_modes`.
    first : chains of the first mode.
    sample : makes the chains of a mode.
    rng : for the evidences of regions.
    thresholds : limits of R-hat and effective draws that decide whether chains have joined or converged.
    """
    known = [KnownMode(Region(modes[0], HEAVIEST, 0), first)]
    interrupted = first.interrupted
    for number, (mode, is_heavy) in enumerate(zip(modes[1:], are_heavy(modes)[1:], strict=True), 1):
        separate = _separate_chains(known)
        visitors = [other for other, chains in separate.items() if is_heavy and _has_visited(density, mode, chains)]
        chains, region = None, Region(mode, NOT_SAMPLED, number, "interrupted")
        if not is_heavy:
            region = Region(mode, LIGHT, number)
        elif visitors:
            region = Region(mode, VISITED, visitors[0])
        elif not interrupted:
            try:
                chains = sample(mode, _stopping_rule([other.tree for other in separate.values()], thresholds))
                region, interrupted = _region(mode, number, chains, separate, thresholds), chains.interrupted
            except SamplingError as error:
                region = Region(mode, NOT_SAMPLED, number, str(error))
            except KeyboardInterrupt:  # before the first draw of this mode; the chains of the other modes are kept
                interrupted = True
        known.append(KnownMode(region, chains))
    return _heaviest_first(_weighed(density, known, rng))


def _separate_chains(known: Sequence[KnownMode]) -> dict[int, ModeChains]:
    """Return the sets of chains that have a region of their own, by the number of the mode."""
    return {
        region.merged_into: chains
        for region, chains in known
        if chains is not None and region.state in (HEAVIEST, APART)
    }


def _has_visited(density: MixtureDensity, mode: Mode, chains: ModeChains) -> bool:
    """Return whether every chain has been around the mode, in whatever order of the components."""
    curvature, (n_chains, n_draws, P) = mode.curvature, chains.thetas.shape
    if curvature.whitening is None:
        return False
    thetas = chains.thetas.reshape(-1, P)
    thetas = relabelled(density, thetas, nearest_orders(density, thetas, curvature.mode, curvature.units))
    distances = np.square(np.linalg.solve(curvature.whitening, (thetas - curvature.mode).T)).sum(axis=0)
    is_inside = distances <= 2 * gammaincinv(P / 2, _ELLIPSOID)  # the quantile of chi-squared
    return bool((is_inside.reshape(n_chains, n_draws).sum(axis=1) >= _N_VISITS).all())


def _stopping_rule(earlier: Sequence[xr.DataTree], thresholds: Thresholds) -> Callable[[xr.DataTree], bool]:
    """Return the function that says whether draws are clearly in the region of earlier chains, or clearly elsewhere."""
    first_agree = label_free_r_hat(earlier[:1]) <= _SETTLED

    def is_decided(tree: xr.DataTree) -> bool:
        nearest = min(label_free_r_hat([tree, other]) for other in earlier)
        if not first_agree or nearest <= thresholds.max_r_hat:
            return True
        return nearest >= _APART and converged(tree, thresholds)

    return is_decided


def _region(
    mode: Mode, number: int, chains: ModeChains, earlier: Mapping[int, ModeChains], thresholds: Thresholds
) -> Region:
    """Return the state of a mode, by how its chains agree with those of the modes before it."""
    pooled = {other: label_free_r_hat([chains.tree, earlier[other].tree]) for other in earlier}
    nearest = min(pooled, key=lambda other: pooled[other])
    if pooled[nearest] <= thresholds.max_r_hat:
        return Region(mode, JOINED, nearest)
    if label_free_r_hat([earlier[0].tree]) > _SETTLED:
        return Region(mode, UNCLEAR, number, "the chains of the first mode disagree with each other")
    if label_free_r_hat([chains.tree]) > _SETTLED:
        return Region(mode, UNCLEAR, number, "its chains disagree with each other")
    if pooled[nearest] < _APART:
        detail = f"R-hat over its chains and those of another mode is {pooled[nearest]:.3f}"
        return Region(mode, UNCLEAR, number, detail)
    return Region(mode, APART, number)


def _weighed(density: MixtureDensity, known: Sequence[KnownMode], rng: np.random.Generator) -> list[KnownMode]:
    """Return the modes with the evidence of each region that has chains of its own, if there are several."""
    if sum(region.state in (HEAVIEST, APART) for region, _ in known) < 2:
        return list(known)
    weighed: list[KnownMode] = []
    for region, chains in known:
        if chains is not None and region.state in (HEAVIEST, APART):
            values = np.asarray(chains.tree["sample_stats"].to_dataset()["lp"].values)
            evidence, error = evidence_of_draws(density, region.mode, chains.thetas, values, rng)
            region = replace(region, log_evidence=evidence, error=error)
            if not error <= MAX_ERROR:
                region = replace(region, state=UNCLEAR, detail=f"its evidence from draws has an error of {error:.2g}")
        weighed.append(KnownMode(region, chains))
    return weighed


def _heaviest_first(known: Sequence[KnownMode]) -> list[KnownMode]:
    """Return the modes with that of the largest evidence from draws first: its chains are the posterior's."""
    evidences = [-np.inf if np.isnan(region.log_evidence) else region.log_evidence for region, _ in known]
    heaviest = int(np.argmax(evidences))
    order = [heaviest, *(number for number in range(len(known)) if number != heaviest)]
    reordered: list[KnownMode] = []
    for number in order:
        region, chains = known[number]
        state = HEAVIEST if number == heaviest else APART if region.state == HEAVIEST else region.state
        reordered.append(KnownMode(replace(region, state=state, merged_into=order.index(region.merged_into)), chains))
    return reordered
