"""A mixture as a table for people: a row a component, a column a feature."""

from collections.abc import Sequence

import numpy as np

from bayesgmm.display.cards import Grid, columns_shown, left_out, rows_shown, short_name
from bayesgmm.types import FloatArray

_MOST_DECIMALS, _LARGEST = 9, 1e9


def component_table(
    weights: FloatArray, means: FloatArray, stds: FloatArray, features: Sequence[str], n_samples: float | None = None
) -> tuple[Grid, list[str]]:
    """Weights (K,), means and standard deviations (K, D) to three digits of the latter; and what to say below.

    n_samples: with it, how many of so many rows each component is expected to hold.
    """
    (K, D), rows = means.shape, [] if n_samples is None else ["rows"]
    k, d = rows_shown(K), columns_shown(D)
    columns = [_of_feature(means[:k, i], stds[:k, i]) for i in range(d)]
    grid = Grid(
        ["component", "weight", *rows, *map(short_name, features[:d])],
        [
            [
                str(i),
                f"{weights[i]:.4f}",
                *([] if n_samples is None else [f"{weights[i] * n_samples:.1f}"]),
                *(column[i] for column in columns),
            ]
            for i in range(k)
        ],
    )
    missing = [*left_out(K, k, "component"), *left_out(D, d, "feature")]
    notes = ["Features: mean (standard deviation), in the units of the data."]
    return grid, notes + ([f"Not shown: {' and '.join(missing)}."] if missing else [])


def _of_feature(means: FloatArray, stds: FloatArray) -> list[str]:
    decimals = max(0, 2 - int(np.floor(np.log10(stds.min()))))
    if decimals > _MOST_DECIMALS or max(np.abs(means).max(), stds.max()) >= _LARGEST:
        return [f"{mean:.4g} ({std:.3g})" for mean, std in zip(means, stds, strict=True)]
    return [f"{mean:.{decimals}f} ({std:.{decimals}f})" for mean, std in zip(means, stds, strict=True)]
