"""`sample_model`: from a PyMC model to a posterior in ArviZ's schema."""

import sys
import time
from typing import TYPE_CHECKING

import xarray as xr

from bayesgmm.bayes.modes.curvature import curvature_at, find_mode
from bayesgmm.bayes.sampling.around_mode import SamplingOptions, sample_around_mode, warn_if_unconverged
from bayesgmm.bayes.sampling.numerics import reproducible
from bayesgmm.bayes.sampling.ways import SamplerOption
from bayesgmm.errors import InputError
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.thresholds import Thresholds
from bayesgmm.types import Seed
from bayesgmm.validation import as_generator

if TYPE_CHECKING:
    import pymc as pm


def sample_model(
    model: "pm.Model",
    *,
    start: MixtureParameters | None = None,
    sampler: SamplerOption = "auto",
    draws: int | None = None,
    max_draws: int = 10_000,
    tune: int | None = None,
    chains: int = 4,
    max_time: float | None = None,
    thresholds: Thresholds | None = None,
    rng: Seed = None,
    progress: bool = True,
) -> xr.DataTree:
    """Draw from the posterior of a PyMC model, such as one that `build_model` made and you have changed.

    The model is sampled by NUTS around the highest mode that the search finds, in coordinates that the curvature there
    whitens where that pays. Other modes are not searched for: PyMC does not say which of them are one mode with other
    labels.

    Parameters
    ----------
    model : pymc.Model.
    start : MixtureParameters where the search for the mode begins, such as `fit_em(...).parameters`. Without it, ten
        searches begin at random points around the model's own initial point.
    sampler : "auto" or "nuts": the other samplers are for the default model (`sample_posterior`).
    draws, max_draws, tune, chains, max_time, thresholds, rng, progress : as in `sample_posterior`.

    Returns
    -------
    xarray.DataTree
        In ArviZ's schema, as of `sample_posterior`; `posterior` holds the model's own variables. `sample_stats` has
        `total_log_likelihood` when the draws are mixtures (weights, means, covariances) of the model's observed `X`,
        and no `log_prior`. There is no group `modes`.

    Raises
    ------
    InputError
        `model` is no pymc.Model, or an option or the start cannot be used.
    SamplingError
        No chain could start, a draw is not finite, or there was none within `max_time`.

    Warns
    -----
    BayesgmmWarning
        As of `sample_posterior`; the parameters are not relabelled here, and do not count.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_galaxies()
    >>> model = bg.build_model(X, 2)
    >>> posterior = bg.sample_model(model, draws=100, rng=1, progress=False)
    >>> dict(posterior["posterior"]["means"].sizes)
    {'chain': 4, 'draw': 100, 'component': 2, 'feature': 1}
    """
    options = SamplingOptions.checked(sampler, draws, max_draws, tune, chains, thresholds, progress, max_time)
    generator = as_generator(rng)
    if start is not None and not isinstance(start, MixtureParameters):
        raise InputError(
            f"start must be one MixtureParameters, such as fit_em(...).parameters; received {type(start).__name__}."
        )
    pymc = sys.modules.get("pymc")  # whoever has a model has imported PyMC
    if pymc is None or not isinstance(model, pymc.Model):
        raise InputError(
            f"model must be a pymc.Model, such as build_model makes; received {type(model).__name__}. For rows, call "
            f"sample_posterior(X, n_components)."
        )
    # PyTensor and PyMC are slow to import, and sample_posterior does without them.
    from bayesgmm.bayes.sampling.pymc_target import PyMCTarget

    with reproducible():
        target = PyMCTarget(model, start, generator)
        began = time.perf_counter()
        curvature = curvature_at(target, find_mode(target, target.search), generator)
        seconds_mode = time.perf_counter() - began
        chains_of_mode, _ = sample_around_mode(target, curvature, options, generator, ways=options.ways)
    chains_of_mode.tree.attrs["seconds_mode"] = seconds_mode
    warn_if_unconverged(chains_of_mode.tree)
    return chains_of_mode.tree
