"""Gibbs sampling with allocations: each conditional against the density completed by them, chains against NUTS."""

from itertools import product

import numpy as np
import pytest
from helpers.data import prepared
from helpers.label_free import label_free
from helpers.monte_carlo import summary
from helpers.threaded import draws_at, interrupted_run
from helpers.ways import sample_by
from numba import config
from numba.core.dispatcher import Dispatcher
from scipy.stats import Covariance, multivariate_normal

import bayesgmm as bg
from bayesgmm.bayes.model import transforms
from bayesgmm.bayes.model.arguments import ModelArguments
from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.modes.curvature import Curvature
from bayesgmm.bayes.sampling import gibbs_slices, gibbs_sweep, threads
from bayesgmm.bayes.sampling.gibbs import Gibbs, GibbsChains
from bayesgmm.bayes.sampling.nuts_ways import DiagonalNUTS
from bayesgmm.bayes.sampling.run import RunSettings
from bayesgmm.kernel import score, triangular
from bayesgmm.kernel.passes import allocated_statistics
from bayesgmm.kernel.rows import KernelParameters, rows_of
from bayesgmm.mixture.covariance import structure_named

STRUCTURES = ("full", "tied", "diag", "spherical")
STDS = {
    "log-normal": bg.priors.LogNormal(0.8, 0.5),
    "half-normal": bg.priors.HalfNormal(1.5),
    "gamma": bg.priors.Gamma(4.0, 4.0),
    "inverse-gamma": bg.priors.InverseGamma(6.0, 5.0),
    "exponential": bg.priors.Exponential(1.2),
    "uniform": bg.priors.Uniform(0.3, 3.0),
    "fixed": bg.priors.Fixed(0.9),
}


def density_of(structure, std, n=5, D=3, K=2, alpha=1.5, eta=1.7):
    X = np.random.default_rng(n + 10 * D).normal(1.0, 1.5, (n, D))
    prior = bg.Prior(0.3, 2.0, STDS[std], alpha, eta)
    return MixtureDensity.of(prepared(X), K, structure_named(structure), prior)


def completed(density, theta, labels):
    """Log density of theta, the labels and the rows: SciPy's normal densities and the density's own prior."""
    mixture = {name: values[0] for name, values in density.constrain(theta[np.newaxis]).items()}
    value = density.log_priors(theta[np.newaxis])[0]
    for x, k in zip(density.values, labels, strict=True):
        value += np.log(mixture["weights"][k])
        covariance = Covariance.from_cholesky(np.linalg.cholesky(mixture["covariances"][k]))
        value += multivariate_normal(mixture["means"][k], covariance).logpdf(x)
    return value


def random_theta(density, seed=3):
    return 0.7 * np.random.default_rng(seed).standard_normal(density.n_dim)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("std", ["log-normal", "uniform", "fixed"])
def test_the_completed_density_sums_to_the_density(structure, std):
    """Over all 2^5 gibbs_sweep, so that what the conditionals are held to is the posterior that NUTS samples."""
    density = density_of(structure, std)
    theta = random_theta(density)
    terms = [completed(density, theta, labels) for labels in product(range(2), repeat=5)]
    assert np.logaddexp.reduce(terms) == pytest.approx(density.log_posteriors(theta[np.newaxis])[0], abs=1e-9)


class Told:
    """A generator that gives what it is told to."""

    def __init__(self, normals, gammas):
        self.normals, self.gammas, self.shapes = iter(normals), iter(gammas), []

    def standard_normal(self):
        return next(self.normals)

    def standard_gamma(self, shape):
        self.shapes.append(shape)
        return next(self.gammas)


def sweep(density, theta, labels, generator, slice_):
    """One sweep in Python with these labels; slice_(t, log_conditional) makes each step of slice sampling."""
    model = ModelArguments(density.n_components, *density.switches, *density.arrays)
    K, D = density.n_components, density.values.shape[1]

    def given(rng, X, origin, log_scales, means, whiteners, diagonal, counts, first, second):
        for x, k in zip(X, labels, strict=True):
            y = whiteners[k] @ (x - origin - means[k])
            counts[k] += 1
            first[k] += y
            second[k] += np.diag(y * y) if diagonal else np.outer(y, y)

    def step(rng, t, width, *arguments):
        assert 0 < width < 10
        return slice_(t, lambda at: gibbs_slices.log_conditional(at, *arguments))

    density.log_priors(theta[np.newaxis])  # compiled before what it is made of is exchanged
    with pytest.MonkeyPatch.context() as patch:
        # What only compiled code calls has no way in from Python: it runs in Python instead.
        sweeps = (gibbs_sweep, gibbs_slices)
        for module in (*sweeps, transforms, score, triangular):
            for name, value in vars(module).items():
                if isinstance(value, Dispatcher) and (module in sweeps or "no_cpython_wrapper" in value.targetoptions):
                    patch.setattr(module, name, value.py_func)
        patch.setattr(gibbs_sweep, "allocated_statistics", given)
        patch.setattr(gibbs_slices, "draw_by_slice", step)
        gibbs_sweep._sweep(generator, density.values, model, theta, gibbs_sweep.make_workspace(K, D))


@pytest.mark.parametrize(("std", "D"), [*product(STDS, [3]), ("log-normal", 1), ("uniform", 1), ("log-normal", 5)])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_slices_are_of_the_completed_density(structure, std, D):
    """Each coordinate's conditional, in the course of two sweeps, by its differences to random other values."""
    density = density_of(structure, std, n=12, D=D)
    rng, theta = np.random.default_rng(1), random_theta(density)
    labels = rng.integers(0, 2, 12)
    seen = set()

    def slice_(t, log_conditional):
        index = int(np.flatnonzero(theta == t)[0])
        seen.add(index)
        here, others = completed(density, theta, labels), t + rng.normal(size=3)
        for other in others:
            there = theta.copy()
            there[index] = other
            difference = completed(density, there, labels) - here
            assert log_conditional(other) - log_conditional(t) == pytest.approx(difference, rel=1e-8, abs=1e-8)
        return others[0]

    for _ in range(2):
        sweep(density, theta, labels, Told(rng.normal(size=100), rng.gamma(2.0, size=100)), slice_)
    weights_and_means = 1 + 2 * D
    assert seen == set(range(weights_and_means, density.n_dim))


@pytest.mark.parametrize("structure", STRUCTURES)
def test_means_are_normal_given_all_else(structure):
    """A draw made of normals e differs in log density from one made of zeros by -e'e / 2, for every e.

    So the mean and the covariance of the conditional distribution are right.
    """
    density, labels = density_of(structure, "log-normal", n=9), np.array([0, 0, 1, 0, 0, 1, 0, 0, 0])
    found = {}
    for scale in (0.0, 1.0, -2.0):
        theta, normals = random_theta(density), scale * np.random.default_rng(2).normal(size=6)
        sweep(density, theta, labels, Told(normals, [1.3, 2.1]), lambda t, _: t)
        found[scale] = completed(density, theta, labels) + 0.5 * normals @ normals
    assert found[1.0] == pytest.approx(found[0.0], abs=1e-9)
    assert found[-2.0] == pytest.approx(found[0.0], abs=1e-9)


def test_weights_are_dirichlet_given_the_labels():
    """In coordinates whose Jacobian is the product of the weights: sum (alpha + n_k) log w_k."""
    density, labels = density_of("full", "fixed", n=9, K=3), np.array([0, 0, 1, 0, 0, 1, 0, 0, 0])
    values = []
    for gammas in ([2.0, 3.0, 1.0], [5.0, 0.4, 1.7]):
        theta, told = random_theta(density), Told(np.zeros(9), gammas)
        sweep(density, theta, labels, told, lambda t, _: t)
        assert told.shapes == [8.5, 3.5, 1.5]
        weights = density.constrain(theta[np.newaxis])["weights"][0]
        np.testing.assert_allclose(weights, np.array(gammas) / sum(gammas))
        kept = np.concatenate([theta[:2], random_theta(density)[2:]])
        values.append(completed(density, kept, labels) - np.log(weights) @ [8.5, 3.5, 1.5])
    assert values[0] == pytest.approx(values[1], abs=1e-9)


def test_a_gamma_below_the_smallest_number_keeps_its_logarithm():
    """E log of a Gamma(0.001) is digamma(0.001) = -1000.6, its sd 1000; exp of half of them is 0."""
    rng = np.random.default_rng(1)
    logs = np.array([gibbs_sweep.log_gamma_variate.py_func(rng, 0.001) for _ in range(4000)])
    assert np.isfinite(logs).all()
    assert logs.mean() == pytest.approx(-1000.6, abs=4 * 1000 / np.sqrt(4000))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("diagonal", [False, True])
def test_rows_are_given_to_components_by_their_responsibilities(dtype, diagonal):
    """The same uniform numbers through NumPy: labels, and N_k, t_k, T_k of the rows with each."""
    rng = np.random.default_rng(4)
    n, K, D = 600, 3, 2
    X = rng.normal(5.0, 2.0, (n, D)).astype(dtype)
    mixture = bg.MixtureParameters([0.5, 0.3, 0.2], 5 + rng.normal(size=(K, D)), np.array([np.eye(D)] * K) * 1.7)
    rows = rows_of(X)
    means = np.asarray(mixture.means) - rows.origin
    parameters = KernelParameters.of(mixture.weights, means, np.linalg.cholesky(mixture.covariances))
    counts, first, second = np.zeros(K), np.zeros((K, D)), np.zeros((K, D, D))
    scales, whiteners = parameters.log_scales, parameters.whiteners
    allocated_statistics(
        np.random.default_rng(7), rows.values, rows.origin, scales, means, whiteners, diagonal, counts, first, second
    )
    r = mixture.responsibilities(X.astype(np.float64))
    labels = (np.random.default_rng(7).random(n)[:, np.newaxis] >= np.cumsum(r, axis=1)[:, :-1]).sum(axis=1)
    y = np.einsum("nij,nj->ni", whiteners[labels], X - mixture.means[labels])
    for k in range(K):
        of_k = y[labels == k]
        assert counts[k] == len(of_k)
        np.testing.assert_allclose(first[k], of_k.sum(axis=0), rtol=1e-9)
        found, expected = second[k], of_k.T @ of_k
        if diagonal:
            found, expected = np.diag(found), np.diag(expected)
        np.testing.assert_allclose(np.tril(found), np.tril(expected), rtol=1e-9)


def chains_of(density, limit, chains=3, seed=5, tune=5):
    P = density.n_dim
    around = Curvature(np.zeros(P), np.full(P, 0.1), None, np.inf)
    return GibbsChains(density, around, RunSettings(tune, limit, chains, seed, progress=False))


def draws_after(checkpoints, density, **options):
    return draws_at(chains_of(density, checkpoints[-1], **options), checkpoints)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_draws_depend_on_the_seed_and_on_neither_threads_nor_checkpoints(structure, monkeypatch):
    density = density_of(structure, "log-normal", n=30)
    draws = draws_after([40], density)
    np.testing.assert_array_equal(draws.theta, draws_after([7, 8, 40], density).theta)
    monkeypatch.setattr(threads, "_ROWS_PER_PIECE", 1)
    monkeypatch.setattr(config, "NUMBA_NUM_THREADS", 1)
    np.testing.assert_array_equal(draws.theta, draws_after([40], density).theta)
    assert not (draws.theta == draws_after([40], density, seed=6).theta).any()
    assert not (draws.theta[0] == draws.theta[1]).any()
    np.testing.assert_allclose(density.log_posteriors(draws.flat_theta), draws.log_posterior.ravel(), rtol=1e-9)


def test_an_interruption_keeps_what_was_drawn(monkeypatch):
    density = density_of("full", "log-normal", n=30)
    monkeypatch.setattr(threads, "_ROWS_PER_PIECE", 1)
    run = interrupted_run(monkeypatch, GibbsChains, lambda: chains_of(density, 1000), 20)
    assert run.chain_lengths == (15, 15, 15)  # five pieces of one draw were tuning
    np.testing.assert_array_equal(run.draws.theta, draws_after([15], density).theta)


def label_free_draws(X, K, way, draws, rng):
    posterior = sample_by(way, X, K, start=bg.fit_em(X, K, rng=1).parameters, draws=draws, rng=rng)
    assert posterior.attrs["sampler"] == way.sampler
    names = ("weights", "means", "stds", "correlations")
    return label_free(X, X[[3, len(X) // 2, -3]], *(posterior["posterior"][name].values for name in names)), posterior


@pytest.mark.filterwarnings("ignore:This maximum may be spurious:bayesgmm.errors.BayesgmmWarning")
@pytest.mark.parametrize(
    ("K", "draws"), [(3, 2000), pytest.param(6, 10_000, marks=pytest.mark.slow)], ids=["three", "six"]
)
def test_galaxies_have_the_posterior_that_nuts_finds(galaxies, K, draws):
    """Means of what does not depend on labels within 4 combined Monte Carlo errors; fails by chance once in 2000."""
    X = np.asarray(galaxies, dtype=np.float64).reshape(-1, 1)
    ours, theirs = (summary(label_free_draws(X, K, way, draws, rng=2)[0]) for way in (Gibbs, DiagonalNUTS))
    for name, (mean, sd, error, _) in ours.items():
        combined = np.hypot(error, theirs[name][2])
        assert combined < 0.1 * sd
        assert abs(mean - theirs[name][0]) <= 4 * combined, name


def test_what_nuts_alone_has_is_absent_and_missed_nowhere(galaxies, tmp_path):
    X = np.asarray(galaxies, dtype=np.float64).reshape(-1, 1)
    em = bg.fit_em(X, 3, rng=1)
    _, posterior = label_free_draws(X, 3, Gibbs, 500, rng=1)
    assert set(posterior["sample_stats"].data_vars) == {"lp", "log_prior", "total_log_likelihood"}
    assert posterior.attrs["inference_library"] == "bayesgmm"
    aligned = bg.align(posterior, em.parameters)
    diagnosis = bg.diagnose(aligned)
    assert diagnosis.bfmi.shape == (0,)
    assert diagnosis.n_divergences == 0
    assert "no E-BFMI" in diagnosis.summary()
    assert "no E-BFMI" in repr(diagnosis)
    assert not {"energy", "divergences"} & {problem.kind for problem in diagnosis.problems}
    assert bg.compare(em, aligned).verdict
    with pytest.raises(bg.errors.InputError, match="has no energy to draw"):
        bg.plots.plot_energy(aligned)
    assert bg.plots.plot_trace(aligned).axes
    bg.Analysis(em, aligned, diagnosis, bg.compare(em, aligned)).save(tmp_path / "saved")
    assert not (tmp_path / "saved" / "energy.png").exists()
