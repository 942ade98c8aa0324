"""Slice sampling of standard deviations and partial correlations given the rows' allocations, compiled.

Each number is drawn in turn from its full conditional distribution (Neal 2003, section 4, doi:10.1214/aos/1056562461:
stepping out, then shrinkage). The conditional densities depend on the rows through the scatter of the component only.
The priors' formulas are those of `bayes.model.transforms`.
"""

from typing import Any, NamedTuple

import numpy as np

from bayesgmm.bayes.model.std_priors import FIXED, LOG_SCALE
from bayesgmm.bayes.model.transforms import log_logistic, log_scale_prior, log_std_at
from bayesgmm.kernel.jit import inner
from bayesgmm.types import FloatArray

# Most steps by which an interval is widened, and most times that it is narrowed.
_MOST_STEPS, _MOST_CUTS = 100, 200
# First width of the interval, relative to 1 / sqrt(rows), for log standard deviations and for the vine's logits.
# Another width would change the number of evaluations, not the distribution.
_STD_WIDTH, _VINE_WIDTH = 2.0, 6.0


class Vine(NamedTuple):
    """One correlation matrix during its draws, and what depends on it.

    factor, residual (D, D): see `fill_vine_choleskys`; scatter (D, D), both triangles: Z = sum y y' of rows whitened by
    the factor; inverse (D, D): G = factor^-1; w, product, move (D,): scratch.
    """

    factor: FloatArray
    residual: FloatArray
    scatter: FloatArray
    inverse: FloatArray
    w: FloatArray
    product: FloatArray
    move: FloatArray


@inner()
def log_conditional_of_std(
    t: float, n: float, squares: float, products: float, current: float, kind: int, std_table: FloatArray, d: int
) -> float:
    """Return the log conditional density of the unconstrained standard deviation t, up to a constant.

    At log sd = current + u the density of the n rows is exp(-n u - squares e^-2u / 2 - products e^-u).
    """
    log_std = log_std_at(t, kind, std_table, d)
    narrowing = np.exp(current - log_std)
    value = -n * (log_std - current) - narrowing * (0.5 * squares * narrowing + products)
    if kind == LOG_SCALE:
        u = t - std_table[0, d]
        polynomial, powers = log_scale_prior(u, np.exp(u), np.exp(-u), std_table, d)
        return value + polynomial + powers
    return value + log_logistic(t)


@inner()
def log_conditional_of_vine(t: float, n: float, b: float, current: FloatArray, forms: FloatArray) -> float:
    """Return the log conditional density of the logit t of a partial correlation, up to a constant.

    With p = tanh(t / 2), q = sqrt(1 - p^2) and their changes dp, dq from p0, q0 = current, a component's row of the
    correlations' Cholesky factor F moves by dp v + dq w, its diagonal entry by the factor c = q / q0, and with
    g = F^-1 e_i and Z = sum y y' of the rows whitened by F (Sherman and Morrison's formula)

        trace = trace0 - 2 g'Z(dp v + dq w) / c + g'g (dp v + dq w)'Z(dp v + dq w) / c^2.

    forms (5,): g'Zv, g'Zw, g'g v'Zv, g'g v'Zw, g'g w'Zw. The prior is Beta(b, b).
    """
    small = np.exp(-abs(t))
    p, q = (1.0 - small) / (1.0 + small), 2.0 * np.sqrt(small) / (1.0 + small)
    dp, dq = (p if t >= 0.0 else -p) - current[0], q - current[1]
    inverse = current[1] / q
    linear = dp * forms[0] + dq * forms[1]
    square = dp * dp * forms[2] + 2.0 * dp * dq * forms[3] + dq * dq * forms[4]
    return (b - 0.5 * n) * log_logistic(t) + inverse * (linear - 0.5 * inverse * square)


@inner()
def log_conditional(
    t: float, of_vine: bool, n: float, arguments: FloatArray, kind: int, std_table: FloatArray, d: int
) -> float:
    """Return the log conditional density of a vine's logit or of a standard deviation.

    arguments: b, p0, q0 and the five forms of a logit; or squares, products and current log sd.
    """
    if of_vine:
        return log_conditional_of_vine(t, n, arguments[0], arguments[1:3], arguments[3:8])
    return log_conditional_of_std(t, n, arguments[0], arguments[1], arguments[2], kind, std_table, d)


@inner()
def draw_by_slice(
    rng: np.random.Generator,
    t: float,
    width: float,
    of_vine: bool,
    n: float,
    arguments: FloatArray,
    kind: int,
    std_table: FloatArray,
    d: int,
) -> float:
    """Return the next t: widen an interval around t step by step, then narrow it until a point lies in the slice."""
    level = log_conditional(t, of_vine, n, arguments, kind, std_table, d) - rng.standard_exponential()
    left = t - width * rng.random()
    right = left + width
    steps = int(rng.random() * _MOST_STEPS)
    for _ in range(steps):
        if not log_conditional(left, of_vine, n, arguments, kind, std_table, d) > level:
            break
        left -= width
    for _ in range(_MOST_STEPS - 1 - steps):
        if not log_conditional(right, of_vine, n, arguments, kind, std_table, d) > level:
            break
        right += width
    for _ in range(_MOST_CUTS):
        new = left + rng.random() * (right - left)
        if log_conditional(new, of_vine, n, arguments, kind, std_table, d) > level:
            return new
        if new < t:
            left = new
        else:
            right = new
    return t  # the interval has shrunk to t itself


@inner()
def draw_shared_std(
    rng: np.random.Generator,
    stds: FloatArray,
    n: float,
    T: FloatArray,
    log_std: float,
    kind: int,
    std_table: FloatArray,
    arguments: FloatArray,
) -> None:
    """Draw the one unconstrained standard deviation, in stds (1,), that the features of a component share.

    n: rows times features; T (D, D): their scatter in units of exp(log_std), of which the diagonal counts.
    """
    squares = 0.0
    for d in range(T.shape[0]):
        squares += T[d, d]
    arguments[0], arguments[1], arguments[2] = squares, 0.0, log_std
    width = _STD_WIDTH / np.sqrt(n + 1.0)
    if kind != FIXED:
        stds[0] = draw_by_slice(rng, stds[0], width, False, n, arguments, kind, std_table, 0)


@inner()
def draw_stds(
    rng: np.random.Generator,
    stds: FloatArray,
    n: float,
    log_stds: FloatArray,
    kind: int,
    std_table: FloatArray,
    workspace: Any,
) -> None:
    """Draw one component's unconstrained standard deviations stds (D,) in turn, unless they are fixed.

    The workspace's scatter (D, D) is in units of exp(log_stds) and is kept up to date with them; its precision is the
    inverse of the correlations.
    """
    if kind == FIXED:
        return
    scatter, precision, arguments = workspace.scatter, workspace.precision, workspace.arguments
    D = stds.size
    for d in range(D):
        products = 0.0
        for m in range(D):
            if m != d:
                products += precision[d, m] * scatter[d, m]
        arguments[0], arguments[1], arguments[2] = precision[d, d] * scatter[d, d], products, log_stds[d]
        width = _STD_WIDTH / np.sqrt(n + 1.0)
        stds[d] = draw_by_slice(rng, stds[d], width, False, n, arguments, kind, std_table, d)
        log_std = log_std_at(stds[d], kind, std_table, d)
        narrowing = np.exp(log_stds[d] - log_std)
        log_stds[d] = log_std
        for m in range(D):
            scatter[d, m] *= narrowing
            scatter[m, d] *= narrowing


@inner()
def draw_correlations(
    rng: np.random.Generator, theta: FloatArray, n: float, eta: float, k: int, workspace: Any
) -> None:
    """Draw the vine's logits theta (pairs,) of component k; fill the workspace's scatter and precision for `draw_stds`.

    scatter: of rows minus their mean, in units of the standard deviations; precision: inverse of the new correlations.
    """
    D = workspace.scatter.shape[0]
    T, factor, inverse, precision = workspace.second[k], workspace.factors[k], workspace.inverse, workspace.precision
    _fill_scatter(factor, T, inverse, workspace.scatter)
    for i in range(D):
        for j in range(i + 1):
            inverse[i, j] = workspace.whiteners[k, i, j] * np.exp(workspace.log_stds[k, j])
            inverse[j, i] = inverse[i, j] if i == j else 0.0
            T[j, i] = T[i, j]
    vectors = workspace.vectors
    vine = Vine(factor, workspace.residual[k], T, inverse, vectors[0], vectors[1], vectors[2])
    _draw_vine(rng, theta, n, eta, vine, workspace.arguments)
    for i in range(D):
        for j in range(D):
            precision[i, j] = 0.0
            for m in range(max(i, j), D):
                precision[i, j] += inverse[m, i] * inverse[m, j]


@inner()
def _fill_scatter(factor: FloatArray, T: FloatArray, products: FloatArray, scatter: FloatArray) -> None:
    """Fill scatter = F T F' (D, D), both triangles, from the lower triangle of T; products (D, D) is scratch."""
    D = factor.shape[0]
    for i in range(D):
        for j in range(D):
            products[i, j] = 0.0
            for m in range(i + 1):
                products[i, j] += factor[i, m] * (T[m, j] if m >= j else T[j, m])
    for i in range(D):
        for j in range(i + 1):
            scatter[i, j] = 0.0
            for m in range(j + 1):
                scatter[i, j] += products[i, m] * factor[j, m]
            scatter[j, i] = scatter[i, j]


@inner()
def _draw_vine(
    rng: np.random.Generator, theta: FloatArray, n: float, eta: float, vine: Vine, arguments: FloatArray
) -> None:
    """Draw the logits theta (pairs,) of one correlation matrix in turn; the vine is kept up to date."""
    D = vine.factor.shape[0]
    unused_table = vine.inverse  # `draw_by_slice` takes a table, which it reads for standard deviations only
    for i in range(1, D):
        for j in range(i):
            index = i * (i - 1) // 2 + j
            t, b = theta[index], eta + 0.5 * (D - 2 - j)
            p, q = np.tanh(0.5 * t), 1.0 / np.cosh(0.5 * t)
            arguments[0], arguments[1], arguments[2] = b, p, q
            norm = _fill_forms(vine, i, j, q, arguments)
            width = _VINE_WIDTH / np.sqrt(n + 2.0 * b)
            new = draw_by_slice(rng, t, width, True, n, arguments, FIXED, unused_table, 0)
            theta[index] = new
            dp, dq = np.tanh(0.5 * new) - p, 1.0 / np.cosh(0.5 * new) - q
            for m in range(j, i + 1):
                vine.move[m] = (dp * vine.residual[i, j] if m == j else 0.0) + dq * vine.w[m]
            _move_row(vine, i, j, 1.0 + dq / q, norm)


@inner()
def _fill_forms(vine: Vine, i: int, j: int, q: float, arguments: FloatArray) -> float:
    """Fill arguments[3:], the forms of `log_conditional_of_vine` for entry (i, j), and w; return g'g."""
    D = vine.factor.shape[0]
    G, Z, w, Zg = vine.inverse, vine.scatter, vine.w, vine.product
    norm = 0.0
    for m in range(i, D):
        norm += G[m, i] * G[m, i]
    v, wZw, vZw, gZw = vine.residual[i, j], 0.0, 0.0, 0.0
    for m in range(j, i + 1):
        w[m] = vine.factor[i, m] / q if m > j else 0.0
        Zg[m] = 0.0
        for a in range(i, D):
            Zg[m] += Z[m, a] * G[a, i]
    for m in range(j + 1, i + 1):
        gZw += w[m] * Zg[m]
        vZw += v * Z[j, m] * w[m]
        for a in range(j + 1, i + 1):
            wZw += w[m] * Z[m, a] * w[a]
    arguments[3], arguments[4] = v * Zg[j], gZw
    arguments[5], arguments[6], arguments[7] = norm * v * Z[j, j] * v, norm * vZw, norm * wZw
    return norm


@inner()
def _move_row(vine: Vine, i: int, j: int, ratio: float, norm: float) -> None:
    """Add `move`, whose entries outside j..i are 0, to row i of the factor, and update all that depends on it.

    ratio: of the new diagonal entry to the old one; norm: g'g of `log_conditional_of_vine`.
    """
    Z, G, move, h, Zm = vine.scatter, vine.inverse, vine.move, vine.w, vine.product
    D = Z.shape[0]
    mZm = 0.0
    for a in range(D):
        Zm[a] = 0.0
        for m in range(j, i + 1):
            Zm[a] += Z[a, m] * move[m]
    for m in range(j, i + 1):
        mZm += move[m] * Zm[m]
        vine.factor[i, m] += move[m]
        if m > j:
            vine.residual[i, m] *= ratio
    for a in range(i + 1):
        h[a] = 0.0
        for m in range(max(a, j), i + 1):
            h[a] += move[m] * G[m, a]
    for a in range(D):
        for c in range(D):
            g_a, g_c = G[a, i] if a >= i else 0.0, G[c, i] if c >= i else 0.0
            Z[a, c] += (g_a * g_c * mZm / ratio - g_a * Zm[c] - Zm[a] * g_c) / ratio
    for a in range(D - 1, i - 1, -1):
        g_a = G[a, i] / ratio
        for c in range(i + 1):
            G[a, c] -= g_a * h[c]
