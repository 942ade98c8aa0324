"""The compiled arithmetic against its definitions, and the climb against plain EM."""

import numpy as np
import pytest
from fuzz.tables import Recipe
from scipy.linalg import expm
from scipy.stats import special_ortho_group

import bayesgmm as bg
from bayesgmm.em.search import climb, moves, steps
from bayesgmm.em.search.restarts import run_in_lockstep
from bayesgmm.em.search.steps import Bounds, Point
from bayesgmm.kernel.rows import KernelParameters, rows_of
from bayesgmm.kernel.triangular import log_scales_and_whiteners, lower_inverses
from bayesgmm.mixture.covariance import STRUCTURES


def statistics_at(rows, point, structure):
    log_scales, whiteners = log_scales_and_whiteners(np.log(point.weights), point.choleskys)
    return rows.statistics(KernelParameters(log_scales, point.means, whiteners, structure.diagonal))


def rotations_of(point, structure):
    """Rotations that are not the identity, of frames at a point."""
    shape = structure.flags
    if shape.diagonal:
        return moves.first_rotations(point, shape)
    n = len(moves.first_rotations(point, shape))
    return special_ortho_group.rvs(point.means.shape[1], size=n, random_state=1).reshape(n, *point.choleskys.shape[1:])


@pytest.fixture
def setting(request):
    """Rows, a covariance structure, and a point of that structure which is not an optimum."""
    structure = STRUCTURES[request.param]
    simulation = bg.datasets.simulate(500, 3, 4, separation=1.5, rng=3)
    rows = rows_of(simulation.X)
    weights = np.array([0.5, 0.3, 0.2])
    covariances = structure.project(simulation.parameters.covariances * weights[:, None, None], weights)
    point = Point(weights, simulation.parameters.means - rows.origin + 0.3, np.linalg.cholesky(covariances))
    return rows, structure, point


every_structure = pytest.mark.parametrize("setting", STRUCTURES, indirect=True)


@every_structure
def test_the_gradient_is_that_of_the_log_likelihood_along_moves(setting):
    """Central differences with step 1e-5 have an error of about 1e-9 times the curvature of the log-likelihood, N."""
    rows, structure, point = setting
    rotations = rotations_of(point, structure)
    gradient, metric = moves.gradient_and_metric(
        point, rotations, statistics_at(rows, point, structure), structure.flags
    )
    h = 1e-5
    for p in range(len(gradient)):
        move = np.zeros(len(gradient))
        move[p] = h
        ahead, behind = (
            statistics_at(
                rows, moves.point_after(point, rotations, sign * move, structure.flags)[0], structure
            ).log_likelihood
            for sign in (1, -1)
        )
        assert (ahead - behind) / (2 * h) == pytest.approx(gradient[p], abs=1e-4)
    assert (metric > 0).all()


@every_structure
def test_a_zero_move_stays_and_every_move_keeps_the_structure(setting):
    rows, structure, point = setting
    rotations = rotations_of(point, structure)
    statistics = statistics_at(rows, point, structure)
    size = len(moves.gradient_and_metric(point, rotations, statistics, structure.flags)[0])
    stays, still = moves.point_after(point, rotations, np.zeros(size), structure.flags)
    for before, after in zip((*point, rotations), (*stays, still), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-14, atol=1e-14)
    move = np.random.default_rng(0).normal(size=size)
    there, turned = moves.point_after(point, rotations, move, structure.flags)
    np.testing.assert_allclose(turned @ turned.transpose(0, 2, 1), np.broadcast_to(np.eye(4), turned.shape), atol=1e-13)
    covariances = there.choleskys @ there.choleskys.transpose(0, 2, 1)
    counts = there.weights * 500
    np.testing.assert_allclose(
        structure.project(covariances * counts[:, None, None], counts), covariances, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("length", [0.3, 1.0, 5.0])
def test_a_move_takes_the_frame_to_its_product_with_the_matrix_exponential(length):
    """The oracle is SciPy's `expm`."""
    rng = np.random.default_rng(2)
    structure, D = STRUCTURES["full"], 3
    point = Point(np.ones(1), np.zeros((1, D)), np.linalg.cholesky(np.cov(rng.normal(size=(D, 9))))[np.newaxis])
    rotations = rotations_of(point, structure)
    move = rng.normal(size=1 + D + 6)
    move *= length / np.linalg.norm(move[1 + D :])
    E = np.zeros((D, D))
    E[np.tril_indices(D)] = move[1 + D :] / np.where(np.equal(*np.tril_indices(D)), 1, np.sqrt(2))
    E = np.tril(E) + np.tril(E, -1).T
    frame = point.choleskys[0] @ rotations[0]
    there, turned = moves.point_after(point, rotations, move, structure.flags)
    np.testing.assert_allclose(there.choleskys[0] @ turned[0], frame @ expm(E), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(there.means[0], frame @ move[1 : 1 + D], rtol=1e-12)
    parts = [abs(move[0]), np.linalg.norm(move[1 : 1 + D]), length]
    assert moves.longest_part(move, 1, D, structure.flags) == pytest.approx(max(parts))


@every_structure
def test_the_m_step_is_the_weighted_moments(setting):
    rows, structure, point = setting
    X = rows.values - rows.origin
    mixture = bg.MixtureParameters(point.weights, point.means, point.choleskys @ point.choleskys.transpose(0, 2, 1))
    r = mixture.responsibilities(X)
    counts = r.sum(axis=0)
    means = r.T @ X / counts[:, None]
    deviations = X - means[:, None]
    scatter = np.einsum("nk,kni,knj->kij", r, deviations, deviations)
    new = steps.m_step(point, statistics_at(rows, point, structure), structure.flags)
    np.testing.assert_allclose(new.weights, counts / 500, rtol=1e-12)
    np.testing.assert_allclose(new.means, means, rtol=1e-11, atol=1e-12)
    covariances = new.choleskys @ new.choleskys.transpose(0, 2, 1)
    np.testing.assert_allclose(covariances, structure.project(scatter, counts), rtol=1e-10, atol=1e-12)


def test_collapse_is_judged_by_the_smallest_relative_variance():
    rng = np.random.default_rng(0)
    D = 3
    total = np.linalg.cholesky(np.cov(rng.normal(size=(D, 50)) * [[1.0], [1e3], [1e-2]]))
    judged = []
    for smallest in (1e-16, 1e-13, 0.9e-12, 1.1e-12, 1e-11, 1e-3):
        axes = np.linalg.qr(rng.normal(size=(D, D)))[0]
        relative = axes @ np.diag([smallest, 0.5, 2.0]) @ axes.T
        factor = np.linalg.cholesky(total @ (0.5 * (relative + relative.T)) @ total.T)
        point = Point(np.ones(1), np.zeros((1, D)), factor[np.newaxis])
        bounds = Bounds(100.0, 3.0, total, lower_inverses(total[np.newaxis])[0], 1e-12, 0.0)
        judged.append(steps.has_collapsed(point, lower_inverses(point.choleskys), bounds))
    assert judged == [True, True, True, False, False, False]


def plain_em(rows, structure, point, n):
    """Log-likelihoods of n iterations, and the last point."""
    history = []
    for _ in range(n):
        statistics = statistics_at(rows, point, structure)
        history.append(statistics.log_likelihood)
        point = steps.m_step(point, statistics, structure.flags)
    return np.array(history), point


SLOW = [("full", 1), ("full", 4), ("tied", 2), ("diag", 3), ("spherical", 9)]


@pytest.mark.parametrize(("covariance", "seed"), SLOW)
def test_a_climb_takes_a_fraction_of_plain_ems_passes_and_never_ends_below(covariance, seed):
    """Overlapping components, where EM needs more than 100 iterations to come within 1e-6 of its limit.

    Nothing here is random: both methods start at the truth.
    """
    simulation = bg.datasets.simulate(3000, 3, 2, separation=1.5, rng=seed)
    em = bg.fit_em(simulation.X, 3, covariance, start=simulation.parameters)
    structure, rows = STRUCTURES[covariance], rows_of(simulation.X)
    truth = simulation.parameters
    covariances = structure.project(truth.covariances * truth.weights[:, None, None], truth.weights)
    start = Point(truth.weights, truth.means - rows.origin, np.linalg.cholesky(covariances))
    history, _ = plain_em(rows, structure, start, 20_000)
    assert em.log_likelihood >= history[-1] - 1e-6
    passes = int(np.argmax(history >= history[-1] - 1e-6)) + 1
    assert passes > 100
    assert em.restarts[0].n_passes <= passes / 3
    assert (np.diff(em.history) >= 0).all()


def test_a_climb_whose_gradient_is_wrong_would_be_noticed(monkeypatch):
    """A deliberately broken version: with the sign of the gradient of the means reversed, nearly every step fails."""
    right = moves.gradient_and_metric

    def wrong(point, rotations, statistics, shape):
        gradient, metric = right(point, rotations, statistics, shape)
        gradient[3:9] *= -1
        return gradient, metric

    simulation = bg.datasets.simulate(3000, 3, 2, separation=1.5, rng=1)
    sound = bg.fit_em(simulation.X, 3, start=simulation.parameters).restarts[0]
    monkeypatch.setattr(climb.moves, "gradient_and_metric", wrong)
    broken = bg.fit_em(simulation.X, 3, start=simulation.parameters).restarts[0]
    assert broken.n_failed > 3 * sound.n_failed + 10
    assert (np.diff(broken.history) >= 0).all()  # it is slow, but still correct


def test_climbs_in_lockstep_end_where_each_of_them_ends_alone():
    simulation = bg.datasets.simulate(20_000, 3, 3, separation=2.0, rng=5)
    rows, structure = rows_of(simulation.X), STRUCTURES["full"]
    total = np.linalg.cholesky(np.cov(simulation.X, rowvar=False))
    bounds = Bounds(20_000.0, 3.0, total, lower_inverses(total[np.newaxis])[0], 1e-12, 0.0)
    settings = climb.ClimbSettings(structure.flags, bounds, 1e-8, 1000)
    truth = simulation.parameters
    starts = [
        Point(truth.weights, truth.means - rows.origin + shift, np.linalg.cholesky(truth.covariances))
        for shift in (0.0, 0.2, -0.2)
    ]
    shared = run_in_lockstep(rows, [climb.climb(settings, start, "given") for start in starts])
    alone = [run_in_lockstep(rows, [climb.climb(settings, start, "given")])[0] for start in starts]
    for (point, record), (other, its_record) in zip(shared, alone, strict=True):
        assert record.status is its_record.status is bg.results.Status.CONVERGED
        assert record.log_likelihood == pytest.approx(its_record.log_likelihood, abs=1e-7)
        np.testing.assert_allclose(point.means, other.means, atol=1e-4)


def test_directions_without_a_gain_end_a_climb_and_not_the_process():
    """A tied fit of four components to clusters, one of whose climbs meets a direction in which nothing is gained."""
    X = Recipe(seed=93, n_rows=53, n_columns=2, shape="clusters").build().X
    assert np.isfinite(bg.fit_em(X, 4, "tied", rng=0).log_likelihood)


# Nearly symmetric about the middle of the second column: some starts run straight to a saddle point between two equal
# halves, near which two EM steps gain little before the gains grow again.
NEARLY_SYMMETRIC = np.array([[0, 0], [0, 1], [1, 2], *([0, i] for i in range(3, 11)), [1, 11]], dtype=float)


@pytest.mark.parametrize("seed", range(5))
def test_a_saddle_point_is_no_maximum(seed):
    """Every maximum of these rows has a collapsed component; at the saddle the log-likelihood is -36.137."""
    with pytest.raises(bg.errors.FitError, match="has no bound"):
        bg.fit_em(NEARLY_SYMMETRIC, 2, "diag", n_init=5, rng=seed)
