"""`MixtureParameters` against SciPy's distributions and closed forms."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad
from scipy.special import logsumexp
from scipy.stats import chi2, chisquare, kstest, multivariate_normal, norm

import bayesgmm as bg

# The kernel rounds a responsibility below exp(-500) to 0.
SMALLEST = 1e-217
SIZES = [(1, 1), (3, 1), (1, 4), (2, 2), (4, 3), (3, 12)]


def random_mixture(n_components, n_features, seed=1):
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((n_components, n_features, n_features + 2))
    return bg.MixtureParameters(
        rng.dirichlet(np.full(n_components, 2.0)),
        3.0 * rng.standard_normal((n_components, n_features)),
        factors @ factors.transpose(0, 2, 1),
    )


def log_joint(mixture, X):
    """Log w_k + log N(x | mu_k, Sigma_k) by SciPy, (n_samples, n_components)."""
    components = zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
    return np.stack([np.log(w) + multivariate_normal(m, S).logpdf(X).reshape(len(X)) for w, m, S in components], axis=1)


@pytest.fixture(params=SIZES, ids=lambda size: f"K={size[0]}, D={size[1]}")
def mixture(request):
    return random_mixture(*request.param)


@pytest.fixture
def rows(mixture):
    return 4.0 * np.random.default_rng(2).standard_normal((300, mixture.n_features))


@pytest.fixture
def cube():
    """Three features with names, two components."""
    mixture = random_mixture(2, 3)
    return bg.MixtureParameters(mixture.weights, mixture.means, mixture.covariances, ("length", "width", "height"))


# Densities and responsibilities.


def test_the_log_density_is_that_of_scipys_normals(mixture, rows):
    assert_allclose(mixture.log_density(rows), logsumexp(log_joint(mixture, rows), axis=1), rtol=1e-12, atol=1e-12)


def test_the_density_integrates_to_one():
    mixture = random_mixture(3, 1)
    integral, _ = quad(lambda x: np.exp(mixture.log_density([x])[0]), -60, 60, limit=200, points=mixture.means.ravel())
    assert integral == pytest.approx(1.0, abs=1e-9)


def test_responsibilities_are_bayes_rule(mixture, rows):
    joint = log_joint(mixture, rows)
    expected = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    assert_allclose(mixture.responsibilities(rows), expected, rtol=1e-9, atol=SMALLEST)
    assert_array_equal(mixture.predict(rows), expected.argmax(axis=1))


@pytest.mark.parametrize("distance", [1e2, 1e6, 1e10])
def test_responsibilities_sum_to_one_where_every_density_underflows(distance):
    mixture = random_mixture(4, 3)
    directions = np.random.default_rng(3).standard_normal((50, 3))
    rows = mixture.means[0] + distance * mixture.stds.max() * directions
    assert (np.exp(mixture.log_density(rows)) == 0).all()
    responsibilities = mixture.responsibilities(rows)
    assert_allclose(responsibilities.sum(axis=1), 1.0, rtol=1e-14)
    # So far away only the leading term counts: the component of the smallest Mahalanobis distance has it all.
    differences = rows[:, np.newaxis] - mixture.means
    mahalanobis = np.einsum("nki,kij,nkj->nk", differences, np.linalg.inv(mixture.covariances), differences)
    assert_array_equal(responsibilities.argmax(axis=1), mahalanobis.argmin(axis=1))


def test_responsibilities_are_equal_1e6_standard_deviations_away_on_the_line_of_symmetry():
    mixture = bg.MixtureParameters([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.0]], [np.eye(2), np.eye(2)])
    assert_array_equal(mixture.responsibilities([[0.0, 1e6], [0.0, -1e6]]), [[0.5, 0.5], [0.5, 0.5]])
    # log N = log(1/2 N + 1/2 N) there, in closed form.
    assert_allclose(mixture.log_density([[0.0, 1e6]]), -0.5 * (1e12 + 1.0) - np.log(2 * np.pi), rtol=1e-15)


def test_responsibilities_follow_the_log_odds_in_closed_form():
    # Equal variances: the log odds are linear in x, 2 x for means at -1 and 1 (Bishop 2006, eq. 4.65).
    mixture = bg.MixtureParameters([0.5, 0.5], [[-1.0], [1.0]], np.ones((2, 1, 1)))
    x = np.linspace(-300.0, 300.0, 61)
    assert_allclose(mixture.responsibilities(x)[:, 1], np.exp(-np.logaddexp(0.0, -2 * x)), rtol=1e-12, atol=SMALLEST)


def test_a_component_of_weight_zero_changes_nothing():
    mixture = random_mixture(2, 2)
    X = 4.0 * np.random.default_rng(2).standard_normal((100, 2))
    with_none = bg.MixtureParameters(
        [*mixture.weights, 0.0], [*mixture.means, [0.0, 0.0]], [*mixture.covariances, np.eye(2)]
    )
    assert_allclose(with_none.log_density(X), mixture.log_density(X), rtol=1e-14)
    assert_allclose(with_none.responsibilities(X)[:, 2], 0.0, atol=SMALLEST)
    assert_array_equal(with_none.predict(X), mixture.predict(X))
    assert 2 not in with_none.sample(500, rng=1)[1]


def test_standard_deviations_and_correlations_make_the_covariances(mixture):
    stds, correlations = mixture.stds, mixture.correlations
    assert_allclose(np.einsum("ki,kij,kj->kij", stds, correlations, stds), mixture.covariances, rtol=1e-14)
    assert_allclose(np.einsum("kii->ki", correlations), 1.0, rtol=1e-14)


# Permuted, marginal and conditional mixtures.


def test_a_permuted_mixture_is_the_same_density_with_other_labels():
    mixture = random_mixture(4, 3)
    X = 4.0 * np.random.default_rng(2).standard_normal((100, 3))
    order = [2, 0, 3, 1]
    permuted = mixture.permute(order)
    assert_array_equal(permuted.weights, mixture.weights[order])
    assert_array_equal(permuted.means, mixture.means[order])
    assert_array_equal(permuted.covariances, mixture.covariances[order])
    assert_allclose(permuted.log_density(X), mixture.log_density(X), rtol=1e-13)
    assert_allclose(permuted.responsibilities(X), mixture.responsibilities(X)[:, order], rtol=1e-12)
    assert_array_equal(permuted.permute(np.argsort(order)).means, mixture.means)


def test_a_marginal_is_the_joint_density_with_the_other_features_integrated_out():
    mixture = random_mixture(3, 2)
    reach = np.abs(mixture.means).max() + 40 * mixture.stds.max()
    for feature, other in ((0, 1), (1, 0)):
        for x in (-5.0, 0.3, 4.0):

            def joint(y, x=x, feature=feature, other=other):
                row = np.empty((1, 2))
                row[0, feature], row[0, other] = x, y
                return np.exp(mixture.log_density(row)[0])

            integral, _ = quad(joint, -reach, reach, limit=500, points=mixture.means[:, other], epsabs=0, epsrel=1e-9)
            assert np.exp(mixture.marginal([feature]).log_density([x])[0]) == pytest.approx(integral, rel=1e-8)


def test_a_marginal_of_all_features_in_another_order_is_the_mixture_with_its_columns_in_that_order(cube):
    X = 4.0 * np.random.default_rng(2).standard_normal((100, 3))
    turned = cube.marginal(["height", 0, "width"])
    assert turned.features == ("height", "length", "width")
    assert_allclose(turned.log_density(X[:, [2, 0, 1]]), cube.log_density(X), rtol=1e-12)


@pytest.mark.parametrize("given", [["width"], [2], ["height", "length"], [1, 0]], ids=str)
def test_a_conditional_is_the_joint_density_over_the_marginal(cube, given):
    known = [cube.features.index(name) if isinstance(name, str) else name for name in given]
    other = [i for i in range(3) if i not in known]
    grid = np.stack(np.meshgrid(*[np.linspace(-9.0, 9.0, 7)] * len(other)), axis=-1).reshape(-1, len(other))
    # Not so far away that a component which matters there would have a weight of 0.
    for values in np.array([[0.0, 0.0], [2.5, -1.0], [-15.0, 20.0]])[:, : len(known)]:
        rows = np.empty((len(grid), 3))
        rows[:, known], rows[:, other] = values, grid
        conditional = cube.conditional(dict(zip(given, values.tolist(), strict=True)))
        assert conditional.features == tuple(cube.features[i] for i in other)
        expected = cube.log_density(rows) - cube.marginal(given).log_density(values[np.newaxis])
        assert_allclose(conditional.log_density(grid), expected, rtol=1e-9, atol=1e-9)


def test_one_components_conditional_is_the_regression_line():
    # Bishop 2006, eqs. 2.81 and 2.82, in two dimensions: mean 1 + rho s1/s2 (y - 2), variance s1^2 (1 - rho^2).
    mixture = bg.MixtureParameters([1.0], [[1.0, 2.0]], [[[4.0, 3.0], [3.0, 9.0]]])
    conditional = mixture.conditional({1: 5.0})
    assert_allclose(conditional.means, [[1.0 + 0.5 * (2 / 3) * 3.0]], rtol=1e-15)
    assert_allclose(conditional.covariances, [[[4.0 * (1 - 0.25)]]], rtol=1e-15)


# Sampling. Each of these tests fails for at most one seed in 100,000; the seeds are fixed.

CHANCE = 1e-6


def test_sampled_labels_have_the_weights_frequencies():
    mixture = random_mixture(4, 2)
    _, labels = mixture.sample(20_000, rng=1)
    assert chisquare(np.bincount(labels, minlength=4), 20_000 * mixture.weights).pvalue > CHANCE


def test_sampled_rows_of_a_component_have_its_normal_distribution():
    mixture = random_mixture(3, 3)
    X, labels = mixture.sample(20_000, rng=1)
    for k in range(3):
        own = X[labels == k]
        residuals = np.linalg.solve(np.linalg.cholesky(mixture.covariances[k]), (own - mixture.means[k]).T)
        for residual in residuals:
            assert kstest(residual, norm.cdf).pvalue > CHANCE
        assert kstest(np.square(residuals).sum(axis=0), chi2(3).cdf).pvalue > CHANCE


def test_sampled_rows_have_the_mixtures_mean_and_covariance():
    mixture, n = random_mixture(3, 2), 50_000
    X, _ = mixture.sample(n, rng=1)
    mean = mixture.weights @ mixture.means
    apart = mixture.means - mean
    covariance = np.einsum("k,kij->ij", mixture.weights, mixture.covariances + apart[:, :, None] * apart[:, None, :])
    z = (X.mean(axis=0) - mean) / np.sqrt(np.diagonal(covariance) / n)
    assert np.abs(z).max() < norm.isf(CHANCE / 4)
    products = (X - mean)[:, [0, 0, 1]] * (X - mean)[:, [0, 1, 1]]
    z = (products.mean(axis=0) - covariance[[0, 0, 1], [0, 1, 1]]) / (products.std(axis=0) / np.sqrt(n))
    assert np.abs(z).max() < norm.isf(CHANCE / 6)


def test_the_same_seed_draws_the_same_rows_and_another_seed_others():
    mixture = random_mixture(3, 2)
    (X, labels), (again, labels_again) = mixture.sample(100, rng=7), mixture.sample(100, np.random.default_rng(7))
    assert_array_equal(X, again)
    assert_array_equal(labels, labels_again)
    assert X.shape == (100, 2) and labels.shape == (100,)
    assert (mixture.sample(100, rng=8)[0] != X).all()


# A mixture cannot be changed.


def test_arrays_are_read_only_and_fields_are_frozen(mixture):
    for name in ("weights", "means", "covariances"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(mixture, name)[0] = 1.0
        with pytest.raises(FrozenInstanceError):
            setattr(mixture, name, None)


def test_arguments_stay_writeable_and_are_copied():
    means = np.zeros((1, 2))
    mixture = bg.MixtureParameters(np.ones(1), means, np.eye(2)[np.newaxis])
    means[0, 0] = 5.0
    assert mixture.means[0, 0] == 0.0


def test_features_without_names_are_numbered(mixture):
    assert mixture.features == tuple(f"x{i}" for i in range(mixture.n_features))


# Arguments that describe no mixture.

EYE = np.eye(2)[np.newaxis]
NO_MIXTURES = {
    "weights that do not sum to 1": (([0.5, 0.6], [[1.0], [2.0]], np.ones((2, 1, 1))), "sum to 1.*sum 1.1"),
    "negative weight": (([-0.5, 1.5], [[1.0], [2.0]], np.ones((2, 1, 1))), "not be negative.*-0.5"),
    "NaN weight": (([np.nan, 1.0], [[1.0], [2.0]], np.ones((2, 1, 1))), "weights must be finite"),
    "too few weights": (([1.0], [[1.0], [2.0]], np.ones((2, 1, 1))), r"weights must have shape \(2,\).*it has \(1,\)"),
    "weights as a column": (
        ([[1.0]], [[1.0]], [[[1.0]]]),
        r"weights must have 1 dimension, \(n_components,\); it has shape \(1, 1\)",
    ),
    "means in one dimension": (
        ([1.0], [1.0], [[[1.0]]]),
        r"means must have 2 dimensions, \(n_components, n_features\); it has shape \(1,\)",
    ),
    "infinite mean": (([1.0], [[np.inf]], [[[1.0]]]), "means must be finite"),
    "no components": (([], np.empty((0, 1)), np.empty((0, 1, 1))), r"at least one component.*\(0, 1\)"),
    "no features": (([1.0], np.empty((1, 0)), np.empty((1, 0, 0))), r"at least one component.*\(1, 0\)"),
    "variances alone": (([1.0], [[1.0, 2.0]], [[1.0, 1.0]]), r"covariances must have 3 dimensions"),
    "covariances of other features": (([1.0], [[1.0]], EYE), r"covariances must have shape \(1, 1, 1\).*\(1, 2, 2\)"),
    "negative variance": (([0.5, 0.5], [[1.0], [2.0]], [[[1.0]], [[-1.0]]]), r"covariances\[1\] is not positive def"),
    "no variance": (([1.0], [[1.0]], [[[0.0]]]), r"covariances\[0\] is not positive definite.*diagonal"),
    "correlation of 1": (([1.0], [[1.0, 2.0]], np.ones((1, 2, 2))), r"covariances\[0\] is not positive definite"),
    "asymmetric covariance": (([1.0], [[1.0, 2.0]], [[[1.0, 0.5], [0.1, 1.0]]]), r"symmetric.*\(S \+ S.T\) / 2"),
    "text": (("a", [[1.0]], [[[1.0]]]), "weights must be real numbers; received str"),
    "complex": (([1.0], np.array([[1j]]), [[[1.0]]]), "means must be real numbers; received ndarray of dtype complex"),
    "ragged": (([1.0], [[1.0], [2.0, 3.0]], EYE), "means must be real numbers; received list: .*inhomogeneous"),
    "None": ((None, [[1.0]], [[[1.0]]]), "weights must have 1 dimension,"),
    "one name for two features": (([1.0], [[1.0, 2.0]], EYE, ("a",)), r"2 different names.*received \('a',\)"),
    "the same name twice": (([1.0], [[1.0, 2.0]], EYE, ("a", "a")), r"2 different names.*received \('a', 'a'\)"),
    "a word for names": (([1.0], [[1.0, 2.0]], EYE, "ab"), "2 different names.*received 'ab'"),
    "a number for names": (([1.0], [[1.0, 2.0]], EYE, 2), "2 different names.*received 2"),
}


@pytest.mark.parametrize("problem", NO_MIXTURES)
def test_arguments_that_describe_no_mixture_are_refused(problem):
    arguments, message = NO_MIXTURES[problem]
    with pytest.raises(bg.errors.InputError, match=message):
        bg.MixtureParameters(*arguments)


def test_weights_and_covariances_may_be_off_by_rounding():
    weights = np.full(10, 0.1)  # whose sum is not 1.0
    covariance = np.array([[1.0, 0.3], [0.3 + 1e-15, 1.0]])
    bg.MixtureParameters(weights, np.zeros((10, 2)), np.stack([covariance] * 10))


BAD_CALLS = {
    "a component twice": (lambda m: m.permute([0, 0]), r"each of the 2 components once.*\[0, 0\]"),
    "a component missing": (lambda m: m.permute([0]), "each of the 2 components once"),
    "fractions of components": (lambda m: m.permute([0.0, 1.0]), "by its number"),
    "no order": (lambda m: m.permute(None), "received None"),
    "an unknown feature": (lambda m: m.marginal(["depth"]), "no feature 'depth'; .* length, width, height"),
    "a feature beyond the last": (lambda m: m.marginal([3]), "no feature 3"),
    "a feature before the first": (lambda m: m.marginal([-1]), "no feature -1"),
    "a mask for features": (lambda m: m.marginal([True, False, True]), "no feature True"),
    "a feature twice": (lambda m: m.marginal([0, "length"]), "each once"),
    "no feature": (lambda m: m.marginal([]), "at least one feature"),
    "a name for a list": (lambda m: m.marginal("length"), "must be a list .* received 'length'"),
    "a number for a list": (lambda m: m.marginal(0), "must be a list .* received 0"),
    "everything given": (lambda m: m.conditional({0: 1.0, 1: 1.0, 2: 1.0}), "leave at least one feature"),
    "nothing given": (lambda m: m.conditional({}), "given must name at least one feature"),
    "a list given": (lambda m: m.conditional([0]), r"given must map features to values, such as \{'length': 1.0\}"),
    "a feature given twice": (lambda m: m.conditional({0: 1.0, "length": 2.0}), "each once"),
    "NaN given": (lambda m: m.conditional({0: np.nan}), "given holds 1 value that is NaN"),
    "text given": (lambda m: m.conditional({0: "a"}), "given must hold numbers"),
    "no rows": (lambda m: m.sample(0), "n_samples must be a whole number of at least 1; received 0"),
    "half a row": (lambda m: m.sample(2.5), "received 2.5"),
}


@pytest.mark.parametrize("problem", BAD_CALLS)
def test_calls_that_make_no_sense_are_refused(problem, cube):
    call, message = BAD_CALLS[problem]
    with pytest.raises(bg.errors.InputError, match=message):
        call(cube)
