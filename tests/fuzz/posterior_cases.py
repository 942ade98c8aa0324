"""Posteriors whose draws are made here, ordinary and awkward, with rows and a fit that go with them."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import xarray as xr
from fuzz.tables import usually
from helpers.posteriors import em_claiming, permuted, posterior_of, similar_draws
from hypothesis import strategies as st

import bayesgmm as bg
from bayesgmm.errors import BayesgmmError


def _constant(draws):
    return tuple(np.repeat(array[:1], len(array), axis=0) for array in draws)


def _chains_apart(draws):
    weights, means, covariances = draws
    means = means.copy()
    means[len(means) // 2 :] += 50
    return weights, means, covariances


def _with_nan(draws):
    means = draws[1].copy()
    means[len(means) // 2 :] = np.nan
    return draws[0], means, draws[2]


def _with_singular(draws):
    covariances = draws[2].copy()
    covariances[-1, 0] = 0
    return draws[0], draws[1], covariances


def _empty_component(draws):
    weights = draws[0].copy()
    weights[:, -1] = 1e-12
    return weights / weights.sum(axis=1, keepdims=True), draws[1], draws[2]


def _equal_components(draws):
    return draws[0], np.repeat(draws[1][:, :1], draws[1].shape[1], axis=1), draws[2]


DRAWS = {
    "similar": lambda draws: draws,
    "constant": _constant,
    "chains apart": _chains_apart,
    "NaN": _with_nan,
    "singular covariance": _with_singular,
    "empty component": _empty_component,
    "equal components": _equal_components,
    "labels switched": lambda draws: permuted(draws, np.random.default_rng(0)),
}


def _without(*groups):
    def lose(tree):
        kept = {name: node.to_dataset() for name, node in tree.children.items() if name not in groups}
        result = xr.DataTree.from_dict(kept)
        result.attrs |= tree.attrs
        return result

    return lose


def _features_reversed(tree):
    for group in ("posterior", "observed_data"):
        data = tree[group].to_dataset()
        tree[group] = data.isel({name: slice(None, None, -1) for name in data.dims if "feature" in str(name)})
    return tree


def _not_aligned(tree):
    tree.attrs["aligned"] = 0
    return tree


TREES = {
    "whole": lambda tree: tree,
    "without rows": _without("observed_data"),
    "without statistics": _without("sample_stats"),
    "draws alone": _without("sample_stats", "observed_data"),
    "without draws": _without("posterior"),
    "features reversed": _features_reversed,
    "not aligned": _not_aligned,
}
# Draws that no result may be trusted of.
UNUSABLE = ("NaN", "singular covariance")


@dataclass(frozen=True)
class PosteriorCase:
    """S draws of mixtures of K components of D features, in units of 10**exponent."""

    K: int = 2
    D: int = 1
    n_draws: int = 20
    chains: int = 2
    seed: int = 0
    draws: str = "similar"
    tree: str = "whole"
    exponent: int = 0
    n_rows: int = 20

    def build(self):
        """A posterior, a fit and rows (N, D), all in the same units."""
        rng, scale = np.random.default_rng(self.seed), 10.0**self.exponent
        weights, means, covariances = similar_draws(self.n_draws * self.chains, self.K, self.D, rng)
        center = bg.MixtureParameters(
            weights.mean(axis=0), scale * means.mean(axis=0), scale**2 * covariances.mean(axis=0)
        )
        X = center.sample(self.n_rows, rng=self.seed)[0]
        draws = DRAWS[self.draws]((weights, scale * means, scale**2 * covariances))
        with np.errstate(all="ignore"):
            tree = posterior_of(*draws, X, chains=self.chains)
        tree["sample_stats"] = (
            tree["sample_stats"]
            .to_dataset()
            .assign(log_prior=(("chain", "draw"), rng.standard_normal((self.chains, self.n_draws))))
        )
        return TREES[self.tree](tree), center, X


posterior_cases = st.builds(
    PosteriorCase,
    K=st.integers(1, 4),
    D=st.integers(1, 3),
    n_draws=usually(st.integers(7, 60), st.integers(1, 6)),
    chains=st.integers(1, 4),
    seed=st.integers(0, 999),
    draws=usually(st.just("similar"), st.sampled_from(list(DRAWS)), times=1),
    tree=usually(st.just("whole"), st.sampled_from(list(TREES)), times=1),
    exponent=usually(st.integers(-6, 6), st.integers(-60, 60)),
    n_rows=st.integers(15, 40),
)


def fit_near(X, center):
    """A fit of these rows with the components of `center`; a claimed one where EM has none."""
    try:
        return bg.fit_em(X, center.n_components, start=center, max_iter=1)
    except BayesgmmError:
        return em_claiming(center, X)


@lru_cache(maxsize=1)
def ordinary():
    """A posterior, a fit and rows in which nothing is wrong."""
    posterior, center, X = PosteriorCase(K=2, D=2, n_draws=60, n_rows=40).build()
    return posterior, fit_near(X, center), X
