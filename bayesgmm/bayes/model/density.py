"""The default model's log posterior in unconstrained space, and the way there and back.

The same density as `build_model`'s, in the same unconstrained space and parameter order (tests hold the two
together), without PyTensor's compiler.
"""

import ctypes
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, expit, gammaln, logit, softmax

from bayesgmm.bayes.model import log_posterior
from bayesgmm.bayes.model.log_posterior import FIXED, INTERVAL, LOG_SCALE, STD_ROWS
from bayesgmm.bayes.model.prior import Prior
from bayesgmm.bayes.model.std_priors import Fixed, Uniform
from bayesgmm.frozen import freeze
from bayesgmm.kernel.rows import Rows
from bayesgmm.mixture.covariance import FULL, SPHERICAL, TIED, VINE_VARIABLE, CovarianceStructure, stds_and_correlations
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import FloatArray

_DOUBLES = ctypes.POINTER(ctypes.c_double)


@dataclass(frozen=True, eq=False)
class MixtureDensity:
    """The posterior of a mixture given rows, in unconstrained space.

    values (N, D) float64 or float32, C order; prior with one value a feature.
    """

    rows: Rows
    n_components: int
    structure: CovarianceStructure
    prior: Prior
    _std_kind: int = field(init=False, repr=False)
    _arrays: tuple[FloatArray, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        prior, D = self.prior, self.rows.n_features
        if isinstance(prior.std, Fixed):
            kind, std = FIXED, np.log(np.asarray(prior.std.value))[np.newaxis]
        elif isinstance(prior.std, Uniform):
            kind, std = INTERVAL, np.stack([np.asarray(prior.std.lower), np.asarray(prior.std.upper)])
        else:
            kind, std = LOG_SCALE, prior.std.log_scale_coefficients()
        padded = np.zeros((STD_ROWS, D))
        padded[: len(std)] = std.reshape(len(std), -1)
        arrays = (
            self.rows.origin,
            np.array(prior.mean_location, dtype=np.float64),
            np.array(prior.mean_scale, dtype=np.float64),
            padded,
            np.array([prior.concentration, prior.correlation_eta, self._log_constant()]),
        )
        freeze(self, _std_kind=kind, _arrays=arrays)

    @classmethod
    def of(cls, rows: Rows, n_components: int, structure: CovarianceStructure, prior: Prior) -> "MixtureDensity":
        return cls(rows, n_components, structure, prior.for_features(rows.n_features, structure))

    @property
    def values(self) -> NDArray[Any]:
        return self.rows.values

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The unconstrained parameters in order, under the names that `build_model` gives their variables."""
        K, D = self.n_components, self.values.shape[1]
        pairs = D * (D - 1) // 2
        shapes: dict[str, tuple[int, ...]] = {"weights": (K - 1,), "means": (K, D)}
        if self._std_kind != FIXED:
            shapes[self.structure.std_variable] = (
                (D,) if self.structure.shared else (K,) if self.structure.spherical else (K, D)
            )
        if self.structure.vine_variable and pairs:
            shapes[self.structure.vine_variable] = (pairs,) if self.structure.shared else (K, pairs)
        return shapes

    @property
    def n_dim(self) -> int:
        return sum(prod(shape) for shape in self.shapes.values())

    @property
    def switches(self) -> tuple[bool, bool, bool, int]:
        s = self.structure
        return s.diagonal or self.values.shape[1] == 1, s.shared, s.spherical, self._std_kind

    @property
    def arrays(self) -> tuple[FloatArray, ...]:
        """Origin (D,), prior's location and scale of means (D,), its table of standard deviations, and three numbers.

        See `log_posterior.header`.
        """
        return self._arrays

    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Log posterior density and gradient (P,) at theta (P,)."""
        P = self.n_dim
        header, _kept = self.user_data(np.zeros(P), np.ones(P))
        gradient = np.empty(P)
        return _evaluate(header, np.ascontiguousarray(theta, dtype=np.float64), gradient), gradient

    def widths(self, theta: FloatArray) -> FloatArray:
        """(P,) about how wide the posterior is along each parameter: what it would be around a mode at theta (P,) if it
        were known which component each row is from, the other parameters fixed.

        Second derivatives of the log-likelihood of n_k = N w_k normal rows in each component: for the simplex
        transform's numbers N (w_k + w_K - (w_k - w_K)^2); for means n_k (Sigma_k^-1)_dd; for log standard deviations
        n_k (1 + (R_k^-1)_dd), R_k the correlations; for partial correlations p, as if there were two features,
        n_k (1 + p^2) / (1 - p^2)^2.
        """
        values = {name: value[0] for name, value in self.constrain(theta[np.newaxis]).items()}
        _, _, mean_scale, std, _ = self._arrays
        w, stds, shapes = values["weights"], values["stds"], self.shapes
        rows = len(self.values) * w
        precisions = np.einsum("kdd->kd", np.linalg.inv(values["correlations"]))
        information = [len(self.values) * (w[:-1] + w[-1] - np.square(w[:-1] - w[-1]))]
        information.append(rows[:, np.newaxis] * precisions * np.square(mean_scale / stds))
        if self._std_kind != FIXED:
            of_stds = rows[:, np.newaxis] * (1 + precisions)
            if self._std_kind == INTERVAL:
                lower, upper = std[:2]
                of_stds *= np.square((stds - lower) * (upper - stds) / (upper - lower) / stds)
            shared, spherical = self.structure.shared, self.structure.spherical
            information.append(of_stds.sum(axis=0) if shared else of_stds.sum(axis=1) if spherical else of_stds)
        if VINE_VARIABLE in shapes:
            n_vine = prod(shapes[VINE_VARIABLE])
            p = np.tanh(0.5 * theta[len(theta) - n_vine :].reshape(shapes[VINE_VARIABLE]))
            n = rows.sum() if self.structure.shared else rows[:, np.newaxis]
            information.append(n * 0.25 * (1 + np.square(p)))  # dp / dtheta = (1 - p^2) / 2
        # Of the priors, which the unconstrained space is scaled to, it is about 1.
        return 1 / np.sqrt(1 + np.concatenate([np.ravel(piece) for piece in information]))

    def log_priors(self, thetas: FloatArray) -> FloatArray:
        """(S,) what the log posterior is without its rows, Jacobian included, at thetas (S, P)."""
        return self._values(thetas, self.values[:0])

    def log_posteriors(self, thetas: FloatArray) -> FloatArray:
        """(S,) at thetas (S, P)."""
        return self._values(thetas, self.values)

    def _values(self, thetas: FloatArray, rows: NDArray[Any]) -> FloatArray:
        S, P = thetas.shape
        header, _kept = self.user_data(np.zeros(P), np.ones(P), rows, value_only=True)
        values = np.empty(S)
        function = log_posterior.whitened_log_posterior().address
        log_posterior.values_of_draws(function, header, np.ascontiguousarray(thetas), np.empty(P), values)
        return values

    def user_data(
        self, centre: FloatArray, scale: FloatArray, rows: NDArray[Any] | None = None, *, value_only: bool = False
    ) -> tuple[NDArray[np.int64], tuple[NDArray[Any], ...]]:
        """The header for the C function at centre + scale z, and the arrays it points to, which must outlive it.

        centre (P,); scale (P,) or (P, P); rows: others than `values`; value_only: the gradient is not wanted.
        """
        rows = self.values if rows is None else rows
        centre, scale = np.ascontiguousarray(centre), np.ascontiguousarray(scale)
        header = log_posterior.header(
            self.n_dim, self.n_components, self.switches, rows, self._arrays, centre, scale, value_only
        )
        return header, (rows, *self._arrays, centre, scale)

    def constrain(self, thetas: FloatArray) -> dict[str, FloatArray]:
        """Weights (S, K), means, stds (S, K, D), correlations, covariances (S, K, D, D) of draws thetas (S, P)."""
        S, K, D = len(thetas), self.n_components, self.values.shape[1]
        _, location, mean_scale, std, _ = self._arrays
        ends = np.cumsum([prod(shape) for shape in self.shapes.values()])[:-1]
        pieces = zip(self.shapes.items(), np.split(thetas, ends, axis=1), strict=True)
        free = {name: piece.reshape(S, *shape) for (name, shape), piece in pieces}
        u = free["weights"]
        weights = softmax(np.concatenate([u, -u.sum(axis=1, keepdims=True)], axis=1), axis=1)
        if self._std_kind == FIXED:
            of_std = np.exp(std[0])
        else:
            t = free[self.structure.std_variable]
            t = t[:, np.newaxis] if self.structure.shared else t[..., np.newaxis] if self.structure.spherical else t
            of_std = std[0] * expit(-t) + std[1] * expit(t) if self._std_kind == INTERVAL else np.exp(t)
        stds = _of_shape(of_std, (S, K, D))
        vine = free.get(VINE_VARIABLE)
        if vine is None:
            factors = np.eye(D)
        else:
            factors = _vine_choleskys(vine[:, np.newaxis] if self.structure.shared else vine, D)
        # Small products are faster of arrays that lie in order.
        of_correlations = factors @ np.ascontiguousarray(np.swapaxes(factors, -1, -2))
        correlations = _of_shape(of_correlations, (S, K, D, D))
        covariances = correlations * stds[..., :, np.newaxis]
        covariances *= stds[..., np.newaxis, :]
        return {
            "weights": weights,
            "means": location + mean_scale * free["means"],
            "stds": stds,
            "correlations": correlations,
            "covariances": covariances,
        }

    def unconstrain(self, parameters: MixtureParameters) -> FloatArray:
        """Theta (P,) of a mixture, its covariances brought to the structure first."""
        natural, pieces = natural_values(parameters, self.structure), []
        for name in self.shapes:
            value = natural[name]
            if name == "weights":
                log_weights = np.log(value)
                value = (log_weights - log_weights.mean())[:-1]
            elif name == "means":
                value = (value - np.asarray(self.prior.mean_location)) / np.asarray(self.prior.mean_scale)
            elif name == VINE_VARIABLE:
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


def _evaluate(header: NDArray[np.int64], theta: FloatArray, gradient: FloatArray) -> float:
    """The value at theta (P,) by the C function that the sampler calls; its gradient (P,) into `gradient`."""
    value = ctypes.c_double()
    log_posterior.whitened_log_posterior().ctypes(
        len(theta),
        theta.ctypes.data_as(_DOUBLES),
        gradient.ctypes.data_as(_DOUBLES),
        ctypes.byref(value),
        header.ctypes.data,
    )
    return value.value


def _of_shape(values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Values that may be fewer, which are repeated: what components or features share."""
    return values if values.shape == shape else np.array(np.broadcast_to(values, shape))


def _vine_choleskys(t: FloatArray, n_features: int) -> FloatArray:
    """Cholesky factors (..., D, D) of the correlations whose vine has the logits t (..., D (D - 1) / 2), row by row."""
    half = np.exp(-0.5 * np.abs(t))
    partial, rest = np.tanh(0.5 * t), 2 * half / (1 + np.square(half))  # rest = sqrt(1 - partial^2)
    factors = np.zeros((*t.shape[:-1], n_features, n_features))
    factors[..., 0, 0] = 1.0
    for i in range(1, n_features):
        row = slice(i * (i - 1) // 2, i * (i + 1) // 2)
        left = np.cumprod(rest[..., row], axis=-1)
        factors[..., i, 0] = partial[..., row.start]
        factors[..., i, 1:i] = partial[..., row][..., 1:] * left[..., :-1]
        factors[..., i, i] = left[..., -1]
    return factors


def natural_values(parameters: MixtureParameters, structure: CovarianceStructure) -> dict[str, FloatArray]:
    """What each free variable of `build_model` is for a given mixture."""
    weights = np.maximum(parameters.weights, 1e-8)
    weights = weights / weights.sum()
    covariances = structure.project(parameters.covariances * weights[:, np.newaxis, np.newaxis], weights)
    stds, correlations = stds_and_correlations(covariances)
    factors = np.linalg.cholesky(correlations)
    rows, columns = np.tril_indices(parameters.n_features, -1)
    squares = np.square(factors)
    rest = np.sqrt(np.maximum(1 - np.cumsum(squares, axis=2) + squares, 1e-300))
    vine = np.clip((1 + factors[:, rows, columns] / rest[:, rows, columns]) / 2, 1e-9, 1 - 1e-9)
    return {
        "weights": weights,
        "means": np.asarray(parameters.means),
        FULL.std_variable: stds,
        TIED.std_variable: stds[0],
        SPHERICAL.std_variable: stds[:, 0],
        VINE_VARIABLE: vine[0] if structure.shared else vine,
    }
