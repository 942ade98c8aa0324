"""`Analysis`: an EM fit, a posterior, and their comparison, which can be saved and loaded."""

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Self

import xarray as xr

from bayesgmm.analysis.saved import (
    COMPARISON,
    EM,
    FILES,
    FORMATS,
    LABELS,
    POSTERIOR,
    damaged,
    em_content,
    read_saved,
)
from bayesgmm.comparison.compare import Comparison, compare
from bayesgmm.comparison.partitions import row_uncertainty
from bayesgmm.display.cards import Card, Displayed, Listing, rows_in_words
from bayesgmm.display.tables import to_csv
from bayesgmm.em.result import EMFit
from bayesgmm.errors import BayesgmmError, BayesgmmWarning, FitError, InputError
from bayesgmm.files.folders import prepare_folder
from bayesgmm.posterior.diagnosis.diagnose import Diagnosis, diagnose
from bayesgmm.posterior.draws import own_rows
from bayesgmm.posterior.prediction.predict import predict
from bayesgmm.storage.folder import as_path, write_files
from bayesgmm.storage.netcdf import to_netcdf
from bayesgmm.storage.provenance import file_record, now
from bayesgmm.thresholds import Thresholds
from bayesgmm.validation import check_flag
from bayesgmm.version import __version__
from bayesgmm.wording import count, listed, shown

type FigureFormat = Literal["png", "pdf", "svg"]

# Responsibilities (rows times draws) that labels.csv rests on at most, and the draws that it rests on at least and at
# most.
_MOST_RESPONSIBILITIES, _FEWEST_DRAWS, _MOST_DRAWS = 20_000_000, 50, 1000


@dataclass(frozen=True, eq=False, repr=False)
class Analysis(Displayed):
    """An EM fit, the posterior aligned to it, its diagnosis, and their comparison.

    If EM found no maximum, there is a posterior and its diagnosis all the same: `em_error` is then the reason, and `em`
    and `comparison` raise it.

    Attributes
    ----------
    em : EMFit
    em_error : FitError if EM found no maximum, otherwise None.
    posterior : DataTree, as `align` returns it.
    diagnosis : Diagnosis of the posterior.
    comparison : Comparison of the fit and the posterior.
    settings : how it was made by `analyze`: the arguments, the seed, the columns, the number of rows and their hash,
        the prior, the date, the command and the versions. Empty if it was put together by hand.
    thresholds : limits of the diagnosis.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> analysis = bg.analyze(bg.datasets.load_galaxies(), 1, draws=500, rng=1, progress=False)
    >>> analysis.em.converged, analysis.diagnosis.ok, analysis.comparison.verdict
    (True, True, 'agree')
    >>> analysis.posterior.attrs["stopped_by"]
    'draws'
    """

    _em: EMFit | FitError
    posterior: xr.DataTree
    diagnosis: Diagnosis
    _comparison: Comparison | None
    settings: Mapping[str, object] = field(default_factory=dict)
    thresholds: Thresholds = field(default_factory=Thresholds)

    @property
    def em(self) -> EMFit:
        """The EM fit; raises the FitError if EM found no maximum."""
        if isinstance(self._em, FitError):
            raise self._em
        return self._em

    @property
    def em_error(self) -> FitError | None:
        """Why EM found no maximum; None if it found one."""
        return self._em if isinstance(self._em, FitError) else None

    @property
    def comparison(self) -> Comparison:
        """The comparison; raises the FitError if EM found no maximum."""
        if self._comparison is None:
            raise self.em_error or FitError("There is no comparison.")
        return self._comparison

    def _card(self) -> Card:
        sizes, diagnosis = self.posterior["posterior"].sizes, self.diagnosis
        n_problems = len(diagnosis.problems)
        shape = f"{count(sizes['component'], 'component')}, {count(sizes['feature'], 'feature')}"
        draws = (
            f"posterior: {count(diagnosis.n_chains, 'chain')} x {count(diagnosis.n_draws, 'draw')}; "
            f"{count(n_problems, 'problem') if n_problems else 'no problem'} found"
        )
        if self.em_error is not None:
            return Card(
                "Analysis: EM found no maximum",
                [f"{shape}.", f"EM: {self.em_error}", draws],
                notes=["Parts: .em_error, .posterior, .diagnosis. .summary() prints all, .save(folder) keeps it."],
            )
        em, comparison = self.em, self.comparison
        differs = comparison.table["differs"]
        return Card(
            f"Analysis: {comparison.verdict}",
            [
                f"{shape}, covariance {em.covariance}, {rows_in_words(em.n_samples)}",
                f"EM: log-likelihood {em.log_likelihood:.4f}, BIC {em.bic:.2f}; {em.status.text}",
                draws,
                f"comparison: {differs.sum()} of {count(len(differs), 'number')} differ.",
                Listing(comparison.reasons, "reason", n_shown=1),
            ],
            notes=["Parts: .em, .posterior, .diagnosis, .comparison. .summary() prints all, .save(folder) keeps it."],
        )

    def summary(self) -> str:
        """EM fit, diagnosis and comparison as text; the verdict is at the end."""
        em = self.em.summary() if self.em_error is None else f"EM found no maximum: {self.em_error}"
        comparison = [] if self._comparison is None else [self._comparison.summary()]
        return "\n\n".join([em, self.diagnosis.summary(), *comparison])

    def save(
        self,
        folder: str | Path,
        *,
        overwrite: bool = False,
        source: str | Path | None = None,
        figures: FigureFormat = "png",
    ) -> Path:
        """Write the results and figures to a folder, from which `Analysis.load` reads them.

        Either all files are written or none: if the process is killed or the disk is full, the folder holds what it
        held before. settings.json lists the files with their hashes, and says how the analysis was made.

        Parameters
        ----------
        folder : the folder; it is created if it does not exist.
        overwrite : write even if the folder is not empty. Files of an earlier analysis are replaced or, like a figure
            that this analysis does not have, removed. Other files are kept.
        source : the file that the rows were read from. Its name, size and hash are written to settings.json.
        figures : format of the figures, "png", "pdf" or "svg".

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        InputError
            The folder is not empty (unless `overwrite`) or cannot be written to, the disk is full, or an argument
            cannot be used.

        Warns
        -----
        BayesgmmWarning
            A figure or labels.csv is not written, for instance because the data have too many features or components.

        Notes
        -----
        The files are em.json, posterior.nc, which holds the rows too, comparison.csv, labels.csv, settings.json and one
        file per figure. labels.csv has the label of each row (see `row_uncertainty`); its first columns are the index
        of the data frame, or the number of the row, from 0, where there is none. energy.png is written only if the
        sampler recorded an energy, see `plots.plot_energy`. If EM found no maximum, em.json holds the reason,
        labels.csv the labels of the posterior (see `predict`), and comparison.csv and the figures of the fit are not
        written.
        """
        from bayesgmm.plots.saving import draw_figures  # Matplotlib is loaded only when figures are drawn

        if not isinstance(figures, str) or figures not in FORMATS:
            raise InputError(f"figures must be one of {', '.join(map(repr, FORMATS))}; received {shown(figures)}.")
        folder, source = as_path(folder), None if source is None else as_path(source, "source")
        folder = prepare_folder(folder, overwrite=check_flag(overwrite, "overwrite"))
        settings = self._settings(source)
        fitted = None if self._comparison is None else (self.em, self._comparison)
        drawn, skipped = draw_figures(self.posterior, fitted, figures)
        files = {EM: em_content(self._em), POSTERIOR: to_netcdf(self.posterior), **drawn}
        if self._comparison is not None:
            files[COMPARISON] = to_csv(self._comparison.table).encode()
        try:
            files[LABELS] = self._labels()
        except BayesgmmError as error:
            skipped[LABELS] = error
        write_files(folder, files, settings, FILES)
        for name, reason in skipped.items():
            warnings.warn(f"{name} was not written: {reason}", BayesgmmWarning, stacklevel=2)
        return folder

    def _labels(self) -> bytes:
        """The content of labels.csv: one line per row that was fitted."""
        rows = own_rows(self.posterior)
        n_draws = min(max(_MOST_RESPONSIBILITIES // len(rows.values), _FEWEST_DRAWS), _MOST_DRAWS)
        if self.em_error is None:
            table = row_uncertainty(self.em, self.posterior, n_draws=n_draws)
        else:
            table = predict(self.posterior, rows.values, n_draws=n_draws).table.set_axis(rows.index)
        names = [f"{name} of the row" if name in table else name for name in table.index.names]
        return to_csv(table.set_axis(table.index.set_names(names))).encode()

    def _settings(self, source: Path | None) -> dict[str, object]:
        made = dict(self.settings) | ({"source": file_record(source)} if source is not None else {})
        comparison, saved = self._comparison, {"bayesgmm_version": __version__, "saved_at": now()}
        if comparison is None:
            options = {"ci_prob": 0.9, "thresholds": asdict(self.thresholds)}
            return {**saved, "verdict": None, "reasons": [str(self.em_error)], "comparison": options, "made": made}
        return {
            **saved,
            "verdict": comparison.verdict,
            "reasons": list(comparison.reasons),
            "comparison": {"ci_prob": comparison.ci_prob, "thresholds": asdict(comparison.thresholds)},
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
            em.json, posterior.nc or settings.json is missing from the folder, cannot be read, was changed, or was not
            saved together with the others.

        Warns
        -----
        BayesgmmWarning
            Another file, such as labels.csv or a figure, was changed or removed after it was saved. It is not read.

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
        saved = read_saved(folder)
        try:
            diagnosis = diagnose(saved.posterior, saved.thresholds)
            comparison = None
            if isinstance(saved.em, EMFit):
                comparison = compare(
                    saved.em, saved.posterior, diagnosis=diagnosis, ci_prob=saved.ci_prob, thresholds=saved.thresholds
                )
        except (BayesgmmError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
            # The files hold what no analysis of this package holds.
            raise damaged(folder, error) from error
        if saved.changed:
            were = "was" if len(saved.changed) == 1 else "were"
            warnings.warn(
                f"{listed(saved.changed)} in {folder} {were} changed or removed after the analysis was saved. The "
                f"results come from {EM} and {POSTERIOR}, which are as they were; save() writes all files again.",
                BayesgmmWarning,
                stacklevel=2,
            )
        return cls(saved.em, saved.posterior, diagnosis, comparison, saved.made, saved.thresholds)
