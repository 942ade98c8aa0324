"""`MixtureParameters`, its methods, and values that are made of numbers alone."""

from dataclasses import dataclass, fields, replace

import numpy as np
from fuzz import oracles
from fuzz.properties import ask, check_close, check_finite, check_mixture, check_probabilities
from fuzz.runner import door
from fuzz.tables import all_recipes, numeric_recipes, usually
from hypothesis import strategies as st

import bayesgmm as bg

# What is done to the arrays of a valid mixture.
SPOILED = {
    "nothing": lambda w, m, c: (w, m, c),
    "float32": lambda w, m, c: (w.astype(np.float32), m.astype(np.float32), c.astype(np.float32)),
    "lists": lambda w, m, c: (w.tolist(), m.tolist(), c.tolist()),
    "NaN mean": lambda w, m, c: (w, m * np.nan, c),
    "infinite covariance": lambda w, m, c: (w, m, c * np.inf),
    "zero covariance": lambda w, m, c: (w, m, c * 0),
    "negative covariance": lambda w, m, c: (w, m, -c),
    "not symmetric": lambda w, m, c: (w, m, c + np.triu(np.ones_like(c), 1) * c.max()),
    "singular": lambda w, m, c: (w, m, np.ones_like(c)),
    "weights of sum 2": lambda w, m, c: (2 * w, m, c),
    "negative weight": lambda w, m, c: (np.r_[-0.5, w[1:], 1.5 - w[1:].sum()], np.r_[m, m[:1]], np.r_[c, c[:1]]),
    "weight of 0": lambda w, m, c: (np.r_[0.0, w], np.r_[m, m[:1]], np.r_[c, c[:1]]),
    "too few weights": lambda w, m, c: (w[:-1], m, c),
    "means 1-D": lambda w, m, c: (w, m[0], c),
    "covariances 2-D": lambda w, m, c: (w, m, c[0]),
    "text": lambda w, m, c: ("w", "m", "c"),
    "None": lambda w, m, c: (None, m, c),
    "empty": lambda w, m, c: (w[:0], m[:0], c[:0]),
    "objects": lambda w, m, c: (w, m, c.astype(object)),
    "huge whole numbers": lambda w, m, c: (w, [[10**400] * m.shape[1]] * len(m), c),
}


@dataclass(frozen=True)
class Parts:
    """Arrays of a mixture: K components of D features, in units of 10**exponent, some of the axes nearly flat."""

    K: int
    D: int
    seed: int
    exponent: int = 0
    flatness: float = 1.0
    spoiled: str = "nothing"

    def build(self):
        rng = np.random.default_rng(self.seed)
        factors = rng.standard_normal((self.K, self.D, self.D)) + 2 * np.eye(self.D)
        factors[..., -1] *= self.flatness
        factors += 1e-3 * self.flatness * np.eye(self.D)
        scale = 10.0**self.exponent
        covariances = factors @ factors.swapaxes(1, 2) * scale**2
        parts = rng.dirichlet(np.ones(self.K)), 5 * scale * rng.standard_normal((self.K, self.D)), covariances
        with np.errstate(all="ignore"):
            return SPOILED[self.spoiled](*parts)


def parts(**fixed):
    return st.builds(
        Parts,
        K=st.integers(1, 5),
        D=st.integers(1, 5),
        seed=st.integers(0, 999),
        exponent=st.one_of(st.integers(-3, 3), st.integers(-150, 95)),
        flatness=st.sampled_from([1.0, 1.0, 1e-2, 1e-5]),
        **fixed,
    )


@door("MixtureParameters", 400, parts(spoiled=usually(st.just("nothing"), st.sampled_from(list(SPOILED)), times=2)))
def mixture_parameters(case):
    arrays = case.build()
    mixture = ask(lambda: bg.MixtureParameters(*arrays))
    check_mixture(mixture)
    check_finite(stds=mixture.stds, correlations=mixture.correlations)
    for text in (str(mixture), mixture.summary(), mixture._repr_html_()):
        assert text


@st.composite
def mixtures_with_rows(draw):
    recipe = draw(parts())
    tables = numeric_recipes.map(lambda table: replace(table, n_columns=recipe.D))
    return recipe, draw(usually(st.none(), tables, times=1))


@door("log_density, responsibilities, predict", 500, mixtures_with_rows())
def densities(case):
    recipe, table = case
    mixture = ask(lambda: bg.MixtureParameters(*recipe.build()))
    X = mixture.sample(20, rng=recipe.seed)[0] if table is None else table.build().X
    found = ask(lambda: mixture.log_density(X))
    numbers = np.asarray(X if table is None else table.build().numbers)
    assert found.shape == (len(numbers),)
    far = np.abs((numbers[:, np.newaxis] - mixture.means) / mixture.stds).max() > 1e100
    if not far:
        check_finite(log_density=found)
        expected = oracles.log_densities(numbers, mixture)
        wrong = np.abs(found - expected) > oracles.tolerance(numbers, mixture, expected)
        assert not wrong.any(), f"log density {found[wrong]}, by SciPy {expected[wrong]}"
    responsibilities = mixture.responsibilities(X)
    check_probabilities(responsibilities)
    assert mixture.predict(X).shape == (len(numbers),)


@st.composite
def mixtures_with_any_table(draw):
    recipe = draw(parts())
    return recipe, draw(all_recipes.map(lambda table: replace(table, n_columns=recipe.D)))


@door("log_density of any table", 200, mixtures_with_any_table())
def densities_of_anything(case):
    recipe, table = case
    mixture = ask(lambda: bg.MixtureParameters(*recipe.build()))
    X = table.build().X
    found = ask(lambda: mixture.log_density(X))
    assert not np.isnan(found).any()


@st.composite
def subsets(draw):
    recipe = draw(parts())
    feature = st.integers(0, max(recipe.D - 2, 0))
    wrong = st.one_of(feature, st.integers(-1, 5), st.sampled_from(["x0", "x1", "y", None, 1.5]))
    right = st.lists(feature, min_size=1, max_size=3, unique=True)
    features = draw(usually(right, st.lists(wrong, max_size=3)))
    value = draw(usually(st.sampled_from([0.0, 1.0, -3.0, 1e3]), st.sampled_from([1e99, np.nan, np.inf, None, "1"])))
    return recipe, features, value


@door("marginal, conditional, permute, sample", 300, subsets())
def marginal_and_conditional(case):
    recipe, features, value = case
    mixture = ask(lambda: bg.MixtureParameters(*recipe.build()))
    check_mixture(mixture.permute(list(range(mixture.n_components))[::-1]))
    check_finite(rows=mixture.sample(5, rng=0)[0])
    marginal = ask(lambda: mixture.marginal(features))
    check_mixture(marginal)
    given = dict.fromkeys(features, value)
    conditional = ask(lambda: mixture.conditional(given))
    check_mixture(conditional)
    index = [int(name[1:]) if isinstance(name, str) else name for name in features]
    # Farther out a weight of the conditional mixture underflows to 0, and its component is lost.
    if abs(value) <= 3 and recipe.flatness == 1.0:
        point = np.zeros(mixture.n_features)
        point[index] = given[features[0]]
        rest = [d for d in range(mixture.n_features) if d not in index]
        joint = oracles.log_densities(point[np.newaxis], mixture)[0]
        parts_of_it = (
            oracles.log_densities(point[np.newaxis][:, index], marginal)[0]
            + oracles.log_densities(point[np.newaxis][:, rest], conditional)[0]
        )
        check_close(parts_of_it, joint, 1e-5 * (1 + abs(joint)), "log p(given) + log p(rest | given)")


NUMBERS = st.sampled_from(
    [1, 2, 3, 0.5, 1.5, 7, 1e-300, 1e300, 2, 3.0, 0, -1, np.nan, np.inf, None, "a", [1.0, 2.0], [], 10**400, 1j, True]
)
COUNTS = usually(st.integers(1, 9), NUMBERS)
FAMILIES = ("LogNormal", "HalfNormal", "Gamma", "InverseGamma", "Uniform", "Exponential", "Fixed")


ARGUMENTS = st.lists(NUMBERS, min_size=2, max_size=2)


@door("priors", 200, st.tuples(st.sampled_from(FAMILIES), ARGUMENTS, NUMBERS, NUMBERS))
def priors(case):
    name, arguments, location, other = case
    family = getattr(bg.priors, name)
    std = ask(lambda: family(*arguments[: len(fields(family))]))
    prior = ask(lambda: bg.Prior(location, other, std, concentration=other))
    check_finite(location=prior.mean_location, scale=prior.mean_scale)
    assert str(prior)


@door(
    "Prior.for_data", 200, st.tuples(all_recipes, st.sampled_from(["full", "tied", "diag", "spherical", "round", None]))
)
def prior_for_data(case):
    table, covariance = case
    X = table.build().X
    prior = ask(lambda: bg.Prior.for_data(X, covariance))
    check_finite(location=prior.mean_location, scale=prior.mean_scale, median=prior.std.median)
    assert (np.asarray(prior.mean_scale) > 0).all() and (np.asarray(prior.std.median) > 0).all()
    str(prior)
    prior.summary()


@door("Thresholds", 50, st.tuples(NUMBERS, NUMBERS))
def limits(case):
    r_hat, ess = case
    thresholds = ask(lambda: bg.Thresholds(max_r_hat=r_hat, min_ess=ess))
    assert thresholds.max_r_hat > 1 and thresholds.min_ess > 0


@door("datasets.simulate", 200, st.tuples(COUNTS, COUNTS, COUNTS, NUMBERS))
def simulate(case):
    n_samples, n_components, n_features, separation = case
    simulation = ask(lambda: bg.datasets.simulate(n_samples, n_components, n_features, separation=separation, rng=1))
    check_finite(X=simulation.X)
    check_mixture(simulation.parameters)
