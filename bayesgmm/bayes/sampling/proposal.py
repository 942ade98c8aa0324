"""Independent draws near the posterior: a Gaussian in coordinates in which many rows make the posterior one.

If it were known which component each row is from, a component's posterior under a flat prior would be normal and
inverse-Wishart, and its numbers would be independent in these coordinates (Bartlett's decomposition: Anderson 2003, An
introduction to multivariate statistical analysis, section 7.2):

    A_k = L_0k' L_k^-T      upper triangular, its diagonal chi, what is above it normal
    delta_k = L_k^-1 (mu_k - mu_0k)      normal

with Sigma_k = L_k L_k', and mu_0k, L_0k those of the mode. The diagonal is taken to the power 2/3, the cube root of chi
square, which is close to normal (Wilson and Hilferty 1931, doi:10.1073/pnas.17.12.684). Weights stay as they are in
theta. The rows' components are not known, which widens and correlates all this: the Gaussian has the curvature of the
true posterior at its mode. What is left is the posterior's density over that of the draws, their weights. One draw in
twenty comes from a wider Gaussian, so that weights stay small where the posterior has longer tails, and tell of regions
that the mode's curvature does not (a defensive mixture: Hesterberg 1995, doi:10.1080/00401706.1995.10484303).

Draws come in groups, rings in which each is drawn away from the one before it: z_i = (3 e_i - e_(i-1)) / sqrt(10), e
standard normal, whose neighbours correlate by -0.3. What is too large in one draw is too small in the next, so that
means over draws vary less (antithetic variates; in Metropolis' proposals: Craiu and Lemieux 2007,
doi:10.1007/s11222-006-9009-4). Squares correlate by 0.09: of spreads there are 0.85 times as many effective draws.

With tied covariances there is one A, with diagonal ones the diagonal of each, with spherical ones a number each.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.model.std_priors import LOG_SCALE
from bayesgmm.bayes.modes.curvature import Curvature
from bayesgmm.types import FloatArray

_STEP = 1e-5  # of differences; A and delta are of order 1
GROUP = 10
# Groups that the effective share is judged by; below the second share more of them: few draws may hold none of the
# heaviest weights, and 0.6 may turn out to be 0.3.
_PROBES, _MORE_PROBES = 50, 200
_GOOD_ENOUGH = 0.75
# Below this share of effective proposals chains stand still where the posterior is not as the proposals say.
FEWEST_EFFECTIVE = 0.5
# The wider Gaussian: its share, and how far its typical distance from the mode, sqrt(P), is moved outwards.
_WIDE_SHARE, _FARTHER = 0.05, 3.0


@dataclass(frozen=True, eq=False)
class BartlettCoordinates:
    """phi (P,) around a mode: weights as in theta, delta (K, D), A row by row, with b = a^(2/3) for its diagonal."""

    density: MixtureDensity
    means: FloatArray
    choleskys: FloatArray

    @classmethod
    def around(cls, density: MixtureDensity, mode: FloatArray) -> Self:
        values = density.constrain(mode[np.newaxis])
        return cls(density, values["means"][0], np.linalg.cholesky(values["covariances"][0]))

    def of_mode(self, mode: FloatArray) -> FloatArray:
        """phi (P,) at the mode: delta 0, A the identity."""
        K, D = self.means.shape
        phi = np.zeros(self.density.n_dim)
        phi[: K - 1] = mode[: K - 1]
        scales = phi[K - 1 + K * D :]
        switches = self.density.switches
        if switches.diagonal or switches.spherical:
            scales[:] = 1.0
        else:
            scales[:] = np.tile(np.eye(D)[np.triu_indices(D)], 1 if switches.shared else K)
        return phi

    def thetas(self, phis: FloatArray) -> tuple[FloatArray, FloatArray]:
        """theta (S, P) at phi (S, P), and log |d theta / d phi| (S,) up to a constant: -inf where phi is no mixture."""
        S, (K, D) = len(phis), self.means.shape
        switches = self.density.switches
        diagonal, shared, spherical = switches.diagonal, switches.shared, switches.spherical
        groups = 1 if shared else K
        logits, deltas, rest = np.split(phis, [K - 1, K - 1 + K * D], axis=1)
        deltas = deltas.reshape(S, K, D)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            if diagonal:
                b = np.broadcast_to(rest.reshape(S, groups, -1), (S, groups, D))
                stds = np.diagonal(self.choleskys[:groups], axis1=1, axis2=2) / b**1.5
                means = self.means + stds * deltas
                scales = [np.log(stds[..., 0] if spherical else stds)]
                # d log sd / d b = -1.5 / b
                log_jacobian = -np.log(rest).sum(axis=1)
            else:
                A = np.zeros((S, groups, D, D))
                rows, columns = np.triu_indices(D)
                A[..., rows, columns] = rest.reshape(S, groups, -1)
                diagonals = np.einsum("sgii->sgi", A)
                b = diagonals.copy()
                diagonals[:] = b**1.5
                L = self.choleskys[:groups] @ _lower_inverse(np.swapaxes(A, -1, -2))
                means = self.means + (L @ deltas[..., np.newaxis])[..., 0]
                lengths = np.sqrt(np.cumsum(np.square(L)[..., ::-1], axis=-1)[..., ::-1])
                below, left = np.tril_indices(D, -1)
                # A partial correlation is L_ij over the length of (L_ij, ..., L_ii), and theta its logit.
                vine = 2 * np.arcsinh(L[..., below, left] / lengths[..., below, left + 1])
                scales = [np.log(lengths[..., 0]), vine]
                # |da / db| = prod 1.5 sqrt(b); |dL / dA| = prod a_ii^-(D+1); |dL / d theta| = prod of all lengths, a
                # change of a partial correlation turns the rest of its row.
                rows, columns = np.tril_indices(D)
                log_jacobian = (0.5 - 1.5 * (D + 1)) * np.log(b).sum(axis=(1, 2))
                log_jacobian -= np.log(lengths[..., rows, columns]).sum(axis=(1, 2))
            log_jacobian -= 1.5 * np.log(b).sum(axis=(1, 2)) * (K // groups)  # d mu = |L| d delta, L_ii = L_0ii / a_ii
            arrays = self.density.arrays
            standardised = (means - arrays.mean_location) / arrays.mean_scale
            thetas = np.concatenate([piece.reshape(S, -1) for piece in (logits, standardised, *scales)], axis=1)
        fine = (b > 0).all(axis=(1, 2)) & np.isfinite(thetas).all(axis=1)
        return thetas, np.where(fine, log_jacobian, -np.inf)


@dataclass(frozen=True, eq=False)
class Proposal:
    """phi = centre + scale z, z standard normal; `efficiency`: how near the posterior it is."""

    coordinates: BartlettCoordinates
    centre: FloatArray
    scale: FloatArray

    @classmethod
    def at(cls, density: MixtureDensity, curvature: Curvature) -> Self | None:
        """The Gaussian at a mode; None where the curvature has no inverse, or standard deviations are fixed or bounded.

        Around the mode of the density of theta the gradient of that of phi is the gradient g of the Jacobian alone. So
        the mode in phi is, to first order, the variance times g away.
        """
        if curvature.whitening is None or density.switches.std_kind != LOG_SCALE:
            return None
        coordinates = BartlettCoordinates.around(density, curvature.mode)
        phi = coordinates.of_mode(curvature.mode)
        steps = _STEP * np.eye(len(phi))
        (ahead, log_ahead), (behind, log_behind) = coordinates.thetas(phi + steps), coordinates.thetas(phi - steps)
        scale = np.linalg.solve((ahead - behind).T / (2 * _STEP), curvature.whitening)
        slope = (log_ahead - log_behind) / (2 * _STEP)
        return cls(coordinates, phi + scale @ (scale.T @ slope), scale)

    @property
    def density(self) -> MixtureDensity:
        return self.coordinates.density

    def draw(self, rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """n groups: theta (n, GROUP, P), log posteriors (n, GROUP), and log weights (n, GROUP) up to a constant.

        The weight of what is no mixture is 0. Each draw for itself is from the two Gaussians.
        """
        P = len(self.centre)
        z = _rings(rng, n, P).reshape(-1, P)
        is_wide = rng.random(len(z)) < _WIDE_SHARE
        width = 1 + _FARTHER / np.sqrt(P)
        z[is_wide] *= width
        squares = np.square(z).sum(axis=1)
        log_densities = np.logaddexp(
            np.log1p(-_WIDE_SHARE) - 0.5 * squares,
            np.log(_WIDE_SHARE) - 0.5 * squares / width**2 - P * np.log(width),
        )
        thetas, log_jacobians = self.coordinates.thetas(self.centre + z @ self.scale.T)
        possible = np.isfinite(log_jacobians)
        log_posteriors = np.full(len(z), -np.inf)
        log_posteriors[possible] = self.density.log_posteriors(thetas[possible])
        log_weights = log_posteriors + log_jacobians - log_densities
        log_weights = np.where(np.isfinite(log_weights), log_weights, -np.inf)
        return thetas.reshape(n, GROUP, P), log_posteriors.reshape(n, GROUP), log_weights.reshape(n, GROUP)

    def efficiency(self, rng: np.random.Generator) -> float:
        """The effective share of 500 draws; where that leaves it open, of 2500."""
        log_weights = self.draw(rng, _PROBES)[2]
        if FEWEST_EFFECTIVE <= effective_share(log_weights) < _GOOD_ENOUGH:
            log_weights = np.concatenate([log_weights, self.draw(rng, _MORE_PROBES)[2]])
        return effective_share(log_weights)


def _rings(rng: np.random.Generator, n: int, n_dim: int) -> FloatArray:
    """(n, GROUP, P) standard normal; neighbours in a group, the last and the first too, correlate by -0.3."""
    own = rng.standard_normal((n, GROUP, n_dim))
    rings: FloatArray = (3 * own - np.roll(own, 1, axis=1)) / np.sqrt(10)
    return rings


def effective_share(log_weights: FloatArray) -> float:
    """(sum w)^2 / (n sum w^2) of n weights w (Kong 1992, A note on importance sampling); 0 where all are 0."""
    largest = log_weights.max()
    if not np.isfinite(largest):
        return 0.0
    weights = np.exp(log_weights - largest)
    return float(weights.sum() ** 2 / (weights.size * np.square(weights).sum()))


def _lower_inverse(B: FloatArray) -> FloatArray:
    """Of lower triangular matrices (..., D, D), row by row; not finite where there is none."""
    B = np.ascontiguousarray(np.moveaxis(B, (-2, -1), (0, 1)))  # so that each operation is on many numbers in a row
    inverse = np.zeros(B.shape)
    for i in range(len(B)):
        inverse[i, i] = 1 / B[i, i]
        inverse[i, :i] = -inverse[i, i] * (B[i, :i, np.newaxis] * inverse[:i, :i]).sum(axis=0)
    return np.ascontiguousarray(np.moveaxis(inverse, (0, 1), (-2, -1)))
