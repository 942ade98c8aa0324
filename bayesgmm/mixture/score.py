"""The log-likelihood's exact gradient, from the kernel's one pass over the rows."""

import numpy as np
from numba import njit

from bayesgmm.mixture import kernel
from bayesgmm.mixture.whitening import log_scales_and_whiteners


@njit(nogil=True, cache=True, error_model="numpy")
def log_likelihood_and_gradient(X, origin, log_weights, means, choleskys, diagonal):
    """Log-likelihood and its gradient with respect to log weights, means and Cholesky factors.

    Fisher's identity, with the kernel's N_k, t_k, T_k: d/d log w = N; d/d mu = L^-T t; d/d L = tril(L^-T (T - N I)).
    The log weights are taken as free numbers; whoever made them sum to 1 applies the chain rule.
    """
    K, D = means.shape
    log_scales, whiteners = log_scales_and_whiteners(log_weights, choleskys)
    centred = means - origin
    counts, first, second = np.zeros(K), np.zeros((K, D)), np.zeros((K, D, D))
    log_likelihood = kernel.sufficient_statistics(
        X, np.empty(0), 0, X.shape[0], origin, log_scales, centred, whiteners, diagonal, counts, first, second
    )
    d_means, d_choleskys = np.zeros((K, D)), np.zeros((K, D, D))
    for k in range(K):
        for i in range(D):
            second[k, i, i] -= counts[k]
        for i in range(D):
            for m in range(i, D):
                d_means[k, i] += whiteners[k, m, i] * first[k, m]
                for j in range(i + 1):
                    d_choleskys[k, i, j] += whiteners[k, m, i] * second[k, m, j]
    return log_likelihood, counts, d_means, d_choleskys
