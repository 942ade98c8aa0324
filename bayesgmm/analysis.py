"""`analyze`: from rows to a verdict in one call. `Analysis`: the results, which can be saved and loaded."""

import hashlib
import json
import platform
import sys
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Self, Unpack

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from bayesgmm.bayes.model.prior import Prior
from bayesgmm.bayes.sampling.around_mode import SamplingArguments
from bayesgmm.bayes.sampling.sample import posterior_of
from bayesgmm.bayes.sampling.ways import SamplerOption
from bayesgmm.comparison.compare import Comparison, compare
from bayesgmm.display.cards import Card, Displayed, rows_in_words
from bayesgmm.em.fit import fit_em
from bayesgmm.em.result import EMFit
from bayesgmm.errors import BayesgmmError, BayesgmmWarning, InputError
from bayesgmm.files.folders import prepare_folder
from bayesgmm.posterior.diagnosis.diagnose import Diagnosis, diagnose
from bayesgmm.posterior.labels.align import align
from bayesgmm.storage.folder import as_path, read_file, read_json, read_settings, write_files
from bayesgmm.storage.netcdf import from_netcdf, to_netcdf
from bayesgmm.thresholds import Thresholds, check_thresholds
from bayesgmm.types import CovarianceName, Seed
from bayesgmm.validation import as_generator, check_fraction
from bayesgmm.version import __version__
from bayesgmm.wording import count

_EM, _POSTERIOR, _COMPARISON = "em.json", "posterior.nc", "comparison.csv"
_FIGURES = ("fit", "comparison", "labels", "density-difference", "trace", "rank", "convergence", "energy")
# The files that `save` may write beside settings.json.
_FILES = (_EM, _POSTERIOR, _COMPARISON, *(f"{name}.png" for name in _FIGURES))


@dataclass(frozen=True, eq=False, repr=False)
class Analysis(Displayed):
    """An EM fit, the posterior aligned to it, its diagnosis, and their comparison.

    Attributes
    ----------
    em : EMFit
    posterior : DataTree, as `align` returns it.
    diagnosis : Diagnosis of the posterior.
    comparison : Comparison of the fit and the posterior.
    settings : how it was made by `analyze`: the arguments, the seed, the columns, the number of rows and their hash,
        the prior, the date, the command and the versions. Empty if it was put together by hand.

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
    settings: Mapping[str, object] = field(default_factory=dict)

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

    def save(self, folder: str | Path, *, overwrite: bool = False, source: str | Path | None = None) -> Path:
        """Write the results and figures to a folder, from which `Analysis.load` reads them.

        Either all files are written or none: if the process is killed or the disk is full, the folder holds what it
        held before. settings.json lists the files with their hashes, and says how the analysis was made.

        Parameters
        ----------
        folder : the folder; it is created if it does not exist.
        overwrite : write even if the folder is not empty. Files of an earlier analysis are replaced or, like a figure
            that this analysis does not have, removed. Other files are kept.
        source : the file that the rows were read from. Its name, size and hash are written to settings.json.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        InputError
            The folder is not empty (unless `overwrite`) or cannot be written to, or the disk is full.

        Warns
        -----
        BayesgmmWarning
            A figure is not drawn, for instance because the data have too many features or components for it.

        Notes
        -----
        The files are em.json, posterior.nc, comparison.csv, settings.json and one PNG file per figure. energy.png is
        written only if the sampler recorded an energy, see `plots.plot_energy`.
        """
        from bayesgmm.plots.saving import png_figures  # Matplotlib is loaded only when figures are drawn

        folder = prepare_folder(as_path(folder), overwrite=overwrite)
        settings = self._settings(None if source is None else as_path(source, "source"))
        figures, skipped = png_figures(self.em, self.posterior, self.comparison)
        files = {
            _EM: json.dumps(self.em.to_dict(), indent=1).encode(),
            _POSTERIOR: to_netcdf(self.posterior),
            _COMPARISON: self.comparison.table.to_csv().encode(),
            **figures,
        }
        write_files(folder, files, settings, _FILES)
        for name, reason in skipped.items():
            warnings.warn(f"{name} was not drawn: {reason}", BayesgmmWarning, stacklevel=2)
        return folder

    def _settings(self, source: Path | None) -> dict[str, object]:
        made = dict(self.settings) | ({"source": _file_record(source)} if source is not None else {})
        return {
            "bayesgmm_version": __version__,
            "saved_at": _now(),
            "verdict": self.comparison.verdict,
            "reasons": list(self.comparison.reasons),
            "comparison": {"ci_prob": self.comparison.ci_prob, "thresholds": asdict(self.comparison.thresholds)},
            "made": made,
        }

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
            A file is missing from the folder, cannot be read, was changed, or was not saved together with the others.

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
        folder = as_path(folder)
        saved = _read_saved(folder)
        try:
            diagnosis = diagnose(saved.posterior, saved.thresholds)
            comparison = compare(
                saved.em, saved.posterior, diagnosis=diagnosis, ci_prob=saved.ci_prob, thresholds=saved.thresholds
            )
        except BayesgmmError as error:
            raise _damaged(folder, error) from error
        except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
            # The file holds what no posterior of this package holds.
            raise _damaged(folder, error) from error
        return cls(saved.em, saved.posterior, diagnosis, comparison, saved.made)


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
    thresholds = check_thresholds(thresholds)
    generator = as_generator(rng)
    seed = _seed_of(generator)
    em, posterior = fit_and_sample(
        X,
        n_components,
        covariance,
        n_init=n_init,
        rng=generator,
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
    arguments = {
        "n_components": em.parameters.n_components,
        "covariance": covariance,
        "n_init": n_init,
        "draws": draws,
        "max_draws": max_draws,
        "tune": tune,
        "chains": chains,
        "sampler": sampler,
        "ci_prob": ci_prob,
    }
    return Analysis(em, posterior, diagnosis, comparison, _how_made(em, posterior, arguments, seed))


class SamplingKeywords(SamplingArguments, total=False):
    """The keyword arguments of `sample_posterior` that `fit_and_sample` hands on."""

    prior: Prior | None


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
    # Without the warning of sample_posterior: the diagnosis reports draws that are not enough.
    posterior = posterior_of(X, n_components, covariance, start=start, rng=for_sampling, **options)
    return em, align(posterior, em.parameters)


def _how_made(em: EMFit, posterior: xr.DataTree, arguments: Mapping[str, object], seed: object) -> dict[str, object]:
    """What is needed to make an analysis again, as values for JSON."""
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in arguments.items()}
    data: dict[str, object] = {"columns": list(em.parameters.features), "n_rows": em.n_samples}
    if em.rows is not None:
        values = np.ascontiguousarray(em.rows.values)
        data |= {
            "n_rows": len(values),
            "dtype": str(values.dtype),
            "sha256": hashlib.sha256(values.data if values.size else b"").hexdigest(),
        }
    return {
        "arguments": plain,
        "seed": seed,
        "data": data,
        "prior": str(posterior.attrs.get("prior", "")),
        "date": _now(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "versions": {"bayesgmm": __version__, "python": platform.python_version(), "numpy": np.__version__},
    }


def _seed_of(generator: np.random.Generator) -> object:
    """A value for JSON from which the generator's children are made again; a plain `rng` where there is one."""
    sequence, name = generator.bit_generator.seed_seq, type(generator.bit_generator).__name__
    entropy = getattr(sequence, "entropy", None)
    entropy = entropy if entropy is None or isinstance(entropy, int) else [int(word) for word in entropy]
    spawn_key = [int(word) for word in getattr(sequence, "spawn_key", ())]
    n_spawned = int(getattr(sequence, "n_children_spawned", 0))
    if name == "PCG64" and isinstance(entropy, int) and not spawn_key and not n_spawned:
        return entropy
    return {"bit_generator": name, "entropy": entropy, "spawn_key": spawn_key, "n_children_spawned": n_spawned}


def _file_record(path: Path) -> dict[str, object]:
    """Name, size and hash of a file."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"file": str(path.resolve()), "bytes": path.stat().st_size, "sha256": digest}
    except OSError as error:
        raise InputError(f"source: {path} cannot be read: {error.strerror or error}. Leave source out.") from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class _Saved(NamedTuple):
    em: EMFit
    posterior: xr.DataTree
    ci_prob: float
    thresholds: Thresholds
    made: dict[str, object]


def _read_saved(folder: Path) -> _Saved:
    settings = read_settings(folder, (_EM, _POSTERIOR))
    values = read_json(read_file(folder, settings, _EM), str(folder / _EM))
    posterior = from_netcdf(read_file(folder, settings, _POSTERIOR), str(folder / _POSTERIOR))
    made = settings.get("made")
    try:
        em = _with_rows(EMFit.from_dict(values), posterior)
        options = _as_object(settings.get("comparison"), "comparison", ("ci_prob", "thresholds"))
        limits = _as_object(options["thresholds"], "thresholds", tuple(asdict(Thresholds())))
        ci_prob, thresholds = check_fraction(options["ci_prob"], "ci_prob"), Thresholds(**limits)
    except InputError as error:
        raise _damaged(folder, error) from error
    return _Saved(em, posterior, ci_prob, thresholds, made if isinstance(made, dict) else {})


def _as_object(value: object, name: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return a JSON object with just these keys; raise InputError for anything else."""
    if not isinstance(value, dict) or set(value) != set(keys):
        raise InputError(f"settings.json must have {name} with {', '.join(keys)}")
    return value


def _damaged(folder: Path, error: Exception) -> InputError:
    text = str(error)[:500].rstrip(".")
    return InputError(f"{folder} holds a damaged analysis: {text}. Save it again, or make it again with analyze().")


def _with_rows(em: EMFit, posterior: xr.DataTree) -> EMFit:
    """Attach the rows that the posterior holds to the fit, unless the fit was made from different rows."""
    if "observed_data" not in posterior:
        return em
    try:
        return em.with_rows(posterior["observed_data"].to_dataset()["X"].values)
    except InputError:  # em.standard_errors() will raise the same error later
        return em
