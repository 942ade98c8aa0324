"""Relations between two answers: the rows or columns in another order, in other units, or counted in another way.

The start is given as responsibilities, so that both fits begin at the same point. Plain EM (`em_path`) is followed for
a few steps, where both must agree step by step. A maximum of `fit_em` is carried over to the other table, where a fit
from it must stay at the same log-likelihood: a search from drawn starts may end at another maximum.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from fuzz.em_cases import STRUCTURES
from fuzz.properties import Refused, ask
from fuzz.runner import door
from fuzz.tables import Recipe, numeric_recipes, plain_recipes
from hypothesis import strategies as st

import bayesgmm as bg

STEPS = 15
# Largest difference of two log-likelihoods that agree, per row and per nat.
SAME = 1e-7


@dataclass(frozen=True)
class Pair:
    """A table and a start, for two fits that must agree."""

    table: Recipe
    K: int
    covariance: str
    seed: int

    def build(self):
        """X (N, D), responsibilities (N, K) of the start, and a generator."""
        rng = np.random.default_rng(self.seed)
        X = self.table.build().numbers
        return X, rng.dirichlet(np.full(self.K, 0.3), len(X)), rng


pairs = st.builds(
    Pair,
    table=st.one_of(plain_recipes, numeric_recipes),
    K=st.integers(1, 4),
    covariance=st.sampled_from(STRUCTURES),
    seed=st.integers(0, 999),
)


def path(X, case, start, **keywords):
    return bg.em_path(X, case.K, case.covariance, start=start, max_iter=STEPS, tol=1e-300, **keywords)


def check_same_histories(one, other, n_rows, sensitivity=1.0):
    """sensitivity: the condition of the map between the two; rounding grows with it at every step."""
    length = min(len(one), len(other))
    tolerance = SAME * (np.abs(one[:length]) + n_rows) * sensitivity
    difference = np.abs(one[:length] - other[:length])
    assert (difference <= tolerance).all(), f"EM differs by {difference}: {one[:length]} and {other[:length]}"


def check_stays(em, X, carried, expected, **keywords):
    """A fit from a maximum that was carried over to X stays at the expected log-likelihood."""
    climbed = bg.fit_em(X, em.parameters.n_components, em.covariance, start=carried, **keywords)
    tolerance = 1e-3 + SAME * (abs(expected) + em.n_samples)
    # A maximum of a flat likelihood lets EM climb a little further; falling is never right.
    assert climbed.log_likelihood >= expected - tolerance, f"{climbed.log_likelihood} is below {expected}"
    assert climbed.log_likelihood <= expected + 1e-2 + tolerance, f"{climbed.log_likelihood} is above {expected}"


def _well_conditioned(X):
    spread = X.std(axis=0)
    if not (spread > 1e-6 * np.abs(X).max(axis=0)).all():
        raise Refused("no spread to speak of")
    return spread


def _map(covariance, rng, D):
    """An invertible linear map that keeps the structure, and its determinant's logarithm."""
    turn = np.linalg.qr(rng.standard_normal((D, D)))[0]
    scales = 10.0 ** rng.uniform(-2, 2, D)
    if covariance in ("full", "tied"):
        A = turn * scales
    elif covariance == "diag":
        A = np.diag(scales)
    else:
        A = turn * scales[0]
    return A, float(np.linalg.slogdet(A)[1])


@door("affine maps", 400, pairs)
def affine(case):
    X, start, rng = case.build()
    X = (X - X.mean(axis=0)) / _well_conditioned(X)
    A, log_det = _map(case.covariance, rng, X.shape[1])
    mapped = X @ A.T + rng.standard_normal(len(A))
    condition = np.linalg.cond(np.cov(X, rowvar=False).reshape(len(A), -1)) * np.linalg.cond(A)
    if not condition < 1e10:
        raise Refused("nearly collinear")  # the map rounds away what is left of some direction
    one = ask(lambda: path(X, case, start))
    other = path(mapped, case, start)
    check_same_histories(one.history, other.history + len(X) * log_det, len(X), max(1.0, condition / 1e6))
    em = ask(lambda: bg.fit_em(X, case.K, case.covariance, n_init=5, rng=1))
    p = em.parameters
    covariances = A @ p.covariances @ A.T
    shift = mapped[0] - A @ X[0]
    carried = bg.MixtureParameters(p.weights, p.means @ A.T + shift, 0.5 * (covariances + covariances.swapaxes(1, 2)))
    if condition < 1e6:
        check_stays(em, mapped, carried, em.log_likelihood - len(X) * log_det)


@door("rows in another order", 300, pairs)
def row_order(case):
    X, start, rng = case.build()
    order = rng.permutation(len(X))
    one = ask(lambda: path(X, case, start))
    check_same_histories(one.history, path(X[order], case, start[order]).history, len(X))
    em = ask(lambda: bg.fit_em(X, case.K, case.covariance, n_init=5, rng=1))
    check_stays(em, X[order], em.parameters, em.log_likelihood)


@door("columns in another order", 300, pairs)
def column_order(case):
    X, start, rng = case.build()
    names = [f"c{d}" for d in range(X.shape[1])]
    frame, order = pd.DataFrame(X, columns=names), rng.permutation(X.shape[1])
    one = ask(lambda: path(frame, case, start))
    other = path(frame.iloc[:, order], case, start)
    check_same_histories(one.history, other.history, len(X))
    em = ask(lambda: bg.fit_em(frame, case.K, case.covariance, n_init=5, rng=1))
    carried = em.parameters.marginal([names[d] for d in order])
    check_stays(em, frame.iloc[:, order], carried, em.log_likelihood)


@door("repeated rows = weights", 400, pairs)
def repeated_rows(case):
    X, start, rng = case.build()
    weights = rng.integers(1, 6, len(X))
    repeated, their_start = np.repeat(X, weights, axis=0), np.repeat(start, weights, axis=0)
    one = ask(lambda: path(X, case, start, sample_weight=weights))
    other = path(repeated, case, their_start)
    check_same_histories(one.history, other.history, weights.sum())
    assert one.status == other.status, f"weights: {one.status}; repeated rows: {other.status}"
    em = ask(lambda: bg.fit_em(X, case.K, case.covariance, n_init=5, rng=1, sample_weight=weights))
    check_stays(em, repeated, em.parameters, em.log_likelihood)


@door("weight 0 = no row", 300, pairs)
def weight_zero(case):
    X, start, rng = case.build()
    weights = (rng.random(len(X)) < 0.8).astype(float)
    kept = weights > 0
    one = ask(lambda: path(X, case, start, sample_weight=weights))
    other = path(X[kept], case, start[kept])
    check_same_histories(one.history, other.history, kept.sum())
    assert one.status == other.status, f"weights: {one.status}; without the rows: {other.status}"
    em = ask(lambda: bg.fit_em(X, case.K, case.covariance, n_init=5, rng=1, sample_weight=weights))
    check_stays(em, X[kept], em.parameters, em.log_likelihood)


@door("float32 = float64", 200, pairs)
def single_precision(case):
    X, start, _ = case.build()
    with np.errstate(over="ignore", under="ignore"):
        single = X.astype(np.float32)
    one = ask(lambda: path(single, case, start))
    other = path(single.astype(float), case, start)
    # Products of float32 rows are rounded to 2**-24 of the largest of them.
    difference = abs(one.history[0] - other.history[0])
    assert difference <= 1e-4 * (abs(other.history[0]) + len(X)), f"{one.history[0]} and {other.history[0]}"


@door("frame = array", 200, pairs)
def frame_as_array(case):
    X, _, _ = case.build()
    frame = pd.DataFrame(X, index=[f"r{i}" for i in range(len(X))])
    em = ask(lambda: bg.fit_em(X, case.K, case.covariance, n_init=5, rng=3))
    other = bg.fit_em(frame, case.K, case.covariance, n_init=5, rng=3)
    np.testing.assert_array_equal(em.parameters.means, other.parameters.means)
    assert em.log_likelihood == other.log_likelihood
