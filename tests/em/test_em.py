"""EM against closed forms, published maxima and scikit-learn."""

import tracemalloc

import numpy as np
import pytest
from scipy.stats import special_ortho_group
from sklearn.mixture import GaussianMixture as Peer

import bayesgmm as bg
from bayesgmm.em.runs import Restart
from bayesgmm.em.search import collapse
from bayesgmm.em.search.climb import EMRun
from bayesgmm.em.search.restarts import Restarts
from bayesgmm.em.search.steps import Point
from bayesgmm.mixture.covariance import STRUCTURES

# Maxima by mclust 6 at a tight tolerance (its models VVV, EEE, VVI, VII, E and V).
PUBLISHED = [
    ("faithful", "full", 2, -1130.26396),
    ("faithful", "tied", 2, -1140.18676),
    ("faithful", "tied", 3, -1126.31593),
    ("waiting", "tied", 2, -1034.002),
    ("iris", "full", 3, -180.1855),
    ("iris", "tied", 3, -256.3547),
    ("iris", "diag", 3, -307.1808),
    ("iris", "spherical", 3, -384.3168),
    ("galaxies", "diag", 3, -203.1792),
]


@pytest.fixture(scope="session")
def published_data(faithful, iris, galaxies):
    return {"faithful": faithful, "waiting": faithful["waiting"], "iris": iris, "galaxies": galaxies}


# Some seeds find a spurious maximum, which is higher than the published one, and warn of it.
may_be_spurious = pytest.mark.filterwarnings("ignore:This maximum may be spurious:bayesgmm.errors.BayesgmmWarning")


@may_be_spurious
@pytest.mark.parametrize(("name", "covariance", "K", "maximum"), PUBLISHED)
def test_the_published_maximum_is_reached_from_every_seed(published_data, name, covariance, K, maximum):
    reached = [bg.fit_em(published_data[name], K, covariance, rng=seed).log_likelihood for seed in range(20)]
    assert min(reached) >= maximum - 1e-3


def test_information_criteria_have_scikit_learns_sign(faithful):
    em = bg.fit_em(faithful, 3, "tied", rng=1)
    assert em.bic == pytest.approx(2314.2957, abs=0.05)  # the best model by mclust's BIC, whose sign is opposite
    assert em.aic == pytest.approx(-2 * em.log_likelihood + 2 * em.n_free)
    assert em.icl > em.bic


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_one_component_is_the_closed_form(covariance, iris):
    em = bg.fit_em(iris, 1, covariance)
    empirical = np.cov(iris, rowvar=False, bias=True)
    expected = {
        "full": empirical,
        "tied": empirical,
        "diag": np.diag(np.diagonal(empirical)),
        "spherical": np.eye(4) * np.trace(empirical) / 4,
    }[covariance]
    np.testing.assert_allclose(em.parameters.means[0], iris.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(em.parameters.covariances[0], expected, rtol=1e-12, atol=1e-14)
    assert em.parameters.weights.tolist() == [1.0]
    assert em.converged


@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize("seed", range(13))
def test_the_same_start_leads_to_scikit_learns_fixed_point(covariance, seed):
    """52 data sets. The two packages stop at different iterations, so both run until nothing changes."""
    rng = np.random.default_rng(seed)
    K, D = int(rng.integers(2, 5)), int(rng.integers(1, 5))
    simulation = bg.datasets.simulate(400, K, D, separation=3.0, rng=rng)
    X, start = simulation.X, simulation.parameters
    precisions = {
        "full": np.linalg.inv(start.covariances),
        "tied": np.linalg.inv(np.einsum("k,kij->ij", start.weights, start.covariances)),
        "diag": 1 / start.stds**2,
        "spherical": 1 / np.square(start.stds).mean(axis=1),
    }[covariance]
    peer = Peer(
        K,
        covariance_type=covariance,
        tol=1e-13,
        max_iter=20_000,
        reg_covar=0,
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=precisions,
    ).fit(X)
    em = bg.fit_em(X, K, covariance, start=start, tol=1e-13)
    assert em.log_likelihood == pytest.approx(peer.score(X) * len(X), abs=1e-6)
    order = np.argsort(em.parameters.means[:, 0]), np.argsort(peer.means_[:, 0])
    scale = X.std(axis=0)
    np.testing.assert_allclose(
        em.parameters.means[order[0]] / scale, peer.means_[order[1]] / scale, rtol=1e-4, atol=1e-4
    )


@may_be_spurious
@pytest.mark.parametrize("covariance", STRUCTURES)
def test_the_log_likelihood_never_falls(covariance, iris):
    for seed in range(10):
        em = bg.fit_em(iris, 4, covariance, n_init=1, rng=seed)
        for run in em.restarts:
            assert (np.diff(run.history) >= -1e-10 * np.abs(run.history[:-1])).all()


def test_the_full_fit_follows_every_affine_map_of_the_data(faithful):
    X = faithful.to_numpy()
    em = bg.fit_em(X, 2, rng=3)
    rng = np.random.default_rng(0)
    for scales in ([1.0, 1.0], [1e-2, 1e2], [1e3, 1e-2]):
        A = (
            special_ortho_group.rvs(2, random_state=rng)
            @ np.diag(scales)
            @ special_ortho_group.rvs(2, random_state=rng)
        )
        shift = 100 * np.abs(A).max() * rng.normal(size=2)
        mapped = bg.fit_em(X @ A.T + shift, 2, rng=3)
        log_volume = len(X) * np.log(abs(np.linalg.det(A)))
        assert mapped.log_likelihood == pytest.approx(em.log_likelihood - log_volume, abs=1e-5)
        back = np.linalg.solve(A, (mapped.parameters.means - shift).T).T
        np.testing.assert_allclose(back, em.parameters.means, rtol=1e-5)


def test_rows_and_features_may_come_in_any_order(iris):
    start = bg.fit_em(iris, 3, rng=1).parameters
    em = bg.fit_em(iris, 3, start=start)
    rows = np.random.default_rng(0).permutation(len(iris))
    columns = [2, 0, 3, 1]
    other = bg.fit_em(iris[rows][:, columns], 3, start=start.marginal(columns))
    assert other.log_likelihood == pytest.approx(em.log_likelihood, abs=1e-8)
    np.testing.assert_allclose(other.parameters.means, em.parameters.means[:, columns], rtol=1e-7)


def test_labels_are_in_decreasing_order_of_weight(iris):
    weights = bg.fit_em(iris, 3, rng=2).parameters.weights
    assert (np.diff(weights) <= 0).all()


def test_a_start_given_as_parameters_or_responsibilities_keeps_its_labels(faithful_em, faithful):
    swapped = faithful_em.parameters.permute([1, 0])
    for start in (swapped, swapped.responsibilities(faithful)):
        em = bg.fit_em(faithful, 2, start=start)
        np.testing.assert_allclose(em.parameters.means, swapped.means, rtol=1e-4)
        assert len(em.restarts) == 1


def test_weights_count_rows(faithful):
    rng = np.random.default_rng(4)
    counts = rng.integers(0, 4, len(faithful))
    start = bg.fit_em(faithful, 2, rng=1).parameters
    weighted = bg.fit_em(faithful, 2, sample_weight=counts, start=start)
    repeated = bg.fit_em(np.repeat(faithful.to_numpy(), counts, axis=0), 2, start=start.marginal([0, 1]))
    assert weighted.log_likelihood == pytest.approx(repeated.log_likelihood, abs=1e-8)
    assert weighted.n_samples == repeated.n_samples == counts.sum()
    np.testing.assert_allclose(weighted.parameters.covariances, repeated.parameters.covariances, rtol=1e-6)


def test_scaling_all_weights_changes_nothing_but_the_log_likelihood(faithful):
    start = bg.fit_em(faithful, 2, rng=1).parameters
    one = bg.fit_em(faithful, 2, sample_weight=np.ones(272), start=start, tol=1e-9)
    with pytest.warns(bg.errors.BayesgmmWarning, match=r"sample_weight sums to 0\.272"):
        tiny = bg.fit_em(faithful, 2, sample_weight=np.full(272, 1e-3), start=start, tol=1e-12)
    np.testing.assert_allclose(tiny.parameters.means, one.parameters.means, rtol=1e-6)
    assert tiny.log_likelihood == pytest.approx(1e-3 * one.log_likelihood)


def test_the_same_seed_gives_the_same_fit(iris):
    one, two = bg.fit_em(iris, 3, rng=5), bg.fit_em(iris, 3, rng=5)
    assert one.log_likelihood == two.log_likelihood
    np.testing.assert_array_equal(one.parameters.covariances, two.parameters.covariances)


def test_the_number_of_threads_does_not_change_a_bit(monkeypatch):
    X = bg.datasets.simulate(20_000, 3, 3, rng=1).X
    fits = []
    for threads in (1, 2):
        monkeypatch.setattr("bayesgmm.parallel.config.NUMBA_NUM_THREADS", threads)
        fits.append(bg.fit_em(X, 3, n_init=5, rng=2))
    assert fits[0].log_likelihood == fits[1].log_likelihood
    np.testing.assert_array_equal(fits[0].parameters.covariances, fits[1].parameters.covariances)


@may_be_spurious
def test_a_collapsing_start_is_recorded_replaced_and_never_returned(galaxies):
    """Six components for 82 values in tight groups: some starts shrink onto a single value."""
    em = bg.fit_em(galaxies, 6, n_init=100, rng=1)
    collapsed = [run for run in em.restarts if run.status is bg.results.Status.COLLAPSED]
    assert collapsed
    assert len(em.restarts) == 100 + len(collapsed)
    assert em.status is bg.results.Status.CONVERGED
    assert (em.parameters.weights * len(galaxies) > 1).all()
    assert em.parameters.covariances.min() > 1e-6


def test_when_every_start_collapses_the_error_keeps_the_records():
    X = np.repeat([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], 4, axis=0)
    with pytest.raises(bg.errors.FitError, match=r"All .* starts collapsed.*fewer components") as caught:
        bg.fit_em(X, 3, n_init=2, rng=1)
    assert len(caught.value.restarts) == 40
    assert all(run.status is bg.results.Status.COLLAPSED for run in caught.value.restarts)


def test_a_run_that_continued_for_its_novelty_is_the_fit_only_if_it_is_higher_by_more_than_rounding():
    def run(log_likelihood):
        point = Point(np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1)))
        return EMRun(point, Restart("random", bg.results.Status.CONVERGED, np.array([log_likelihood])))

    finalists = [run(-10.5), run(-10.0), run(-10.0)]
    for novel, best in ([run(-10.0 + 1e-7)], finalists[1]), ([higher := run(-9.9)], higher):
        assert Restarts([], finalists, novel, []).best(tol=1e-6) is best
    assert Restarts([run(0.0)], [], [], []).best(tol=1e-6) is None


def test_well_separated_tight_clusters_are_not_called_collapsed():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(50, 2)) + centre for centre in (0, 1e4, -3e4)])
    em = bg.fit_em(X, 3, rng=1)
    np.testing.assert_allclose(em.parameters.weights, 1 / 3, atol=1e-9)


def test_a_fit_that_stopped_at_max_iter_says_so_with_a_remedy(iris):
    em = bg.fit_em(iris, 3, max_iter=2, rng=1)
    assert em.status is bg.results.Status.MAX_ITER and not em.converged
    assert "raise max_iter" in em.summary()
    assert em.n_iterations == 2


def test_the_tolerance_bounds_the_distance_to_the_limit(faithful):
    """Convergence takes hundreds of iterations: a rule that stops at a small gain would stop far too early."""
    loose = bg.fit_em(faithful, 3, "tied", tol=1e-3, rng=1)
    tight = bg.fit_em(faithful, 3, "tied", tol=1e-11, start=loose.parameters)
    assert 0 <= tight.log_likelihood - loose.log_likelihood < 5e-3


def test_no_array_of_rows_by_components_is_made():
    """The fit allocates less than half of the size of the data."""
    X = np.random.default_rng(0).normal(size=(300_000, 10))
    bg.fit_em(X[:100], 2, n_init=1, max_iter=2, rng=0)  # compile and import first
    tracemalloc.start()
    bg.fit_em(X, 10, n_init=2, max_iter=2, rng=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.5 * X.nbytes


def test_a_covariance_floor_that_is_never_checked_would_be_noticed(monkeypatch):
    """A deliberately broken version: without the check for collapse, the fit is not usable."""
    monkeypatch.setattr(collapse, "COVARIANCE_FLOOR", -1.0)
    X = np.repeat([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], 4, axis=0)
    with pytest.raises((np.linalg.LinAlgError, bg.errors.BayesgmmError)):
        bg.fit_em(X, 3, n_init=2, rng=1)


@pytest.mark.parametrize("offset", [0.0, 1e13, 1e15])
def test_a_fit_accepts_its_own_rows_at_any_offset(offset):
    """The log-likelihood is that of the parameters as float64 holds them."""
    X = np.random.default_rng(0).standard_normal((300, 2)) + offset
    em = bg.fit_em(X, 1, rng=1)
    assert em.log_likelihood == em.optima[0].log_likelihood
    assert em.parameters.log_density(X).sum() == pytest.approx(em.log_likelihood, abs=1e-6)
    again = bg.results.EMFit.from_dict(em.to_dict()).with_rows(X)
    assert np.isfinite(again.standard_errors().table["se"]).all()


def test_optima_are_in_order_when_their_parameters_are_rounded():
    """At 1e13 standard deviations from 0 means lose digits, and log-likelihoods change."""
    X = np.random.default_rng(3).normal(size=(26, 6)) + 1e13
    em = bg.fit_em(X, 3, "tied", rng=0)
    later = [optimum.log_likelihood for optimum in em.optima[1:]]
    assert len(later) > 20
    assert later == sorted(later, reverse=True)
