"""The distinct modes of a posterior that several starts lead to, and the share of the posterior around each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from scipy.special import gammaln

from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.model.permutations import nearest_orders, relabelled
from bayesgmm.bayes.modes.curvature import Curvature, curvature_at, find_maxima
from bayesgmm.bayes.modes.evidence import bridge, laplace
from bayesgmm.errors import SamplingError
from bayesgmm.mixture.matching import MixtureArrays, equal_components, same_mixture
from bayesgmm.types import BoolArray, FloatArray, IntArray

# Modes whose share by Laplace's formula exceeds this get chains of their own.
MIN_SHARE = 0.01
# Shares are reported as unknown above this standard error of the log evidence.
MAX_ERROR = 0.5
# Two searches ended at the same mode if their log posteriors differ by at most this, and their mixtures agree.
_SAME_LOG_POSTERIOR = 1e-3

# Final state of a mode. JOINED and VISITED are followed by the number of the other mode; UNCLEAR and NOT_SAMPLED by the
# reason.
HEAVIEST, APART, LIGHT = "heaviest", "apart", "light"
JOINED, VISITED = "joined the chains of", "visited by the chains of"
UNCLEAR, NOT_SAMPLED = "unclear", "not sampled"


@dataclass(frozen=True, eq=False)
class Mode:
    """A mode of the log posterior in unconstrained space; its copies with components in other orders are included.

    log_evidence: log of the integral of likelihood times prior around all copies, by Laplace's formula, NaN if the
    curvature has no inverse; n_starts: number of searches that ended here.
    """

    curvature: Curvature
    components: MixtureArrays
    log_posterior: float
    log_likelihood: float
    log_evidence: float
    n_starts: int


@dataclass(frozen=True, eq=False)
class Region:
    """A mode with its final state.

    merged_into: number of the mode to whose region it belongs, its own number if it has a region of its own; detail:
    reason of an unknown share; log_evidence, error: of the region, from draws, NaN if there are none.
    """

    mode: Mode
    state: str
    merged_into: int
    detail: str = ""
    log_evidence: float = float("nan")
    error: float = float("nan")

    def __str__(self) -> str:
        other = f" mode {self.merged_into}" if self.state in (JOINED, VISITED) else ""
        return self.state + other + (f": {self.detail}" if self.detail else "")


def find_modes(density: MixtureDensity, searches: Sequence[list[FloatArray]], rng: np.random.Generator) -> list[Mode]:
    """Return the distinct modes at which the searches end, in decreasing order of `expected_evidences`.

    Each search is a list of starts (P,), of which the highest maximum counts. Raises SamplingError when every search
    ends where some covariance is singular to machine precision.
    """
    stds = density.rows.stds
    modes: list[Mode] = []
    work = density.rows.cost(density.n_components)
    for theta in find_maxima(density, searches, work, density.widths):
        components, log_posterior = _components_at(density, theta), float(density.log_posteriors(theta[np.newaxis])[0])
        if not _are_positive_definite(components.covariances):
            continue
        number = _number_of_same_mode(modes, components, log_posterior, stds)
        if number is None:
            curvature = curvature_at(density, theta, rng, work, density.widths)
            log_likelihood = log_posterior - float(density.log_priors(theta[np.newaxis])[0])
            log_evidence = laplace(log_posterior, curvature) + _log_copies(components, stds)
            modes.append(Mode(curvature, components, log_posterior, log_likelihood, log_evidence, 1))
        else:
            modes[number] = replace(modes[number], n_starts=modes[number].n_starts + 1)
    if not modes:
        raise SamplingError(
            "The search for the posterior's mode ended where a covariance is singular to machine precision: some rows "
            "are very far from all others, or lie on a line. Take them out, use covariance='diag', or pass a start. "
            "Check the prior's scales against the data."
        )
    order = np.argsort(-expected_evidences(modes), kind="stable")
    return [modes[number] for number in order]


def _number_of_same_mode(
    modes: Sequence[Mode], components: MixtureArrays, log_posterior: float, stds: FloatArray
) -> int | None:
    """Return the number of the mode that a search has found again, None if it is a new one."""
    for number, mode in enumerate(modes):
        is_as_high = abs(mode.log_posterior - log_posterior) <= _SAME_LOG_POSTERIOR
        if is_as_high and same_mixture(components, mode.components, stds):
            return number
    return None


def expected_evidences(modes: Sequence[Mode]) -> FloatArray:
    """Return log evidences (M,) by Laplace's formula.

    A mode without one gets the value that it would have with the width of the mode of the largest evidence.
    """
    evidences = np.array([mode.log_evidence for mode in modes])
    heights = np.array([mode.log_posterior for mode in modes])
    if not np.isfinite(evidences).any():
        return heights
    best = int(np.nanargmax(evidences))
    return np.where(np.isfinite(evidences), evidences, heights + evidences[best] - heights[best])


def are_heavy(modes: Sequence[Mode]) -> BoolArray:
    """Return which modes (M,) may hold more than MIN_SHARE of the posterior."""
    evidences = expected_evidences(modes)
    return np.asarray(evidences - np.logaddexp.reduce(evidences) > np.log(MIN_SHARE))


def evidence_of_draws(
    density: MixtureDensity, mode: Mode, thetas: FloatArray, values: FloatArray, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the log evidence of the region that the draws are from, and its standard error.

    thetas (chain, draw, P) are the draws, values (chain, draw) their log posteriors. The draws' components are put in
    the order nearest to the mode's, and the integral is over the part of the space in which that order is the nearest.
    The whole space consists of K! such parts, so chains may exchange labels.
    """
    P, K = thetas.shape[-1], density.n_components
    theta_at_mode, units = mode.curvature.mode, mode.curvature.units
    flat = thetas.reshape(-1, P)
    in_one_part = relabelled(density, flat, nearest_orders(density, flat, theta_at_mode, units)).reshape(thetas.shape)

    def log_posteriors(points: FloatArray) -> FloatArray:
        is_inside = (nearest_orders(density, points, theta_at_mode, units) == np.arange(K)).all(axis=1)
        log_densities = np.full(len(points), -np.inf)
        log_densities[is_inside] = density.log_posteriors(points[is_inside])
        return np.where(np.isfinite(log_densities), log_densities, -np.inf)

    value, error = bridge(log_posteriors, in_one_part, values, rng)
    return float(value + gammaln(K + 1)), error


def mode_table(regions: Sequence[Region]) -> xr.Dataset:
    """Return one row per mode, in the given order; the chains of the first are the posterior's.

    A mode that is merged into another's region has no share. If the share of some region is unknown, the shares of all
    regions but the light ones are.
    """
    modes, merged_into = [region.mode for region in regions], np.array([region.merged_into for region in regions])
    evidences, errors = _evidences(regions, merged_into)
    has_region = merged_into == np.arange(len(regions))
    shares = np.where(has_region, np.exp(evidences - np.logaddexp.reduce(evidences[has_region])), np.nan)
    is_light = np.array([region.state == LIGHT for region in regions])
    is_unknown = np.array([region.state in (UNCLEAR, NOT_SAMPLED) for region in regions]) | ~(errors <= MAX_ERROR)
    if (is_unknown & has_region).any():
        shares, errors = np.where(is_light, shares, np.nan), np.where(is_light, 0.0, np.nan)
    # d log share = (1 - share) d log evidence - sum over the other regions of their share d their log evidence.
    squares = np.square(np.where(has_region, shares * errors, 0.0))
    share_errors = shares * np.sqrt(np.square((1 - shares) * errors) + squares.sum() - squares)
    columns = {
        "state": list(map(str, regions)),
        "region": merged_into,
        "share": shares,
        "share_error": share_errors,
        "log_mass": evidences,
        "log_posterior": [mode.log_posterior for mode in modes],
        "log_likelihood": [mode.log_likelihood for mode in modes],
        "n_starts": [mode.n_starts for mode in modes],
    }
    return xr.Dataset({name: ("mode", np.array(values)) for name, values in columns.items()})


def _evidences(regions: Sequence[Region], merged_into: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return log evidences (M,) and their errors: from draws if possible, else by Laplace's formula with error 0.

    Laplace's evidence of a region is the sum over its modes. If draws have weighed some regions, Laplace's evidences of
    the others are shifted so that both kinds agree on the first region.
    """
    of_modes = expected_evidences([region.mode for region in regions])
    by_laplace = of_modes.copy()
    for number in np.unique(merged_into):
        by_laplace[number] = np.logaddexp.reduce(of_modes[merged_into == number])
    by_draws = np.array([region.log_evidence for region in regions])
    if np.isnan(by_draws).all():  # there is only one region
        return by_laplace, np.zeros(len(regions))
    shift = by_draws[0] - by_laplace[0] if np.isfinite(by_draws[0]) else 0.0
    is_sampled = np.array([region.state in (HEAVIEST, APART) for region in regions])
    errors = np.where(is_sampled, [region.error for region in regions], 0.0)
    return np.where(np.isnan(by_draws), by_laplace + shift, by_draws), errors


def _components_at(density: MixtureDensity, theta: FloatArray) -> MixtureArrays:
    """Return the mixture at theta (P,)."""
    values = density.constrain(theta[np.newaxis])
    return MixtureArrays(values["weights"][0], values["means"][0], values["covariances"][0])


def _are_positive_definite(covariances: FloatArray) -> bool:
    """Return whether covariances (K, D, D) are finite and have Cholesky factors."""
    if not np.isfinite(covariances).all():
        return False
    try:
        np.linalg.cholesky(covariances)
    except np.linalg.LinAlgError:
        return False
    return True


def _log_copies(components: MixtureArrays, stds: FloatArray) -> float:
    """Return the log of the number of distinct orders of the components.

    It is K!, divided by the factorial of the size of every group of equal components.
    """
    K = len(components.weights)
    ungrouped, log_copies = set(range(K)), float(gammaln(K + 1))
    are_equal = equal_components(components, components, stds)
    while ungrouped:
        group = {k for k in ungrouped if are_equal[min(ungrouped), k]}
        log_copies -= float(gammaln(len(group) + 1))
        ungrouped -= group
    return log_copies
