"""How far the rows spread in every direction, and the refusal of rows that do not spread in some."""

import numpy as np

from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import Rows
from bayesgmm.mixture.covariance import CovarianceStructure
from bayesgmm.types import FloatArray

# A range whose square is no number any more is as good as none.
_SMALLEST = 1e-100


def total_covariance(rows: Rows, features: tuple[str, ...]) -> FloatArray:
    """Covariance (D, D) of all rows.

    Raises InputError, naming the columns, when some are constant over the rows of positive weight.
    """
    _, covariance = rows.moments
    # By the range too: the mean of weighted rows is rounded, and then a constant has a variance.
    varies = (_ranges(rows) > _SMALLEST) & (np.diagonal(covariance) > 0)
    if not varies.all():
        constant = ", ".join(features[d] for d in np.flatnonzero(~varies))
        raise InputError(
            f"column(s) {constant} of X are constant (over the rows of positive weight, to 1e-100): they have no "
            f"variance to fit. Leave them out."
        )
    return covariance


def total_cholesky(rows: Rows, features: tuple[str, ...], structure: CovarianceStructure) -> FloatArray:
    """Cholesky factor (D, D) of the covariance of all rows, of their variances alone for a diagonal structure.

    Raises InputError when columns are constant, or depend linearly on each other and the structure has correlations:
    the likelihood then has no bound, and the posterior no finite integral.
    """
    covariance = total_covariance(rows, features)
    scales = np.sqrt(np.diagonal(covariance))
    if structure.diagonal:
        return np.diag(scales)
    eigenvalues, vectors = np.linalg.eigh(covariance / np.outer(scales, scales))
    flat = eigenvalues < rows.n_features * 1e-13
    if flat.any():
        described = "; ".join(_describe(direction, scales, features) for direction in vectors[:, flat].T)
        few = f" There are {rows.n_samples} rows for {rows.n_features} columns."
        raise InputError(
            f"columns of X depend linearly on each other: {described}."
            f"{few if rows.n_samples <= rows.n_features else ''} A {structure.name} covariance is then singular. "
            f"Leave columns out, or use covariance='diag' or 'spherical'."
        )
    return np.asarray(np.linalg.cholesky(covariance))


def _ranges(rows: Rows) -> FloatArray:
    """(D,) largest minus smallest value among the rows of positive weight."""
    low, high = np.full(rows.n_features, np.inf), np.full(rows.n_features, -np.inf)
    for piece in rows.pieces():
        values = piece.values[piece.weights > 0] if piece.weights.size else piece.values
        low = np.minimum(low, values.min(axis=0, initial=np.inf))
        high = np.maximum(high, values.max(axis=0, initial=-np.inf))
    return np.asarray(high - low)


def _describe(direction: FloatArray, scales: FloatArray, features: tuple[str, ...]) -> str:
    """The equation that columns of these scales (D,) obey; direction (D,) is that of their standardised values."""
    involved = np.flatnonzero(np.abs(direction) > 1e-6)
    coefficients = direction / scales
    coefficients /= np.abs(coefficients).max() * np.sign(coefficients[involved[0]])
    terms = [f"{coefficients[d]:+.4g} {features[d]}" for d in involved]
    return f"{' '.join(terms).removeprefix('+')} = constant"
