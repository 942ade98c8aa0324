"""Chains of Gibbs sweeps that give each row to a component."""

import numpy as np

from bayesgmm.bayes.model.arguments import ModelArguments
from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.sampling.gibbs_sweep import advance
from bayesgmm.bayes.sampling.run import StartingPoint
from bayesgmm.bayes.sampling.threads import ThreadedChains
from bayesgmm.types import FloatArray

# Sweeps from one draw to the next. They take as long as some 30 gradients, as a draw of NUTS does where this is chosen.
SWEEPS = 10
_MOST_DRAWS = 100


class AllocationChains(ThreadedChains):
    """Chains from z = start(seed)."""

    kind = "with allocations"

    def __init__(
        self,
        density: MixtureDensity,
        centre: FloatArray,
        scale: FloatArray,
        start: StartingPoint,
        *,
        tune: int,
        limit: int,
        chains: int,
        seed: int,
        progress: bool,
    ) -> None:
        work = SWEEPS * density.n_components * len(density.values)
        super().__init__(
            centre, scale, work=work, most=_MOST_DRAWS, tune=tune, limit=limit, chains=chains, progress=progress
        )
        self._density = density
        self._model = ModelArguments(density.n_components, *density.switches, *density.arrays)
        self._rows = density.values.view()
        self._rows.flags.writeable = False  # so that it is compiled for one kind of array, whatever the caller's
        seeds = np.random.SeedSequence(seed).spawn(chains)
        self._rngs = [np.random.default_rng(one) for one in seeds]
        self._thetas = [centre + scale * start(int(one.generate_state(1)[0])) for one in seeds]

    def _draw(self, chain: int, n: int) -> tuple[FloatArray, FloatArray]:
        drawn = np.empty((n, len(self._centre)))
        advance(self._rngs[chain], self._rows, self._model, SWEEPS, self._thetas[chain], drawn)
        return drawn, self._density.log_posteriors(drawn)
