"""The functions of ArviZ that take a posterior, one by one; docs/from-pymc.md has the same lists."""

import re

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from helpers.paths import DOCS

import bayesgmm as bg

# Functions that estimate densities, or warn of constants, need the variables without the diagonal of correlations.
NAMES = ["weights", "means", "stds"]
AS_IT_IS = (
    "ess",
    "mcse",
    "mean",
    "median",
    "hdi",
    "eti",
    "extract",
    "plot_trace",
    "plot_forest",
    "plot_rank",
    "plot_ess",
)
WITH_NAMES = (
    "summary",
    "rhat",
    "diagnose",
    "kde",
    "histogram",
    "plot_dist",
    "plot_trace_dist",
    "plot_rank_dist",
    "plot_ridge",
    "plot_autocorr",
    "plot_ess_evolution",
    "plot_mcse",
    "plot_convergence_dist",
    "plot_parallel",
)
AFTER_LOG_LIKELIHOOD = ("loo", "psense", "plot_psense_dist", "plot_psense_quantities")
AFTER_PREDICTIVE = ("plot_ppc_dist", "plot_ppc_tstat")
OF_NUTS = ("bfmi", "plot_energy")
AFTER_PRIOR = ("plot_prior_posterior",)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def posterior(faithful_posterior):
    return faithful_posterior.isel(draw=slice(None, None, 5))


@pytest.mark.parametrize("name", AS_IT_IS)
def test_these_take_a_posterior_as_it_is(name, posterior):
    assert getattr(az, name)(posterior) is not None


@pytest.mark.parametrize("name", WITH_NAMES)
def test_these_take_it_with_names_of_variables(name, posterior):
    assert getattr(az, name)(posterior, var_names=NAMES) is not None


def test_a_summary_of_these_variables_has_no_missing_number(posterior):
    assert not az.summary(posterior, var_names=NAMES).isna().any(axis=None)


@pytest.mark.parametrize("name", AFTER_LOG_LIKELIHOOD)
def test_these_take_it_after_add_log_likelihood(name, posterior):
    options = {} if name == "loo" else {"var_names": NAMES}
    assert getattr(az, name)(bg.add_log_likelihood(posterior), **options) is not None


def test_the_sensitivity_to_the_prior_is_that_of_the_comparison(posterior):
    tree = bg.add_log_likelihood(posterior)
    np.testing.assert_array_equal(tree["log_prior"]["log_prior"], posterior["sample_stats"]["log_prior"])
    assert float(az.psense(tree, var_names=["means"], group="prior")["means"].max()) < 0.05  # a wide prior, 272 rows


@pytest.mark.parametrize("name", AFTER_PREDICTIVE)
def test_these_take_it_after_add_posterior_predictive(name, posterior):
    assert getattr(az, name)(bg.add_posterior_predictive(posterior, rng=1)) is not None


@pytest.mark.parametrize("name", OF_NUTS)
def test_these_take_the_draws_of_nuts(name, faithful_nuts):
    assert getattr(az, name)(faithful_nuts) is not None


@pytest.mark.parametrize("name", AFTER_PRIOR)
def test_these_take_it_with_a_group_of_prior_draws(name, posterior):
    tree = posterior.copy()
    tree["prior"] = xr.DataTree(posterior["posterior"].to_dataset()[NAMES])
    assert getattr(az, name)(tree, var_names=NAMES) is not None


def test_two_posteriors_are_compared_after_add_log_likelihood(posterior):
    tree = bg.add_log_likelihood(posterior)
    assert len(az.compare({"one": tree, "other": tree})) == 2


def test_the_page_lists_the_same_functions():
    page = (DOCS / "from-pymc.md").read_text()
    section = page.split("## Functions of ArviZ")[1].split("\n## ")[0]
    listed = {
        name
        for row in re.findall(r"^\| .* \|$", section, re.MULTILINE)
        for name in re.findall(r"`([a-z_]+)`", row.split("|")[1])
    }
    tested = {*AS_IT_IS, *WITH_NAMES, *AFTER_LOG_LIKELIHOOD, *AFTER_PREDICTIVE, *OF_NUTS, *AFTER_PRIOR, "compare"}
    assert listed == tested
