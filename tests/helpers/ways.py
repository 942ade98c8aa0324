"""Sampling in a given way, without the choice between ways."""

import xarray as xr

from bayesgmm.bayes.sampling.around_mode import SamplingOptions
from bayesgmm.bayes.sampling.default_target import DefaultTarget
from bayesgmm.bayes.sampling.gibbs import Gibbs
from bayesgmm.bayes.sampling.independent import Independent
from bayesgmm.bayes.sampling.numerics import reproducible
from bayesgmm.bayes.sampling.nuts_ways import DiagonalNUTS, WhitenedNUTS
from bayesgmm.bayes.sampling.sample import sample_modes
from bayesgmm.bayes.sampling.way import Way
from bayesgmm.validation import as_generator

BY_NAME: dict[str, type[Way]] = {way.name: way for way in (Independent, WhitenedNUTS, DiagonalNUTS, Gibbs)}


def sample_by(
    way: type[Way],
    X,
    K,
    covariance="full",
    *,
    prior=None,
    start=None,
    draws=None,
    max_draws=10_000,
    tune=None,
    chains=4,
    rng=None,
) -> xr.DataTree:
    """`sample_posterior` in one way."""
    options = SamplingOptions.checked("auto", draws, max_draws, tune, chains, None, progress=False)
    generator = as_generator(rng)
    target = DefaultTarget.of(X, K, covariance, prior, [] if start is None else [start], generator)
    with reproducible():
        return sample_modes(target, options, (way,), generator)
