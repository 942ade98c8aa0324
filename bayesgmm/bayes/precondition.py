"""Whitening: sample z with theta = centre + scale z, so that the posterior of z is near a standard normal.

theta is the model's unconstrained space. The centre is the mode of the log posterior there, scale scale' the
inverse of its negative Hessian. Where the curvature at the mode does not describe the posterior, the scale is
diagonal and only says how far apart chains start; the sampler then adapts by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

type FloatArray = NDArray[np.float64]
type LogDensity = Callable[[FloatArray], tuple[float, FloatArray]]


def find_mode(log_density: LogDensity, starts: list[FloatArray]) -> FloatArray:
    """The best maximum (P,) of the log density that L-BFGS reaches from the starts."""

    def objective(theta: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = log_density(theta)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return np.inf, np.zeros_like(theta)
        return -value, -gradient

    best: Any = None
    for start in starts:
        options = {"maxiter": 2000, "maxfun": 4000, "maxcor": 30, "ftol": 1e-14, "gtol": 1e-6}
        found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
        if best is None or found.fun < best.fun:
            best = found
    return np.asarray(best.x)


def negative_hessian(log_density: LogDensity, mode: FloatArray, step: float = 1e-5) -> FloatArray:
    """(P, P), by central differences of the exact gradient."""
    P = len(mode)
    hessian = np.empty((P, P))
    for i, direction in enumerate(np.eye(P)):
        ahead, behind = log_density(mode + step * direction)[1], log_density(mode - step * direction)[1]
        hessian[i] = (behind - ahead) / (2 * step)
    return 0.5 * (hessian + hessian.T)


@dataclass(frozen=True, eq=False)
class Whitening:
    """centre (P,), scale (P, P); whether it follows the curvature, and why or why not."""

    centre: FloatArray
    scale: FloatArray
    whitened: bool
    reason: str


# Mean squared distance, a parameter, between the gradient and that of a standard normal, in whitened space, beyond
# which whitening does more harm than good.
_MISFIT = 0.3
_PROBES = 64
# Each parameter needs two gradients for its row of the Hessian, and whitening P^2 products a gradient.
_MOST_PARAMETERS = 2000


def whiten(log_density: LogDensity, mode: FloatArray, rng: np.random.Generator) -> Whitening:
    """Choose centre and scale from the curvature at the mode, or say why it says nothing."""
    P = len(mode)
    if P > _MOST_PARAMETERS:
        return Whitening(mode, np.eye(P), False, f"{P} parameters are too many for a dense whitening")
    hessian = negative_hessian(log_density, mode)
    diagonal = np.diagonal(hessian)
    curved = np.isfinite(diagonal) & (diagonal > 1)
    # No direction is wider than one unit of the unconstrained space, which the priors are scaled to.
    units = 1 / np.sqrt(np.where(curved, diagonal, 1.0))
    apart = np.diag(units)
    if not np.isfinite(hessian).all():
        return Whitening(mode, apart, False, "the log posterior has no finite curvature at its mode")
    eigenvalues, vectors = np.linalg.eigh(hessian * np.outer(units, units))
    if eigenvalues.size and eigenvalues[0] < 1e-6:
        return Whitening(mode, apart, False, "the log posterior is flat at its mode in some direction")
    scale = units[:, np.newaxis] * vectors / np.sqrt(eigenvalues)
    misfit = _misfit(log_density, mode, scale, rng)
    if misfit > _MISFIT:
        return Whitening(
            mode, apart, False, f"the posterior is far from the Gaussian at its mode (misfit {misfit:.2g})"
        )
    return Whitening(mode, scale, True, f"the posterior is near the Gaussian at its mode (misfit {misfit:.2g})")


def _misfit(log_density: LogDensity, mode: FloatArray, scale: FloatArray, rng: np.random.Generator) -> float:
    """Median over draws z of |gradient(z) + z|^2 / P, which is 0 for a Gaussian posterior."""
    misfits = []
    for z in rng.standard_normal((_PROBES, len(mode))):
        value, gradient = log_density(mode + scale @ z)
        misfit = np.square(scale.T @ gradient + z).mean() if np.isfinite(value) else np.inf
        misfits.append(misfit if np.isfinite(misfit) else np.inf)
    return float(np.median(misfits))
