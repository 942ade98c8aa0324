"""Planted faults are found, and good posteriors pass."""

import numpy as np
import pytest
import xarray as xr
from helpers.posteriors import posterior_of

import bayesgmm as bg


def kinds(posterior):
    return {problem.kind for problem in bg.diagnose(posterior).problems}


def with_changes(posterior, group, **changes):
    """A copy in which each named variable went through a function of its values."""
    changed = posterior.copy(deep=True)
    for name, change in changes.items():
        variable = changed[group].to_dataset()[name]
        changed[group][name] = variable.copy(data=change(variable.values.copy()))
    return changed


def edit_chain(edit):
    def change(values):
        values[0] = edit(values[0])
        return values

    return change


def test_a_good_posterior_has_no_problem(faithful_posterior):
    assert bg.diagnose(faithful_posterior).ok


def test_a_chain_in_another_mode_is_found(faithful_posterior):
    moved = with_changes(faithful_posterior, "posterior", means=edit_chain(lambda chain: chain * 1.05))
    assert "chains disagree" in kinds(moved)


def test_a_constant_chain_is_found(faithful_posterior):
    stuck = with_changes(faithful_posterior, "posterior", means=edit_chain(lambda chain: 0 * chain + chain[:1]))
    diagnosis = bg.diagnose(stuck)
    assert not diagnosis.ok
    assert diagnosis.parameters["r_hat"].isna().any()


def test_all_chains_stuck_at_one_point_is_found(faithful_posterior):
    stuck = with_changes(faithful_posterior, "posterior", weights=lambda values: 0 * values + values[:1, :1])
    assert not bg.diagnose(stuck).ok


def test_nan_is_a_failure_never_a_pass(faithful_posterior):
    def spoil(values):
        values[2, 5, 0] = np.nan
        return values

    broken = with_changes(faithful_posterior, "posterior", weights=spoil)
    diagnosis = bg.diagnose(broken)
    assert not diagnosis.ok
    assert "weights[0]" in " ".join(problem.text for problem in diagnosis.problems)


@pytest.mark.parametrize(("group", "name"), [("posterior", "means"), ("sample_stats", "total_log_likelihood")])
def test_a_chain_of_nan_is_found(group, name, faithful_posterior):
    broken = with_changes(faithful_posterior, group, **{name: edit_chain(lambda chain: np.full_like(chain, np.nan))})
    problems = bg.diagnose(broken).problems
    assert [problem.kind for problem in problems] == ["NaN draws"]
    assert "NaN or infinity in 1000 of 4000 draws, in chain 0" in problems[0].text
    assert "Leave out chain 0" in problems[0].text


def test_a_chain_padded_with_zeros_is_found(faithful_posterior):
    """As an interrupted run would look if nobody had cut it, in every variable."""

    def pad(values):
        values[0, len(values[0]) // 2 :] = 0
        return values

    padded = with_changes(faithful_posterior, "posterior", weights=pad, means=pad)
    assert "chains disagree" in kinds(with_changes(padded, "sample_stats", total_log_likelihood=pad, lp=pad))


def test_a_divergence_is_found(faithful_nuts):
    def diverge(values):
        values[1, 3] = True
        return values

    assert "divergences" in kinds(with_changes(faithful_nuts, "sample_stats", diverging=diverge))


def test_low_energy_information_is_found(faithful_nuts):
    def walk(values):
        return np.cumsum(np.random.default_rng(0).normal(size=values.shape), axis=1)

    assert "energy" in kinds(with_changes(faithful_nuts, "sample_stats", energy=walk))


def test_nan_energy_is_found(faithful_nuts):
    assert "energy" in kinds(with_changes(faithful_nuts, "sample_stats", energy=lambda values: values * np.nan))


def test_few_effective_draws_are_found(faithful_posterior):
    short = faithful_posterior.copy(deep=True)
    for group in ("posterior", "sample_stats"):
        short[group] = short[group].isel(draw=slice(0, 60))
    assert "few draws" in kinds(short)


def test_an_interrupted_run_is_found(faithful_posterior):
    interrupted = faithful_posterior.copy()
    interrupted.attrs = faithful_posterior.attrs | {"interrupted": 1}
    assert "interrupted" in kinds(interrupted)


@pytest.mark.filterwarnings("ignore:This maximum may be spurious:bayesgmm.errors.BayesgmmWarning")
def test_unclear_labels_are_told_from_chains_that_disagree(galaxies):
    """Galaxies with six components, where relabelling is known to be impossible."""
    em = bg.fit_em(galaxies, 6, rng=1)
    posterior = bg.align(
        bg.sample_posterior(galaxies, 6, start=em.parameters, draws=1000, rng=1, progress=False), em.parameters
    )
    assert "labels" in kinds(posterior)
    assert bg.compare(em, posterior).verdict == "not comparable"


@pytest.mark.filterwarnings("ignore:This maximum may be spurious:bayesgmm.errors.BayesgmmWarning")
def test_two_overlapping_normals_have_no_labels_to_compare():
    """The shape of posteriordb's low_dim_gauss_mix with the means half a standard deviation apart."""
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.normal(-0.25, 1.0, 300), rng.normal(0.25, 1.0, 200)])
    prior = bg.Prior(mean_location=0.0, mean_scale=2.0, std=bg.priors.HalfNormal(2.0), concentration=5.0)
    em = bg.fit_em(X, 2, rng=1)
    posterior = bg.align(
        bg.sample_posterior(X, 2, prior=prior, start=em.parameters, draws=2000, rng=1, progress=False), em.parameters
    )
    assert "labels" in kinds(posterior)
    comparison = bg.compare(em, posterior)
    assert comparison.verdict == "not comparable"
    assert any("labels" in reason for reason in comparison.reasons)


def test_the_summary_names_the_statistics(faithful_posterior):
    text = bg.diagnose(faithful_posterior).summary()
    for word in ("R-hat", "ESS bulk", "tail", "E-BFMI", "divergences", "no problem found"):
        assert word in text


@pytest.mark.slow
def test_good_posteriors_are_seldom_called_bad():
    """200 well-separated data sets: at most 5 % flagged."""
    flagged = []
    for seed in range(200):
        simulation = bg.datasets.simulate(300, 2, 2, separation=5, rng=seed)
        posterior = bg.sample_posterior(
            simulation.X, 2, start=simulation.parameters, draws=1000, rng=seed, progress=False
        )
        diagnosis = bg.diagnose(bg.align(posterior, simulation.parameters))
        if not diagnosis.ok:
            flagged.append((seed, [problem.text for problem in diagnosis.problems]))
    assert len(flagged) <= 10, flagged


# Causes


def diagnosis_of(values, *, clear=1.0, X=None):
    """Of two components with these draws (chain, draw) of a mean, and clear labels in a share of the draws."""
    chains, n_draws = values.shape
    means = np.zeros((chains * n_draws, 2, 1))
    means[:, 0, 0], means[:, 1, 0] = values.ravel(), 10 + np.random.default_rng(1).normal(size=values.size)
    rng = np.random.default_rng(2)
    weights = rng.dirichlet([50, 50], len(means))
    covariances = rng.chisquare(50, (len(means), 2, 1, 1)) / 50
    posterior = posterior_of(weights, means, covariances, X, chains=chains)
    stats = posterior["sample_stats"].to_dataset().drop_vars(["lp", "total_log_likelihood"])
    is_clear = (np.arange(values.size) % 100 < 100 * clear).reshape(values.shape)
    stats = stats.assign(
        lp=(("chain", "draw"), rng.normal(size=values.shape)),
        label_clear=(("chain", "draw"), is_clear),
        label=(("chain", "draw", "component"), np.zeros((chains, n_draws, 2), int)),
    )
    posterior["sample_stats"] = xr.DataTree(stats)
    return bg.diagnose(posterior)


def noisy_chains():
    """Four chains of 400 draws whose means differ by about 0.15 sd, so that R-hat is a little above 1.01."""
    return np.random.default_rng(3).normal(size=(4, 400)) + 0.2 * np.array([[-1.0], [1.0], [-1.0], [1.0]])


def test_an_r_hat_above_the_limit_with_clear_labels_asks_for_draws_and_blames_no_labels():
    diagnosis = diagnosis_of(noisy_chains())
    (problem,) = [problem for problem in diagnosis.problems if "chains disagree" in problem.text]
    assert 1.01 < diagnosis.parameters.loc["means[0, x0]", "r_hat"] < 1.1
    assert problem.kind == "few draws"
    assert problem.text.endswith("Raise draws.")
    assert "ambiguous" not in problem.text
    assert "fewer components" not in problem.text


def test_the_same_r_hat_with_unclear_labels_blames_the_labels():
    problems = diagnosis_of(noisy_chains(), clear=0.5).problems
    (problem,) = [problem for problem in problems if "chains disagree" in problem.text]
    assert problem.kind == "labels"
    assert "labels are ambiguous" in problem.text


def test_one_chain_is_the_problem_and_not_that_chains_disagree(faithful_posterior):
    assert kinds(faithful_posterior.isel(chain=[0])) == {"one chain"}


def test_a_stuck_chain_is_named(faithful_posterior):
    stuck = with_changes(faithful_posterior, "posterior", means=edit_chain(lambda chain: 0 * chain + chain[:1]))
    (problem,) = [problem for problem in bg.diagnose(stuck).problems if problem.kind == "stuck chain"]
    assert "means[0, eruptions]" in problem.text
    assert "in chain 0" in problem.text


def test_as_many_rows_as_free_numbers_are_a_problem():
    """Two components of one feature have 5 free numbers: a weight, two means, two standard deviations."""
    draws = np.random.default_rng(5).normal(size=(4, 400))
    few, enough = (diagnosis_of(draws, X=np.linspace(-1, 11, n)[:, np.newaxis]) for n in (5, 6))
    assert "few rows" in {problem.kind for problem in few.problems}
    assert any("5 rows for 5 free numbers" in problem.text for problem in few.problems)
    assert "few rows" not in {problem.kind for problem in enough.problems}


def test_a_column_of_two_values_is_a_problem_and_rounded_measurements_are_none(faithful):
    draws = np.random.default_rng(5).normal(size=(4, 400))
    flags = (np.arange(200) % 3 == 0).astype(float)[:, np.newaxis]
    (problem,) = [problem for problem in diagnosis_of(draws, X=flags).problems if problem.kind == "few values"]
    assert "x0 (2 values)" in problem.text
    rounded = faithful[["waiting"]].to_numpy().round(-1) + np.arange(272)[:, np.newaxis] % 10
    assert "few values" not in {problem.kind for problem in diagnosis_of(draws, X=rounded).problems}
