"""Independent proposals: their coordinates, the chains that take them, and when they are not taken."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.data import iris, nearly_empty, prepared
from helpers.label_free import label_free
from helpers.monte_carlo import assert_same_distribution, effective_draws
from helpers.threaded import draws_at, interrupted_run
from helpers.ways import sample_by
from numba import config
from scipy.stats import kstest

import bayesgmm as bg
from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.modes.curvature import curvature_at, find_mode
from bayesgmm.bayes.sampling import independent, proposal
from bayesgmm.bayes.sampling.independent import (
    Independent,
    IndependentChains,
    PoorProposalsError,
    metropolis_path,
    systematic_indices,
)
from bayesgmm.bayes.sampling.nuts_ways import WhitenedNUTS
from bayesgmm.bayes.sampling.proposal import GROUP, Proposal, _rings, effective_share
from bayesgmm.bayes.sampling.run import RunSettings
from bayesgmm.mixture.covariance import STRUCTURES, structure_named

STDS = {"log-normal": None, "half-normal": bg.priors.HalfNormal(3.0), "inverse-gamma": bg.priors.InverseGamma(2.0, 2.0)}


def at_mode(X, K, structure="full", std=None):
    """The density and the curvature at its mode."""
    prior = bg.Prior.for_data(X, structure) if std is None else bg.Prior.for_data(X, structure, std=std)
    density = MixtureDensity.of(prepared(X), K, structure_named(structure), prior)
    start = density.unconstrain(bg.fit_em(X, K, structure, rng=1).parameters)
    return density, curvature_at(density, find_mode(density, [start]), np.random.default_rng(0))


def apart(n=300, D=3, seed=1):
    """Two round clusters, which have every structure."""
    X = np.random.default_rng(seed).standard_normal((n, D))
    X[n // 3 :, 0] += 7.0
    return X


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("D", [1, 2, 4])
def test_the_jacobian_is_that_of_the_coordinates(structure, D):
    """Differences of log |d theta / d phi| against determinants of numerical derivatives, at three points."""
    density, curvature = at_mode(apart(D=D), 2, structure)
    coordinates = Proposal.at(density, curvature).coordinates
    mode, P, step = coordinates.of_mode(curvature.mode), density.n_dim, 1e-5
    np.testing.assert_allclose(coordinates.thetas(mode[np.newaxis])[0][0], curvature.mode, atol=1e-9)
    points = mode + 0.1 * np.random.default_rng(2).standard_normal((3, P))

    def log_determinant(phi):
        ahead, behind = (coordinates.thetas(phi + sign * step * np.eye(P))[0] for sign in (1, -1))
        return np.linalg.slogdet((ahead - behind) / (2 * step))[1]

    expected = np.array([log_determinant(phi) for phi in points])
    found = coordinates.thetas(points)[1]
    np.testing.assert_allclose(np.diff(found), np.diff(expected), atol=1e-7)
    assert np.ptp(expected) > 0.01  # what a constant in its place would differ by


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("std", STDS)
def test_proposals_are_near_the_posterior_of_components_apart(structure, std):
    """At most 95 % are effective, as one in twenty is wide; of the Gaussian in theta itself fewer for full ones."""
    density, curvature = at_mode(apart(600), 2, structure, STDS[std])
    assert Proposal.at(density, curvature).efficiency(np.random.default_rng(1)) > 0.9
    z = np.random.default_rng(1).standard_normal((500, density.n_dim))
    log_weights = density.log_posteriors(curvature.mode + z @ curvature.whitening.T) + 0.5 * np.square(z).sum(axis=1)
    if structure == "full":
        assert effective_share(log_weights) < 0.83


@pytest.mark.parametrize("std", [bg.priors.Uniform(0.1, 30.0), bg.priors.Fixed(1.0)], ids=["uniform", "fixed"])
def test_bounded_standard_deviations_have_no_proposals(std):
    assert "the standard deviations" in Proposal.at(*at_mode(apart(), 2, std=std))


def test_what_is_no_mixture_has_no_weight():
    """A far wider proposal makes negative diagonals."""
    density, curvature = at_mode(apart(), 2)
    near = Proposal.at(density, curvature)
    _, log_posteriors, log_weights = replace(near, scale=30 * near.scale).draw(np.random.default_rng(1), 40)
    assert np.isneginf(log_weights).any()
    assert not np.isnan(log_weights).any()
    assert np.isneginf(log_posteriors[np.isneginf(log_weights)]).all()


def test_effective_share():
    assert effective_share(np.full(7, -3e4)) == pytest.approx(1.0)
    assert effective_share(np.array([0.0, -np.inf, -np.inf, -np.inf])) == pytest.approx(0.25)
    assert effective_share(np.full(3, -np.inf)) == 0.0


TARGET, PROPOSALS = np.array([0.2, 0.5, 0.3]), np.array([0.5, 0.2, 0.3])  # of three states


def shares_of_states(n, *, weighed_groups=True, weighed_draws=True):
    """Of draws by n groups of four states, each of the last three the successor of the one before it."""
    rng = np.random.default_rng(1)
    # A state's successor is another one wherever the proposals leave it the choice: neighbours depend on each other.
    successors = np.array([[0.2, 0.4, 0.4], [1.0, 0.0, 0.0], [2 / 3, 0.0, 1 / 3]])
    np.testing.assert_allclose(PROPOSALS @ successors, PROPOSALS)
    groups = np.empty((n + 1, 4), dtype=np.intp)
    groups[:, 0] = rng.choice(3, n + 1, p=PROPOSALS)
    for i in range(1, 4):
        groups[:, i] = (rng.random((n + 1, 1)) >= np.cumsum(successors, axis=1)[groups[:, i - 1], :-1]).sum(axis=1)
    weights = (TARGET / PROPOSALS)[groups]
    totals = np.log(weights.sum(axis=1)) if weighed_groups else np.zeros(n + 1)
    held = metropolis_path(totals.tolist(), np.log(rng.random(n)).tolist())
    shares = weights[held] if weighed_draws else np.ones((n, 4))
    drawn = systematic_indices(shares / shares.sum(axis=1, keepdims=True), rng.random(n))
    return np.bincount(np.take_along_axis(groups[held], drawn, axis=1).ravel(), minlength=3) / drawn.size


def test_the_chain_leaves_the_target_unchanged():
    """Three states, proposals of another distribution: shares of 160,000 draws within 0.015.

    Their standard errors are below 0.003, so that chance alone fails once in a million seeds. The broken twins take
    every group, draw from a group without weights, and both.
    """
    assert np.abs(shares_of_states(40_000) - TARGET).max() < 0.015
    for broken in ({"weighed_groups": False}, {"weighed_draws": False}):
        assert np.abs(shares_of_states(40_000, **broken) - TARGET).max() > 0.03
    unweighed = shares_of_states(40_000, weighed_groups=False, weighed_draws=False)
    np.testing.assert_allclose(unweighed, PROPOSALS, atol=0.015)


def test_draws_from_a_group_are_systematic():
    """m draws of m points: with equal weights each point once, otherwise the expected count rounded down or up.

    Every one of the draws has the shares as probabilities: 20,000 turns, within 0.02, which is 6 standard errors.
    """  # noqa: D403
    rng, shares = np.random.default_rng(1), np.array([0.05, 0.5, 0.15, 0.3])
    each = systematic_indices(np.full((50, 4), 0.25), rng.random(50))
    np.testing.assert_array_equal(np.sort(each, axis=1), np.tile(np.arange(4), (50, 1)))
    drawn = systematic_indices(np.tile(shares, (20_000, 1)), rng.random(20_000))
    counts = (drawn[:, :, np.newaxis] == np.arange(4)).sum(axis=1)
    assert (np.floor(4 * shares) <= counts).all() and (counts <= np.ceil(4 * shares)).all()
    for one in drawn.T:
        np.testing.assert_allclose(np.bincount(one, minlength=4) / len(one), shares, atol=0.02)
    np.testing.assert_array_equal(systematic_indices(np.array([[0.0, 0.0, 1.0, 0.0]]), np.array([0.999])), [[2] * 4])


def test_proposals_of_a_group_are_standard_normal_and_neighbours_opposed():
    """20,000 groups: standard errors 0.007 of a mean and a covariance, 0.01 of a variance, tolerances 0.035 and 0.04.

    One of 30 variances fails by chance once in 500 seeds. Neighbours that are independent, and variances that are off
    by a tenth, are refused.
    """
    z = _rings(np.random.default_rng(1), 20_000, 3)
    flat = z.reshape(len(z), -1)
    around = np.eye(GROUP) - 0.3 * (np.roll(np.eye(GROUP), 1, axis=0) + np.roll(np.eye(GROUP), -1, axis=0))
    np.testing.assert_allclose(flat.mean(axis=0), 0, atol=0.035)
    np.testing.assert_allclose(np.cov(flat.T), np.kron(around, np.eye(3)), atol=0.04)
    for broken in (np.eye(3 * GROUP), 1.1 * np.kron(around, np.eye(3))):
        assert np.abs(np.cov(flat.T) - broken).max() > 0.04
    assert kstest(z[:, 4, 1], "norm").pvalue > 1e-4


def test_means_vary_less_for_the_groups(monkeypatch):
    """Effective draws of six means, their median: over 1.4 times as many as of neighbours that are independent.

    1.8 times are expected; the median of six counts varies by some 10 %.
    """
    X = apart()
    start = bg.fit_em(X, 2, rng=1).parameters

    def effective():
        posterior = bg.sample_posterior(X, 2, start=start, sampler="independent", draws=2000, rng=1, progress=False)
        return np.median(effective_draws(posterior["posterior"]["means"].values))

    opposed = effective()
    monkeypatch.setattr(proposal, "_rings", lambda rng, n, P: rng.standard_normal((n, GROUP, P)))
    assert opposed > 1.4 * effective()


def chains_of(near, limit, chains=3, seed=5, tune=20):
    settings = RunSettings(tune, limit, chains, seed, progress=False)
    return IndependentChains(near, np.zeros(near.density.n_dim), settings)


def draws_after(checkpoints, near, **options):
    return draws_at(chains_of(near, checkpoints[-1], **options), checkpoints)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_draws_depend_on_the_seed_and_on_neither_threads_nor_checkpoints(dtype, monkeypatch):
    density, curvature = at_mode(apart().astype(dtype), 2)
    near = Proposal.at(density, curvature)
    draws = draws_after([600], near)
    np.testing.assert_array_equal(draws.theta, draws_after([7, 300, 600], near).theta)
    monkeypatch.setattr(config, "NUMBA_NUM_THREADS", 1)
    np.testing.assert_array_equal(draws.theta, draws_after([600], near).theta)
    assert not (draws.theta[0] == draws.theta[1]).any()
    assert not np.array_equal(draws.theta, draws_after([600], near, seed=6).theta)
    np.testing.assert_allclose(density.log_posteriors(draws.flat_theta), draws.log_posterior.ravel(), rtol=1e-9)


def test_an_interruption_keeps_what_was_drawn(monkeypatch):
    near = Proposal.at(*at_mode(apart(), 2))
    monkeypatch.setattr(independent, "_LONGEST_PIECE", 1)
    run = interrupted_run(monkeypatch, IndependentChains, lambda: chains_of(near, 1000), 3)
    assert run.chain_lengths == (GROUP, GROUP, GROUP)  # two groups were tuning


def test_chains_may_be_of_any_length():
    """A group that is not drawn from to its end is followed by a new one."""
    near = Proposal.at(*at_mode(apart(), 2))
    draws = draws_after([33], near, tune=7)
    assert draws.theta.shape[:2] == draws.log_posterior.shape == (3, 33)
    assert np.isfinite(draws.theta).all()
    assert np.isfinite(draws.log_posterior).all()


def label_free_draws(X, K, way, std=None, draws=3000):
    prior = bg.Prior.for_data(X) if std is None else bg.Prior.for_data(X, std=std)
    start = bg.fit_em(X, K, rng=1).parameters
    posterior = sample_by(way, X, K, prior=prior, start=start, draws=draws, rng=1)
    assert posterior.attrs["sampler"] == way.sampler
    names = ("weights", "means", "stds", "correlations")
    return label_free(X, X[[3, len(X) // 2, -3]], *(posterior["posterior"][name].values for name in names))


@pytest.mark.parametrize("std", STDS)
def test_nuts_finds_the_same_posterior(std):
    """Ten quantities of 60 rows, few enough that proposals without weights differ, see below.

    Means within 4 combined Monte Carlo errors, sds within 5 % or 4 of their errors: fails by chance once in 800 seeds.
    """
    X = apart(60, D=2)
    ours, theirs = (label_free_draws(X, 2, way, STDS[std]) for way in (Independent, WhitenedNUTS))
    assert_same_distribution(ours, theirs, sd_errors=4)


LARGER = {
    "Old Faithful": (lambda: bg.datasets.load_faithful().to_numpy(), 2),
    "iris": (lambda: iris(), 2),
    "600 x 5": (lambda: bg.datasets.simulate(600, 2, 5, rng=1).X, 2),
    "a component of four rows": (nearly_empty, 3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGER)
def test_nuts_finds_the_same_posterior_in_more_dimensions(name):
    """As above, with 4 x 10,000 draws: a mean that is off by 0.1 sd is seen for sure, an sd by 5 %."""
    load, K = LARGER[name]
    ours, theirs = (label_free_draws(load(), K, way, draws=10_000) for way in (Independent, WhitenedNUTS))
    assert_same_distribution(ours, theirs)


def test_proposals_without_weights_would_be_noticed(monkeypatch):
    """The broken twin: every group is taken, and each of its points drawn once."""
    X = apart(60, D=2)
    theirs = label_free_draws(X, 2, WhitenedNUTS)
    monkeypatch.setattr(independent, "metropolis_path", lambda log_weights, _: list(range(1, len(log_weights))))
    monkeypatch.setattr(
        independent, "systematic_indices", lambda shares, _: np.tile(np.arange(GROUP), (len(shares), 1))
    )
    ours = label_free_draws(X, 2, Independent)
    with pytest.raises(AssertionError, match=r"combined Monte Carlo errors|ratio of sds"):
        assert_same_distribution(ours, theirs, sd_errors=4)


def test_a_jacobian_left_out_would_be_noticed(monkeypatch):
    """The broken twin: the density of theta in place of that of the coordinates."""
    X = apart(60, D=2)
    theirs = label_free_draws(X, 2, WhitenedNUTS)
    whole = proposal.BartlettCoordinates.thetas

    def without(self, phis):
        thetas, log_jacobians = whole(self, phis)
        return thetas, np.where(np.isfinite(log_jacobians), 0.0, -np.inf)

    monkeypatch.setattr(proposal.BartlettCoordinates, "thetas", without)
    ours = label_free_draws(X, 2, Independent)
    with pytest.raises(AssertionError, match=r"combined Monte Carlo errors|ratio of sds"):
        assert_same_distribution(ours, theirs, sd_errors=4)


def test_they_are_taken_where_components_are_apart_and_not_where_they_overlap():
    near = bg.sample_posterior(apart(), 2, draws=100, rng=1, progress=False)
    assert near.attrs["sampler"] == "independent"
    assert near.attrs["inference_library"] == "bayesgmm"
    assert "% of independent proposals around the mode are effective" in near.attrs["sampler_reason"]
    overlapping = bg.datasets.simulate(300, 2, 2, separation=1.0, rng=1).X
    far = bg.sample_posterior(overlapping, 2, draws=100, rng=1, progress=False)
    assert far.attrs["sampler"] != "independent"


def test_proposals_that_turn_out_poor_are_given_up(monkeypatch):
    """As where chains meet a region that the curvature at the mode does not know."""
    near = Proposal.at(*at_mode(apart(), 2))
    far = replace(near, centre=near.centre + 1.5 * near.scale.sum(axis=1))
    chains = chains_of(far, 200)
    with pytest.raises(PoorProposalsError, match=r"of 660 independent proposals [\d.]+% were effective"):
        chains.first(200)
    chains.stop()

    good = Proposal.efficiency
    monkeypatch.setattr(Proposal, "efficiency", lambda self, rng: good(near, rng))
    whole = Proposal.at
    monkeypatch.setattr(
        Proposal,
        "at",
        classmethod(lambda cls, *at: replace(whole(*at), centre=whole(*at).centre + far.centre - near.centre)),
    )
    posterior = bg.sample_posterior(apart(), 2, draws=200, rng=1, progress=False)
    attributes = posterior.attrs
    assert attributes["sampler"] != "independent"
    assert "independent proposals" in attributes["sampler_reason"]
    assert "were effective; of short pilots" in attributes["sampler_reason"]
    assert len(attributes["pilots"]) == 3
    assert posterior["posterior"].sizes["draw"] == 200


def test_rows_without_digits_are_refused_and_not_proposed_for():
    X = np.array([1.0, 2.0, 3.0, 5.0, 8.0, 9.0]) * 2e-3 + 1e13  # six rows, of which float64 keeps few digits
    with pytest.raises(bg.errors.BayesgmmError):
        bg.sample_posterior(X, 1, sampler="independent", draws=50, chains=2, rng=36, progress=False)
