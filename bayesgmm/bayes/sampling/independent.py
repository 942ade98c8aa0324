r"""Independent proposals: Metropolis chains whose proposals do not depend on where the chain is.

The independence sampler (Tierney 1994, doi:10.1214/aos/1176325750), for groups of points. The state of a chain is a
group of m points x_1, ..., x_m with importance weights w(x) = posterior(x) / proposal(x). The chain accepts a proposed
group with probability min(1, ratio of the two sums of weights). From the group that it holds after each step it emits
m points, resampled systematically in proportion to w (Tjelmeland 2004, Using all Metropolis-Hastings proposals to
estimate mean values; Andrieu, Lee and Vihola 2018, doi:10.3150/15-BEJ785).

Each emitted point has the posterior as its distribution. Let q(x_1, ..., x_m) be the density of groups; by itself,
every point of a group has the proposal's density. The extended target q(x_1, ..., x_m) w(x_i) / m of a group and an
index i has the posterior as the marginal of x_i. Its marginal for the group is q(x_1, ..., x_m) sum_i w(x_i) / m, which
the Metropolis step leaves unchanged. So dependence within a group does not matter, nor does systematic resampling:
with equal weights it emits every point once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self, override

import numpy as np

from bayesgmm.bayes.modes.curvature import Curvature
from bayesgmm.bayes.sampling.draws import Draws
from bayesgmm.bayes.sampling.proposal import FEWEST_EFFECTIVE, GROUP, Proposal, effective_share
from bayesgmm.bayes.sampling.run import RunSettings
from bayesgmm.bayes.sampling.target import Target
from bayesgmm.bayes.sampling.threads import ThreadedChains
from bayesgmm.bayes.sampling.way import SamplerName, Way
from bayesgmm.types import FloatArray, IntArray

# Above this effective share independent proposals beat every other sampler; see docs/decisions/0040.
_RECOMMENDED_SHARE = 0.55
# Of fewer proposals one heavy weight lowers the share much; there half of FEWEST_EFFECTIVE is enough.
_FEW_PROPOSALS = 2500
_LONGEST_PIECE = 250
# Log weight of the placeholder that a chain starts with: the first proposed group is always accepted.
_PLACEHOLDER_LOG_WEIGHT = -1e300


class PoorProposalsError(Exception):
    """Fewer proposals are effective than chains of them need; the message says how many."""


@dataclass(frozen=True, eq=False)
class Independent(Way):
    """Independent proposals from a distribution near the posterior, around a mode."""

    name: ClassVar[str] = "independent proposals"
    sampler: ClassVar[SamplerName] = "independent"
    library: ClassVar[str] = "bayesgmm"
    default_tune: ClassVar[int] = 100
    step_name: ClassVar[str] = "proposals"
    step_cost: ClassVar[float] = 1.0
    can_be_piloted: ClassVar[bool] = False  # weights of few proposals say more than their draws

    proposal: Proposal
    mode: FloatArray

    @classmethod
    @override
    def around(cls, target: Target, curvature: Curvature) -> Self | str:
        proposal = target.proposal(curvature)
        return proposal if isinstance(proposal, str) else cls(proposal, curvature.mode)

    @property
    @override
    def attributes(self) -> Mapping[str, str]:
        return {}

    @override
    def recommendation(self, rng: np.random.Generator) -> str:
        share = self.proposal.efficiency(rng.spawn(1)[0])  # spawned: draws of other ways must not depend on this
        if share < _RECOMMENDED_SHARE:
            return ""
        return f"{share:.0%} of independent proposals around the mode are effective"

    @override
    def start(self, settings: RunSettings) -> "IndependentChains":
        return IndependentChains(self.proposal, self.mode, settings)

    @override
    def n_steps(self, draws: Draws) -> int:
        return draws.log_posterior.size


class IndependentChains(ThreadedChains):
    """Chains that start at a proposed group each."""

    kind = "of independent proposals"

    def __init__(self, proposal: Proposal, mode: FloatArray, settings: RunSettings) -> None:
        density = proposal.density
        rows_per_draw = density.n_components * density.rows.n_samples
        super().__init__(
            density.n_dim, settings, rows_per_draw=rows_per_draw, longest_piece=_LONGEST_PIECE, draws_at_once=GROUP
        )
        self._proposal = proposal
        self._rngs = [
            np.random.default_rng(seed) for seed in np.random.SeedSequence(settings.seed).spawn(settings.chains)
        ]
        # The state of each chain: a group's thetas, log posteriors and log weights.
        placeholder = np.tile(mode, (GROUP, 1)), np.full(GROUP, -np.inf), np.full(GROUP, _PLACEHOLDER_LOG_WEIGHT)
        self._states = [placeholder] * settings.chains
        self._log_weights: list[list[FloatArray]] = [[] for _ in range(settings.chains)]

    def first(self, n_draws: int) -> Draws:
        """The first draws of every chain.

        Raises PoorProposalsError when few of the proposals made so far are effective.
        """
        draws = super().first(n_draws)
        log_weights = np.concatenate([piece.ravel() for pieces in self._log_weights for piece in pieces])
        share = effective_share(log_weights)
        if share < (FEWEST_EFFECTIVE if len(log_weights) >= _FEW_PROPOSALS else FEWEST_EFFECTIVE / 2):
            raise PoorProposalsError(f"of {len(log_weights)} independent proposals {share:.2%} were effective")
        return draws

    def _draw(self, chain: int, n_draws: int) -> tuple[FloatArray, FloatArray]:
        rng, n_groups = self._rngs[chain], -(-n_draws // GROUP)
        proposed = self._proposal.draw(rng, n_groups)
        self._log_weights[chain].append(proposed[2])
        thetas, log_posteriors, log_weights = (
            np.concatenate([state[np.newaxis], new]) for state, new in zip(self._states[chain], proposed, strict=True)
        )
        totals = np.logaddexp.reduce(log_weights, axis=1)
        groups = np.array(metropolis_path(totals.tolist(), np.log1p(-rng.random(n_groups)).tolist()))
        last = groups[-1]
        self._states[chain] = thetas[last], log_posteriors[last], log_weights[last]
        shares = np.exp(log_weights[groups] - totals[groups, np.newaxis])
        emitted = groups[:, np.newaxis], systematic_indices(shares, rng.random(n_groups))
        return thetas[emitted].reshape(-1, thetas.shape[-1])[:n_draws], log_posteriors[emitted].ravel()[:n_draws]


def metropolis_path(log_weights: list[float], log_uniforms: list[float]) -> list[int]:
    """Index of the state after each step of a chain that starts at state 0 and is offered states 1, 2, ... in turn."""
    current, path = 0, []
    for proposed, log_uniform in enumerate(log_uniforms, 1):
        if log_weights[proposed] > log_weights[current] + log_uniform:
            current = proposed
        path.append(current)
    return path


def systematic_indices(shares: FloatArray, uniforms: FloatArray) -> IntArray:
    """Systematic resampling: m indices for each row of shares (S, m), which sum to 1; uniforms (S,) on (0, 1).

    The m points are equally spaced on a circle of circumference 1 and turned by the uniform, so that each index comes
    up with probability equal to its share.
    """
    m = shares.shape[1]
    points = (uniforms[:, np.newaxis] + np.arange(m) / m) % 1
    ends = np.cumsum(shares, axis=1)[:, :-1]  # without the last, so that rounding of the sum cannot pass it
    indices: IntArray = np.count_nonzero(points[:, :, np.newaxis] >= ends[:, np.newaxis, :], axis=2)
    return indices
