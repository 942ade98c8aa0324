"""The ways to sample that there are, in the order in which they are considered."""

from typing import Literal

from bayesgmm.bayes.sampling.gibbs import Gibbs
from bayesgmm.bayes.sampling.independent import Independent
from bayesgmm.bayes.sampling.nuts_ways import DiagonalNUTS, WhitenedNUTS
from bayesgmm.bayes.sampling.way import SamplerName, Way
from bayesgmm.errors import InputError
from bayesgmm.wording import shown

type SamplerOption = Literal["auto"] | SamplerName

WAYS: tuple[type[Way], ...] = (Independent, WhitenedNUTS, DiagonalNUTS, Gibbs)
AUTO = "auto"


def ways_named(sampler: str) -> tuple[type[Way], ...]:
    """The ways of one sampler, or all of them for "auto".

    Raises InputError when there is no such sampler.
    """
    named = sampler if isinstance(sampler, str) else ""
    if named == AUTO:
        return WAYS
    ways = tuple(way for way in WAYS if way.sampler == named)
    if not ways:
        names = dict.fromkeys([AUTO, *(way.sampler for way in WAYS)])
        raise InputError(f"sampler must be one of {', '.join(map(repr, names))}; received {shown(sampler)}.")
    return ways
