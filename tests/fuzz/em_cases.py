"""Arguments of EM: a table, the number of components, the structure, weights, a start and options."""

from dataclasses import dataclass, field

import numpy as np
from fuzz.tables import Recipe, all_recipes, numeric_recipes, usually
from hypothesis import strategies as st

import bayesgmm as bg

STRUCTURES = ("full", "tied", "diag", "spherical")
# Row weights, each a function of a generator and the number of rows.
WEIGHTS = {
    "none": lambda rng, N: None,
    "ones": lambda rng, N: np.ones(N),
    "whole numbers": lambda rng, N: rng.integers(1, 5, N),
    "with zeros": lambda rng, N: rng.integers(0, 3, N).astype(float),
    "fractions": lambda rng, N: rng.random(N) + 0.01,
    "sum 1": lambda rng, N: rng.dirichlet(np.ones(N)),
    "tiny": lambda rng, N: np.full(N, 1e-200),
    "huge": lambda rng, N: np.full(N, 1e90),
    "of many sizes": lambda rng, N: 10.0 ** rng.integers(-8, 9, N),
    "booleans": lambda rng, N: rng.random(N) < 0.7,
    "one row": lambda rng, N: (np.arange(N) == 0).astype(float),
}
WRONG_WEIGHTS = {
    "negative": lambda rng, N: -np.ones(N),
    "NaN": lambda rng, N: np.full(N, np.nan),
    "too few": lambda rng, N: np.ones(max(N - 1, 0)),
    "all zero": lambda rng, N: np.zeros(N),
    "text": lambda rng, N: "distance",
    "beyond 1e100": lambda rng, N: np.full(N, 1e200),
    "a number": lambda rng, N: 1.0,
    "2-D": lambda rng, N: np.ones((N, 2)),
}
ALL_WEIGHTS = WEIGHTS | WRONG_WEIGHTS


def _responsibilities(rng, X, K):
    return rng.dirichlet(np.ones(K), len(X))


def _one_hot(rng, X, K):
    return np.eye(K)[rng.integers(0, K, len(X))]


def _mixture(rng, X, K):
    finite = np.nan_to_num(np.clip(X, -1e99, 1e99))
    spread = finite.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    covariances = np.tile(np.diag(spread**2), (K, 1, 1))
    return bg.MixtureParameters(np.full(K, 1 / K), finite[rng.integers(0, len(X), K)], covariances)


STARTS = {
    "k-means++": lambda rng, X, K: "k-means++",
    "random": lambda rng, X, K: "random",
    "responsibilities": _responsibilities,
    "labels": _one_hot,
    "mixture": _mixture,
}
WRONG_STARTS = {
    "kmeans": lambda rng, X, K: "kmeans",
    "too many components": lambda rng, X, K: _mixture(rng, X, K + 1),
    "responsibilities that do not sum to 1": lambda rng, X, K: np.ones((len(X), K + 1)),
    "NaN": lambda rng, X, K: np.full((len(X), K), np.nan),
    "None": lambda rng, X, K: None,
    "a number": lambda rng, X, K: 3,
}
ALL_STARTS = STARTS | WRONG_STARTS


@dataclass(frozen=True)
class EMCase:
    """One call of `fit_em`; `arguments` are its positional and keyword arguments."""

    table: Recipe = field(default_factory=Recipe)
    K: object = 2
    covariance: object = "full"
    weights: str = "none"
    start: str = "k-means++"
    options: tuple[tuple[str, object], ...] = (("n_init", 5),)
    seed: object = 1

    def sample_weight(self, n_rows):
        return ALL_WEIGHTS[self.weights](np.random.default_rng(self.table.seed), n_rows)

    def build(self):
        """X, the numbers behind it (or None), and the keyword arguments."""
        X, numbers = self.table.build()
        rows = self.table.values() if numbers is None else numbers
        rng, K = np.random.default_rng(self.table.seed + 1), self.K if type(self.K) is int and self.K > 0 else 1
        keywords = {
            "sample_weight": self.sample_weight(len(rows)),
            "start": ALL_STARTS[self.start](rng, rows, min(K, 8)),
            "rng": self.seed,
            **dict(self.options),
        }
        return X, numbers, keywords


def _options(**strategies):
    return st.fixed_dictionaries({}, optional=strategies).map(lambda chosen: tuple(sorted(chosen.items())))


OPTIONS = st.one_of(
    st.sampled_from([(("n_init", 5),), (("n_init", 20),), ()]),
    st.sampled_from([(("n_init", 5),), (("n_init", 3), ("max_iter", 1)), (("n_init", 5), ("tol", 1e-2))]),
    _options(
        n_init=st.integers(1, 10),
        tol=st.sampled_from([1e-300, 1e-9, 1e-3, 1.0, 1e300]),
        max_iter=st.sampled_from([1, 2, 30, 2**31 - 1]),
    ),
)
WRONG_OPTIONS = _options(
    n_init=st.sampled_from([0, -1, 1.5, None, True, "many", 2**40]),
    tol=st.sampled_from([0, -1, np.nan, np.inf, None, "small", 10**400]),
    max_iter=st.sampled_from([0, 2.5, None, 10**400]),
)


def _cases(**changes):
    usual = {
        "table": numeric_recipes,
        "K": st.integers(1, 6),
        "covariance": st.sampled_from(STRUCTURES),
        "weights": usually(st.just("none"), st.sampled_from(list(WEIGHTS)), times=1),
        "start": usually(st.just("k-means++"), st.sampled_from(list(STARTS)), times=1),
        "options": OPTIONS,
        "seed": st.integers(0, 99),
    }
    return st.builds(EMCase, **usual | changes)


em_cases = _cases()
# Each of these has one argument that may be anything.
wild_em_cases = st.one_of(
    _cases(table=all_recipes),
    _cases(table=all_recipes, K=st.integers(1, 2)),
    _cases(K=st.sampled_from([0, -2, 1.0, True, None, "two", np.int64(2), 10**30])),
    _cases(covariance=st.sampled_from(["round", None, 3, ["full"]])),
    _cases(weights=st.sampled_from(list(WRONG_WEIGHTS))),
    _cases(start=st.sampled_from(list(WRONG_STARTS))),
    _cases(options=WRONG_OPTIONS),
    _cases(seed=st.sampled_from([None, -1, 1.5, "seed", True, 2**70])),
)
