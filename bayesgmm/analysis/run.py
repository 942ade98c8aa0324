"""`analyze`: from rows to a verdict in one call."""

import warnings
from collections.abc import Callable
from typing import Unpack, cast

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from bayesgmm.analysis.result import Analysis
from bayesgmm.bayes.model.prior import Prior, check_prior
from bayesgmm.bayes.sampling.around_mode import SamplingArguments, SamplingOptions
from bayesgmm.bayes.sampling.sample import posterior_of
from bayesgmm.bayes.sampling.ways import SamplerOption
from bayesgmm.comparison.compare import compare
from bayesgmm.display.progress import LOGGER, Stages, is_watched
from bayesgmm.em.fit import fit_em
from bayesgmm.em.result import EMFit
from bayesgmm.errors import BayesgmmWarning, FitError
from bayesgmm.posterior.diagnosis.diagnose import diagnose
from bayesgmm.posterior.draws import feature_names, most_probable_draw, own_rows
from bayesgmm.posterior.labels.align import align
from bayesgmm.storage.provenance import process_record, rows_record, seed_record
from bayesgmm.thresholds import Thresholds, check_thresholds
from bayesgmm.types import CovarianceName, Seed
from bayesgmm.validation import as_generator, check_flag, check_fraction


def analyze(
    X: ArrayLike,
    n_components: int,
    covariance: CovarianceName = "full",
    *,
    prior: Prior | None = None,
    n_init: int | None = None,
    draws: int | None = None,
    max_draws: int = 10_000,
    tune: int | None = None,
    chains: int = 4,
    sampler: SamplerOption = "auto",
    max_time: float | None = None,
    ci_prob: float = 0.9,
    thresholds: Thresholds | None = None,
    rng: Seed = None,
    progress: bool = True,
) -> Analysis:
    """Fit by EM, sample the posterior, align its labels to the fit, diagnose the draws and compare the two.

    Chains start near the posterior modes found from EM's optima and by the search of `sample_posterior`.

    Parameters
    ----------
    X : (n_samples, n_features) array or data frame, or (n_samples,) for one feature.
    n_components : number of components.
    covariance : "full", "tied", "diag" or "spherical".
    prior : in the units of the data; by default `Prior.for_data(X, covariance)`.
    n_init : number of starts of EM, see `fit_em`.
    draws, max_draws, tune, chains, sampler, max_time : settings of the sampling, see `sample_posterior`.
    ci_prob : probability of the equal-tailed intervals, between 0 and 1.
    thresholds : limits that the stopping rule, the diagnosis and the verdict use; `Thresholds()` by default.
    rng : int, numpy.random.Generator or None. The same seed gives the same result on any number of cores.
    progress : say on standard error what is being done, if it is a terminal, or in a notebook.

    Returns
    -------
    Analysis

    Raises
    ------
    InputError
        An argument cannot be used.
    SamplingError
        The sampler could not start, or its draws are not valid mixtures.

    Warns
    -----
    BayesgmmWarning
        EM found no maximum (the posterior is sampled all the same; see `Analysis.em_error`), or its fit has one of
        the problems that `fit_em` warns of.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> analysis = bg.analyze(bg.datasets.load_faithful(), 2, rng=1, progress=False)
    >>> analysis.comparison.verdict
    'agree'
    """
    with Stages(show=check_flag(progress, "progress") and is_watched()):
        return run_analysis(
            X,
            n_components,
            covariance,
            n_init=n_init,
            ci_prob=ci_prob,
            rng=rng,
            prior=prior,
            draws=draws,
            max_draws=max_draws,
            tune=tune,
            chains=chains,
            sampler=sampler,
            max_time=max_time,
            thresholds=thresholds,
            progress=progress,
        )


class SamplingKeywords(SamplingArguments, total=False):
    """The keyword arguments of `sample_posterior` that an analysis hands on."""

    prior: Prior | None


def run_analysis(
    X: ArrayLike,
    n_components: int,
    covariance: CovarianceName,
    *,
    n_init: int | None,
    ci_prob: float,
    rng: Seed,
    show_em: Callable[[EMFit | FitError], None] = lambda em: None,
    **options: Unpack[SamplingKeywords],
) -> Analysis:
    """As `analyze`; show_em is called with EM's result before the sampling begins."""
    check_fraction(ci_prob, "ci_prob")
    thresholds = options["thresholds"] = check_thresholds(options.get("thresholds"))
    # Before EM: a wrong option of the sampling must not cost a long fit.
    check_prior(options.get("prior"))
    SamplingOptions.checked(**cast(SamplingArguments, {k: v for k, v in options.items() if k != "prior"}))
    generator = as_generator(rng)
    seed = seed_record(generator)
    em, posterior = fit_and_sample(
        X, n_components, covariance, n_init=n_init, rng=generator, show_em=show_em, **options
    )
    LOGGER.info("Diagnosing the draws and comparing")
    diagnosis = diagnose(posterior, thresholds)
    comparison = None
    if isinstance(em, EMFit):
        comparison = compare(em, posterior, diagnosis=diagnosis, ci_prob=ci_prob, thresholds=thresholds)
    arguments: dict[str, object] = {
        "n_components": n_components,
        "covariance": covariance,
        "n_init": n_init,
        "ci_prob": ci_prob,
    }
    arguments |= {name: value for name, value in options.items() if name not in ("prior", "thresholds", "progress")}
    made = {
        "arguments": {name: _plain(value) for name, value in arguments.items()},
        "seed": seed,
        "data": _data_record(em, posterior),
        "prior": str(posterior.attrs.get("prior", "")),
        **process_record(),
    }
    return Analysis(em, posterior, diagnosis, comparison, made, thresholds)


def fit_and_sample(
    X: ArrayLike,
    n_components: int,
    covariance: CovarianceName,
    *,
    n_init: int | None,
    rng: Seed,
    show_em: Callable[[EMFit | FitError], None] = lambda em: None,
    **options: Unpack[SamplingKeywords],
) -> tuple[EMFit | FitError, xr.DataTree]:
    """Fit by EM, and sample the posterior with all of EM's optima as starts; the posterior has the fit's labels.

    If EM finds no maximum, there is a warning, the chains start elsewhere, and labels are those of the draw with the
    highest posterior density.
    """
    for_em, for_sampling = as_generator(rng).spawn(2)
    LOGGER.info("Fitting by EM")
    em = _fit_or_error(X, n_components, covariance, n_init, for_em)
    show_em(em)
    start = [optimum.parameters for optimum in em.optima] if isinstance(em, EMFit) else None
    # Without the warning of sample_posterior: the diagnosis reports draws that are not enough.
    posterior = posterior_of(X, n_components, covariance, start=start, rng=for_sampling, **options)
    return em, align(posterior, em.parameters if isinstance(em, EMFit) else most_probable_draw(posterior))


def _fit_or_error(
    X: ArrayLike, n_components: int, covariance: CovarianceName, n_init: int | None, rng: np.random.Generator
) -> EMFit | FitError:
    try:
        return fit_em(X, n_components, covariance, n_init=n_init, rng=rng)
    except FitError as error:
        warnings.warn(
            f"EM found no maximum, and the posterior is sampled without it. {error.reason}",
            BayesgmmWarning,
            stacklevel=5,
        )
        return error


def _data_record(em: EMFit | FitError, posterior: xr.DataTree) -> dict[str, object]:
    features = feature_names(posterior["posterior"].to_dataset())
    values = em.rows.values if isinstance(em, EMFit) and em.rows is not None else own_rows(posterior).values
    return {"columns": list(features), **rows_record(values)}


def _plain(value: object) -> object:
    """A value for JSON."""
    return value.item() if isinstance(value, np.generic) else value
