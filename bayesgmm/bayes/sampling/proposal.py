"""Independent draws near the posterior: a Gaussian in coordinates in which many rows make the posterior Gaussian.

If the component of every row were known, then under a flat prior a component's mean and covariance would be normal and
inverse-Wishart a posteriori. In the following coordinates their elements would be independent (Bartlett's
decomposition: Anderson 2003, An introduction to multivariate statistical analysis, section 7.2):

    A_k = L_0k' L_k^-T                upper triangular, the diagonal chi, the elements above it normal
    delta_k = L_k^-1 (mu_k - mu_0k)   normal

with Sigma_k = L_k L_k', and mu_0k, L_0k the mean and the Cholesky factor at the mode. The diagonal enters by its power
2/3, the cube root of chi square, which is close to normal (Wilson and Hilferty 1931, doi:10.1073/pnas.17.12.684). The
weights stay as they are in theta. The components of the rows are not known, which widens and correlates the
coordinates: the Gaussian has the curvature of the true posterior at its mode. The remaining mismatch is corrected by
importance weights, the ratio of the posterior's density to the proposal's.

One draw in twenty comes from a wider Gaussian: it keeps the weights bounded where the posterior has longer tails, and
it finds regions that the curvature at the mode does not show (a defensive mixture: Hesterberg 1995,
doi:10.1080/00401706.1995.10484303).

Draws come in groups. Each draw of a group is pushed away from its predecessor, in a ring: z_i = (3 e_i - e_(i-1)) /
sqrt(10) with e standard normal, so that neighbours have the correlation -0.3. An error of one draw is made up for by
the next, and means over draws vary less (antithetic variates; in Metropolis proposals: Craiu and Lemieux 2007,
doi:10.1007/s11222-006-9009-4). Squares have the correlation 0.09, so that a standard deviation has 0.85 times as many
effective draws.

Tied covariances have one A, diagonal ones the diagonal of each A, spherical ones a single number each.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.model.std_priors import INTERVAL, LOG_SCALE
from bayesgmm.bayes.modes.curvature import Curvature
from bayesgmm.types import FloatArray

# Step of central differences in phi, whose elements are of order 1.
_STEP = 1e-5
GROUP = 10  # draws per group
# Pilot groups that judge the effective share. If it is below _GOOD_ENOUGH, _MORE_PILOT_GROUPS more are drawn, because a
# few draws can miss the heaviest weights; see docs/decisions/0040.
_PILOT_GROUPS, _MORE_PILOT_GROUPS = 50, 200
_GOOD_ENOUGH = 0.75
# Below this effective share a chain can stay at one group for long.
FEWEST_EFFECTIVE = 0.5
# The wider Gaussian: its share of the draws, and the distance by which its typical radius exceeds sqrt(P).
_WIDE_SHARE, _EXTRA_RADIUS = 0.05, 3.0


@dataclass(frozen=True, eq=False)
class BartlettCoordinates:
    """phi (P,) around a mode: weights as in theta, delta (K, D), A row by row, with b = a^(2/3) for its diagonal."""

    density: MixtureDensity
    means: FloatArray
    choleskys: FloatArray

    @classmethod
    def around(cls, density: MixtureDensity, mode: FloatArray) -> Self:
        """The coordinates around a mode theta (P,)."""
        values = density.constrain(mode[np.newaxis])
        return cls(density, values["means"][0], np.linalg.cholesky(values["covariances"][0]))

    def of_mode(self, mode: FloatArray) -> FloatArray:
        """Coordinates phi (P,) of the mode: delta is 0 and A the identity."""
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
        """Map phi (S, P) to theta (S, P).

        Returns theta and log |d theta / d phi| (S,) up to a constant, which is minus infinity where phi is no mixture.
        """
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
                # A partial correlation is L_ij divided by the length of (L_ij, ..., L_ii); theta holds its logit.
                vine = 2 * np.arcsinh(L[..., below, left] / lengths[..., below, left + 1])
                scales = [np.log(lengths[..., 0]), vine]
                # |da / db| = prod 1.5 sqrt(b); |dL / dA| = prod a_ii^-(D+1); |dL / d theta| is the product of all
                # lengths, since a change of a partial correlation rotates the rest of its row.
                rows, columns = np.tril_indices(D)
                log_jacobian = (0.5 - 1.5 * (D + 1)) * np.log(b).sum(axis=(1, 2))
                log_jacobian -= np.log(lengths[..., rows, columns]).sum(axis=(1, 2))
            log_jacobian -= 1.5 * np.log(b).sum(axis=(1, 2)) * (K // groups)  # d mu = |L| d delta, L_ii = L_0ii / a_ii
            arrays = self.density.arrays
            standardised = (means - arrays.mean_location) / arrays.mean_scale
            thetas = np.concatenate([piece.reshape(S, -1) for piece in (logits, standardised, *scales)], axis=1)
        is_mixture = (b > 0).all(axis=(1, 2)) & np.isfinite(thetas).all(axis=1)
        return thetas, np.where(is_mixture, log_jacobian, -np.inf)


@dataclass(frozen=True, eq=False)
class Proposal:
    """The proposal distribution: phi = centre + scale z, with z from `_rings`, a share of it widened."""

    coordinates: BartlettCoordinates
    centre: FloatArray
    scale: FloatArray

    @classmethod
    def at(cls, density: MixtureDensity, curvature: Curvature) -> Self | str:
        """The proposal around a mode, or why there is none.

        There is none where the curvature or the map from phi to theta has no inverse, and where the prior fixes or
        bounds the standard deviations.

        At the mode of the density of theta, the gradient of the log density of phi is that of the log Jacobian, g. So
        to first order the mode in phi lies at a distance of the covariance times g.
        """
        if density.switches.std_kind != LOG_SCALE:
            bounds = "bounds" if density.switches.std_kind == INTERVAL else "fixes"
            return f"its prior {bounds} the standard deviations, and independent proposals would be outside it"
        if curvature.whitening is None:
            return curvature.flaw
        coordinates = BartlettCoordinates.around(density, curvature.mode)
        phi = coordinates.of_mode(curvature.mode)
        steps = _STEP * np.eye(len(phi))
        (ahead, log_ahead), (behind, log_behind) = coordinates.thetas(phi + steps), coordinates.thetas(phi - steps)
        try:
            scale = np.linalg.solve((ahead - behind).T / (2 * _STEP), curvature.whitening)
        except np.linalg.LinAlgError:  # the map from phi to theta is flat to double precision
            return "at its mode, the coordinates of independent proposals are flat to double precision"
        slope = (log_ahead - log_behind) / (2 * _STEP)
        return cls(coordinates, phi + scale @ (scale.T @ slope), scale)

    @property
    def density(self) -> MixtureDensity:
        """The target density."""
        return self.coordinates.density

    def draw(self, rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Draw n groups.

        Returns theta (n, GROUP, P), log posteriors (n, GROUP), and log weights (n, GROUP) up to a constant. A point
        that is no mixture has weight 0. The marginal distribution of every draw is the mixture of the two Gaussians.
        """
        P = len(self.centre)
        z = _rings(rng, n, P).reshape(-1, P)
        is_wide = rng.random(len(z)) < _WIDE_SHARE
        width = 1 + _EXTRA_RADIUS / np.sqrt(P)
        z[is_wide] *= width
        squares = np.square(z).sum(axis=1)
        log_densities = np.logaddexp(
            np.log1p(-_WIDE_SHARE) - 0.5 * squares,
            np.log(_WIDE_SHARE) - 0.5 * squares / width**2 - P * np.log(width),
        )
        thetas, log_jacobians = self.coordinates.thetas(self.centre + z @ self.scale.T)
        is_mixture = np.isfinite(log_jacobians)
        log_posteriors = np.full(len(z), -np.inf)
        log_posteriors[is_mixture] = self.density.log_posteriors(thetas[is_mixture])
        log_weights = log_posteriors + log_jacobians - log_densities
        log_weights = np.where(np.isfinite(log_weights), log_weights, -np.inf)
        return thetas.reshape(n, GROUP, P), log_posteriors.reshape(n, GROUP), log_weights.reshape(n, GROUP)

    def efficiency(self, rng: np.random.Generator) -> float:
        """Effective share of 500 draws; of 2500 where the first 500 leave open whether it is large enough."""
        log_weights = self.draw(rng, _PILOT_GROUPS)[2]
        if FEWEST_EFFECTIVE <= effective_share(log_weights) < _GOOD_ENOUGH:
            log_weights = np.concatenate([log_weights, self.draw(rng, _MORE_PILOT_GROUPS)[2]])
        return effective_share(log_weights)


def _rings(rng: np.random.Generator, n: int, n_dim: int) -> FloatArray:
    """Standard normal groups (n, GROUP, P): neighbours, the last and the first too, have the correlation -0.3."""
    independent = rng.standard_normal((n, GROUP, n_dim))
    rings: FloatArray = (3 * independent - np.roll(independent, 1, axis=1)) / np.sqrt(10)
    return rings


def effective_share(log_weights: FloatArray) -> float:
    """Effective share (sum w)^2 / (n sum w^2) of n importance weights w; 0 where all weights are 0.

    Kong (1992), A note on importance sampling using standardized weights.
    """
    largest = log_weights.max()
    if not np.isfinite(largest):
        return 0.0
    weights = np.exp(log_weights - largest)
    return float(weights.sum() ** 2 / (weights.size * np.square(weights).sum()))


def _lower_inverse(B: FloatArray) -> FloatArray:
    """Inverses of lower triangular matrices (..., D, D), row by row; not finite where there is none."""
    B = np.ascontiguousarray(np.moveaxis(B, (-2, -1), (0, 1)))  # the batch last, so that operations vectorise
    inverse = np.zeros(B.shape)
    for i in range(len(B)):
        inverse[i, i] = 1 / B[i, i]
        inverse[i, :i] = -inverse[i, i] * (B[i, :i, np.newaxis] * inverse[:i, :i]).sum(axis=0)
    return np.ascontiguousarray(np.moveaxis(inverse, (0, 1), (-2, -1)))
