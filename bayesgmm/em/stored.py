"""The entries of a stored fit, checked before a fit is made of them."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bayesgmm.em.runs import FIT_PROBLEM_KINDS, FitProblem, Optimum, Restart, Status
from bayesgmm.errors import InputError
from bayesgmm.mixture.covariance import n_free_parameters, structure_named
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import FloatArray

_REMEDY = "Pass the dictionary that EMFit.to_dict returned."
# Relative difference of covariances that their structure makes equal.
_TOLERANCE = 1e-9


type Readers = Mapping[str, Callable[[object, str], Any]]


def numbers_of(parameters: MixtureParameters) -> dict[str, Any]:
    """The mixture as lists, for JSON."""
    return {
        "features": list(parameters.features),
        "weights": parameters.weights.tolist(),
        "means": parameters.means.tolist(),
        "covariances": parameters.covariances.tolist(),
    }


def fields_of(values: object) -> dict[str, Any]:
    """The arguments of `EMFit` from the dictionary that `EMFit.to_dict` made.

    Raises InputError if an entry is missing, unknown or of a wrong type, or contradicts the others.
    """
    entries = _object(values, "values", _FIELDS, optional=("aic", "bic", "icl", "optima", "problems"))
    read = {name: convert(entries[name], name) for name, convert in _FIELDS.items() if name in entries}
    for name in ("aic", "bic", "icl"):
        read.pop(name, None)
    parameters, structure = read["parameters"], structure_named(read["covariance"])
    n_free = n_free_parameters(structure, parameters.n_components, parameters.n_features)
    if read["n_free"] != n_free:
        raise _refusal("n_free", f"{n_free} for this mixture", read["n_free"])
    if not read["n_samples"] > 0:
        raise _refusal("n_samples", "above 0", read["n_samples"])
    if not _has_structure(parameters.covariances, shared=structure.shared, diagonal=structure.diagonal):
        raise InputError(f"EMFit.from_dict: the covariances are not {structure.name}. {_REMEDY}")
    for optimum in read.get("optima", ()):
        if optimum.parameters.means.shape != parameters.means.shape:
            raise InputError(f"EMFit.from_dict: an optimum has another shape than the fit. {_REMEDY}")
    return read


def _has_structure(covariances: FloatArray, *, shared: bool, diagonal: bool) -> bool:
    if diagonal and (covariances * (1 - np.eye(covariances.shape[-1]))).any():
        return False
    return not shared or np.allclose(covariances, covariances[0], rtol=_TOLERANCE, atol=0)


def _refusal(name: str, rule: str, value: object) -> InputError:
    try:
        received = repr(value)[:50]
    except ValueError:  # a whole number of thousands of digits
        received = type(value).__name__
    return InputError(f"EMFit.from_dict: {name} must be {rule}; received {received}. {_REMEDY}")


def _object(value: object, name: str, required: Readers, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a dictionary with these keys and no others."""
    if not isinstance(value, dict):
        raise InputError(f"EMFit.from_dict: {name} must be a dictionary; received {type(value).__name__}. {_REMEDY}")
    missing = [key for key in required if key not in value and key not in optional]
    unknown = [repr(key)[:50] for key in value if key not in required]
    if missing or unknown:
        wrong = f"lacks {', '.join(missing)}" if missing else f"has the unknown entry {unknown[0]}"
        raise InputError(f"EMFit.from_dict: {name} {wrong}. {_REMEDY}")
    return value


def _number(value: object, name: str) -> float:
    """Return a finite number, an int as it is."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
        return value
    raise _refusal(name, "a finite number", value)


def _whole(value: object, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise _refusal(name, "a whole number of at least 0", value)


def _flag(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return value
    raise _refusal(name, "true or false", value)


def _text(value: object, name: str) -> str:
    if isinstance(value, str):
        return value
    raise _refusal(name, "text", value)


def _structure(value: object, name: str) -> str:
    return structure_named(_text(value, name)).name


def _status(value: object, name: str) -> Status:
    if isinstance(value, str) and value in Status.__members__:
        return Status[value]
    raise _refusal(name, f"one of {', '.join(Status.__members__)}", value)


def _history(value: object, name: str) -> FloatArray:
    # A run that collapses can end in a log-likelihood that is no finite number.
    if isinstance(value, list) and value and all(type(entry) in (int, float) for entry in value):
        try:
            return np.array(value, dtype=np.float64)
        except OverflowError as error:
            raise _refusal(name, "numbers", value) from error
    raise _refusal(name, "a list of at least one number", value)


def _mixture(value: object, name: str) -> MixtureParameters:
    arrays: Readers = {"features": _names, "weights": _array, "means": _array, "covariances": _array}
    entries = _object(value, name, arrays, optional=("features",))
    return MixtureParameters(**{key: convert(entries[key], key) for key, convert in arrays.items() if key in entries})


def _array(value: object, name: str) -> list[Any]:
    if isinstance(value, list):
        return value  # `MixtureParameters` checks the rest
    raise _refusal(name, "a list", value)


def _names(value: object, name: str) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return tuple(value)
    raise _refusal(name, "a list of names", value)


def _restarts(value: object, name: str) -> tuple[Restart, ...]:
    convert: Readers = {"start": _text, "status": _status, "history": _history, "sampled": _flag, "n_failed": _whole}
    runs = (_object(run, "a restart", convert, optional=("sampled", "n_failed")) for run in _array(value, name))
    return tuple(Restart(**{key: convert[key](entry, key) for key, entry in run.items()}) for run in runs)


def _optima(value: object, name: str) -> tuple[Optimum, ...]:
    convert: Readers = {"parameters": _mixture, "log_likelihood": _number, "n_runs": _whole}
    optima = (_object(optimum, "an optimum", convert) for optimum in _array(value, name))
    return tuple(Optimum(**{key: convert[key](entry, key) for key, entry in run.items()}) for run in optima)


def _problems(value: object, name: str) -> tuple[FitProblem, ...]:
    convert: Readers = {"kind": _problem_kind, "text": _text}
    problems = (_object(problem, "a problem", convert) for problem in _array(value, name))
    return tuple(
        FitProblem(**{key: convert[key](entry, key) for key, entry in problem.items()}) for problem in problems
    )


def _problem_kind(value: object, name: str) -> str:
    if isinstance(value, str) and value in FIT_PROBLEM_KINDS:
        return value
    raise _refusal(name, f"one of {', '.join(FIT_PROBLEM_KINDS)}", value)


_FIELDS: Readers = {
    "parameters": _mixture,
    "covariance": _structure,
    "log_likelihood": _number,
    "aic": _number,
    "bic": _number,
    "icl": _number,
    "status": _status,
    "history": _history,
    "restarts": _restarts,
    "n_samples": _number,
    "n_free": _whole,
    "entropy": _number,
    "optima": _optima,
    "problems": _problems,
}
