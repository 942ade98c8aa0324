"""Which way to sample, by proposals at the mode, its curvature, and short pilots.

Whitened: z with theta = mode + scale z, by the Hessian; right where the posterior is near a Gaussian. Plain: every
parameter in its own width, and nutpie adapts a diagonal mass matrix. Low-rank: the same, and nutpie adapts to
correlations too. Allocation: no gradients but Gibbs sweeps, each row given to one component. Independent: proposals
from bayesgmm.types import FloatArray
from one distribution near the posterior, where there is such a one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayesgmm.bayes.modes.curvature import Curvature
from bayesgmm.bayes.sampling.pilots import _pilots
from bayesgmm.bayes.sampling.target import Posterior
from bayesgmm.bayes.sampling.ways import WHITENED, Coordinates, candidates_for
from bayesgmm.types import FloatArray

# From this share of effective proposals on nothing else comes near: a draw of NUTS takes three gradients and more. The
# best there is have 0.95, as one in twenty is wide. With 0.6, for 604 rows of which one component has four, proposals
# had 12 times as many effective draws for their work as the next best.
_NEAR_POSTERIOR = 0.55
# Below this misfit whitened sampling is as good as sampling gets. Old Faithful with K = 2 has 0.02, mixtures that
# overlap more than 0.1.
_NEAR_GAUSSIAN = 0.05


@dataclass(frozen=True, eq=False)
class Choice:
    """What was taken, why, and the pilots in words, one a candidate."""

    coordinates: Coordinates
    reason: str
    pilots: tuple[str, ...] = ()


def choose(
    posterior: Posterior,
    curvature: Curvature,
    quantity: Callable[[xr.DataTree, Coordinates], FloatArray],
    *,
    tune: int | None,
    start_width: float,
    rng: np.random.Generator,
    usual: str = "",
    objection: str = "",
) -> Choice:
    """Coordinates for a posterior.

    quantity(draws, coordinates) -> (chain, draw), what the pilots' effective draws are counted for; tune: tuning
    draws, those of each candidate by default; usual: the name of those that pilots around another mode of the same
    posterior have chosen; objection: what is known against independent proposals. Counted in gradients, not seconds,
    the choice is the same on any machine.
    """
    candidates = candidates_for(posterior, curvature, tune)
    proposal = candidates[-1].proposal
    if proposal is not None:
        independent = candidates.pop()
        share = 0.0 if objection else proposal.efficiency(rng.spawn(1)[0])  # no draw of the other ways depends on it
        if share >= _NEAR_POSTERIOR:
            return Choice(independent, f"{share:.0%} of independent proposals around the mode are effective")
    if not objection and candidates[0].name == WHITENED and curvature.misfit < _NEAR_GAUSSIAN:
        reason = f"the posterior is near the Gaussian at its mode (misfit {curvature.misfit:.2g})"
        return Choice(candidates[0], reason)
    for candidate in candidates:
        if candidate.name == usual:
            return Choice(candidate, "of short pilots around the heaviest mode, it had the most effective draws")
    pilots = _pilots(posterior, candidates, quantity, start_width, rng)
    best = max(range(len(pilots)), key=lambda i: pilots[i].efficiency)
    far = f"the posterior is far from the Gaussian at its mode (misfit {curvature.misfit:.2g})"
    flaw = curvature.flaw or objection or far
    reason = f"{flaw}; of short pilots, {candidates[best].name} had the most effective draws for its work"
    return Choice(candidates[best], reason, tuple(map(str, pilots)))
