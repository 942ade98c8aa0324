"""The default model's log posterior and its gradient, compiled once for every N, K and D.

The same density as `build_model`'s, in the same unconstrained space and parameter order (tests hold the two
together), as one C function for the sampler, without PyTensor's compiler.

The unconstrained parameters theta, in order: weights, K - 1 numbers with softmax(theta, -sum theta) = weights; means,
(K, D), standardised by their prior; standard deviations, logarithms (logit of the position between the bounds under
a uniform prior); for full and tied covariances the logits of the vine's partial correlations, see `model.py`.
"""

from dataclasses import dataclass, field
from math import prod

import numpy as np
from llvmlite import ir
from numba import carray, cfunc, njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray
from scipy.special import betaln, gammaln, logit

from bayesgmm.bayes.prior import Fixed, Prior, Uniform
from bayesgmm.mixture.covariance import CovarianceStructure
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.mixture.rows import rows_of
from bayesgmm.mixture.score import log_likelihood_and_gradient
from bayesgmm.validation import Table

type FloatArray = NDArray[np.float64]

_LOG_SCALE, _INTERVAL, _FIXED = 0, 1, 2

# What the C function finds behind its `user_data` pointer: sizes and switches, then addresses.
_SIZES = ("n_rows", "n_features", "n_components", "n_dim", "diagonal", "shared", "spherical", "std_kind")
_ARRAYS = ("X", "origin", "location", "mean_scale", "std", "numbers", "centre", "scale")
_STD_ROWS = 7


@njit(nogil=True, cache=True, error_model="numpy")
def _vine_row(unconstrained, i, at, row, partial, rest):
    """Row i of a correlation's Cholesky factor from i logits; partial correlations and running products kept."""
    product = 1.0
    for j in range(i):
        half = 0.5 * unconstrained[at + j]
        partial[j] = np.tanh(half)
        rest[j] = product
        row[j] = partial[j] * product
        product /= np.cosh(half)  # sqrt(1 - p^2)
    row[i] = product


@njit(nogil=True, cache=True, error_model="numpy")
def _natural(
    theta,
    K,
    D,
    shared,
    spherical,
    std_kind,
    location,
    mean_scale,
    std,
    log_weights,
    means,
    log_stds,
):
    """Fill log weights (K,), means (K, D), log standard deviations (K, D); returns where the vine begins."""
    largest = 0.0
    last = 0.0
    for k in range(K - 1):
        log_weights[k] = theta[k]
        last -= theta[k]
        largest = max(largest, theta[k])
    log_weights[K - 1] = last
    largest = max(largest, last)
    total = 0.0
    for k in range(K):
        total += np.exp(log_weights[k] - largest)
    for k in range(K):
        log_weights[k] -= largest + np.log(total)
    at = K - 1
    for k in range(K):
        for d in range(D):
            means[k, d] = location[d] + mean_scale[d] * theta[at]
            at += 1
    for k in range(K):
        for d in range(D):
            if std_kind == _FIXED:
                log_stds[k, d] = std[0, d]
                continue
            t = theta[at + (k if spherical else d if shared else k * D + d)]
            if std_kind == _LOG_SCALE:
                log_stds[k, d] = t
            else:
                share = 1.0 / (1.0 + np.exp(-t))
                log_stds[k, d] = np.log(std[0, d] * (1.0 - share) + std[1, d] * share)
    if std_kind != _FIXED:
        at += K if spherical else D if shared else K * D
    return at


@njit(nogil=True, cache=True, error_model="numpy")
def _vine_choleskys(theta, at, diagonal, shared, correlation_choleskys, partial, rest):
    """Cholesky factors (K, D, D) of the correlations; partial, rest (K, D, D) as in `_vine_row`."""
    K, D, _ = correlation_choleskys.shape
    pairs = D * (D - 1) // 2
    for k in range(K):
        start = at if shared else at + k * pairs
        for i in range(D):
            if diagonal:
                correlation_choleskys[k, i, i] = 1.0
            else:
                _vine_row(theta, i, start + i * (i - 1) // 2, correlation_choleskys[k, i], partial[k, i], rest[k, i])


@njit(nogil=True, cache=True, error_model="numpy")
def log_posterior(
    theta, X, origin, K, diagonal, shared, spherical, std_kind, location, mean_scale, std, numbers, gradient
):
    """Log posterior density at theta (P,), its gradient into gradient (P,)."""
    D = X.shape[1]
    concentration, eta, value = numbers[0], numbers[1], numbers[2]
    log_weights, means, log_stds = np.empty(K), np.empty((K, D)), np.empty((K, D))
    at = _natural(
        theta,
        K,
        D,
        shared,
        spherical,
        std_kind,
        location,
        mean_scale,
        std,
        log_weights,
        means,
        log_stds,
    )
    factors, partial, rest = np.zeros((K, D, D)), np.zeros((K, D, D)), np.zeros((K, D, D))
    _vine_choleskys(theta, at, diagonal, shared, factors, partial, rest)
    choleskys = np.zeros((K, D, D))
    for k in range(K):
        for i in range(D):
            s = np.exp(log_stds[k, i])
            for j in range(i + 1):
                choleskys[k, i, j] = s * factors[k, i, j]

    log_likelihood, counts, d_means, d_choleskys = log_likelihood_and_gradient(
        X, origin, log_weights, means, choleskys, diagonal
    )
    value += log_likelihood
    gradient[:] = 0.0

    # Weights: the Dirichlet's alpha - 1 and the simplex transform's Jacobian, prod w, make alpha sum log w.
    n_rows = 0.0
    for k in range(K):
        value += concentration * log_weights[k]
        n_rows += counts[k]
    last = counts[K - 1] + concentration - np.exp(log_weights[K - 1]) * (n_rows + K * concentration)
    for k in range(K - 1):
        gradient[k] = counts[k] + concentration - np.exp(log_weights[k]) * (n_rows + K * concentration) - last

    at = K - 1
    for k in range(K):
        for d in range(D):
            value -= 0.5 * theta[at] * theta[at]
            gradient[at] = mean_scale[d] * d_means[k, d] - theta[at]
            at += 1

    if std_kind != _FIXED:
        for k in range(K):
            for d in range(D):
                index = at + (k if spherical else d if shared else k * D + d)
                slope = 0.0  # d log-likelihood / d log sd
                for j in range(d + 1):
                    slope += d_choleskys[k, d, j] * choleskys[k, d, j]
                if std_kind == _INTERVAL:
                    share = 1.0 / (1.0 + np.exp(-theta[index]))
                    slope *= (std[1, d] - std[0, d]) * share * (1.0 - share) / np.exp(log_stds[k, d])
                gradient[index] += slope
        n_stds = K if spherical else D if shared else K * D
        for m in range(n_stds):
            t = theta[at + m]
            if std_kind == _INTERVAL:
                value -= abs(t) + 2.0 * np.log1p(np.exp(-abs(t)))
                gradient[at + m] -= np.tanh(0.5 * t)
            else:
                d = 0 if spherical else m % D
                u = t - std[0, d]
                up, down = np.exp(u), np.exp(-u)
                value += std[1, d] + std[2, d] * u + std[3, d] * u * u
                value += std[4, d] * up + std[5, d] * down + std[6, d] * up * up
                gradient[at + m] += (
                    std[2, d] + 2.0 * std[3, d] * u + std[4, d] * up - std[5, d] * down + 2.0 * std[6, d] * up * up
                )
        at += n_stds

    if not diagonal:
        pairs = D * (D - 1) // 2
        for k in range(K):
            start = at if shared else at + k * pairs
            for i in range(1, D):
                s = np.exp(log_stds[k, i])
                first = start + i * (i - 1) // 2
                beyond = s * d_choleskys[k, i, i] * factors[k, i, i]
                for j in range(i - 1, -1, -1):
                    slope = s * d_choleskys[k, i, j]
                    p = partial[k, i, j]
                    gradient[first + j] += 0.5 * (slope * (1.0 - p * p) * rest[k, i, j] - p * beyond)
                    beyond += slope * factors[k, i, j]
        for group in range(1 if shared else K):
            index = at + group * pairs
            for i in range(1, D):
                for j in range(i):
                    t = theta[index]
                    b = eta + 0.5 * (D - 2 - j)
                    value -= b * (abs(t) + 2.0 * np.log1p(np.exp(-abs(t))))
                    gradient[index] -= b * np.tanh(0.5 * t)
                    index += 1
    return value


@intrinsic
def _pointer(typingctx, address):
    def codegen(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], ir.DoubleType().as_pointer())

    return types.CPointer(types.float64)(types.int64), codegen


@cfunc(
    types.int64(
        types.uint64,
        types.CPointer(types.double),
        types.CPointer(types.double),
        types.CPointer(types.double),
        types.voidptr,
    ),
    cache=True,
)
def whitened_log_posterior(n_dim, z_pointer, gradient_pointer, value_pointer, user_data):
    """The sampler's C function: log posterior at centre + scale z. 0 when fine, 3 and 4 where not finite."""
    header = carray(user_data, (16,), np.int64)
    N, D, K, P = header[0], header[1], header[2], header[3]
    diagonal, shared, spherical, std_kind = header[4] != 0, header[5] != 0, header[6] != 0, header[7]
    X = carray(_pointer(header[8]), (N, D))
    origin, location, mean_scale = (
        carray(_pointer(header[9]), (D,)),
        carray(_pointer(header[10]), (D,)),
        carray(_pointer(header[11]), (D,)),
    )
    std, numbers = carray(_pointer(header[12]), (_STD_ROWS, D)), carray(_pointer(header[13]), (3,))
    centre, scale = carray(_pointer(header[14]), (P,)), carray(_pointer(header[15]), (P, P))
    z, gradient, value = carray(z_pointer, (P,)), carray(gradient_pointer, (P,)), carray(value_pointer, (1,))
    theta, slope = np.empty(P), np.empty(P)
    for i in range(P):
        theta[i] = centre[i]
        for j in range(P):
            theta[i] += scale[i, j] * z[j]
    value[0] = log_posterior(
        theta, X, origin, K, diagonal, shared, spherical, std_kind, location, mean_scale, std, numbers, slope
    )
    gradient[:] = 0.0
    for i in range(P):
        for j in range(P):
            gradient[j] += scale[i, j] * slope[i]
    for j in range(P):
        if not np.isfinite(gradient[j]):
            return 3
    return 0 if np.isfinite(value[0]) else 4


@cfunc(
    types.int64(types.uint64, types.uint64, types.CPointer(types.double), types.CPointer(types.double), types.voidptr),
    cache=True,
)
def keep_draw(n_dim, n_expanded, z_pointer, out_pointer, user_data):
    """The sampler's C function for what is stored of a draw: z itself."""
    z, out = carray(z_pointer, (n_dim,)), carray(out_pointer, (n_expanded,))
    for i in range(n_dim):
        out[i] = z[i]
    return 0


@njit(nogil=True, cache=True, error_model="numpy")
def _natural_of_draws(
    thetas,
    K,
    D,
    diagonal,
    shared,
    spherical,
    std_kind,
    location,
    mean_scale,
    std,
    weights,
    means,
    stds,
    factors,
):
    partial, rest = np.zeros((K, D, D)), np.zeros((K, D, D))
    for s in range(thetas.shape[0]):
        at = _natural(
            thetas[s],
            K,
            D,
            shared,
            spherical,
            std_kind,
            location,
            mean_scale,
            std,
            weights[s],
            means[s],
            stds[s],
        )
        _vine_choleskys(thetas[s], at, diagonal, shared, factors[s], partial, rest)


@dataclass(frozen=True, eq=False)
class MixtureDensity:
    """The posterior of a mixture given rows, in unconstrained space.

    values (N, D) float64, C order; prior with one value a feature.
    """

    values: FloatArray
    n_components: int
    structure: CovarianceStructure
    prior: Prior
    _std_kind: int = field(init=False, repr=False)
    _arrays: tuple[FloatArray, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        prior, D = self.prior, self.values.shape[1]
        if isinstance(prior.std, Fixed):
            kind, std = _FIXED, np.log(np.asarray(prior.std.value))[np.newaxis]
        elif isinstance(prior.std, Uniform):
            kind, std = _INTERVAL, np.stack([np.asarray(prior.std.lower), np.asarray(prior.std.upper)])
        else:
            kind, std = _LOG_SCALE, prior.std.log_scale_coefficients()
        padded = np.zeros((_STD_ROWS, D))
        padded[: len(std)] = std.reshape(len(std), -1)
        arrays = (
            self.values,
            np.array(rows_of(self.values).origin),  # as the C function has it: writable, so that both are one binary
            np.array(prior.mean_location, dtype=np.float64),
            np.array(prior.mean_scale, dtype=np.float64),
            padded,
            np.array([prior.concentration, prior.correlation_eta, self._log_constant()]),
        )
        object.__setattr__(self, "_std_kind", kind)
        object.__setattr__(self, "_arrays", arrays)

    @classmethod
    def of(cls, table: Table, n_components: int, structure: CovarianceStructure, prior: Prior) -> "MixtureDensity":
        values = np.ascontiguousarray(table.values, dtype=np.float64)
        return cls(values, n_components, structure, prior.for_features(table.n_features, structure))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The unconstrained parameters in order, under the names that `build_model` gives their variables."""
        K, D = self.n_components, self.values.shape[1]
        pairs = D * (D - 1) // 2
        shapes: dict[str, tuple[int, ...]] = {"weights": (K - 1,), "means": (K, D)}
        if self._std_kind != _FIXED:
            if self.structure.shared:
                shapes["tied_stds"] = (D,)
            elif self.structure.name == "spherical":
                shapes["spherical_stds"] = (K,)
            else:
                shapes["stds"] = (K, D)
        if not self.structure.diagonal and pairs:
            shapes["lkj_vine"] = (pairs,) if self.structure.shared else (K, pairs)
        return shapes

    @property
    def n_dim(self) -> int:
        return sum(prod(shape) for shape in self.shapes.values())

    @property
    def switches(self) -> tuple[bool, bool, bool, int]:
        s = self.structure
        return s.diagonal or self.values.shape[1] == 1, s.shared, s.name == "spherical", self._std_kind

    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Log posterior density and gradient (P,) at theta (P,)."""
        X, origin, *rest = self._arrays
        gradient = np.empty(len(theta))
        theta = np.ascontiguousarray(theta, dtype=np.float64)
        value = log_posterior(theta, X, origin, self.n_components, *self.switches, *rest, gradient)
        return value, gradient

    def user_data(self, centre: FloatArray, scale: FloatArray) -> tuple[NDArray[np.int64], tuple[FloatArray, ...]]:
        """The header for the C function, and the arrays it points to, which must outlive it."""
        arrays = (*self._arrays, np.ascontiguousarray(centre), np.ascontiguousarray(scale))
        N, D = self.values.shape
        sizes = (N, D, self.n_components, self.n_dim, *self.switches)
        return np.array([*map(int, sizes), *(array.ctypes.data for array in arrays)], dtype=np.int64), arrays

    def constrain(self, thetas: FloatArray) -> dict[str, FloatArray]:
        """weights (S, K), means, stds (S, K, D), correlations, covariances (S, K, D, D) of draws thetas (S, P)."""
        (S, _), K, D = thetas.shape, self.n_components, self.values.shape[1]
        _, _, location, mean_scale, std, _ = self._arrays
        weights, means, stds, factors = (
            np.empty((S, K)),
            np.empty((S, K, D)),
            np.empty((S, K, D)),
            np.zeros((S, K, D, D)),
        )
        _natural_of_draws(
            np.ascontiguousarray(thetas),
            K,
            D,
            *self.switches,
            location,
            mean_scale,
            std,
            weights,
            means,
            stds,
            factors,
        )
        weights, stds = np.exp(weights), np.exp(stds)
        correlations = factors @ factors.transpose(0, 1, 3, 2)
        covariances = correlations * stds[..., :, np.newaxis] * stds[..., np.newaxis, :]
        return {
            "weights": weights,
            "means": means,
            "stds": stds,
            "correlations": correlations,
            "covariances": covariances,
        }

    def unconstrain(self, parameters: MixtureParameters) -> FloatArray:
        """theta (P,) of a mixture, its covariances brought to the structure first."""
        natural, pieces = natural_values(parameters, self.structure), []
        for name in self.shapes:
            value = natural[name]
            if name == "weights":
                log_weights = np.log(value)
                value = (log_weights - log_weights.mean())[:-1]
            elif name == "means":
                value = (value - np.asarray(self.prior.mean_location)) / np.asarray(self.prior.mean_scale)
            elif name == "lkj_vine":
                value = logit(value)
            elif isinstance(self.prior.std, Uniform):
                lower, upper = np.asarray(self.prior.std.lower), np.asarray(self.prior.std.upper)
                value = logit(np.clip((value - lower) / (upper - lower), 1e-3, 1 - 1e-3))
            else:
                value = np.log(value)
            pieces.append(np.ravel(value))
        return np.concatenate(pieces) if pieces else np.empty(0)

    def _log_constant(self) -> float:
        """What the densities of weights, means and partial correlations have that does not depend on theta."""
        K, D = self.n_components, self.values.shape[1]
        a, eta = self.prior.concentration, self.prior.correlation_eta
        constant = gammaln(K * a) - K * gammaln(a) + np.log(K) - 0.5 * K * D * np.log(2 * np.pi)
        if not self.structure.diagonal:
            b = eta + 0.5 * (D - 2 - np.tril_indices(D, -1)[1])
            constant -= (1 if self.structure.shared else K) * betaln(b, b).sum()
        return float(constant)


def natural_values(parameters: MixtureParameters, structure: CovarianceStructure) -> dict[str, FloatArray]:
    """What each free variable of `build_model` is for a given mixture."""
    weights = np.maximum(parameters.weights, 1e-8)
    weights = weights / weights.sum()
    covariances = structure.project(parameters.covariances * weights[:, np.newaxis, np.newaxis], weights)
    stds = np.sqrt(np.einsum("kii->ki", covariances))
    factors = np.linalg.cholesky(covariances / (stds[:, :, np.newaxis] * stds[:, np.newaxis, :]))
    rows, columns = np.tril_indices(parameters.n_features, -1)
    squares = np.square(factors)
    rest = np.sqrt(np.maximum(1 - np.cumsum(squares, axis=2) + squares, 1e-300))
    vine = np.clip((1 + factors[:, rows, columns] / rest[:, rows, columns]) / 2, 1e-9, 1 - 1e-9)
    return {
        "weights": weights,
        "means": np.asarray(parameters.means),
        "stds": stds,
        "tied_stds": stds[0],
        "spherical_stds": stds[:, 0],
        "lkj_vine": vine[0] if structure.shared else vine,
    }
