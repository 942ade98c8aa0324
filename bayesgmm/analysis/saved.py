"""The files of an analysis: their names, their contents, and what is read back from them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from bayesgmm.em.result import EMFit
from bayesgmm.errors import FitError, InputError
from bayesgmm.storage.folder import changed_files, read_file, read_json, read_settings
from bayesgmm.storage.netcdf import from_netcdf
from bayesgmm.thresholds import Thresholds
from bayesgmm.validation import check_fraction

EM, POSTERIOR, COMPARISON, LABELS = "em.json", "posterior.nc", "comparison.csv", "labels.csv"
FIGURES = ("fit", "comparison", "labels", "density-difference", "trace", "rank", "convergence", "energy")
FORMATS = ("png", "pdf", "svg")
# Every file that a saved analysis may have beside settings.json.
FILES = (EM, POSTERIOR, COMPARISON, LABELS, *(f"{name}.{form}" for name in FIGURES for form in FORMATS))
_ERROR = "error"  # the only key of em.json if EM found no maximum


@dataclass(frozen=True)
class SavedAnalysis:
    """What the files hold.

    em : the fit, or the error that says why EM found no maximum.
    made : how the analysis was made, as `Analysis.settings`.
    changed : files that are not read, and were changed or removed after they were saved.
    """

    em: EMFit | FitError
    posterior: xr.DataTree
    ci_prob: float
    thresholds: Thresholds
    made: Mapping[str, object]
    changed: tuple[str, ...]


def read_saved(folder: Path) -> SavedAnalysis:
    """Read the files of a folder that belong together.

    Raises InputError if em.json, posterior.nc or settings.json is missing, cannot be read, was changed, or was not
    saved with the others.
    """
    settings = read_settings(folder, (EM, POSTERIOR))
    values = read_json(read_file(folder, settings, EM), str(folder / EM))
    posterior = from_netcdf(read_file(folder, settings, POSTERIOR), str(folder / POSTERIOR))
    made = settings.get("made")
    try:
        em = _em_or_error(values, posterior)
        options = _as_object(settings.get("comparison"), "comparison", ("ci_prob", "thresholds"))
        limits = _as_object(options["thresholds"], "thresholds", tuple(asdict(Thresholds())))
        ci_prob, thresholds = check_fraction(options["ci_prob"], "ci_prob"), Thresholds(**limits)
    except InputError as error:
        raise damaged(folder, error) from error
    changed = changed_files(folder, settings, set(FILES) - {EM, POSTERIOR})
    return SavedAnalysis(em, posterior, ci_prob, thresholds, made if isinstance(made, dict) else {}, tuple(changed))


def damaged(folder: Path, error: Exception) -> InputError:
    """The error about a folder whose files hold something that no analysis holds."""
    text = str(error)[:500].rstrip(".")
    return InputError(f"{folder} holds a damaged analysis: {text}. Save it again, or make it again with analyze().")


def em_content(em: EMFit | FitError) -> bytes:
    """The content of em.json: the fit, or why there is none."""
    values = {_ERROR: str(em)} if isinstance(em, FitError) else em.to_dict()
    return json.dumps(values, indent=1).encode()


def _em_or_error(values: Any, posterior: xr.DataTree) -> EMFit | FitError:
    """The fit, with the rows that the posterior holds unless it was made from different rows; or why there is none."""
    if isinstance(values, dict) and values.keys() == {_ERROR}:
        return FitError(str(values[_ERROR]))
    em = EMFit.from_dict(values)
    if "observed_data" not in posterior:
        return em
    try:
        return em.with_rows(posterior["observed_data"].to_dataset()["X"].values)
    except InputError:  # the comparison says that the fit is of other rows
        return em


def _as_object(value: object, name: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return a JSON object with just these keys; raise InputError for anything else."""
    if not isinstance(value, dict) or set(value) != set(keys):
        raise InputError(f"settings.json must have {name} with {', '.join(keys)}")
    return value
