"""The default model's log posterior of one data set, in unconstrained space, and the way there and back.

It is the density of `build_model`, in the same unconstrained space and parameter order (tests compare the two), without
PyTensor's compiler.
"""

import ctypes
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, expit, gammaln, logit, softmax

from bayesgmm.bayes.model import log_posterior
from bayesgmm.bayes.model.arguments import ModelArrays, Switches, make_header
from bayesgmm.bayes.model.prior import Prior, resolution_factor
from bayesgmm.bayes.model.resolution import log_mean_factor, rounding_variances
from bayesgmm.bayes.model.rows_pass import rows_function
from bayesgmm.bayes.model.std_priors import FIXED, INTERVAL, STD_ROWS
from bayesgmm.bayes.model.variables import VINE, natural_values, std_name
from bayesgmm.bayes.model.vine import vine_choleskys
from bayesgmm.interrupts import deferred_interrupts
from bayesgmm.kernel.rows import Rows
from bayesgmm.mixture.covariance import CovarianceStructure
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import FloatArray, RowArray

_DOUBLES = ctypes.POINTER(ctypes.c_double)
# `unconstrain` keeps standard deviations this far inside the bounds of a uniform prior, as a share of their distance:
# a start on a bound would be at infinity.
_INSIDE_BOUNDS = 1e-3


@dataclass(frozen=True, eq=False)
class MixtureDensity:
    """The log posterior density of a mixture of n_components Gaussians given rows, in unconstrained space.

    Rows hold (N, D) float64 or float32 values in C order; the prior has one value per feature (`MixtureDensity.of`
    brings it there). A call returns the log density and its gradient. theta (P,) is laid out as `shapes` says.
    """

    rows: Rows
    n_components: int
    structure: CovarianceStructure
    prior: Prior
    _arrays: ModelArrays = field(init=False, repr=False)

    def __post_init__(self) -> None:
        table = np.zeros((STD_ROWS, self.rows.n_features))
        coefficients = self.prior.std.coefficients()
        table[: len(coefficients)] = coefficients.reshape(len(coefficients), -1)
        constants = np.array([self.prior.concentration, self.prior.correlation_eta, self._log_constant()])
        arrays = ModelArrays(
            np.array(self.rows.origin),  # a copy, writable as the other arrays are: compiled code knows one type
            np.array(self.prior.mean_location, dtype=np.float64),
            np.array(self.prior.mean_scale, dtype=np.float64),
            table,
            constants,
            rounding_variances(np.asarray(self.prior.resolution)),
        )
        object.__setattr__(self, "_arrays", arrays)

    @classmethod
    def of(cls, rows: Rows, n_components: int, structure: CovarianceStructure, prior: Prior) -> "MixtureDensity":
        """Return the density under a prior that may have one value for all features."""
        return cls(rows, n_components, structure, prior.for_features(rows.n_features, structure))

    @property
    def values(self) -> RowArray:
        """The rows (N, D)."""
        return self.rows.values

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The unconstrained parameters in order, under the names that `build_model` gives their variables."""
        K, D = self.n_components, self.values.shape[1]
        pairs = D * (D - 1) // 2
        shapes: dict[str, tuple[int, ...]] = {"weights": (K - 1,), "means": (K, D)}
        if self.switches.std_kind != FIXED:
            shapes[std_name(self.structure)] = (
                (D,) if self.structure.shared else (K,) if self.structure.spherical else (K, D)
            )
        if not self.structure.diagonal and pairs:
            shapes[VINE] = (pairs,) if self.structure.shared else (K, pairs)
        return shapes

    @property
    def n_dim(self) -> int:
        """P, the number of unconstrained parameters."""
        return sum(prod(shape) for shape in self.shapes.values())

    @property
    def switches(self) -> Switches:
        """The structure and the kind of the prior of standard deviations, as compiled code reads them."""
        s = self.structure
        return Switches(s.diagonal or self.values.shape[1] == 1, s.shared, s.spherical, self.prior.std.kind)

    @property
    def arrays(self) -> ModelArrays:
        """Origin, prior and constants, as compiled code reads them."""
        return self._arrays

    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Return the log posterior density and its gradient (P,) at theta (P,)."""
        P = self.n_dim
        with deferred_interrupts():
            header, _kept = self.user_data(np.zeros(P), np.ones(P))
            gradient = np.empty(P)
            return _evaluate(header, np.ascontiguousarray(theta, dtype=np.float64), gradient), gradient

    def widths(self, theta: FloatArray) -> FloatArray:
        """Return the approximate posterior width (P,) of each parameter around a mode at theta (P,).

        These are the conditional standard deviations, the other parameters fixed, that the posterior would have if the
        component of each row were known. They follow from the second derivatives of the log-likelihood with
        n_k = N w_k normal rows in component k:

        - simplex numbers: N (w_k + w_K - (w_k - w_K)^2);
        - means: n_k (Sigma_k^-1)_dd;
        - log standard deviations: n_k (1 + (R_k^-1)_dd), R_k the correlations;
        - partial correlations p: n_k (1 + p^2) / (1 - p^2)^2, which is exact for two features.
        """
        values = {name: value[0] for name, value in self.constrain(theta[np.newaxis]).items()}
        weights, stds, shapes = values["weights"], values["stds"], self.shapes
        n_rows = len(self.values) * weights
        precisions = np.einsum("kdd->kd", np.linalg.inv(values["correlations"]))
        of_weights = len(self.values) * (weights[:-1] + weights[-1] - np.square(weights[:-1] - weights[-1]))
        of_means = n_rows[:, np.newaxis] * precisions * np.square(self.arrays.mean_scale / stds)
        information = [of_weights, of_means]
        if self.switches.std_kind != FIXED:
            information.append(self._information_of_stds(n_rows[:, np.newaxis] * (1 + precisions), stds))
        if VINE in shapes:
            p = np.tanh(0.5 * theta[len(theta) - prod(shapes[VINE]) :].reshape(shapes[VINE]))
            n = n_rows.sum() if self.structure.shared else n_rows[:, np.newaxis]
            information.append(n * 0.25 * (1 + np.square(p)))  # dp / dtheta = (1 - p^2) / 2
        # The prior contributes about 1 to each entry, because it standardises the unconstrained parameters.
        return 1 / np.sqrt(1 + np.concatenate([np.ravel(piece) for piece in information]))

    def _information_of_stds(self, of_log_stds: FloatArray, stds: FloatArray) -> FloatArray:
        """Return the information on theta's standard deviations, from that on log standard deviations (K, D)."""
        information = of_log_stds
        if self.switches.std_kind == INTERVAL:
            lower, upper = self.arrays.std_table[:2]
            information = information * np.square((stds - lower) * (upper - stds) / (upper - lower) / stds)
        if self.structure.shared:
            return np.asarray(information.sum(axis=0))
        return np.asarray(information.sum(axis=1)) if self.structure.spherical else information

    def log_priors(self, thetas: FloatArray) -> FloatArray:
        """Return the log prior densities (S,) at thetas (S, P), Jacobian included."""
        return self._values(thetas, self.values[:0])

    def log_posteriors(self, thetas: FloatArray) -> FloatArray:
        """Return the log posterior densities (S,) at thetas (S, P), Jacobian included."""
        return self._values(thetas, self.values)

    def _values(self, thetas: FloatArray, rows: RowArray) -> FloatArray:
        S, P = thetas.shape
        values = np.empty(S)
        with deferred_interrupts():
            header, _kept = self.user_data(np.zeros(P), np.ones(P), rows, value_only=True)
            function = log_posterior.whitened_log_posterior().address
            log_posterior.values_of_draws(function, header, np.ascontiguousarray(thetas), np.empty(P), values)
        return values

    def user_data(
        self, centre: FloatArray, scale: FloatArray, rows: RowArray | None = None, *, value_only: bool = False
    ) -> tuple[NDArray[np.int64], tuple[RowArray, ...]]:
        """Return the header for the C function at theta = centre + scale z, and the arrays that must outlive it.

        centre (P,); scale (P,) or (P, P); rows: used instead of `values`; value_only: the gradient is not computed.
        """
        rows = self.values if rows is None else rows
        centre, scale = np.ascontiguousarray(centre), np.ascontiguousarray(scale)
        header = make_header(
            self.n_components,
            self.switches,
            self.arrays,
            rows,
            rows_function(rows.dtype).address,
            centre,
            scale,
            value_only=value_only,
        )
        return header, (rows, *self.arrays, centre, scale)

    def constrain(self, thetas: FloatArray) -> dict[str, FloatArray]:
        """Return the mixtures at thetas (S, P).

        They are weights (S, K), means and stds (S, K, D), correlations and covariances (S, K, D, D).
        """
        S, K, D = len(thetas), self.n_components, self.values.shape[1]
        ends = np.cumsum([prod(shape) for shape in self.shapes.values()])[:-1]
        pieces = zip(self.shapes.items(), np.split(thetas, ends, axis=1), strict=True)
        free = {name: piece.reshape(S, *shape) for (name, shape), piece in pieces}
        u = free["weights"]
        weights = softmax(np.concatenate([u, -u.sum(axis=1, keepdims=True)], axis=1), axis=1)
        stds = _repeated(self._stds(free), (S, K, D))
        correlations = _repeated(self._correlations(free.get(VINE)), (S, K, D, D))
        covariances = correlations * stds[..., :, np.newaxis]
        covariances *= stds[..., np.newaxis, :]
        return {
            "weights": weights,
            "means": self.arrays.mean_location + self.arrays.mean_scale * free["means"],
            "stds": stds,
            "correlations": correlations,
            "covariances": covariances,
        }

    def _stds(self, free: dict[str, FloatArray]) -> FloatArray:
        """Return standard deviations in a shape that broadcasts to (S, K, D)."""
        table, std_kind = self.arrays.std_table, self.switches.std_kind
        if std_kind == FIXED:
            return np.asarray(np.exp(table[0]))
        t = free[std_name(self.structure)]
        t = t[:, np.newaxis] if self.structure.shared else t[..., np.newaxis] if self.structure.spherical else t
        return np.asarray(table[0] * expit(-t) + table[1] * expit(t) if std_kind == INTERVAL else np.exp(t))

    def _correlations(self, vine: FloatArray | None) -> FloatArray:
        """Return correlations in a shape that broadcasts to (S, K, D, D)."""
        D = self.values.shape[1]
        if vine is None:
            factors = np.eye(D)
        else:
            factors = vine_choleskys(vine[:, np.newaxis] if self.structure.shared else vine, D)
        # NumPy multiplies small matrices faster if both are contiguous.
        return np.asarray(factors @ np.ascontiguousarray(np.swapaxes(factors, -1, -2)))

    def unconstrain(self, parameters: MixtureParameters) -> FloatArray:
        """Return theta (P,) of a mixture, whose covariances are projected onto the structure first."""
        natural, pieces = natural_values(parameters, self.structure), []
        for name in self.shapes:
            value = natural[name]
            if name == "weights":
                log_weights = np.log(value)
                value = (log_weights - log_weights.mean())[:-1]
            elif name == "means":
                value = (value - np.asarray(self.prior.mean_location)) / np.asarray(self.prior.mean_scale)
            elif name == VINE:
                value = logit(value)
            elif self.switches.std_kind == INTERVAL:
                lower, upper = self.prior.std.coefficients()
                value = logit(np.clip((value - lower) / (upper - lower), _INSIDE_BOUNDS, 1 - _INSIDE_BOUNDS))
            else:
                value = np.log(value)
            pieces.append(np.ravel(value))
        return np.concatenate(pieces) if pieces else np.empty(0)

    def _log_constant(self) -> float:
        """Return the part of the log prior that theta does not change, but for the family of standard deviations."""
        K, D = self.n_components, self.values.shape[1]
        n_covariances = 1 if self.structure.shared else K
        a, eta = self.prior.concentration, self.prior.correlation_eta
        constant = gammaln(K * a) - K * gammaln(a) + np.log(K) - 0.5 * K * D * np.log(2 * np.pi)
        if not self.structure.diagonal:
            b = eta + 0.5 * (D - 2 - np.tril_indices(D, -1)[1])
            constant -= n_covariances * betaln(b, b).sum()
        return float(constant - n_covariances * log_mean_factor(resolution_factor(self.prior, self.structure)))


def _evaluate(header: NDArray[np.int64], theta: FloatArray, gradient: FloatArray) -> float:
    """Return the log density at theta (P,) and fill the gradient (P,), with the C function that nutpie calls."""
    value = ctypes.c_double()
    log_posterior.whitened_log_posterior().ctypes(
        len(theta),
        theta.ctypes.data_as(_DOUBLES),
        gradient.ctypes.data_as(_DOUBLES),
        ctypes.byref(value),
        header.ctypes.data,
    )
    return value.value


def _repeated(values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Return values of this shape; those that components or features share are repeated."""
    return values if values.shape == shape else np.array(np.broadcast_to(values, shape))
