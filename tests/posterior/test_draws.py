"""Posteriors that users have cut or that lost a group: done without it and said, or refused with a remedy."""

import numpy as np
import pytest
import xarray as xr
from helpers.figures import case

import bayesgmm as bg

EM, POSTERIOR = case(2, 2, N=40)


def with_groups(**groups):
    """The posterior with some groups replaced, or left out where the value is None."""
    kept = {name: node.to_dataset() for name, node in POSTERIOR.children.items()} | groups
    tree = xr.DataTree.from_dict({name: group for name, group in kept.items() if group is not None})
    tree.attrs |= POSTERIOR.attrs
    return tree


def test_without_rows_what_needs_none_has_the_same_result_and_says_so():
    bare, whole = with_groups(observed_data=None), bg.compare(EM, POSTERIOR)
    comparison = bg.compare(EM, bare)
    np.testing.assert_array_equal(comparison.table["z"], whole.table["z"])
    assert comparison.densities == whole.densities
    assert np.isnan(comparison.partition_agreement)
    assert "holds no rows" in comparison.notes[-1]
    assert "no rows" in bg.diagnose(bare).notes[0]
    report = bg.label_report(bg.align(bare, EM.parameters))
    assert report.method == "cross-entropy"
    assert report.table["expected_rows"].isna().all()


def test_without_statistics_the_labels_and_the_diagnosis_are_those_of_the_draws():
    bare = with_groups(sample_stats=None)
    aligned, expected = bg.align(bare, EM.parameters), bg.align(POSTERIOR, EM.parameters)
    xr.testing.assert_equal(aligned["sample_stats"]["label"], expected["sample_stats"]["label"])
    diagnosis = bg.diagnose(bare)
    np.testing.assert_array_equal(diagnosis.parameters, bg.diagnose(POSTERIOR).parameters)
    assert "no group sample_stats" in diagnosis.notes[0]
    assert "divergences" not in diagnosis.summary().split("There is no group")[0]


def test_without_rows_and_statistics_the_mean_of_the_mixture_is_monitored():
    diagnosis = bg.diagnose(with_groups(sample_stats=None, observed_data=None))
    assert list(diagnosis.label_free.index) == ["mean of all components, x0", "mean of all components, x1"]


@pytest.mark.parametrize(
    ("posterior", "remedy"),
    [
        (POSTERIOR.isel(chain=0), "posterior.isel(chain=[0]), with brackets"),
        (POSTERIOR.isel(draw=0), "posterior.isel(draw=[0]), with brackets"),
        (POSTERIOR.isel(draw=[]), "no draws"),
        (POSTERIOR.isel(feature=[1, 0]), "marginal(posterior, ['x1', 'x0'])"),
        (with_groups(posterior=POSTERIOR["posterior"].to_dataset().isel(draw=slice(5))), "Select draws of the whole"),
        (
            with_groups(posterior=POSTERIOR["posterior"].to_dataset().rename(component="cluster")),
            "weights[chain, draw, component]",
        ),
    ],
    ids=["chain", "draw", "no draws", "features", "other draws", "renamed"],
)
def test_a_cut_posterior_is_refused_with_the_right_cut(posterior, remedy):
    for function in (bg.diagnose, lambda tree: bg.align(tree, EM.parameters), lambda tree: bg.compare(EM, tree)):
        with pytest.raises(bg.errors.InputError) as caught:
            function(posterior)
        assert remedy in str(caught.value)


def test_every_tenth_draw_of_a_whole_tree_is_a_posterior():
    thinned = POSTERIOR.isel(draw=slice(None, None, 5))
    assert bg.compare(EM, thinned).table["mean"].iloc[0] == pytest.approx(
        float(POSTERIOR["posterior"]["weights"][:, ::5, 0].mean())
    )


def test_one_component_of_two_is_no_mixture():
    with pytest.raises(bg.errors.InputError, match="do not sum to 1"):
        bg.predict_density(POSTERIOR.isel(component=[0]), EM.rows.values)


def test_the_order_of_the_dimensions_does_not_matter():
    turned = with_groups(posterior=POSTERIOR["posterior"].to_dataset().transpose())
    np.testing.assert_array_equal(bg.diagnose(turned).parameters, bg.diagnose(POSTERIOR).parameters)
    np.testing.assert_array_equal(bg.compare(EM, turned).table["z"], bg.compare(EM, POSTERIOR).table["z"])


def test_rows_are_brought_to_the_order_of_the_draws_by_name():
    X = POSTERIOR["observed_data"].to_dataset()["X"].assign_coords(feature=["x0", "x1"])
    turned = with_groups(observed_data=X.isel(feature=[1, 0]).to_dataset(name="X"))
    np.testing.assert_array_equal(bg.loo(turned).pointwise, bg.loo(POSTERIOR).pointwise)


# Columns in another order

DOORS = {
    "align": lambda em, tree: bg.align(tree, em.parameters),
    "compare": bg.compare,
    "density_distances": bg.density_distances,
    "density_difference": bg.density_difference,
    "partition_agreement": bg.partition_agreement,
    "row_uncertainty": bg.row_uncertainty,
    "point_partition": lambda em, tree: bg.point_partition(tree, start=em.parameters),
    "plot_fit": bg.plots.plot_fit,
    "plot_labels": bg.plots.plot_labels,
    "plot_uncertainty": bg.plots.plot_uncertainty,
    "plot_similarity": lambda em, tree: bg.plots.plot_similarity(em, tree, bg.point_partition(tree, rng=1)),
    "plot_density_difference": bg.plots.plot_density_difference,
}


@pytest.mark.parametrize("door", DOORS)
def test_a_fit_of_the_same_features_in_another_order_is_refused_with_the_way_to_reorder(door, faithful):
    em = bg.fit_em(faithful[["waiting", "eruptions"]], 1)
    posterior = case(1, 2, features=("eruptions", "waiting"))[1]
    with pytest.raises(bg.errors.InputError) as caught:
        DOORS[door](em, posterior)
    assert "waiting, eruptions; the posterior has eruptions, waiting" in str(caught.value)
    assert "marginal(posterior, ['waiting', 'eruptions'])" in str(caught.value)


def test_all_features_in_another_order_are_the_same_posterior(faithful, faithful_em, faithful_posterior):
    names = ["waiting", "eruptions"]
    turned = bg.marginal(faithful_posterior, names)
    em = bg.fit_em(faithful[names], 2, start=faithful_em.parameters.marginal(names))
    assert bg.compare(em, bg.align(turned, em.parameters)).verdict == "agree"
    np.testing.assert_allclose(
        bg.predict(turned, faithful).log_density, bg.predict(faithful_posterior, faithful).log_density
    )
