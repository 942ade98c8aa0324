"""`analyze`: the main job, from rows to a verdict, and its results on disk."""

import json
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import xarray as xr
from numpy.typing import ArrayLike

from bayesgmm import plots
from bayesgmm.bayes.model.prior import Prior
from bayesgmm.bayes.sampling.sample import sample_posterior
from bayesgmm.comparison.compare import Comparison, compare
from bayesgmm.display.cards import Card, Displayed, count, rows_in_words
from bayesgmm.em.fit import fit_em
from bayesgmm.em.result import EMFit
from bayesgmm.errors import BayesgmmWarning, InputError
from bayesgmm.files import prepare_folder
from bayesgmm.posterior.diagnosis.diagnose import Diagnosis, diagnose
from bayesgmm.posterior.labels.align import align
from bayesgmm.thresholds import Thresholds, check_thresholds
from bayesgmm.validation import as_generator, check_fraction

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
        p, n = em.parameters, len(diagnosis.problems)
        return Card(
            f"Analysis: {comparison.verdict}",
            [
                f"{count(p.n_components, 'component')}, {count(p.n_features, 'feature')}, covariance {em.covariance}, "
                f"{rows_in_words(em.n_samples)}",
                f"EM: log-likelihood {em.log_likelihood:.4f}, BIC {em.bic:.2f}; {em.status.text}",
                f"posterior: {count(diagnosis.n_chains, 'chain')} x {count(diagnosis.n_draws, 'draw')}; "
                f"{count(n, 'problem') if n else 'no problem'} found",
                f"comparison: {comparison.table['differs'].sum()} of {count(len(comparison.table), 'number')} differ. "
                f"{comparison.reasons[0]}",
            ],
            notes=["Parts: .em, .posterior, .diagnosis, .comparison. .summary() prints all, .save(folder) keeps it."],
        )

    def summary(self) -> str:
        """EM, sampling and comparison, for a person."""
        return "\n\n".join([self.em.summary(), "Posterior: " + self.diagnosis.summary(), self.comparison.summary()])

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write em.json, posterior.nc, comparison.csv, settings.json and the pictures; `load` reads them again.

        Parameters
        ----------
        folder : where to; it is made when it does not exist.
        overwrite : write also where there are files.

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
            A picture would have to hold too much and is left out.

        Notes
        -----
        There is no energy.png where the sampler has no energy, see `plots.plot_energy`.
        """
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
        pictures: dict[str, Callable[[], Any]] = {
            "fit": lambda: plots.plot_fit(self.em, self.posterior),
            "comparison": lambda: plots.plot_comparison(self.comparison),
            "labels": lambda: plots.plot_labels(self.em, self.posterior),
            "density-difference": lambda: plots.plot_density_difference(self.em, self.posterior),
            "trace": lambda: plots.plot_trace(self.posterior),
            "rank": lambda: plots.plot_rank(self.posterior),
            "energy": lambda: plots.plot_energy(self.posterior),
            "convergence": lambda: plots.plot_convergence(self.em),
        }
        if "energy" not in self.posterior["sample_stats"].to_dataset():
            del pictures["energy"]
        for name, draw in pictures.items():
            try:
                figure = draw()
            except InputError as error:
                warnings.warn(f"{name}.png was not drawn: {error}", BayesgmmWarning, stacklevel=2)
                continue
            figure.savefig(folder / f"{name}.png", dpi=150)
            plt.close(figure)
        return folder


def analyze(
    X: ArrayLike,
    n_components: int,
    covariance: str = "full",
    *,
    prior: Prior | None = None,
    n_init: int = 100,
    draws: int | None = None,
    max_draws: int = 10_000,
    tune: int | None = None,
    chains: int = 4,
    ci_prob: float = 0.9,
    thresholds: Thresholds | None = None,
    rng: Any = None,
    progress: bool = True,
) -> Analysis:
    """Fit by EM, sample the posterior, align, diagnose and compare.

    Chains start around the modes of the posterior that EM's optima lead to.

    Parameters
    ----------
    X : (n_samples, n_features) array or data frame, or (n_samples,) for one feature.
    n_components : number of components.
    covariance : "full", "tied", "diag" or "spherical".
    prior : in the units of the data; by default `Prior.for_data(X, covariance)`.
    n_init : number of EM's starts (`fit_em`).
    draws, max_draws, tune, chains : the sampling (`sample_posterior`).
    ci_prob : probability of the equal-tailed intervals, between 0 and 1.
    thresholds : where a diagnosis and a verdict draw their lines; `Thresholds()` by default.
    rng : int, numpy.random.Generator or None. The same seed gives the same result on any number of cores.
    progress : show the sampler's progress on standard error.

    Returns
    -------
    Analysis

    Raises
    ------
    InputError, FitError, SamplingError
        As those functions do.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> analysis = bg.analyze(bg.datasets.load_faithful(), 2, rng=1, progress=False)
    >>> analysis.comparison.verdict
    'agree'
    """
    check_fraction(ci_prob, "ci_prob"), check_thresholds(thresholds)  # now, and not after the sampling
    for_em, for_sampling = as_generator(rng).spawn(2)
    em = fit_em(X, n_components, covariance, n_init=n_init, rng=for_em)
    posterior = sample_posterior(
        X,
        n_components,
        covariance,
        prior=prior,
        start=[optimum.parameters for optimum in em.optima],
        draws=draws,
        max_draws=max_draws,
        tune=tune,
        chains=chains,
        rng=for_sampling,
        progress=progress,
    )
    aligned = align(posterior, em.parameters)
    diagnosis = diagnose(aligned, thresholds)
    comparison = compare(em, aligned, diagnosis=diagnosis, ci_prob=ci_prob, thresholds=thresholds)
    return Analysis(em, aligned, diagnosis, comparison)


def load(folder: str | Path) -> Analysis:
    """Read an analysis that `Analysis.save` wrote. Diagnosis and comparison are made again from the fit and the draws.

    Parameters
    ----------
    folder : the one that `Analysis.save` wrote to.

    Returns
    -------
    Analysis

    Raises
    ------
    InputError
        The folder lacks one of the files, or one cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> import bayesgmm as bg
    >>> analysis = bg.analyze(bg.datasets.load_galaxies(), 1, draws=500, rng=1, progress=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = bg.Analysis.load(analysis.save(folder))
    >>> again.em.log_likelihood == analysis.em.log_likelihood, again.comparison.verdict == analysis.comparison.verdict
    (True, True)
    """
    folder = Path(folder)
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
    em, diagnosis = _with_rows(em, posterior), diagnose(posterior, thresholds)
    comparison = compare(em, posterior, diagnosis=diagnosis, ci_prob=ci_prob, thresholds=thresholds)
    return Analysis(em, posterior, diagnosis, comparison)


def _with_rows(em: EMFit, posterior: xr.DataTree) -> EMFit:
    """The fit with the rows that the posterior holds, unless it was fitted to others."""
    if "observed_data" not in posterior:
        return em
    try:
        return em.with_rows(posterior["observed_data"].to_dataset()["X"].values)
    except InputError:  # with which words `em.standard_errors` refuses too
        return em
