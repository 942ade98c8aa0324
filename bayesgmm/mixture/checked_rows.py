"""`as_rows`: the user's data, checked and prepared once, as every function behind a public one takes them."""

from numpy.typing import ArrayLike

from bayesgmm.checked_tables import as_table
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
        As `checked_tables.as_table` and `validation.check_weights` do.
    """
    table = as_table(X, features=features)
    return rows_of(table.values, check_weights(sample_weight, table.n_samples), table.features)
