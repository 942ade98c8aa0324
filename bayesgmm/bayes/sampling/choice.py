"""The choice of a way to sample: by what the ways know of themselves, else by short pilots."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayesgmm.bayes.modes.curvature import Curvature
from bayesgmm.bayes.sampling.pilots import run_pilots
from bayesgmm.bayes.sampling.target import Target
from bayesgmm.bayes.sampling.way import Way
from bayesgmm.bayes.sampling.ways import WAYS
from bayesgmm.display.progress import LOGGER
from bayesgmm.errors import InputError


@dataclass(frozen=True, eq=False)
class Choice:
    """The way that was chosen, the reason, and the pilots in words, one per candidate."""

    way: Way
    reason: str
    pilots: tuple[str, ...] = ()


def choose(
    ways: Sequence[type[Way]],
    target: Target,
    curvature: Curvature,
    *,
    tune: int | None,
    rng: np.random.Generator,
    preferred: type[Way] | None = None,
    objection: str = "",
    deadline: float = float("inf"),
) -> Choice:
    """Choose one of the ways for a target around a mode.

    Efficiency is counted per gradient and not per second, so that the choice is the same on any machine.

    Parameters
    ----------
    ways : those to choose from, in the order in which their recommendations are asked for.
    tune : tuning draws per chain; by default each way's own.
    preferred : the way that pilots around another mode of the same target have chosen; it spares new pilots.
    objection : why the way that was recommended has failed; only pilots are then believed.
    deadline : time of `time.monotonic` to which pilots may use half of the time left.

    Raises
    ------
    InputError
        None of the ways applies to the target.
    """
    found = [kind.around(target, curvature) for kind in ways]
    prepared = [way for way in found if not isinstance(way, str)]
    if not prepared:
        suitable = [kind.sampler for kind in WAYS if not isinstance(kind.around(target, curvature), str)]
        raise InputError(
            f"sampler={ways[0].sampler!r} cannot sample this posterior: {found[0]}. Pass sampler="
            f"{' or '.join(map(repr, dict.fromkeys(suitable)))}, or 'auto', which takes the best of these."
        )
    if not objection:
        for way in prepared:
            if reason := way.recommendation(rng):
                return Choice(way, reason)
    candidates = [way for way in prepared if way.can_be_piloted]
    if len(prepared) == 1 or not candidates:
        return Choice(prepared[0], "no other way was asked for, or applies")
    for way in candidates:
        if type(way) is preferred:
            return Choice(way, "of short pilots around the heaviest mode, it had the most effective draws")
    LOGGER.info("Trying %s in short runs", " and ".join(way.name for way in candidates))
    pilots = run_pilots(target, candidates, tune, rng, deadline)
    if not pilots:
        return Choice(candidates[0], "max_time left no time for pilots")
    best = max(range(len(pilots)), key=lambda i: pilots[i].efficiency)
    far = f"the posterior is far from the Gaussian at its mode (misfit {curvature.misfit:.2g})"
    because = curvature.flaw or objection or far
    reason = f"{because}; of short pilots, {candidates[best].name} had the most effective draws for its work"
    return Choice(candidates[best], reason, tuple(map(str, pilots)))
