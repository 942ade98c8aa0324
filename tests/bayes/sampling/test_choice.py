"""The way to sample that the sampler chooses by itself, against each of the five on posteriors of both kinds."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.data import iris, nearly_empty
from threadpoolctl import threadpool_limits

import bayesgmm as bg
from bayesgmm.bayes.modes.curvature import curvature_at, find_mode
from bayesgmm.bayes.sampling.choice import choose
from bayesgmm.bayes.sampling.default_target import DefaultTarget
from bayesgmm.bayes.sampling.independent import PoorProposalsError
from bayesgmm.bayes.sampling.pilots import Pilot
from bayesgmm.bayes.sampling.proposal import Proposal
from bayesgmm.bayes.sampling.run import RunSettings
from bayesgmm.bayes.sampling.ways import WAYS
from bayesgmm.convergence import convergence

POSTERIORS = {
    "Old Faithful K=2": (bg.datasets.load_faithful, 2),
    "Old Faithful K=3": (bg.datasets.load_faithful, 3),
    "iris K=2": (iris, 2),
    "iris K=3": (iris, 3),
    "galaxies K=3": (lambda: np.asarray(bg.datasets.load_galaxies()) / 1000, 3),
    "galaxies K=6": (lambda: np.asarray(bg.datasets.load_galaxies()) / 1000, 6),
    "n=5000 D=2 K=3": (lambda: bg.datasets.simulate(5000, 3, 2, rng=1).X, 3),
    "n=2000 D=5 K=4": (lambda: bg.datasets.simulate(2000, 4, 5, rng=1).X, 4),
    "overlapping n=300 D=2 K=2": (lambda: bg.datasets.simulate(300, 2, 2, separation=1.0, rng=1).X, 2),
    "overlapping n=200 D=1 K=2": (lambda: bg.datasets.simulate(200, 2, 1, separation=1.5, rng=2).X, 2),
    "n=15 K=3": (lambda: bg.datasets.simulate(15, 3, 2, rng=3).X, 3),
    "nearly empty component": (nearly_empty, 3),
}
pytestmark = pytest.mark.filterwarnings("ignore:This maximum may be spurious:bayesgmm.errors.BayesgmmWarning")
SEEDS = range(5)


class Posterior:
    """One posterior around its mode."""

    def __init__(self, name):
        data, K = POSTERIORS[name]
        X = data()
        start = bg.fit_em(X, K, rng=1).parameters
        self.target = DefaultTarget.of(X, K, "full", None, [start], np.random.default_rng(0))
        mode = find_mode(self.target, self.target.searches[0])
        self.curvature = curvature_at(self.target, mode, np.random.default_rng(0))

    def ways(self):
        return {way.name: way for kind in WAYS if not isinstance(way := kind.around(self.target, self.curvature), str)}

    def choice(self, seed):
        return choose(WAYS, self.target, self.curvature, tune=None, rng=np.random.default_rng(seed))

    def efficiency(self, way, seed, draws=2000):
        """Effective draws of the log-likelihood per 1000 gradients, those of tuning estimated, and divergences.

        Other steps count as the gradients that take as long. Poor proposals have no effective draws.
        """
        chains = way.start(RunSettings(way.default_tune, draws, 4, seed, progress=False))
        try:
            found = chains.first(draws)
        except PoorProposalsError:
            return 0.0, 0
        finally:
            chains.stop()
        log_likelihoods = self.target.log_likelihoods(found)[..., np.newaxis]
        ess = float(convergence(log_likelihoods, ["x"])["ess_bulk"].iloc[0])
        gradients = way.step_cost * way.n_steps(found) * (1 + way.default_tune / draws)
        return 1000 * ess / gradients, int(np.sum(found.stats.get("diverging", 0)))


@pytest.mark.slow
@pytest.mark.parametrize("name", POSTERIORS)
def test_the_choice_is_nearly_as_efficient_as_the_best(name):
    """At least 0.8 of the best of the four, effective draws of the log-likelihood per gradient.

    A candidate's efficiency is its median over five seeds. Where components overlap, or there are more than the rows
    show, runs of 4 x 2000 draws differ by a factor of two and more from seed to seed, so that neither the best nor
    the ratio is known better than that: two standard errors of the ratio are allowed, estimated from the seeds.
    """
    posterior = Posterior(name)
    with threadpool_limits(limits=1, user_api="blas"):
        runs = {
            candidate: [posterior.efficiency(way, 1000 + seed) for seed in SEEDS]
            for candidate, way in posterior.ways().items()
        }
        choices = [posterior.choice(seed).way.name for seed in SEEDS]
    values = {candidate: np.array([value for value, _ in found]) for candidate, found in runs.items()}
    medians = {candidate: float(np.median(value)) for candidate, value in values.items()}
    best = max(medians, key=medians.__getitem__)
    ratio = float(np.mean([medians[choice] for choice in choices])) / medians[best]
    # Of a median of five: 1.25 sd / sqrt(5), sd robustly from the quartiles.
    spread = {
        candidate: 1.25 * np.subtract(*np.percentile(np.log(value), [75, 25])) / 1.35 / np.sqrt(len(SEEDS))
        for candidate, value in values.items()
        if value.all()
    }
    error = ratio * np.sqrt(
        spread[best] ** 2 + np.mean([spread[choice] ** 2 for choice in choices if choice != best] or [0])
    )
    print(f"\n{name} (P={posterior.target.n_dim}, misfit {posterior.curvature.misfit:.2g})")
    print(f"  took {', '.join(choices)}: {ratio:.2f} +- {error:.2f} of the best")
    for candidate in runs:
        print(
            f"  {candidate:10s} {medians[candidate]:6.2f} "
            f"[{' '.join(f'{value:.2f}' for value in values[candidate])}] divergences {[d for _, d in runs[candidate]]}"
        )
    assert ratio >= 0.8 - 2 * error


def test_where_components_are_apart_there_are_no_pilots():
    posterior = Posterior("Old Faithful K=2")
    choice = posterior.choice(0)
    assert (choice.way.name, choice.pilots) == ("independent proposals", ())


def test_without_proposals_what_is_nearly_gaussian_is_whitened_without_pilots(monkeypatch):
    monkeypatch.setattr(Proposal, "efficiency", lambda self, rng: 0.3)
    choice = Posterior("Old Faithful K=2").choice(0)
    assert (choice.way.name, choice.pilots) == ("whitened NUTS", ())
    assert "near the Gaussian" in choice.reason


def test_the_choice_depends_on_the_seed_alone():
    posterior = Posterior("galaxies K=3")
    first, second = posterior.choice(1), posterior.choice(1)
    assert first.pilots == second.pilots
    assert len(first.pilots) == 3
    assert first.reason == second.reason


def test_without_a_whitening_two_are_left():
    posterior = Posterior("galaxies K=3")
    curvature = posterior.curvature
    posterior.curvature = replace(curvature, whitening=None, misfit=np.inf, flaw="flat")
    choice = posterior.choice(1)
    assert [pilot.split(":")[0] for pilot in choice.pilots] == ["diagonal NUTS", "Gibbs"]
    assert choice.reason.startswith("flat; ")


def test_without_allocations_and_proposals_nuts_is_left():
    """As for a PyMC model."""
    posterior = Posterior("galaxies K=3")

    class Written(DefaultTarget):
        def proposal(self, curvature):
            return "unknown"

        def allocation_model(self):
            return None

    written = Written(posterior.target.density, posterior.target.features, posterior.target.searches)
    left = [kind.name for kind in WAYS if not isinstance(kind.around(written, posterior.curvature), str)]
    assert left == ["whitened NUTS", "diagonal NUTS"]


def test_labels_that_switch_are_sampled_with_allocations():
    choice = Posterior("galaxies K=6").choice(0)
    assert choice.way.name == "Gibbs"
    assert choice.pilots[-1].startswith("Gibbs: ")
    assert "sweeps" in choice.pilots[-1]


def test_divergences_and_missing_draws_count_against_a_candidate():
    clean = Pilot("a", tune=250, n_draws=2000, ess=400.0, r_hat=1.0, n_steps=20_000, n_divergences=0)
    assert clean.efficiency == pytest.approx(20 / 1.25)
    assert replace(clean, n_divergences=20).efficiency == pytest.approx(20 / 1.25 / 1.5)
    assert replace(clean, tune=1000).efficiency == pytest.approx(10)
    assert replace(clean, ess=float("nan")).efficiency == 0
