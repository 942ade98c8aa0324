"""How sampling ends: by its thresholds, relabelled parameters included, by limits of draws or time, with a warning."""

import warnings

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.convergence import Labels, converged, relabelled_parameters, shortfall

UNREACHABLE = bg.Thresholds(min_ess=1e7)


@pytest.fixture(scope="module")
def overlapping():
    """Three components that overlap, as in the durations of geysers: chains mix slowly."""
    rng = np.random.default_rng(5)
    return np.concatenate([rng.normal(m, s, (60, 1)) for m, s in ((0, 1), (1.5, 1), (3.5, 0.7))])


@pytest.mark.parametrize("limit", [{"max_draws": 100}, {"max_time": 3.0, "max_draws": 10**6}])
@pytest.mark.parametrize("sampler", ["gibbs", "nuts"])
def test_a_run_that_ends_before_its_thresholds_warns_with_what_failed_and_how_to_go_on(overlapping, limit, sampler):
    name = next(iter(limit))
    bg.sample_posterior(overlapping, 3, sampler=sampler, draws=10, rng=1, progress=False)  # compiles
    with pytest.warns(bg.errors.BayesgmmWarning, match=rf"ended by {name} .*effective draws.*Raise {name}") as caught:
        posterior = bg.sample_posterior(
            overlapping, 3, sampler=sampler, thresholds=UNREACHABLE, rng=1, progress=False, **limit
        )
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert posterior.attrs["stopped_by"] == name
    assert posterior.attrs["unconverged"] in str(caught[0].message)
    assert posterior.attrs["interrupted"] == 0


def test_a_run_that_meets_its_thresholds_does_not_warn(faithful):
    posterior = bg.sample_posterior(faithful, 2, rng=1, progress=False)  # a warning is an error in tests
    assert posterior.attrs["stopped_by"] == "convergence"
    assert posterior.attrs["unconverged"] == ""


def test_an_analysis_reports_draws_that_are_not_enough_once_in_its_diagnosis(overlapping):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        analysis = bg.analyze(overlapping, 2, max_draws=100, n_init=10, thresholds=UNREACHABLE, rng=1, progress=False)
    assert not [warning for warning in caught if "ended by max_draws" in str(warning.message)]
    assert "few draws" in {problem.kind for problem in analysis.diagnosis.problems}


@pytest.mark.parametrize("sampler", ["auto", "gibbs", "nuts", "independent"])
def test_max_time_ends_a_run_in_time(faithful, sampler):
    bg.sample_posterior(faithful, 2, sampler=sampler, draws=10, rng=1, progress=False)  # compiles
    with pytest.warns(bg.errors.BayesgmmWarning, match="ended by max_time"):
        posterior = bg.sample_posterior(
            faithful, 2, sampler=sampler, draws=300_000, max_time=1.0, rng=1, progress=False
        )
    assert posterior.attrs["stopped_by"] == "max_time"
    assert posterior["posterior"].sizes["draw"] < 300_000
    assert np.isfinite(posterior["posterior"]["means"]).all()


def test_a_time_in_which_no_chain_has_a_draw_is_an_error_that_says_so(faithful):
    endless = 1_000_000  # tuning draws, so that no chain is at its first draw when it is ended
    with pytest.raises(bg.errors.SamplingError, match=r"No chain had a draw .* Raise max_time"):
        bg.sample_posterior(faithful, 2, sampler="nuts", tune=endless, max_time=1e-6, rng=1, progress=False)


@pytest.mark.parametrize("wrong", [0, -1.0, np.inf, "1"])
def test_a_wrong_time_is_refused(faithful, wrong):
    with pytest.raises(bg.errors.InputError, match="max_time must be a finite number above 0"):
        bg.sample_posterior(faithful, 2, max_time=wrong)


@pytest.fixture(scope="module")
def labelled(faithful):
    em = bg.fit_em(faithful, 2, rng=1)
    posterior = bg.sample_posterior(faithful, 2, start=em.parameters, draws=500, rng=1, progress=False)
    return posterior, Labels(em.parameters, "full")


def test_relabelled_parameters_are_those_of_align(labelled):
    posterior, labels = labelled
    swapped = posterior.copy(deep=True)
    odd = {name: posterior["posterior"][name].values.copy() for name in ("weights", "means", "stds")}
    draws = swapped["posterior"].to_dataset()
    for name in ("weights", "means", "stds", "correlations", "covariances"):
        values = draws[name].values.copy()
        values[:, 1::2] = values[:, 1::2, ::-1]  # every second draw has its components in the other order
        draws[name] = (draws[name].dims, values)
    swapped["posterior"] = type(swapped)(draws)
    values, names = relabelled_parameters(swapped, labels, bg.Thresholds())
    np.testing.assert_array_equal(values[..., names.index("weights[0]")], odd["weights"][..., 0])
    np.testing.assert_array_equal(values[..., names.index("means[1, waiting]")], odd["means"][..., 1, 1])
    np.testing.assert_array_equal(values[..., names.index("stds[0, eruptions]")], odd["stds"][..., 0, 0])


def test_chains_that_disagree_on_a_parameter_alone_have_not_converged(labelled):
    """The deliberately broken chain: its correlations are shifted, and no label-free quantity knows of it."""
    posterior, labels = labelled
    assert converged(posterior, bg.Thresholds(), labels)
    broken = posterior.copy(deep=True)
    draws = broken["posterior"].to_dataset()
    values = draws["correlations"].values.copy()
    values[0, :, 0, 1, 0] += 0.3
    draws["correlations"] = (draws["correlations"].dims, values)
    broken["posterior"] = type(broken)(draws)
    assert converged(broken, bg.Thresholds())
    assert shortfall(broken, bg.Thresholds(), labels).startswith("R-hat of correlations[0, eruptions, waiting] is 1.")


def test_unclear_labels_leave_the_parameters_out(labelled):
    posterior, _ = labelled
    one = [[1.0, 0.0], [0.0, 100.0]]
    same = bg.MixtureParameters([0.5, 0.5], [[3.5, 70.0]] * 2, [one] * 2, ("eruptions", "waiting"))
    assert relabelled_parameters(posterior, Labels(same, "full"), bg.Thresholds()) is None
    assert converged(posterior, bg.Thresholds(), Labels(same, "full"))


def test_too_few_draws_have_not_converged(faithful):
    posterior = bg.sample_posterior(faithful, 2, draws=4, rng=1, progress=False).isel(draw=slice(0, 3))
    assert shortfall(posterior, bg.Thresholds()) == "only 3 draws per chain"
