"""The way to sample that the sampler chooses by itself, against each of the five on posteriors of both kinds."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.data import iris, nearly_empty, prepared
from threadpoolctl import threadpool_limits

import bayesgmm as bg
from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.modes.curvature import curvature_at, find_mode
from bayesgmm.bayes.sampling import nuts
from bayesgmm.bayes.sampling.choice import choose
from bayesgmm.bayes.sampling.gibbs import SWEEPS
from bayesgmm.bayes.sampling.independent import PoorProposalsError
from bayesgmm.bayes.sampling.pilots import _Pilot
from bayesgmm.bayes.sampling.proposal import Proposal
from bayesgmm.bayes.sampling.ways import _COSTS, ALLOCATION, INDEPENDENT, begin, candidates_for
from bayesgmm.convergence import convergence
from bayesgmm.mixture.covariance import structure_named

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
SEEDS = range(5)
WIDTH = 2.0


class Problem:
    """One posterior: its curvature, and the log-likelihood of its draws."""

    def __init__(self, name):
        data, K = POSTERIORS[name]
        X = data()
        self.density = MixtureDensity.of(prepared(X), K, structure_named("full"), bg.Prior.for_data(X))
        self.posterior = nuts.CompiledDensity(self.density)
        start = self.density.unconstrain(bg.fit_em(X, K, rng=1).parameters)
        self.curvature = curvature_at(self.posterior, find_mode(self.posterior, [start]), np.random.default_rng(0))

    def log_likelihood(self, tree, at):
        z = tree["posterior"]["z"].values
        lp = tree["sample_stats"]["logp"].values
        return lp - self.density.log_priors(at.theta(z.reshape(-1, z.shape[-1]))).reshape(lp.shape)

    def candidates(self):
        return {at.name: at for at in candidates_for(self.posterior, self.curvature)}

    def choice(self, seed):
        rng = np.random.default_rng(seed)
        return choose(self.posterior, self.curvature, self.log_likelihood, tune=None, start_width=WIDTH, rng=rng)

    def efficiency(self, at, seed, draws=2000):
        """Effective draws of the log-likelihood per 1000 gradients, those of tuning estimated, and divergences.

        Sweeps count as the gradients that take as long, a proposal as one. Poor proposals have none.
        """
        chains = begin(self.posterior, at, start_width=WIDTH, limit=draws, chains=4, seed=seed, progress=False)
        try:
            tree = chains.first(draws)
        except PoorProposalsError:
            return 0.0, 0
        finally:
            chains.stop()
        ess = convergence(self.log_likelihood(tree, at)[..., np.newaxis], ["x"])["ess_bulk"].iloc[0]
        stats = tree["sample_stats"]
        if at.name == ALLOCATION:
            return 1000 * float(ess) / (_COSTS[ALLOCATION] * SWEEPS * 4 * (draws + at.settings.tune)), 0
        if at.name == INDEPENDENT:
            return 1000 * float(ess) / (4 * (draws + at.settings.tune)), 0
        gradients = int(stats["n_steps"].sum()) * (1 + at.settings.tune / draws)
        return 1000 * float(ess) / gradients, int(stats["diverging"].sum())


@pytest.mark.slow
@pytest.mark.parametrize("name", POSTERIORS)
def test_the_choice_is_nearly_as_efficient_as_the_best(name):
    """At least 0.8 of the best of the five, effective draws of the log-likelihood per gradient.

    A candidate's efficiency is its median over five seeds. Where components overlap, or there are more than the rows
    show, runs of 4 x 2000 draws differ by a factor of two and more from seed to seed, so that neither the best nor
    the ratio is known better than that: two standard errors of the ratio are allowed, estimated from the seeds.
    """
    problem = Problem(name)
    with threadpool_limits(limits=1, user_api="blas"):
        runs = {
            candidate: [problem.efficiency(at, 1000 + seed) for seed in SEEDS]
            for candidate, at in problem.candidates().items()
        }
        choices = [problem.choice(seed).coordinates.name for seed in SEEDS]
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
    print(f"\n{name} (P={problem.density.n_dim}, misfit {problem.curvature.misfit:.2g})")
    print(f"  took {', '.join(choices)}: {ratio:.2f} +- {error:.2f} of the best")
    for candidate in runs:
        print(
            f"  {candidate:10s} {medians[candidate]:6.2f} "
            f"[{' '.join(f'{value:.2f}' for value in values[candidate])}] divergences {[d for _, d in runs[candidate]]}"
        )
    assert ratio >= 0.8 - 2 * error


def test_where_components_are_apart_there_are_no_pilots():
    problem = Problem("Old Faithful K=2")
    choice = problem.choice(0)
    assert (choice.coordinates.name, choice.pilots) == ("independent", ())


def test_without_proposals_what_is_nearly_gaussian_is_whitened_without_pilots(monkeypatch):
    monkeypatch.setattr(Proposal, "efficiency", lambda self, rng: 0.3)
    choice = Problem("Old Faithful K=2").choice(0)
    assert (choice.coordinates.name, choice.pilots) == ("whitened", ())
    assert "near the Gaussian" in choice.reason


def test_the_choice_depends_on_the_seed_alone():
    problem = Problem("galaxies K=3")
    first, second = problem.choice(1), problem.choice(1)
    assert first.pilots == second.pilots
    assert len(first.pilots) == 4
    assert first.reason == second.reason


def test_without_a_whitening_three_are_left():
    problem = Problem("galaxies K=3")
    curvature = problem.curvature
    problem.curvature = replace(curvature, whitening=None, misfit=np.inf, flaw="flat")
    choice = problem.choice(1)
    assert [pilot.split(":")[0] for pilot in choice.pilots] == ["plain", "low-rank", "allocation"]
    assert choice.reason.startswith("flat; ")


def test_a_model_that_the_user_wrote_has_no_allocations_and_no_proposals():
    problem = Problem("galaxies K=3")
    known = [at.name for at in candidates_for(problem.posterior, problem.curvature)]
    written = type("Written", (), {"density": None})()
    found = [at.name for at in candidates_for(written, problem.curvature)]
    assert [*found, "allocation", "independent"] == known


def test_labels_that_switch_are_sampled_with_allocations():
    choice = Problem("galaxies K=6").choice(0)
    assert choice.coordinates.name == "allocation"
    assert choice.pilots[-1].startswith("allocation: ")
    assert "sweeps" in choice.pilots[-1]


def test_divergences_and_missing_draws_count_against_a_candidate():
    clean = _Pilot("a", tune=250, draws=2000, ess=400.0, r_hat=1.0, gradients=20_000, divergences=0)
    assert clean.efficiency == pytest.approx(20 / 1.25)
    assert replace(clean, divergences=20).efficiency == pytest.approx(20 / 1.25 / 1.5)
    assert replace(clean, tune=1000).efficiency == pytest.approx(10)
    assert replace(clean, ess=float("nan")).efficiency == 0
