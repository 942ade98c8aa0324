"""`as_rows`: the user's data, checked and prepared once, as every function behind a public one takes them."""

from collections.abc import Callable

from numpy.typing import ArrayLike

from bayesgmm.checked_tables import as_table
from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import Rows, rows_of
from bayesgmm.validation import check_weights


def as_rows(
    X: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    features: tuple[str, ...] | None = None,
) -> Rows:
    """Check the user's rows and their weights, and prepare them for the kernel.

    Public functions call it once and pass the `Rows` on; no function that takes `Rows` checks them again. An array
    of float64 or float32 in C order is not copied; any other array is copied once.

    Parameters
    ----------
    X : (n_samples, n_features) array, pandas or Polars frame; a 1-D array or series is one feature.
    sample_weight : (n_samples,), finite and not negative; None counts every row once.
    features : names of the columns that a fitted mixture expects, in order.

    Raises
    ------
    InputError
        As `checked_tables.as_table` and `validation.check_weights` do, or the weights have another index than X.
    """
    table = as_table(X, features=features)
    weights = check_weights(sample_weight, table.n_samples)
    _check_same_index(X, sample_weight)
    return rows_of(table.values, weights, table.features)


def _check_same_index(X: object, sample_weight: object) -> None:
    """Refuse weights whose pandas index is not that of the rows: they would count other rows than their own."""
    is_same: Callable[[object], bool] | None = getattr(getattr(X, "index", None), "equals", None)
    index = getattr(sample_weight, "index", None)
    if is_same is not None and hasattr(index, "equals") and not is_same(index):  # a list has a method `index`
        raise InputError(
            "sample_weight must have the index of X, in the same order; theirs differ. Pass "
            "sample_weight.reindex(X.index), or sample_weight.to_numpy() if its order is that of the rows."
        )
