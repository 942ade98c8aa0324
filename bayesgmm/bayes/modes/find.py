"""The modes of a posterior that several starts lead to, and how much of it each holds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import gammaln

from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.model.permutations import nearest_orders, relabelled
from bayesgmm.bayes.modes.curvature import Curvature, curvature_at, find_each
from bayesgmm.bayes.modes.evidence import bridge, laplace
from bayesgmm.mixture.matching import Components, alike, same_mixture
from bayesgmm.types import FloatArray

# A mode with a larger share than this, by Laplace's formula, gets chains of its own.
MIN_SHARE = 0.01
# Of a share whose log evidence has a larger error than this nobody should speak.
MAX_ERROR = 0.5
# Two searches that end at one mode differ by less than this in log posterior.
_CLOSE = 1e-3

# What became of a mode. Those in the region of another are named with its number, those of unknown share with a reason.
HEAVIEST, APART, LIGHT = "heaviest", "apart", "light"
JOINED, VISITED = "joined the chains of", "visited by the chains of"
UNCLEAR, NOT_SAMPLED = "unclear", "not sampled"


@dataclass(frozen=True, eq=False)
class Mode:
    """A mode of the log posterior in unconstrained space, and all that is one with it but the order of components.

    log_evidence: log of the integral of likelihood times prior around all its copies, by Laplace's formula, NaN where
    the curvature has no inverse; n_starts: how many starts led to it.
    """

    curvature: Curvature
    components: Components
    log_posterior: float
    log_likelihood: float
    log_evidence: float
    n_starts: int


@dataclass(frozen=True, eq=False)
class Region:
    """What is known of a mode in the end.

    home: number of the mode whose region it is in, its own when that is no other's; detail: the reason of an unknown
    share; log_evidence and its error: of the region, counted from draws, NaN where it was not.
    """

    mode: Mode
    state: str
    home: int
    detail: str = ""
    log_evidence: float = float("nan")
    error: float = float("nan")

    def __str__(self) -> str:
        named = f" mode {self.home}" if self.state in (JOINED, VISITED) else ""
        return self.state + named + (f": {self.detail}" if self.detail else "")


def find_modes(density: MixtureDensity, searches: Sequence[list[FloatArray]], rng: np.random.Generator) -> list[Mode]:
    """The distinct modes that the searches, each from some starts, end at, in decreasing order of evidence.

    Those whose evidence has no number come where the width of the best mode would put them.
    """
    stds = density.rows.stds
    modes: list[Mode] = []
    work = density.rows.cost(density.n_components)
    for theta in find_each(density, searches, work, density.widths):
        components, log_posterior = _components(density, theta), density(theta)[0]
        for i, known in enumerate(modes):
            if abs(known.log_posterior - log_posterior) <= _CLOSE and same_mixture(components, known.components, stds):
                modes[i] = replace(known, n_starts=known.n_starts + 1)
                break
        else:
            curvature = curvature_at(density, theta, rng, work)
            n_copies = _log_copies(components, stds)
            log_likelihood = log_posterior - float(density.log_priors(theta[np.newaxis])[0])
            evidence = laplace(log_posterior, curvature) + n_copies
            modes.append(Mode(curvature, components, log_posterior, log_likelihood, evidence, 1))
    order = np.argsort(-expected_evidences(modes), kind="stable")
    return [modes[i] for i in order]


def expected_evidences(modes: Sequence[Mode]) -> FloatArray:
    """(M,) log evidences; where there is none, what it would be with the width of the mode that has the largest."""
    found = np.array([mode.log_evidence for mode in modes])
    heights = np.array([mode.log_posterior for mode in modes])
    if not np.isfinite(found).any():
        return heights
    best = int(np.nanargmax(found))
    return np.where(np.isfinite(found), found, heights + found[best] - heights[best])


def are_heavy(modes: Sequence[Mode]) -> NDArray[np.bool_]:
    """(M,) which modes may hold more than 1 %."""
    evidences = expected_evidences(modes)
    return np.asarray(evidences - np.logaddexp.reduce(evidences) > np.log(MIN_SHARE))


def evidence_of_draws(
    density: MixtureDensity, mode: Mode, thetas: FloatArray, values: FloatArray, rng: np.random.Generator
) -> tuple[float, float]:
    """log evidence, and its error, of the region that draws thetas (chain, draw, P) are from; values (chain, draw).

    The draws' components are put in the order nearest to the mode's, and nothing is counted outside the part of the
    space where that order is the nearest: K! such parts make up the whole, so chains may change labels as they like.
    """
    P, K = thetas.shape[-1], density.n_components
    at, units = mode.curvature.mode, mode.curvature.units
    flat = thetas.reshape(-1, P)
    orders = nearest_orders(density, flat, at, units)
    ours = relabelled(density, flat, orders).reshape(thetas.shape)

    def log_posteriors(points: FloatArray) -> FloatArray:
        inside = (nearest_orders(density, points, at, units) == np.arange(K)).all(axis=1)
        found = np.full(len(points), -np.inf)
        found[inside] = density.log_posteriors(points[inside])
        return np.where(np.isfinite(found), found, -np.inf)

    value, error = bridge(log_posteriors, ours, values, rng)
    return float(value + gammaln(K + 1)), error


def mode_table(regions: Sequence[Region]) -> xr.Dataset:
    """A row a mode, in the order given: what is known of it. The first is that whose chains are the posterior's.

    A mode in the region of another has no share of its own. Where the share of some region is unknown, so are those of
    all but the light ones.
    """
    modes, homes = [region.mode for region in regions], np.array([region.home for region in regions])
    evidences, errors = _evidences(regions, homes)
    own = homes == np.arange(len(regions))
    shares = np.where(own, np.exp(evidences - np.logaddexp.reduce(evidences[own])), np.nan)
    light = np.array([region.state == LIGHT for region in regions])
    unknown = np.array([region.state in (UNCLEAR, NOT_SAMPLED) for region in regions]) | ~(errors <= MAX_ERROR)
    if (unknown & own).any():
        shares, errors = np.where(light, shares, np.nan), np.where(light, 0.0, np.nan)
    # d log share = (1 - share) d own - sum of the others' share d theirs
    squares = np.square(np.where(own, shares * errors, 0.0))
    share_errors = shares * np.sqrt(np.square((1 - shares) * errors) + squares.sum() - squares)
    columns = {
        "state": list(map(str, regions)),
        "region": homes,
        "share": shares,
        "share_error": share_errors,
        "log_evidence": evidences,
        "log_posterior": [mode.log_posterior for mode in modes],
        "log_likelihood": [mode.log_likelihood for mode in modes],
        "n_starts": [mode.n_starts for mode in modes],
    }
    return xr.Dataset({name: ("mode", np.array(values)) for name, values in columns.items()})


def _evidences(regions: Sequence[Region], homes: NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
    """(M,) log evidences and their errors: from draws, else by Laplace's formula, whose error is not known.

    By Laplace's formula a region has what its modes have together; beside regions that draws have weighed, each has
    what it is to the first.
    """
    by_laplace = expected_evidences([region.mode for region in regions])
    together = by_laplace.copy()
    for home in np.unique(homes):
        together[home] = np.logaddexp.reduce(by_laplace[homes == home])
    by_draws = np.array([region.log_evidence for region in regions])
    if np.isnan(by_draws).all():  # there is one region only
        return together, np.zeros(len(regions))
    shift = by_draws[0] - together[0] if np.isfinite(by_draws[0]) else 0.0
    sampled = np.array([region.state in (HEAVIEST, APART) for region in regions])
    errors = np.where(sampled, [region.error for region in regions], 0.0)
    return np.where(np.isnan(by_draws), together + shift, by_draws), errors


def _components(density: MixtureDensity, theta: FloatArray) -> Components:
    values = density.constrain(theta[np.newaxis])
    return Components(values["weights"][0], values["means"][0], values["covariances"][0])


def _log_copies(components: Components, stds: FloatArray) -> float:
    """log of the number of different mixtures that reordering makes of this one: K! over that of every like group."""
    left, log_copies = set(range(len(components.weights))), float(gammaln(len(components.weights) + 1))
    fits = alike(components, components, stds)
    while left:
        group = {k for k in left if fits[min(left), k]}
        log_copies -= float(gammaln(len(group) + 1))
        left -= group
    return log_copies
