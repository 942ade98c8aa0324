"""Covariance of the data, and the refusal of data that have no variance in some direction."""

import numpy as np

from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import Rows
from bayesgmm.mixture.covariance import CovarianceStructure
from bayesgmm.types import FloatArray
from bayesgmm.wording import count, listed, shortened

# Smallest range of a column: the square of a smaller one underflows.
_SMALLEST_RANGE = 1e-100
# Eigenvalue of the correlation matrix, per feature, below which columns count as linearly dependent.
_SMALLEST_EIGENVALUE = 1e-13
# Equations, and terms of each, that a message shows.
_MOST_EQUATIONS, _MOST_TERMS = 3, 10
# Columns whose coefficient in a unit vector is below this are left out of the equation shown to the user.
_SMALLEST_COEFFICIENT = 1e-6


def total_covariance(rows: Rows) -> FloatArray:
    """Covariance (D, D) of all rows.

    Raises InputError, which names the columns, when some columns are constant over the rows of positive weight.
    """
    _, covariance = rows.moments
    # The range is tested too: the mean of weighted rows is rounded, which gives a constant column a variance.
    varies = (_ranges(rows) > _SMALLEST_RANGE) & (np.diagonal(covariance) > 0)
    if not varies.all():
        constant = listed(rows.features[d] for d in np.flatnonzero(~varies))
        raise InputError(
            f"column(s) {constant} of X are constant (over the rows of positive weight, to 1e-100): they have no "
            f"variance to fit. Leave them out."
        )
    return covariance


def total_cholesky(rows: Rows, structure: CovarianceStructure) -> FloatArray:
    """Cholesky factor (D, D) of the covariance of all rows; for a diagonal structure, of their variances alone.

    Raises InputError when columns are constant, or when they depend linearly on each other and the structure has
    correlations: the likelihood is then unbounded, and the integral of the posterior infinite.
    """
    covariance = total_covariance(rows)
    stds = np.sqrt(np.diagonal(covariance))
    if structure.diagonal:
        return np.diag(stds)
    eigenvalues, vectors = np.linalg.eigh(covariance / np.outer(stds, stds))
    is_flat = eigenvalues < rows.n_features * _SMALLEST_EIGENVALUE
    if is_flat.any():
        n_flat = int(is_flat.sum())
        shown = vectors[:, is_flat].T[:_MOST_EQUATIONS]
        equations = "; ".join(_equation(direction, stds, rows.features) for direction in shown)
        if n_flat > len(shown):
            equations += f"; and {count(n_flat - len(shown), 'more equation')}"
        few = f" There are {rows.n_samples} rows for {rows.n_features} columns."
        raise InputError(
            f"columns of X depend linearly on each other: {equations}."
            f"{few if rows.n_samples <= rows.n_features else ''} A {structure.name} covariance is then singular. "
            f"Leave columns out, or use covariance='diag' or 'spherical'; if single rows are extremely far from all "
            f"others, so that rounding hides the rest, leave those out."
        )
    return np.asarray(np.linalg.cholesky(covariance))


def split_into_equal_volumes(covariance: FloatArray, n_components: int, n_features: int) -> FloatArray:
    """Shrink a covariance (D, D), or variances (D,), so that K such ellipsoids have the volume of the given one."""
    return np.asarray(covariance * n_components ** (-2 / n_features))


def _ranges(rows: Rows) -> FloatArray:
    """(D,) largest minus smallest value among the rows of positive weight."""
    lowest, highest = np.full(rows.n_features, np.inf), np.full(rows.n_features, -np.inf)
    for piece in rows.pieces():
        values = piece.values[piece.weights > 0] if piece.weights.size else piece.values
        lowest = np.minimum(lowest, values.min(axis=0, initial=np.inf))
        highest = np.maximum(highest, values.max(axis=0, initial=-np.inf))
    return np.asarray(highest - lowest)


def _equation(direction: FloatArray, stds: FloatArray, features: tuple[str, ...]) -> str:
    """Return the equation that the columns obey, such as "1 a -1 c = constant".

    direction (D,): the direction without variance, in the space of the standardised columns; stds (D,): of the columns.
    """
    involved = np.flatnonzero(np.abs(direction) > _SMALLEST_COEFFICIENT)
    coefficients = direction / stds
    coefficients /= np.abs(coefficients).max() * np.sign(coefficients[involved[0]])
    shown = involved[:_MOST_TERMS]
    terms = [f"{coefficients[d]:+.4g} {shortened(features[d], 60)}" for d in shown]
    if len(involved) > len(shown):
        terms.append(f"+ ... ({len(involved)} columns in all)")
    return f"{' '.join(terms).removeprefix('+')} = constant"
