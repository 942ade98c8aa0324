"""Mixtures drawn from the stated prior, and rows drawn from them, in NumPy alone."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Stated:
    """weights ~ Dirichlet(alpha), means ~ Normal(location, scale), s ~ log-normal(median, log_sd), R ~ LKJ(eta)."""

    location: float = 0.0
    scale: float = 3.0
    median: float = 1.0
    log_sd: float = 0.5
    alpha: float = 2.0
    eta: float = 2.0

    def mixtures(self, rng, n, K, D):
        """Weights (n, K), means, stds (n, K, D), correlations (n, K, D, D)."""
        correlations = np.array([[onion(rng, D, self.eta) for _ in range(K)] for _ in range(n)])
        return (
            rng.dirichlet(np.full(K, self.alpha), n),
            rng.normal(self.location, self.scale, (n, K, D)),
            self.median * np.exp(self.log_sd * rng.standard_normal((n, K, D))),
            correlations,
        )


def onion(rng, D, eta):
    """A correlation matrix (D, D) ~ LKJ(eta), grown row by row (Lewandowski, Kurowicka and Joe 2009, section 3.2)."""
    R = np.eye(1)
    for k in range(1, D):
        direction = rng.standard_normal(k)
        direction /= np.linalg.norm(direction)
        square = rng.beta(k / 2, eta + (D - 1 - k) / 2)
        row = np.linalg.cholesky(R) @ (np.sqrt(square) * direction)
        R = np.block([[R, row[:, np.newaxis]], [row, np.ones((1, 1))]])
    return R


def rows_from(rng, n, weights, means, stds, correlations):
    """(n, D) rows of one mixture."""
    labels = rng.choice(len(weights), n, p=weights)
    noise = rng.standard_normal((n, means.shape[1]))
    factors = stds[..., np.newaxis] * np.linalg.cholesky(correlations)
    return means[labels] + np.einsum("nij,nj->ni", factors[labels], noise)
