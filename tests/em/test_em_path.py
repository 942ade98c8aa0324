"""`em_path` follows EM, iteration by iteration."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

import bayesgmm as bg
from bayesgmm.mixture.covariance import STRUCTURES


@pytest.fixture(scope="module")
def overlapping():
    X, _, mixture = bg.datasets.simulate(300, 2, 2, separation=2.5, rng=3)
    means = mixture.means + np.array([[0.5, -0.5], [-0.5, 0.5]])
    start = bg.MixtureParameters([0.5, 0.5], means, np.tile(2 * np.eye(2), (2, 1, 1)))
    return X, start


def log_likelihood(X, mixture):
    densities = [
        w * multivariate_normal(mean, covariance).pdf(X)
        for w, mean, covariance in zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
    ]
    return np.log(np.sum(densities, axis=0)).sum()


@pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)
@pytest.mark.parametrize("covariance", STRUCTURES)
def test_every_iteration_is_that_of_scikit_learn(overlapping, covariance):
    X, start = overlapping
    path = bg.em_path(X, 2, covariance, start=start, tol=1e-12, max_iter=7)
    precisions = {
        "full": np.tile(np.eye(2) / 2, (2, 1, 1)),
        "tied": np.eye(2) / 2,
        "diag": np.full((2, 2), 0.5),
        "spherical": np.full(2, 0.5),
    }
    for n in (1, 2, 7):
        theirs = GaussianMixture(
            2,
            covariance_type=covariance,
            weights_init=start.weights,
            means_init=start.means,
            precisions_init=precisions[covariance],
            max_iter=n,
            tol=0,
            reg_covar=0,
        ).fit(X)
        np.testing.assert_allclose(path.parameters[n].weights, theirs.weights_, rtol=1e-8)
        np.testing.assert_allclose(path.parameters[n].means, theirs.means_, rtol=1e-8)
        assert path.history[n] == pytest.approx(theirs.score(X) * len(X), rel=1e-10)


def test_the_history_is_the_log_likelihood_of_each_mixture_and_never_falls(overlapping):
    X, start = overlapping
    path = bg.em_path(X, 2, start=start)
    assert len(path.parameters) == len(path.history) == path.n_iterations + 1
    np.testing.assert_allclose(path.history, [log_likelihood(X, mixture) for mixture in path.parameters], rtol=1e-10)
    assert (np.diff(path.history) > -1e-9).all()
    np.testing.assert_allclose(path.parameters[0].means, start.means)


def test_the_path_ends_where_the_fit_ends(overlapping):
    X, start = overlapping
    path, em = bg.em_path(X, 2, start=start), bg.fit_em(X, 2, start=start)
    assert path.status is bg.results.Status.CONVERGED
    assert path.history[-1] == pytest.approx(em.log_likelihood, abs=1e-5)
    shorter = bg.em_path(X, 2, start=start, max_iter=3)
    assert (shorter.status, shorter.n_iterations) == (bg.results.Status.MAX_ITER, 3)
    np.testing.assert_array_equal(shorter.history, path.history[:4])


def test_a_weight_of_two_is_two_rows(overlapping):
    X, start = overlapping
    weights = np.where(np.arange(len(X)) < 50, 2.0, 1.0)
    one = bg.em_path(X, 2, start=start, sample_weight=weights, max_iter=5)
    other = bg.em_path(np.concatenate([X, X[:50]]), 2, start=start, max_iter=5)
    np.testing.assert_allclose(one.history, other.history, rtol=1e-10)


def test_the_path_ends_before_a_collapse(overlapping):
    X, start = overlapping
    X = np.concatenate([X, [[50.0, 50.0]]])
    means = np.array([start.means[0], [50.0, 50.0]])
    path = bg.em_path(X, 2, start=bg.MixtureParameters(start.weights, means, start.covariances))
    assert path.status is bg.results.Status.COLLAPSED
    assert path.n_iterations == 0
    assert "collapsed" in repr(path)


def test_starts_are_drawn_from_the_seed(overlapping):
    X, _ = overlapping
    paths = [bg.em_path(X, 3, start="random", rng=seed, max_iter=2) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(paths[0].history, paths[1].history)
    assert paths[0].history[0] != paths[2].history[0]
    responsibilities = np.full((len(X), 2), 0.5) + np.sign(X[:, :1]) * [[0.3, -0.3]]
    given = bg.em_path(X, 2, start=responsibilities, max_iter=1).parameters[0]
    np.testing.assert_allclose(given.weights, responsibilities.mean(axis=0))


def test_a_path_cannot_be_changed(overlapping):
    path = bg.em_path(*overlapping[:1], 2, rng=1)
    with pytest.raises(ValueError, match="read-only"):
        path.history[0] = 0
    with pytest.raises(AttributeError):
        path.status = bg.results.Status.CONVERGED
    assert repr(path) == (
        f"EMPath: 2 components, covariance full, {path.n_iterations} iterations, log-likelihood "
        f"{path.history[0]:.4f} to {path.history[-1]:.4f}, converged"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "k-means"}, "start must be one of k-means"),
        ({"covariance": "round"}, "covariance must be one of"),
        ({"max_iter": 0}, "max_iter must be"),
        ({"tol": 0}, "tol must be"),
        ({"rng": "one"}, "rng must be"),
        ({"sample_weight": [1.0]}, "sample_weight must have"),
        ({"start": bg.MixtureParameters([1.0], [[0.0, 0.0]], [np.eye(2)])}, "start has 1 components"),
    ],
)
def test_bad_arguments_are_refused(overlapping, options, message):
    with pytest.raises(bg.errors.InputError, match=message):
        bg.em_path(overlapping[0], 2, **options)
