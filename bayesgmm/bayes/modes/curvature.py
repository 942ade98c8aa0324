"""Mode and curvature of a log posterior, from which theta = mode + scale z makes it near a standard normal in z.

theta is the model's unconstrained space. Whitening takes scale scale' = the inverse of the negative Hessian at the
mode. Whether that describes the posterior is measured here; what follows from it is for `choose.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
from scipy.optimize import minimize

from bayesgmm.parallel import on_threads
from bayesgmm.types import FloatArray

type LogDensity = Callable[[FloatArray], tuple[float, FloatArray]]


def find_mode(log_density: LogDensity, starts: list[FloatArray]) -> FloatArray:
    """The best maximum (P,) of the log density that L-BFGS reaches from the starts."""
    return find_each(log_density, [starts])[0]


def find_each(
    log_density: LogDensity,
    searches: Sequence[list[FloatArray]],
    work: int = 0,
    widths: Callable[[FloatArray], FloatArray] = np.ones_like,
) -> list[FloatArray]:
    """The best maximum (P,) that each search, from some starts, leads to.

    work: multiplications of one gradient, of a density that several threads may ask for gradients; widths: of each
    parameter (P,), about, at a start. L-BFGS moves in units of them.
    """
    ended = Event()

    def climb(start: FloatArray) -> tuple[float, FloatArray]:
        unit = widths(start)

        def objective(z: FloatArray) -> tuple[float, FloatArray]:
            if ended.is_set():
                raise InterruptedError
            value, gradient = log_density(start + unit * z)
            if not (np.isfinite(value) and np.isfinite(gradient).all()):
                return np.inf, np.zeros_like(z)
            return -value, -unit * gradient

        options = {"maxiter": 2000, "maxfun": 4000, "maxcor": 30, "ftol": 1e-14, "gtol": 1e-6}
        with np.errstate(over="ignore", invalid="ignore"):  # what is set elsewhere does not hold in another thread
            end: Any = minimize(objective, np.zeros_like(start), jac=True, method="L-BFGS-B", options=options)
        return -float(end.fun), start + unit * end.x

    try:
        ends = on_threads(climb, [start for starts in searches for start in starts], work)
        return [max([next(ends) for _ in starts], key=lambda end: end[0])[1] for starts in searches]
    finally:
        ended.set()  # whoever interrupts this does not wait for the climbs of other threads


def negative_hessian(log_density: LogDensity, mode: FloatArray, step: float = 1e-5, work: int = 0) -> FloatArray:
    """(P, P), by central differences of the exact gradient; work as in `find_each`."""

    def row(direction: FloatArray) -> FloatArray:
        ahead, behind = log_density(mode + step * direction)[1], log_density(mode - step * direction)[1]
        return np.asarray((behind - ahead) / (2 * step))

    hessian: FloatArray = np.array(list(on_threads(row, list(np.eye(len(mode))), work))).reshape(len(mode), len(mode))
    return 0.5 * (hessian + hessian.T)


@dataclass(frozen=True, eq=False)
class Curvature:
    """What the surroundings of the mode say.

    mode (P,); units (P,): a width of each parameter; whitening (P, P), or None where there is none, for the reason
    in `flaw`; misfit: mean squared distance, a parameter, between the gradient and that of a standard normal in
    whitened space. It is 0 for a Gaussian posterior.
    """

    mode: FloatArray
    units: FloatArray
    whitening: FloatArray | None
    misfit: float
    flaw: str = ""


_PROBES = 64
# Each parameter needs two gradients for its row of the Hessian, and whitening P^2 products a gradient.
_MOST_PARAMETERS = 2000


def curvature_at(log_density: LogDensity, mode: FloatArray, rng: np.random.Generator, work: int = 0) -> Curvature:
    """Widths and whitening from the negative Hessian at the mode, and how well it describes the posterior.

    work as in `find_each`.
    """
    P = len(mode)
    if P > _MOST_PARAMETERS:
        return Curvature(mode, np.ones(P), None, np.inf, f"{P} parameters are too many for a dense whitening")
    hessian = negative_hessian(log_density, mode, work=work)
    diagonal = np.diagonal(hessian)
    curved = np.isfinite(diagonal) & (diagonal > 1)
    # No direction is wider than one unit of the unconstrained space, which the priors are scaled to.
    units = 1 / np.sqrt(np.where(curved, diagonal, 1.0))
    if not np.isfinite(hessian).all():
        return Curvature(mode, units, None, np.inf, "the log posterior has no finite curvature at its mode")
    eigenvalues, vectors = np.linalg.eigh(hessian * np.outer(units, units))
    if eigenvalues.size and eigenvalues[0] < 1e-6:
        return Curvature(mode, units, None, np.inf, "the log posterior is flat at its mode in some direction")
    whitening = units[:, np.newaxis] * vectors / np.sqrt(eigenvalues)
    return Curvature(mode, units, whitening, _misfit(log_density, mode, whitening, rng))


def _misfit(log_density: LogDensity, mode: FloatArray, scale: FloatArray, rng: np.random.Generator) -> float:
    """Median over draws z of |gradient(z) + z|^2 / P, which is 0 for a Gaussian posterior."""
    misfits = []
    for z in rng.standard_normal((_PROBES, len(mode))):
        value, gradient = log_density(mode + scale @ z)
        misfit = np.square(scale.T @ gradient + z).mean() if np.isfinite(value) else np.inf
        misfits.append(misfit if np.isfinite(misfit) else np.inf)
    return float(np.median(misfits))
