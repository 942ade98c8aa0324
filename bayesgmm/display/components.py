"""The table of a mixture: one row per component, one column per feature."""

from collections.abc import Sequence

import numpy as np

from bayesgmm.display.cards import Grid, short_name
from bayesgmm.types import FloatArray

# Beyond these, numbers are written with an exponent.
_MOST_DECIMALS, _LARGEST = 9, 1e9


def component_table(
    weights: FloatArray, means: FloatArray, stds: FloatArray, features: Sequence[str], n_samples: float | None = None
) -> tuple[Grid, list[str]]:
    """The table of a mixture, and the note that explains its cells.

    weights (K,), means and stds (K, D). Means and standard deviations have three digits of the smallest standard
    deviation of their feature. With `n_samples`, a column gives the number of rows that each component is expected to
    hold.
    """
    K, D = means.shape
    feature_columns = [_mean_and_std(means[:, d], stds[:, d]) for d in range(D)]
    rows = []
    for k in range(K):
        expected_rows = [] if n_samples is None else [f"{weights[k] * n_samples:.1f}"]
        rows.append([str(k), f"{weights[k]:.4f}", *expected_rows, *(column[k] for column in feature_columns)])
    header = ["component", "weight", *([] if n_samples is None else ["rows"]), *map(short_name, features)]
    notes = ["Features: mean (standard deviation), in the units of the data."]
    return Grid(header, rows, noun="component", n_features=D), notes


def _mean_and_std(means: FloatArray, stds: FloatArray) -> list[str]:
    """A feature's cell of each component."""
    decimals = max(0, 2 - int(np.floor(np.log10(stds.min()))))
    if decimals > _MOST_DECIMALS or max(np.abs(means).max(), stds.max()) >= _LARGEST:
        return [f"{mean:.4g} ({std:.3g})" for mean, std in zip(means, stds, strict=True)]
    return [f"{mean:.{decimals}f} ({std:.{decimals}f})" for mean, std in zip(means, stds, strict=True)]
