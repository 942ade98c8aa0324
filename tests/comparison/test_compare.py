"""The verdict: agree where it should, differ where a difference was planted, refused where it means nothing."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

import bayesgmm as bg
from bayesgmm.comparison.verdict import differing_numbers


def moved(em, **changes):
    """The same fit claiming other parameters."""
    p = em.parameters
    values = {"weights": p.weights, "means": p.means, "covariances": p.covariances} | changes
    return replace(em, parameters=bg.MixtureParameters(**values, features=p.features))


@pytest.fixture(scope="module")
def comparison(faithful_em, faithful_posterior):
    return bg.compare(faithful_em, faithful_posterior)


def test_old_faithful_agrees(comparison):
    assert comparison.verdict == "agree"
    assert comparison.table["inside"].all()


def test_the_table_is_what_numpy_says_of_the_draws(comparison, faithful_em, faithful_posterior):
    draws = faithful_posterior["posterior"]["means"].values[..., 1, 0].ravel()
    row = comparison.table.loc["means[1, eruptions]"]
    assert row["em"] == faithful_em.parameters.means[1, 0]
    assert row["mean"] == pytest.approx(draws.mean())
    assert row["sd"] == pytest.approx(draws.std(ddof=1))
    assert row["eti90_lb"] == pytest.approx(np.quantile(draws, 0.05))
    assert row["eti90_ub"] == pytest.approx(np.quantile(draws, 0.95))
    assert row["z"] == pytest.approx((row["em"] - row["mean"]) / row["sd"])


def test_every_free_number_has_one_row(comparison):
    assert len(comparison.table) == 2 + 4 + 4 + 2
    assert comparison.table.index.is_unique


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("weights[0]", lambda p: {"weights": np.array([0.72, 0.28])}),
        ("means[1, waiting]", lambda p: {"means": p.means + np.array([[0, 0], [0, 3.0]])}),
        ("stds[0, eruptions]", lambda p: {"covariances": p.covariances * np.array([0.7, 1.0])[:, None, None]}),
    ],
)
def test_a_planted_difference_is_named_with_its_direction(what, change, faithful_em, faithful_posterior):
    comparison = bg.compare(moved(faithful_em, **change(faithful_em.parameters)), faithful_posterior)
    assert comparison.verdict == "differ"
    reason = next(reason for reason in comparison.reasons if what in reason)
    assert ("below" if what.startswith("stds") else "above") in reason
    assert "posterior sd" in reason


def test_a_local_maximum_of_em_is_noticed(faithful_posterior, faithful_em):
    comparison = bg.compare(replace(faithful_em, log_likelihood=-1200.0), faithful_posterior)
    assert comparison.verdict == "differ"
    assert any("local maximum" in reason for reason in comparison.reasons)


def test_em_that_did_not_converge_is_not_compared(faithful_posterior, faithful_em):
    comparison = bg.compare(replace(faithful_em, status=bg.results.Status.MAX_ITER), faithful_posterior)
    assert comparison.verdict == "not comparable"
    assert "raise max_iter" in comparison.reasons[0]


def test_another_structure_or_other_rows_are_not_compared(faithful, faithful_posterior, faithful_em):
    tied = bg.fit_em(faithful, 2, "tied", start=faithful_em.parameters)
    assert "same structure" in " ".join(bg.compare(tied, faithful_posterior).reasons)
    weighted = bg.fit_em(faithful, 2, start=faithful_em.parameters, sample_weight=np.full(272, 2.0))
    comparison = bg.compare(weighted, faithful_posterior)
    assert comparison.verdict == "not comparable"
    assert "without weights" in " ".join(comparison.reasons)


def test_an_unaligned_posterior_is_refused(faithful, faithful_em):
    posterior = bg.sample_posterior(faithful, 2, draws=20, rng=1, progress=False)
    with pytest.raises(bg.errors.InputError, match="not aligned"):
        bg.compare(faithful_em, posterior)


def swapped(em):
    return replace(em, parameters=em.parameters.permute([1, 0]))


@pytest.mark.parametrize(
    "use", [bg.compare, bg.row_uncertainty, bg.plots.plot_fit], ids=["compare", "row_uncertainty", "plot_fit"]
)
def test_a_posterior_with_the_labels_of_another_mixture_is_refused(use, faithful_em, faithful_posterior):
    with pytest.raises(bg.errors.InputError, match=r"labels of another mixture than em: its component 0 is em's comp"):
        use(swapped(faithful_em), faithful_posterior)
    waiting = bg.marginal(faithful_posterior, ["waiting"])
    other = bg.align(waiting, faithful_em.parameters.permute([1, 0]).marginal(["waiting"]))
    assert other["reference"]["means"].shape == (2, 1)


def test_labels_are_compared_by_name_of_feature_and_survive_a_file(faithful_em, faithful_posterior, tmp_path):
    faithful_posterior.to_netcdf(tmp_path / "posterior.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "posterior.nc", engine="h5netcdf") as tree:
        loaded = tree.load()
    names = ["waiting", "eruptions"]
    for posterior in (loaded, bg.marginal(loaded, names)):
        em = faithful_em
        if posterior is not loaded:
            em = replace(em, parameters=em.parameters.marginal(names), rows=None)
        assert bg.row_uncertainty(em, posterior)["p_wrong"].max() < 0.5
        with pytest.raises(bg.errors.InputError, match="labels of another mixture"):
            bg.row_uncertainty(swapped(em), posterior)


def test_a_fit_from_a_file_is_known_to_be_of_other_rows(faithful, faithful_em, faithful_posterior):
    read = bg.results.EMFit.from_dict(faithful_em.to_dict())
    assert bg.compare(read, faithful_posterior).verdict == "agree"
    other = bg.results.EMFit.from_dict(bg.fit_em(faithful * 1.001, 2, rng=1).to_dict())
    comparison = bg.compare(other, faithful_posterior)
    assert comparison.verdict == "not comparable"
    assert "EM was fitted to other rows than the posterior" in " ".join(comparison.reasons)


def test_label_free_numbers_ignore_the_labels(faithful_em, faithful_posterior, comparison):
    swapped = replace(faithful_em, parameters=faithful_em.parameters.permute([1, 0]))
    other = bg.compare(swapped, bg.align(faithful_posterior, swapped.parameters))
    assert other.densities.hellinger.value == pytest.approx(comparison.densities.hellinger.value, abs=5e-3)
    assert other.partition_agreement == pytest.approx(comparison.partition_agreement, abs=1e-12)


def test_options_out_of_range_are_refused(faithful_em, faithful_posterior):
    with pytest.raises(bg.errors.InputError, match="ci_prob"):
        bg.compare(faithful_em, faithful_posterior, ci_prob=90)


def test_the_summary_can_be_read(comparison):
    lines = comparison.summary().splitlines()
    assert lines[0] == "Comparison of EM with the posterior: agree"
    assert lines.index("Verdict: agree") > lines.index(next(line for line in lines if "stds[1, waiting]  " in line))
    assert all(name in comparison.summary() for name in comparison.table.index)
    assert "90 % interval" in comparison.summary() and "equal-tailed" in comparison.summary()


def test_the_verdict_is_given_the_number_of_components(comparison):
    assert "Given 2 Gaussian components, EM's estimates agree" in " ".join(comparison.summary().split())


def test_draws_that_are_all_equal_give_no_warning_and_no_infinite_distance(faithful_em, faithful_posterior):
    tree = faithful_posterior.copy(deep=True)
    means = tree["posterior"]["means"]
    tree["posterior"]["means"] = means.copy(data=0 * means.values + faithful_em.parameters.means + [[0, 0], [0, 1]])
    comparison = bg.compare(faithful_em, tree)
    z = comparison.table["z"]
    assert z["means[0, waiting]"] == 0
    assert not comparison.table["differs"]["means[0, waiting]"]
    assert np.isnan(z["means[1, waiting]"])
    assert comparison.table["differs"]["means[1, waiting]"]
    assert comparison.verdict == "not comparable"
    assert any("are equal in chains" in reason for reason in comparison.reasons)
    bg.plots.plot_comparison(comparison)


def test_no_agreement_is_told_of_a_column_of_two_values(faithful_em, faithful_posterior):
    tree = faithful_posterior.copy(deep=True)
    X = tree["observed_data"]["X"]
    flag = X.values[:, 1] > 70
    tree["observed_data"]["X"] = X.copy(data=np.c_[X.values[:, 0], np.where(flag, 80.0, 54.5)])
    comparison = bg.compare(faithful_em, tree)
    assert comparison.verdict != "agree"
    assert any("waiting (2 values)" in reason for reason in comparison.reasons)


def test_a_distance_beyond_three_digits_is_not_written_out(faithful_em, faithful_posterior):
    comparison = bg.compare(faithful_em, faithful_posterior)
    for z, cell, latex in ((1e5, "> 1000", r"\textgreater{} 1000"), (-1e5, "< -1000", r"\textless{} -1000")):
        far = replace(comparison, table=comparison.table.assign(z=z, differs=True))
        for text in (repr(far), far.summary(), far.to_markdown()):
            assert cell in text
        assert latex in far.to_latex()
        sentences = differing_numbers(SimpleNamespace(table=far.table, local_maximum=""))
        assert all("is > 1000 posterior sd" in sentence for sentence in sentences)


def test_where_nothing_can_be_compared_the_reasons_come_first(faithful, faithful_em, faithful_posterior):
    other = bg.fit_em(faithful[:200], 2, rng=1)
    poor = bg.align(faithful_posterior.isel(draw=slice(0, 20)), other.parameters)
    comparison = bg.compare(other, poor)
    assert comparison.verdict == "not comparable" and len(comparison.reasons) > 1
    assert comparison.reasons[0].startswith("EM was fitted to 200 rows")
    lines = repr(comparison).splitlines()
    numbers = next(i for i, line in enumerate(lines) if "posterior mean" in line)
    assert lines.index(next(line for line in lines if line.startswith("EM was fitted to 200 rows"))) < numbers
    assert "Verdict: not comparable, see above the table" in lines[numbers:]
