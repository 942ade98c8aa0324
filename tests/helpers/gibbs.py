"""A Metropolis-within-Gibbs sampler of the mixture, assignments sampled and not summed out.

Another algorithm in other coordinates than the package's: assignments, weights and each mean by their full
conditionals, each log standard deviation and each correlation by a random walk of its own, the correlation matrices'
density being |R|^(eta - 1) on the positive definite ones. Nothing here is shared with the package.
"""

import numpy as np
from numba import njit


@njit(cache=True)
def _invert(matrix, inverse):
    """Inverse of a symmetric matrix into `inverse`, by sweeps; its log determinant, NaN if not positive definite."""
    D, log_determinant = len(matrix), 0.0
    inverse[:] = matrix
    for k in range(D):
        pivot = inverse[k, k]
        if pivot <= 1e-14:
            return np.nan
        log_determinant += np.log(pivot)
        for i in range(D):
            if i != k:
                inverse[i, k] /= -pivot
        for i in range(D):
            for j in range(D):
                if i != k and j != k:
                    inverse[i, j] += inverse[i, k] * inverse[k, j]
        for j in range(D):
            if j != k:
                inverse[k, j] /= pivot
        inverse[k, k] = 1 / pivot
    return log_determinant


@njit(cache=True)
def _log_fit(count, scatter, s, R, inverse):
    """Log density, but for 2 pi, of `count` rows with this scatter about their component's mean, and log |R|."""
    log_determinant = _invert(R, inverse)
    value = -0.5 * count * log_determinant
    for i in range(len(s)):
        value -= count * np.log(s[i])
        for j in range(len(s)):
            value -= 0.5 * inverse[i, j] * scatter[i, j] / (s[i] * s[j])
    return value, log_determinant


@njit(cache=True)
def _assign(rng, X, weights, means, stds, correlations, inverses, labels):
    """A component for each row, by the probability of each; `inverses` of the correlations are filled in."""
    K, D = means.shape
    constants, p, y = np.empty(K), np.empty(K), np.empty(D)
    for k in range(K):
        constants[k] = np.log(weights[k]) - 0.5 * _invert(correlations[k], inverses[k])
        for i in range(D):
            constants[k] -= np.log(stds[k, i])
    for row in range(len(X)):
        largest = -np.inf
        for k in range(K):
            for i in range(D):
                y[i] = (X[row, i] - means[k, i]) / stds[k, i]
            p[k] = constants[k]
            for i in range(D):
                for j in range(D):
                    p[k] -= 0.5 * y[i] * inverses[k, i, j] * y[j]
            largest = max(largest, p[k])
        total = 0.0
        for k in range(K):
            total += np.exp(p[k] - largest)
        left, label = rng.random() * total, 0
        while label < K - 1 and left > np.exp(p[label] - largest):
            left -= np.exp(p[label] - largest)
            label += 1
        labels[row] = label


@njit(cache=True)
def _draw_mean(rng, count, total, mean, s, inverse, location, scale):
    """Each entry of a mean (D,) in turn, given the others and the sum (D,) of the component's rows."""
    D = len(mean)
    for i in range(D):
        precision = count * inverse[i, i] / s[i] ** 2 + 1 / scale**2
        slope = (location - mean[i]) / scale**2
        for j in range(D):
            slope += inverse[i, j] * (total[j] - count * mean[j]) / (s[i] * s[j])
        mean[i] += slope / precision + rng.standard_normal() / np.sqrt(precision)


@njit(cache=True)
def _gather(X, labels, k, about, total, scatter):
    """Number of rows of component k; their sum less `about` into total (D,), their products into scatter (D, D)."""
    count, D = 0, X.shape[1]
    total[:] = 0.0
    scatter[:] = 0.0
    for row in range(len(X)):
        if labels[row] == k:
            count += 1
            for i in range(D):
                total[i] += X[row, i] - about[i]
                for j in range(D):
                    scatter[i, j] += (X[row, i] - about[i]) * (X[row, j] - about[j])
    return count


@njit(cache=True)
def _walk(rng, count, scatter, s, R, prior, steps, rate):
    """Random walks of one component's log standard deviations s (D,) and correlations R (D, D), in place.

    prior: log median and sd of log s, eta. steps (D, D), of s on the diagonal, move by `rate` towards 0.44 accepted.
    """
    D, (log_median, log_sd, eta) = len(s), prior
    inverse = np.empty((D, D))
    fit, log_determinant = _log_fit(count, scatter, s, R, inverse)
    for i in range(D):
        for j in range(i + 1):
            kept, kept_s = R[i, j], s[i]
            log_ratio = -fit
            if i == j:
                s[i] *= np.exp(steps[i, i] * rng.standard_normal())
                before, after = (np.log(kept_s) - log_median) / log_sd, (np.log(s[i]) - log_median) / log_sd
                log_ratio += 0.5 * (before**2 - after**2)
            else:
                R[i, j] = R[j, i] = kept + steps[i, j] * rng.standard_normal()
            new_fit, new_determinant = _log_fit(count, scatter, s, R, inverse)
            log_ratio += new_fit + (eta - 1) * (new_determinant - log_determinant)
            accepted = np.log(rng.random()) < log_ratio  # False where R is not positive definite
            if accepted:
                fit, log_determinant = new_fit, new_determinant
            else:
                R[i, j] = R[j, i] = kept
                s[i] = kept_s
            steps[i, j] *= np.exp(rate * (accepted - 0.44))


@njit(cache=True)
def _sample(rng, X, means, location, scale, std_prior, alpha, burn_in, draws, thin):
    (N, D), K = X.shape, len(means)
    weights = np.full(K, 1 / K)
    stds, correlations = np.full((K, D), np.exp(std_prior[0])), np.zeros((K, D, D))
    for k in range(K):
        correlations[k] = np.eye(D)
    inverses, labels, steps = np.empty((K, D, D)), np.empty(N, np.int64), np.full((K, D, D), 0.3)
    origin, total, scatter = np.zeros(D), np.empty(D), np.empty((D, D))
    out = np.empty((draws, K)), np.empty((draws, K, D)), np.empty((draws, K, D)), np.empty((draws, K, D, D))
    for sweep in range(burn_in + draws * thin):
        _assign(rng, X, weights, means, stds, correlations, inverses, labels)
        for k in range(K):
            count = _gather(X, labels, k, origin, total, scatter)
            weights[k] = rng.standard_gamma(alpha + count)
            _draw_mean(rng, count, total, means[k], stds[k], inverses[k], location, scale)
            _gather(X, labels, k, means[k], total, scatter)
            rate = 10 / (100 + sweep) if sweep < burn_in else 0.0
            _walk(rng, count, scatter, stds[k], correlations[k], std_prior, steps[k], rate)
        weights /= weights.sum()
        kept = sweep - burn_in
        if kept >= 0 and kept % thin == 0:
            at = kept // thin
            out[0][at], out[1][at], out[2][at], out[3][at] = weights, means, stds, correlations
    return out


def gibbs(X, K, *, location, scale, log_median, log_sd, alpha, eta, draws, thin=10, burn_in=2000, chains=4, seed=1):
    """{variable: (chain, draw, ...)} of the posterior of K components given rows X (N, D).

    means ~ Normal(location, scale), log s ~ Normal(log_median, log_sd), weights ~ Dirichlet(alpha), R ~ LKJ(eta).
    """
    std_prior = (float(log_median), float(log_sd), float(eta))
    runs = []
    for chain in range(chains):
        rng = np.random.default_rng(seed + chain)
        start = rng.choice(X, K, replace=False)
        runs.append(
            _sample(rng, X, start, float(location), float(scale), std_prior, float(alpha), burn_in, draws, thin)
        )
    names = ("weights", "means", "stds", "correlations")
    return {name: np.stack(values) for name, values in zip(names, zip(*runs, strict=True), strict=True)}
