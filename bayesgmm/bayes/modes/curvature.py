"""Maxima of a log posterior, and the curvature there, which gives the whitening theta = mode + scale z.

theta is in the model's unconstrained space. Whitening takes scale scale' = the inverse of the negative Hessian at the
mode, so that z is near a standard normal if the posterior is near a Gaussian. `Curvature.misfit` measures whether it
is; `bayes.sampling` draws the conclusion.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
from scipy.optimize import minimize

from bayesgmm.parallel import on_threads
from bayesgmm.types import FloatArray

# theta (P,) -> log density and its gradient (P,).
type LogDensity = Callable[[FloatArray], tuple[float, FloatArray]]

# L-BFGS: `ftol` and `gtol` end a search when rounding does, `maxcor` is the number of remembered steps.
_SEARCH_OPTIONS = {"maxiter": 2000, "maxfun": 4000, "maxcor": 30, "ftol": 1e-14, "gtol": 1e-6}
# Several starts of one search climb so far; only the highest of them then climbs to the end.
_FIRST_CLIMB = _SEARCH_OPTIONS | {"maxiter": 300, "maxfun": 600, "ftol": 1e-9}
# Step of central differences in unconstrained units, and its limit in units of the posterior's width.
_STEP, _STEP_IN_WIDTHS = 1e-5, 1e-3
# Points at which the misfit is measured.
_N_PROBES = 64
# Above this number of parameters no Hessian is computed: it takes 2 P gradients, and whitening P^2 products for each.
_MOST_PARAMETERS = 2000
# A curvature below 1 is taken as 1: no direction is wider than one unit, to which the priors scale the space.
_SMALLEST_CURVATURE = 1.0
# Smallest eigenvalue of the scaled Hessian; below it the posterior counts as flat.
_FLAT = 1e-6


def find_mode(log_density: LogDensity, starts: list[FloatArray]) -> FloatArray:
    """Return the highest maximum (P,) of the log density that L-BFGS reaches from the starts."""
    return find_maxima(log_density, [starts])[0]


def find_maxima(
    log_density: LogDensity,
    searches: Sequence[list[FloatArray]],
    work: int = 0,
    widths: Callable[[FloatArray], FloatArray] = np.ones_like,
) -> list[FloatArray]:
    """Return for each search the highest maximum (P,) that L-BFGS reaches from its starts.

    Parameters
    ----------
    log_density : must allow calls from several threads if `work` is not 0.
    searches : lists of starts (P,).
    work : multiplications per gradient; searches run on several threads if that pays off.
    widths : approximate posterior width (P,) of each parameter at a start; L-BFGS works in these units.
    """
    is_over = Event()

    def climb(start: FloatArray, options: Mapping[str, float] = _SEARCH_OPTIONS) -> tuple[float, FloatArray]:
        unit = widths(start)

        def objective(z: FloatArray) -> tuple[float, FloatArray]:
            if is_over.is_set():
                raise InterruptedError
            value, gradient = log_density(start + unit * z)
            if not (np.isfinite(value) and np.isfinite(gradient).all()):
                return np.inf, np.zeros_like(z)
            return -value, -unit * gradient

        with np.errstate(over="ignore", invalid="ignore"):  # in this thread: the caller's setting does not reach it
            end: Any = minimize(objective, np.zeros_like(start), jac=True, method="L-BFGS-B", options=dict(options))
        return -float(end.fun), start + unit * end.x

    try:
        several = [start for starts in searches if len(starts) > 1 for start in starts]
        ends = on_threads(lambda start: climb(start, _FIRST_CLIMB), several, work)
        highest = [
            starts[0] if len(starts) == 1 else max([next(ends) for _ in starts], key=lambda end: end[0])[1]
            for starts in searches
        ]
        return [end for _, end in on_threads(climb, highest, work)]
    finally:
        is_over.set()  # after an interruption, the climbs of other threads end at their next step


def negative_hessian(
    log_density: LogDensity, mode: FloatArray, steps: FloatArray | float = _STEP, work: int = 0
) -> FloatArray:
    """Return the negative Hessian (P, P) at the mode, by central differences of the exact gradient.

    steps (P,), or one for all, are in unconstrained units; work as in `find_maxima`.
    """

    def row(move: FloatArray) -> FloatArray:
        ahead, behind = log_density(mode + move)[1], log_density(mode - move)[1]
        return np.asarray((behind - ahead) / (2 * move.sum()))

    moves = list(np.diag(np.broadcast_to(steps, len(mode))))
    hessian: FloatArray = np.array(list(on_threads(row, moves, work))).reshape(len(mode), len(mode))
    return 0.5 * (hessian + hessian.T)


@dataclass(frozen=True, eq=False)
class Curvature:
    """The mode and the curvature of the log posterior there.

    mode (P,); units (P,): approximate width of each parameter, the others fixed; whitening (P, P), or None if there is
    none, for the reason in `flaw`; misfit: median over 64 points of the mean squared difference between the gradient in
    whitened space and that of a standard normal, 0 for a Gaussian posterior and infinite without a whitening.
    """

    mode: FloatArray
    units: FloatArray
    whitening: FloatArray | None
    misfit: float
    flaw: str = ""


def curvature_at(
    log_density: LogDensity,
    mode: FloatArray,
    rng: np.random.Generator,
    work: int = 0,
    widths: Callable[[FloatArray], FloatArray] = np.ones_like,
) -> Curvature:
    """Return widths and whitening from the negative Hessian at the mode, and how well they describe the posterior.

    work and widths as in `find_maxima`.
    """
    P = len(mode)
    if P > _MOST_PARAMETERS:
        return Curvature(mode, np.ones(P), None, np.inf, f"{P} parameters are too many for a dense whitening")
    steps = np.minimum(_STEP, _STEP_IN_WIDTHS * widths(mode))
    hessian = negative_hessian(log_density, mode, steps, work)
    diagonal = np.diagonal(hessian)
    is_curved = np.isfinite(diagonal) & (diagonal > _SMALLEST_CURVATURE)
    units = 1 / np.sqrt(np.where(is_curved, diagonal, _SMALLEST_CURVATURE))
    if not np.isfinite(hessian).all():
        return Curvature(mode, units, None, np.inf, "the log posterior has no finite curvature at its mode")
    eigenvalues, vectors = np.linalg.eigh(hessian * np.outer(units, units))
    if eigenvalues.size and eigenvalues[0] < _FLAT:
        return Curvature(mode, units, None, np.inf, "the log posterior is flat at its mode in some direction")
    whitening = units[:, np.newaxis] * vectors / np.sqrt(eigenvalues)
    return Curvature(mode, units, whitening, _misfit(log_density, mode, whitening, rng))


def _misfit(log_density: LogDensity, mode: FloatArray, scale: FloatArray, rng: np.random.Generator) -> float:
    """Return the median over standard normal z of |gradient(z) + z|^2 / P, which is 0 for a Gaussian posterior."""
    misfits = []
    for z in rng.standard_normal((_N_PROBES, len(mode))):
        value, gradient = log_density(mode + scale @ z)
        misfit = np.square(scale.T @ gradient + z).mean() if np.isfinite(value) else np.inf
        misfits.append(misfit if np.isfinite(misfit) else np.inf)
    return float(np.median(misfits))
