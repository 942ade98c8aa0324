"""Log densities of mixtures in their natural numbers, by SciPy, and derivatives of those by differences."""

import numpy as np
from scipy.special import logsumexp
from scipy.stats import multivariate_normal


def mixture_of(numbers, K, D, covariance):
    """Weights, means, covariances from the free numbers: all weights but one, means, deviations, correlations."""
    take = iter(numbers)
    weights = np.array([next(take) for _ in range(K - 1)])
    weights = np.append(weights, 1 - weights.sum())
    means = np.array([[next(take) for _ in range(D)] for _ in range(K)])
    groups = 1 if covariance == "tied" else K
    stds = np.array([[next(take)] * D if covariance == "spherical" else [next(take) for _ in range(D)]
                     for _ in range(groups)])  # fmt: skip
    correlations = np.array([np.eye(D)] * groups)
    if covariance in ("full", "tied"):
        for g in range(groups):
            for i in range(D):
                for j in range(i):
                    correlations[g, i, j] = correlations[g, j, i] = next(take)
    covariances = stds[:, :, None] * correlations * stds[:, None]
    return weights, means, np.broadcast_to(covariances, (K, D, D))


def log_densities(numbers, X, K, covariance):
    """(N,) of the rows X (N, D)."""
    weights, means, covariances = mixture_of(numbers, K, X.shape[1], covariance)
    each = [
        np.log(w) + multivariate_normal(m, C).logpdf(X).reshape(-1)
        for w, m, C in zip(weights, means, covariances, strict=True)
    ]
    return logsumexp(each, axis=0)


def scores(numbers, X, K, covariance, steps):
    """(N, P) derivatives of the log densities, by central differences."""
    return np.stack(
        [
            log_densities(numbers + step, X, K, covariance) - log_densities(numbers - step, X, K, covariance)
            for step in np.diag(steps)
        ],
        axis=1,
    ) / (2 * steps)


def information(numbers, X, K, covariance, steps, row_weights=1.0):
    """(P, P) minus the second derivatives of the log-likelihood."""
    P = len(numbers)
    found = np.empty((P, P))
    for i, one in enumerate(np.diag(steps)):
        for j, other in enumerate(np.diag(steps)):
            corners = [
                sign * (row_weights * log_densities(numbers + a * one + b * other, X, K, covariance)).sum()
                for a, b, sign in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))
            ]
            found[i, j] = -sum(corners) / (4 * steps[i] * steps[j])
    return found


def louis(X, row_weights, weights, means, stds):
    """(P, P) observed information of a mixture of one feature in K - 1 weights, K means and K standard deviations.

    Louis (1982), Finding the observed information matrix when using the EM algorithm, eq. 3.2: the completed data's
    expected information less the variance of their score, row by row.
    """
    K, P = len(weights), 3 * len(weights) - 1
    total = np.zeros((P, P))
    for x, v in zip(X, row_weights, strict=True):
        joint = weights * np.exp(-0.5 * ((x - means) / stds) ** 2) / stds
        r = joint / joint.sum()
        complete, first, second = np.zeros((P, P)), np.zeros(P), np.zeros((P, P))
        for k in range(K):
            u = (x - means[k]) / stds[k]
            score, negative = np.zeros(P), np.zeros((P, P))
            if k < K - 1:
                score[k], negative[k, k] = 1 / weights[k], 1 / weights[k] ** 2
            else:
                score[: K - 1], negative[: K - 1, : K - 1] = -1 / weights[-1], 1 / weights[-1] ** 2
            m, s = K - 1 + k, 2 * K - 1 + k
            score[m], score[s] = u / stds[k], (u**2 - 1) / stds[k]
            negative[m, m], negative[s, s] = 1 / stds[k] ** 2, (3 * u**2 - 1) / stds[k] ** 2
            negative[m, s] = negative[s, m] = 2 * u / stds[k] ** 2
            complete += r[k] * negative
            first += r[k] * score
            second += r[k] * np.outer(score, score)
        total += v * (complete - (second - np.outer(first, first)))
    return total
