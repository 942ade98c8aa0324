"""Correlation matrices from their canonical partial correlations: a C-vine, row by row, see `bayes.pymc.model`."""

import numpy as np

from bayesgmm.types import FloatArray

# Drawn partial correlations are kept this far from -1 and 1, where the matrix has no inverse.
_FROM_ENDS = 1e-12


def vine_choleskys(t: FloatArray, n_features: int) -> FloatArray:
    """Return Cholesky factors (..., D, D) of correlations from the vine's logits t (..., D (D - 1) / 2), row by row."""
    half = np.exp(-0.5 * np.abs(t))
    partial, complements = np.tanh(0.5 * t), 2 * half / (1 + np.square(half))  # complements = sqrt(1 - partial^2)
    factors = np.zeros((*t.shape[:-1], n_features, n_features))
    factors[..., 0, 0] = 1.0
    for i in range(1, n_features):
        row = slice(i * (i - 1) // 2, i * (i + 1) // 2)
        residual = np.cumprod(complements[..., row], axis=-1)
        factors[..., i, 0] = partial[..., row.start]
        factors[..., i, 1:i] = partial[..., row][..., 1:] * residual[..., :-1]
        factors[..., i, i] = residual[..., -1]
    return factors


def draw_vines(rng: np.random.Generator, eta: float, n_features: int, n: int) -> FloatArray:
    """Draw the logits (n, D (D - 1) / 2) of the partial correlations of n LKJ(eta) correlation matrices."""
    b = eta + 0.5 * (n_features - 2 - np.tril_indices(n_features, -1)[1])
    partial = np.clip(2 * rng.beta(b, b, (n, len(b))) - 1, _FROM_ENDS - 1, 1 - _FROM_ENDS)
    return np.asarray(2 * np.arctanh(partial))
