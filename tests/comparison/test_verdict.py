"""The verdict: likely causes by name, planted failures of each kind never agree, well-specified data mostly do."""

import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from helpers.posteriors import posterior_of, unrelated_draws

import bayesgmm as bg
from bayesgmm.comparison.verdict import near_duplicate_shares
from bayesgmm.mixture.draws import MixtureDraws
from bayesgmm.posterior.diagnosis.sensitivity import prior_sensitivity


def simulated(seed, n_rows=400):
    return bg.datasets.simulate(n_rows, 2, 2, separation=5, rng=seed).X


@cache
def pair(seed, K=2, n_rows=400):
    """An EM fit of two well-separated components, and the posterior aligned to it."""
    X = simulated(seed, n_rows)
    em = bg.fit_em(X, K, n_init=20, rng=seed)
    posterior = bg.sample_posterior(X, K, start=em.parameters, draws=1000, rng=seed, progress=False)
    return em, bg.align(posterior, em.parameters)


def moved(em, **changes):
    p = em.parameters
    values = {"weights": p.weights, "means": p.means, "covariances": p.covariances} | changes
    return replace(em, parameters=bg.MixtureParameters(**values, features=p.features))


def with_groups(posterior, change):
    """A copy whose groups went through change(name, dataset)."""
    tree = xr.DataTree.from_dict({name: change(name, node.to_dataset()) for name, node in posterior.children.items()})
    tree.attrs |= posterior.attrs
    return tree


def a_mean_off(em, posterior):
    """By 1.5 posterior standard deviations."""
    means = em.parameters.means.copy()
    means[0, 0] += 1.5 * posterior["posterior"]["means"].values[..., 0, 0].std()
    return moved(em, means=means), posterior


def a_component_collapsed(em, posterior):
    return moved(
        em, covariances=em.parameters.covariances * np.array([1.0, 0.05])[:, np.newaxis, np.newaxis]
    ), posterior


def a_local_maximum(em, posterior):
    """EM at one Gaussian, twice: where the likelihood has a saddle."""
    X = posterior["observed_data"]["X"].values
    apart = 0.05 * X.std(axis=0) * np.array([[1.0], [-1.0]])
    worse = moved(em, means=X.mean(axis=0) + apart, covariances=np.array([np.cov(X, rowvar=False)] * 2))
    worse = replace(worse, log_likelihood=float(worse.parameters.log_density(X).sum()))
    return worse, bg.align(posterior, worse.parameters)


def a_chain_elsewhere(em, posterior):
    def change(name, dataset):
        if name == "posterior":
            means = dataset["means"].values.copy()
            means[0] += 3 * means[1:].std(axis=(0, 1))
            return dataset.assign(means=dataset["means"].copy(data=means))
        return dataset

    return em, with_groups(posterior, change)


def few_draws(em, posterior):
    return em, with_groups(posterior, lambda _, group: group.isel(draw=slice(0, 60)) if "draw" in group.dims else group)


def the_posterior_of_half_the_rows(em, posterior):
    half = em.rows.values[::2]
    return em, bg.align(
        bg.sample_posterior(half, 2, start=em.parameters, draws=500, rng=1, progress=False), em.parameters
    )


def a_component_too_many(em, posterior):
    """Three components for two clusters: one is empty, or a part of another."""
    X = em.rows.values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bg.errors.BayesgmmWarning)  # that the third component may be spurious
        wrong = bg.fit_em(X, 3, n_init=20, rng=1)
    drawn = bg.sample_posterior(X, 3, start=wrong.parameters, draws=1000, rng=1, progress=False)
    return wrong, bg.align(drawn, wrong.parameters)


FAILURES = {
    a_mean_off: ("differ", "means[0, x0]"),
    a_component_collapsed: ("differ", "as a collapsing component is"),
    a_local_maximum: ("differ", "local maximum"),
    a_chain_elsewhere: ("not comparable", "Chains disagree"),
    few_draws: ("not comparable", "effective draws"),
    the_posterior_of_half_the_rows: ("not comparable", "same rows"),
    a_component_too_many: ("not comparable", ""),
}


@pytest.mark.parametrize("plant", FAILURES, ids=lambda plant: plant.__name__)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_planted_failure_is_named(plant, seed):
    """Each failure is planted in a pair that agrees without it."""
    verdict, words = FAILURES[plant]
    comparison = bg.compare(*plant(*pair(seed)))
    assert comparison.verdict == verdict
    assert words in " ".join(comparison.reasons)
    assert bg.compare(*pair(seed)).verdict == "agree"


@pytest.mark.slow
@pytest.mark.parametrize("plant", FAILURES, ids=lambda plant: plant.__name__)
def test_two_hundred_planted_failures_never_agree(plant):
    verdicts = [bg.compare(*plant(*pair(seed))).verdict for seed in range(1, 201)]
    print(f"{plant.__name__}: {verdicts.count('differ')} differ, {verdicts.count('not comparable')} not comparable")
    assert "agree" not in verdicts


@pytest.mark.slow
def test_nine_in_ten_of_five_hundred_well_specified_data_sets_agree():
    """200 rows a component. With a true rate of 95 % it fails by chance once in a million; 85 % would fail surely."""
    verdicts = [
        bg.analyze(simulated(seed), 2, n_init=20, rng=seed, progress=False).comparison.verdict for seed in range(1, 501)
    ]
    print({verdict: verdicts.count(verdict) for verdict in dict.fromkeys(verdicts)})
    assert verdicts.count("agree") >= 450


def test_few_rows_skew_and_the_prior_are_named_as_causes():
    """Ten rows a component for five numbers each: EM's standard deviations are too small, and the prior counts."""
    em, posterior = pair(3, n_rows=20)
    comparison = bg.compare(em, posterior, thresholds=bg.Thresholds(max_z=0.3, max_divergent=0.5))
    stds = comparison.table[(comparison.table["parameter"] == "stds") & comparison.table["differs"]]
    assert len(stds)
    assert (stds["z"] < 0).all()
    assert stds["cause"].str.contains("holds few rows").all()
    assert stds["cause"].str.contains("skewed, its mean above its mode").any()
    assert stds["cause"].str.contains("the prior pulls").any()
    assert not comparison.table.loc[~comparison.table["differs"], "cause"].any()


def test_a_draw_better_than_em_is_a_local_maximum():
    em, posterior = pair(1)
    comparison = bg.compare(replace(em, log_likelihood=em.log_likelihood - 30), posterior)
    assert comparison.verdict == "differ"
    assert "local maximum" in comparison.reasons[0]


@pytest.mark.parametrize(("mean", "share"), [(0.3, 1.0), (0.5, 0.0)])
def test_near_duplicates_are_components_nearer_than_the_distance(mean, share):
    """Unit variances: means d apart have the Bhattacharyya distance d^2 / 8, which is 0.02 at d = 0.4."""
    draws = MixtureDraws(
        np.full((5, 3), 1 / 3), np.tile([[0.0], [mean], [9.0]], (5, 1, 1)), np.ones((5, 3, 1, 1)), ("x",)
    )
    assert near_duplicate_shares(draws, 0.02) == {(0, 1): share, (0, 2): 0.0, (1, 2): 0.0}


def test_few_divergences_are_a_note_and_more_an_obstacle():
    em, posterior = pair(1)

    def diverging(n):
        def change(name, dataset):
            if name != "sample_stats":
                return dataset
            flags = np.arange(dataset["lp"].size).reshape(dataset["lp"].shape) < n
            return dataset.assign(diverging=dataset["lp"].copy(data=flags))

        return with_groups(posterior, change)

    few, many = bg.compare(em, diverging(4)), bg.compare(em, diverging(5))
    assert few.verdict == "agree" and "4 draws diverged, too few to prevent a comparison." in few.notes
    assert many.verdict == "not comparable" and "5 of 4000 draws diverged" in many.reasons[0]
    assert not bg.diagnose(diverging(1)).ok


def test_lines_can_be_moved():
    em, posterior = pair(1)
    assert bg.compare(em, posterior, thresholds=bg.Thresholds(max_z=0.001)).verdict == "differ"
    strict = bg.Thresholds(min_ess=1e6)
    assert bg.compare(em, posterior, thresholds=strict).verdict == "not comparable"
    assert not bg.diagnose(posterior, strict).ok


@pytest.mark.parametrize(
    ("fields", "message"), [({"max_z": 0}, "max_z"), ({"min_ess": "many"}, "min_ess"), ({"max_r_hat": 0.9}, "above 1")]
)
def test_impossible_thresholds_are_refused(fields, message):
    with pytest.raises(bg.errors.InputError, match=message):
        bg.Thresholds(**fields)


def test_thresholds_of_another_type_are_refused():
    with pytest.raises(bg.errors.InputError, match="thresholds must be a Thresholds"):
        bg.compare(*pair(1), thresholds=1.0)


def test_standard_errors_that_cannot_be_had_are_a_note():
    em, posterior = pair(1)
    comparison = bg.compare(replace(em, rows=None), posterior)
    assert comparison.table["se"].isna().all()
    assert "standard errors (se) are missing" in comparison.notes[0]
    assert "EM se" not in comparison.to_markdown()


def test_tables_are_exported(tmp_path):
    comparison = bg.compare(*pair(1))
    markdown, latex = comparison.to_markdown().splitlines(), comparison.to_latex().splitlines()
    assert len(markdown) == len(comparison.table) + 2
    assert {line.count("|") for line in markdown} == {9}
    assert latex[0] == r"\begin{tabular}{lrrrrrrr}" and latex[-1] == r"\end{tabular}"
    assert r"90 \% interval" in latex[2]
    comparison.to_csv(tmp_path / "table.csv")
    read = pd.read_csv(tmp_path / "table.csv", index_col="name")
    np.testing.assert_array_equal(read["em"], comparison.table["em"])


def test_a_posterior_without_the_priors_density_has_no_such_cause():
    """Draws from elsewhere carry no log prior."""
    weights, means, covariances = unrelated_draws(40, 2, 1)
    posterior = posterior_of(weights, means, covariances, np.linspace(-1, 1, 30)[:, np.newaxis])
    assert prior_sensitivity(posterior, weights.reshape(2, 20, 2)) is None


CHANGES = {
    "shifted": lambda X: X + 1e-3,
    "in other units": lambda X: X * 1.0001,
    "drawn again": lambda X: X.sample(frac=1, replace=True, random_state=1).reset_index(drop=True),
}


@pytest.mark.parametrize("change", CHANGES)
def test_as_many_other_rows_are_not_comparable(change, faithful):
    posterior = bg.sample_posterior(faithful, 2, draws=100, rng=1, progress=False)
    em = bg.fit_em(CHANGES[change](faithful), 2, rng=1)
    comparison = bg.compare(em, bg.align(posterior, em.parameters))
    assert comparison.verdict == "not comparable"
    assert any(reason.startswith("EM was fitted to other rows than the posterior") for reason in comparison.reasons)


def test_weights_of_the_same_sum_are_not_comparable(faithful):
    posterior = bg.sample_posterior(faithful, 2, draws=100, rng=1, progress=False)
    weights = np.tile([0.5, 1.5], len(faithful) // 2)
    em = bg.fit_em(faithful, 2, sample_weight=weights, rng=1)
    comparison = bg.compare(em, bg.align(posterior, em.parameters))
    assert any(reason.startswith("EM was fitted to other rows than the posterior") for reason in comparison.reasons)
