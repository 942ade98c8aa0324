"""Checks of single values that users pass: numbers, row weights and seeds.

Functions named `as_...` return the argument in the form that the package works with; functions named `check_...` refuse
a value that breaks a rule and return it otherwise. Each public function calls them once; inner functions do not check.
"""

from numbers import Integral, Real

import numpy as np
from numpy.random.bit_generator import ISpawnableSeedSequence
from numpy.typing import ArrayLike

from bayesgmm.errors import InputError
from bayesgmm.types import FloatArray, Seed
from bayesgmm.wording import count, shortened, shown

# Largest absolute value: squares, and sums of squares, of such values are finite.
LARGEST = 1e100
# Rows that a message lists.
ROWS_SHOWN = 5
# Largest number of components, starts, draws and the like: nothing of that size fits into memory or ends.
_LARGEST_COUNT = 2**31 - 1
_TOO_LARGE = "it holds a whole number beyond that. Change the units, or leave the value out"


def check_count(value: object, name: str, minimum: int = 1) -> int:
    """Return a whole number from `minimum` to 2**31 - 1 as an int; raises InputError for anything else."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < minimum:
        raise InputError(f"{name} must be a whole number of at least {minimum}; received {shown(value)}.")
    if int(value) > _LARGEST_COUNT:
        raise InputError(
            f"{name} must be a whole number from {minimum} to {_LARGEST_COUNT}; received {shown(value)}. Pass a "
            f"smaller number."
        )
    return int(value)


def check_flag(value: object, name: str) -> bool:
    """Return a truth value as a bool; raises InputError for anything else."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise InputError(f"{name} must be True or False; received {shown(value)}. Pass one of the two.")


def check_positive(value: object, name: str) -> float:
    """Return a finite number above 0 as a float; raises InputError for anything else."""
    try:
        if not isinstance(value, bool) and isinstance(value, Real) and 0 < float(value) < np.inf:
            return float(value)
    except OverflowError as error:
        raise InputError(f"{name} must be a number above 0 and below 1.8e308; {_TOO_LARGE}.") from error
    raise InputError(f"{name} must be a finite number above 0; received {shown(value)}.")


def check_fraction(value: object, name: str) -> float:
    """Return a number between 0 and 1, both excluded, as a float; raises InputError for anything else."""
    number = check_positive(value, name)
    if number >= 1:
        raise InputError(f"{name} must lie between 0 and 1; received {shown(value)}.")
    return number


def as_numbers(value: ArrayLike, name: str) -> FloatArray:
    """Return a float64 array of any shape, which is `value` itself if it is one. Missing entries become NaN.

    Raises InputError when `value` is masked, complex, ragged, text, or not an array.
    """
    refusal = f"{name} must be real numbers"
    if np.ma.is_masked(value):
        raise InputError(f"{refusal}; it has {count(int(np.ma.count_masked(value)), 'masked value')}. Fill them.")
    try:
        if np.asarray(value).dtype.kind in "fiubO":
            return np.asarray(value, dtype=np.float64)
    except OverflowError as error:
        raise InputError(f"{refusal} within the range of float64, about 1.8e308; {_TOO_LARGE}.") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"{refusal}; received {type(value).__name__}: {shortened(str(error)).rstrip('.')}.") from error
    raise InputError(f"{refusal}; received {type(value).__name__} of dtype {np.asarray(value).dtype}.")


def check_weights(sample_weight: ArrayLike | None, n_samples: int) -> FloatArray:
    """Return row weights (n_samples,), or an array of length 0 when `sample_weight` is None.

    Raises InputError when the weights have another shape, are negative, not finite or beyond 1e100, or are all 0.
    """
    if sample_weight is None:
        return np.empty(0)
    weights = as_numbers(sample_weight, "sample_weight")
    if weights.shape != (n_samples,):
        raise InputError(
            f"sample_weight must have one weight per row, shape ({n_samples},); it has shape {weights.shape}. "
            f"Pass a 1-D array."
        )
    for is_wrong, fault in (
        (~np.isfinite(weights), "NaN or infinite"),
        (weights < 0, "negative"),
        (weights > LARGEST, "beyond 1e100"),
    ):
        if is_wrong.any():
            n, first = int(is_wrong.sum()), ", ".join(map(str, np.flatnonzero(is_wrong)[:ROWS_SHOWN]))
            raise InputError(
                f"sample_weight must be finite and not negative; {n} {'is' if n == 1 else 'are'} {fault}, first at "
                f"row(s) {first}, counted from 0. Give rows that should not count a weight of 0."
            )
    if not weights.any():
        raise InputError("sample_weight is zero for every row; at least one row must count. Give it a weight above 0.")
    return np.ascontiguousarray(weights)


def as_generator(rng: Seed) -> np.random.Generator:
    """Return a `numpy.random.Generator` made from an int, a generator, a seed sequence, or None (fresh entropy).

    Raises InputError for anything else.
    """
    refusal = (
        f"rng must be a whole number of at least 0, a numpy.random.Generator or None; received {shown(rng)}. Pass "
        f"rng=1, or numpy.random.default_rng(1)."
    )
    if isinstance(rng, bool):
        raise InputError(refusal)
    try:
        generator = np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise InputError(refusal) from error
    # The stream of NumPy's older RandomState cannot be split among restarts and chains.
    if not isinstance(generator.bit_generator.seed_seq, ISpawnableSeedSequence):
        raise InputError(refusal)
    return generator
