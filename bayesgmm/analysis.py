"""`analyze`: from rows to a verdict in one call. `Analysis`: the results, which can be saved and loaded."""

import json
import warnings
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple, Self, TypedDict, Unpack

import xarray as xr
from numpy.typing import ArrayLike

from bayesgmm.bayes.model.prior import Prior
from bayesgmm.bayes.sampling.sample import sample_posterior
from bayesgmm.bayes.sampling.ways import SamplerOption
from bayesgmm.comparison.compare import Comparison, compare
from bayesgmm.display.cards import Card, Displayed, rows_in_words
from bayesgmm.em.fit import fit_em
from bayesgmm.em.result import EMFit
from bayesgmm.errors import BayesgmmWarning, InputError
from bayesgmm.files.folders import prepare_folder
from bayesgmm.posterior.diagnosis.diagnose import Diagnosis, diagnose
from bayesgmm.posterior.labels.align import align
from bayesgmm.thresholds import Thresholds, check_thresholds
from bayesgmm.types import CovarianceName, Seed
from bayesgmm.validation import as_generator, check_fraction
from bayesgmm.wording import count

_EM, _POSTERIOR, _COMPARISON, _SETTINGS = "em.json", "posterior.nc", "comparison.csv", "settings.json"


@dataclass(frozen=True, eq=False, repr=False)
class Analysis(Displayed):
    """An EM fit, the posterior aligned to it, its diagnosis, and their comparison.

    Attributes
    ----------
    em : EMFit
    posterior : DataTree, as `align` returns it.
    diagnosis : Diagnosis of the posterior.
    comparison : Comparison of the fit and the posterior.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> analysis = bg.analyze(bg.datasets.load_galaxies(), 1, draws=500, rng=1, progress=False)
    >>> analysis.em.converged, analysis.diagnosis.ok, analysis.comparison.verdict
    (True, True, 'agree')
    >>> analysis.posterior.attrs["stopped_by"]
    'draws'
    """

    em: EMFit
    posterior: xr.DataTree
    diagnosis: Diagnosis
    comparison: Comparison

    def _card(self) -> Card:
        em, diagnosis, comparison = self.em, self.diagnosis, self.comparison
        p, n_problems, differs = em.parameters, len(diagnosis.problems), comparison.table["differs"]
        return Card(
            f"Analysis: {comparison.verdict}",
            [
                f"{count(p.n_components, 'component')}, {count(p.n_features, 'feature')}, covariance {em.covariance}, "
                f"{rows_in_words(em.n_samples)}",
                f"EM: log-likelihood {em.log_likelihood:.4f}, BIC {em.bic:.2f}; {em.status.text}",
                f"posterior: {count(diagnosis.n_chains, 'chain')} x {count(diagnosis.n_draws, 'draw')}; "
                f"{count(n_problems, 'problem') if n_problems else 'no problem'} found",
                f"comparison: {differs.sum()} of {count(len(differs), 'number')} differ. {comparison.reasons[0]}",
            ],
            notes=["Parts: .em, .posterior, .diagnosis, .comparison. .summary() prints all, .save(folder) keeps it."],
        )

    def summary(self) -> str:
        """EM fit, diagnosis and comparison as text."""
        return "\n\n".join([self.em.summary(), "Posterior: " + self.diagnosis.summary(), self.comparison.summary()])

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the results and figures to a folder, from which `Analysis.load` reads them.

        Parameters
        ----------
        folder : the folder; it is created if it does not exist.
        overwrite : write even if the folder is not empty. Files of the same name are replaced, others are kept.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        InputError
            The folder is not empty (unless `overwrite`) or cannot be written to.

        Warns
        -----
        BayesgmmWarning
            A figure is not drawn because the data have too many features or components for it.

        Notes
        -----
        The files are em.json, posterior.nc, comparison.csv, settings.json and one PNG file per figure. energy.png is
        written only if the sampler recorded an energy, see `plots.plot_energy`.
        """
        from bayesgmm.plots.saving import save_figures  # Matplotlib is loaded only when figures are drawn

        folder = prepare_folder(folder, overwrite=overwrite)
        (folder / _EM).write_text(json.dumps(self.em.to_dict(), indent=1))
        self.posterior.to_netcdf(folder / _POSTERIOR, engine="h5netcdf")
        self.comparison.to_csv(folder / _COMPARISON)
        settings = {
            "bayesgmm_version": version("bayesgmm"),
            "verdict": self.comparison.verdict,
            "reasons": list(self.comparison.reasons),
            "comparison": {"ci_prob": self.comparison.ci_prob, "thresholds": asdict(self.comparison.thresholds)},
        }
        (folder / _SETTINGS).write_text(json.dumps(settings, indent=1))
        for name, reason in save_figures(folder, self.em, self.posterior, self.comparison).items():
            warnings.warn(f"{name} was not drawn: {reason}", BayesgmmWarning, stacklevel=2)
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read an analysis that `save` wrote.

        Diagnosis and comparison are computed again from the fit and the draws, with the saved thresholds.

        Parameters
        ----------
        folder : the folder that `save` wrote to.

        Returns
        -------
        Analysis

        Raises
        ------
        InputError
            A file is missing from the folder, or cannot be read.

        Examples
        --------
        >>> import tempfile
        >>> import bayesgmm as bg
        >>> analysis = bg.analyze(bg.datasets.load_galaxies(), 1, draws=500, rng=1, progress=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     loaded = bg.Analysis.load(analysis.save(folder))
        >>> loaded.em.log_likelihood == analysis.em.log_likelihood
        True
        >>> loaded.comparison.verdict == analysis.comparison.verdict
        True
        """
        saved = _read_saved(Path(folder))
        diagnosis = diagnose(saved.posterior, saved.thresholds)
        comparison = compare(
            saved.em, saved.posterior, diagnosis=diagnosis, ci_prob=saved.ci_prob, thresholds=saved.thresholds
        )
        return cls(saved.em, saved.posterior, diagnosis, comparison)


def analyze(
    X: ArrayLike,
    n_components: int,
    covariance: CovarianceName = "full",
    *,
    prior: Prior | None = None,
    n_init: int = 100,
    draws: int | None = None,
    max_draws: int = 10_000,
    tune: int | None = None,
    chains: int = 4,
    sampler: SamplerOption = "auto",
    ci_prob: float = 0.9,
    thresholds: Thresholds | None = None,
    rng: Seed = None,
    progress: bool = True,
) -> Analysis:
    """Fit by EM, sample the posterior, align its labels to the fit, diagnose the draws and compare the two.

    Chains start near the posterior modes found from EM's optima.

    Parameters
    ----------
    X : (n_samples, n_features) array or data frame, or (n_samples,) for one feature.
    n_components : number of components.
    covariance : "full", "tied", "diag" or "spherical".
    prior : in the units of the data; by default `Prior.for_data(X, covariance)`.
    n_init : number of starts of EM, see `fit_em`.
    draws, max_draws, tune, chains, sampler : settings of the sampling, see `sample_posterior`.
    ci_prob : probability of the equal-tailed intervals, between 0 and 1.
    thresholds : limits that the stopping rule, the diagnosis and the verdict use; `Thresholds()` by default.
    rng : int, numpy.random.Generator or None. The same seed gives the same result on any number of cores.
    progress : show the progress of the sampling on standard error if it is a terminal, or in a notebook.

    Returns
    -------
    Analysis

    Raises
    ------
    InputError
        An argument cannot be used.
    FitError
        No start of EM led to a usable fit.
    SamplingError
        The sampler could not start, or its draws are not valid mixtures.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> analysis = bg.analyze(bg.datasets.load_faithful(), 2, rng=1, progress=False)
    >>> analysis.comparison.verdict
    'agree'
    """
    check_fraction(ci_prob, "ci_prob")
    check_thresholds(thresholds)
    em, posterior = fit_and_sample(
        X,
        n_components,
        covariance,
        n_init=n_init,
        rng=rng,
        prior=prior,
        draws=draws,
        max_draws=max_draws,
        tune=tune,
        chains=chains,
        sampler=sampler,
        thresholds=thresholds,
        progress=progress,
    )
    diagnosis = diagnose(posterior, thresholds)
    comparison = compare(em, posterior, diagnosis=diagnosis, ci_prob=ci_prob, thresholds=thresholds)
    return Analysis(em, posterior, diagnosis, comparison)


class SamplingKeywords(TypedDict, total=False):
    """The keyword arguments of `sample_posterior` that `fit_and_sample` hands on."""

    prior: Prior | None
    draws: int | None
    max_draws: int
    tune: int | None
    chains: int
    sampler: SamplerOption
    thresholds: Thresholds | None
    progress: bool


def fit_and_sample(
    X: ArrayLike,
    n_components: int,
    covariance: CovarianceName,
    *,
    n_init: int,
    rng: Seed,
    **options: Unpack[SamplingKeywords],
) -> tuple[EMFit, xr.DataTree]:
    """Fit by EM, and sample the posterior from all of EM's optima; the posterior has the fit's labels."""
    for_em, for_sampling = as_generator(rng).spawn(2)
    em = fit_em(X, n_components, covariance, n_init=n_init, rng=for_em)
    start = [optimum.parameters for optimum in em.optima]
    posterior = sample_posterior(X, n_components, covariance, start=start, rng=for_sampling, **options)
    return em, align(posterior, em.parameters)


class _Saved(NamedTuple):
    em: EMFit
    posterior: xr.DataTree
    ci_prob: float
    thresholds: Thresholds


def _read_saved(folder: Path) -> _Saved:
    missing = [name for name in (_EM, _POSTERIOR, _SETTINGS) if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder} holds no saved analysis: {', '.join(missing)} missing. Pass the folder that save() wrote."
        )
    try:
        em = EMFit.from_dict(json.loads((folder / _EM).read_text()))
        settings = json.loads((folder / _SETTINGS).read_text())["comparison"]
        ci_prob, thresholds = settings["ci_prob"], Thresholds(**settings["thresholds"])
        with xr.open_datatree(folder / _POSTERIOR, engine="h5netcdf") as tree:
            posterior = tree.load()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder} holds a damaged analysis: {error}. Save it again, or make it again with analyze()."
        ) from error
    return _Saved(_with_rows(em, posterior), posterior, ci_prob, thresholds)


def _with_rows(em: EMFit, posterior: xr.DataTree) -> EMFit:
    """Attach the rows that the posterior holds to the fit, unless the fit was made from different rows."""
    if "observed_data" not in posterior:
        return em
    try:
        return em.with_rows(posterior["observed_data"].to_dataset()["X"].values)
    except InputError:  # em.standard_errors() will raise the same error later
        return em
