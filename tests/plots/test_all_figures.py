"""Properties of all figures: given axes, unusual names of features, refusals."""

import dataclasses
import warnings

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from helpers.figures import (
    case,
    simulated,
)
from helpers.posteriors import posterior_of, similar_draws

import bayesgmm as bg
from bayesgmm import plots

PRIOR = bg.Prior([0.0, 1.0], [3.0, 4.0], bg.priors.LogNormal([1.0, 2.0], 0.7), 1.5, 2.0)


def test_what_cannot_be_drawn_is_refused(flat, single):
    em, posterior = flat
    for plot in (plots.plot_labels, plots.plot_density_difference):
        with pytest.raises(bg.errors.InputError, match="features must be a list of one or two"):
            plot(em, posterior, features=[0, 1, 1])
        with pytest.raises(bg.errors.InputError, match="features must be a list of one or two"):
            plot(em, posterior, features="x0")
        with pytest.raises(bg.errors.InputError, match="There is no feature 'y'"):
            plot(em, posterior, features=["y"])
        with pytest.raises(bg.errors.InputError, match="ci_prob"):
            plot(em, posterior, ci_prob=2)
    with pytest.raises(bg.errors.InputError, match="ax holds one panel"):
        plots.plot_density_difference(*single, ax=plt.subplots()[1])
    unaligned = posterior.copy()
    unaligned.attrs["aligned"] = 0
    with pytest.raises(bg.errors.InputError, match="not aligned"):
        plots.plot_labels(em, unaligned)


def test_the_remedy_for_a_posterior_without_rows_works(flat, partition):
    em, posterior = flat
    X = posterior["observed_data"]["X"].values
    bare = posterior.copy()
    del bare["observed_data"]
    for plot in (
        lambda tree: plots.plot_labels(em, tree),
        lambda tree: plots.plot_uncertainty(em, tree),
        lambda tree: plots.plot_similarity(em, tree, partition),
        lambda tree: plots.plot_density_difference(em, tree),
    ):
        with pytest.raises(bg.errors.InputError, match=r"posterior holds no rows\. Put them in: ") as refused:
            plot(bare)
        mended = bare.copy()
        exec(
            str(refused.value).partition("Put them in: ")[2].removesuffix("."),
            {"xarray": xr, "X": X},
            {"posterior": mended},
        )
        plot(mended)


def test_axes_that_are_given_are_drawn_in_and_nothing_else_changes(
    faithful_em, faithful_posterior, faithful_nuts, comparison
):
    figure, axes = plt.subplots(1, 4)
    outer = plt.figure()
    inner = outer.subfigures(1, 2)[0].subplots()
    before, settings = plt.get_fignums(), dict(mpl.rcParams)
    assert plots.plot_fit(faithful_em, faithful_posterior, ax=axes[0]) is figure
    assert plots.plot_fit(faithful_em, faithful_posterior, features=[1], ax=axes[1]) is figure
    assert plots.plot_comparison(comparison, ax=axes[2]) is figure
    assert plots.plot_convergence(faithful_em, ax=axes[3]) is figure
    assert plots.plot_convergence(faithful_em, ax=inner) is outer
    assert plt.get_fignums() == before
    for plot in (plots.plot_trace, plots.plot_rank):
        plot(faithful_posterior)
    plots.plot_energy(faithful_nuts)
    assert len(plt.get_fignums()) == len(before) + 3
    assert dict(mpl.rcParams) == settings


def test_axes_for_labels_and_densities_are_drawn_in(flat, single, partition):
    figure, axes = plt.subplots(1, 4)
    before, settings = plt.get_fignums(), dict(mpl.rcParams)
    assert plots.plot_labels(*flat, ax=axes[0]) is figure
    assert plots.plot_labels(*single, ax=axes[1]) is figure
    assert plots.plot_similarity(*flat, partition, ax=axes[2]) is figure
    assert plots.plot_density_difference(*flat, ax=axes[3]) is figure
    assert plt.get_fignums() == before
    assert dict(mpl.rcParams) == settings


def test_figures_can_be_saved_without_a_warning(faithful_em, faithful_posterior, faithful_nuts, comparison, tmp_path):
    figures = [
        plots.plot_fit(faithful_em, faithful_posterior),
        plots.plot_fit(*simulated(9, 3)),
        plots.plot_comparison(comparison),
        plots.plot_trace(faithful_posterior),
        plots.plot_rank(faithful_posterior),
        plots.plot_energy(faithful_nuts),
        plots.plot_convergence(faithful_em),
    ]
    for figure in figures:
        figure.savefig(tmp_path / "figure.png")


def test_names_of_features_are_not_read_as_mathematics(comparison, tmp_path):
    em, posterior = simulated(2, 3, features=("$\\wrong$", "a_$^$", "cost ($), gain ($)"))
    table = comparison.table.assign(feature="$^$")
    for figure in (
        plots.plot_fit(em, posterior),
        plots.plot_fit(em, posterior, features=[0, 1]),
        plots.plot_fit(em, posterior, features=[2]),
        plots.plot_trace(posterior, parameters=["correlations"]),
        plots.plot_comparison(dataclasses.replace(comparison, table=table)),
    ):
        figure.savefig(tmp_path / "figure.png")


def test_names_are_not_read_as_mathematics_in_figures_of_labels_and_densities(tmp_path):
    em, posterior = case(2, 2, features=("$\\wrong$", "a_$^$"))
    for figure in (
        plots.plot_labels(em, posterior),
        plots.plot_labels(em, posterior, features=[0]),
        plots.plot_similarity(em, posterior, bg.point_partition(posterior, rng=1)),
        plots.plot_density_difference(em, posterior),
        plots.plot_density_difference(em, posterior, features=[1]),
    ):
        figure.savefig(tmp_path / "figure.png")


def test_names_are_not_read_as_mathematics_in_figures_of_em_and_the_prior(tmp_path):
    features = ("$\\wrong$", "a_$^$")
    em, posterior = case(2, 2, features=features)
    X = pd.DataFrame(posterior["observed_data"]["X"].values, columns=features)
    path, fitted = bg.em_path(X, 2, start=em.parameters, max_iter=3), bg.fit_em(X, 2, start=em.parameters)
    single = bg.fit_em(X, 1)
    settings = dict(mpl.rcParams)
    for number, figure in enumerate(
        (
            plots.plot_iterations(path),
            plots.plot_iterations(path, features=[1]),
            plots.plot_density(fitted, single),
            plots.plot_density(fitted, single, features=[1]),
            plots.plot_uncertainty(em, posterior),
            plots.plot_prior(posterior, PRIOR),
        )
    ):
        figure.savefig(tmp_path / f"{number}.png", dpi=40)
    assert dict(mpl.rcParams) == settings


def test_figures_of_labels_and_densities_can_be_saved_without_a_warning(faithful_em, faithful_posterior, tmp_path):
    partition = bg.point_partition(faithful_posterior, rng=1)
    plots.plot_labels(faithful_em, faithful_posterior).savefig(tmp_path / "labels.png")
    plots.plot_similarity(faithful_em, faithful_posterior, partition).savefig(tmp_path / "similarity.png")
    plots.plot_density_difference(faithful_em, faithful_posterior).savefig(tmp_path / "difference.png")


@pytest.mark.parametrize(("scale", "offset"), [(1e90, 0.0), (1e-90, 0.0), (1.0, 1e12)])
def test_figures_in_any_units_are_drawn_without_a_warning(scale, offset, tmp_path):
    rng = np.random.default_rng(1)
    weights, means, covariances = similar_draws(30, 2, 2, rng)
    draws = weights, scale * means + offset, scale**2 * covariances
    X = scale * bg.MixtureParameters(*(array.mean(axis=0) for array in (weights, means, covariances))).sample(60, 1)[0]
    em = bg.fit_em(X + offset, 2, n_init=5, rng=1)
    posterior = posterior_of(*draws, X + offset, aligned=False)
    posterior["sample_stats"]["energy"] = xr.DataArray(rng.standard_normal((2, 15)), dims=("chain", "draw"))
    posterior = bg.align(posterior, em.parameters)
    path = bg.em_path(X + offset, 2, rng=1)
    for number, figure in enumerate(
        (
            plots.plot_fit(em, posterior),
            plots.plot_comparison(bg.compare(em, posterior)),
            plots.plot_labels(em, posterior),
            plots.plot_labels(em, posterior, features=[0]),
            plots.plot_uncertainty(em, posterior),
            plots.plot_similarity(em, posterior, bg.point_partition(posterior, rng=1)),
            plots.plot_density(em, em),
            plots.plot_density_difference(em, posterior),
            plots.plot_density_difference(em, posterior, features=[1]),
            plots.plot_iterations(path),
            plots.plot_trace(posterior),
            plots.plot_rank(posterior),
            plots.plot_energy(posterior),
            plots.plot_convergence(em),
            plots.plot_prior(posterior, bg.Prior.for_data(X + offset)),
            plots.plot_predictive_check(posterior, n_draws=5, rng=1),
        )
    ):
        figure.savefig(tmp_path / f"{number}.png", dpi=20)
        plt.close(figure)


def test_a_notebook_shows_each_figure_once(monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat.v4"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.delenv("MPLBACKEND", raising=False)
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    sources = (
        "import bayesgmm as bg; em = bg.fit_em(bg.datasets.load_galaxies(), 1, rng=1)",
        "bg.plots.plot_convergence(em)",
        "figure = bg.plots.plot_convergence(em)",
        "figure",
    )
    notebook = nbformat.new_notebook(cells=[nbformat.new_code_cell(source) for source in sources])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the notebook's own libraries
        nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    pictures = [sum("image/png" in output.get("data", {}) for output in cell.outputs) for cell in notebook.cells]
    assert pictures == [0, 1, 1, 1]
