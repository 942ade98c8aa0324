"""`analyze`, and an analysis on disk."""

import json
import os

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

import bayesgmm as bg

FRAME = bg.datasets.load_faithful()
NAMES = ("fit", "comparison", "labels", "density-difference", "trace", "rank", "convergence")
PICTURES = {f"{name}.png" for name in NAMES}
FILES = PICTURES | {"em.json", "posterior.nc", "comparison.csv", "labels.csv", "settings.json"}


def analyze(X=FRAME, n_components=2, **options):
    quick = {"n_init": 3, "draws": 20, "chains": 2, "rng": 1, "progress": False}
    return bg.analyze(X, n_components, **(quick | options))


@pytest.fixture(scope="module")
def analysis():
    return analyze(ci_prob=0.8)


@pytest.fixture(scope="module")
def folder(analysis, tmp_path_factory):
    return analysis.save(tmp_path_factory.mktemp("saved") / "analysis")


def test_saving_writes_every_file_and_pictures_that_are_pictures(folder):
    assert {path.name for path in folder.iterdir()} == FILES
    for name in PICTURES:
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
        assert (folder / name).stat().st_size > 5_000


def test_loading_gives_back_the_em_fit_exactly(analysis, folder):
    em, loaded = analysis.em, bg.Analysis.load(folder).em
    for name in ("weights", "means", "covariances"):
        assert_array_equal(getattr(loaded.parameters, name), getattr(em.parameters, name))
    assert loaded.parameters.features == em.parameters.features
    for name in ("covariance", "log_likelihood", "status", "n_samples", "n_free", "entropy", "aic", "bic", "icl"):
        assert getattr(loaded, name) == getattr(em, name)
    assert_array_equal(loaded.history, em.history)
    assert [run.status for run in loaded.restarts] == [run.status for run in em.restarts]
    assert loaded.summary() == em.summary()


def test_loading_gives_back_the_posterior_exactly(analysis, folder):
    posterior, loaded = analysis.posterior, bg.Analysis.load(folder).posterior
    assert set(loaded.children) == set(posterior.children)
    for group in posterior.children:
        xr.testing.assert_equal(loaded[group].to_dataset(), posterior[group].to_dataset())
    assert set(loaded.attrs) == set(posterior.attrs)
    for name, value in posterior.attrs.items():
        assert_array_equal(loaded.attrs[name], value)


def test_loading_makes_the_same_diagnosis_and_comparison_again(analysis, folder):
    loaded = bg.Analysis.load(folder)
    assert loaded.diagnosis.problems == analysis.diagnosis.problems
    assert_frame_equal(loaded.diagnosis.label_free, analysis.diagnosis.label_free)
    assert_frame_equal(loaded.comparison.table, analysis.comparison.table)
    assert (loaded.comparison.ci_prob, loaded.comparison.thresholds) == (0.8, bg.Thresholds())
    assert loaded.summary() == analysis.summary()


def test_the_files_are_what_other_programs_read(analysis, folder):
    em = json.loads((folder / "em.json").read_text())
    assert em["parameters"]["weights"] == analysis.em.parameters.weights.tolist()
    assert em["status"] == "CONVERGED"
    table = pd.read_csv(folder / "comparison.csv", index_col=0)
    np.testing.assert_allclose(table["em"], analysis.comparison.table["em"], rtol=1e-15)
    assert list(table.index) == list(analysis.comparison.table.index)
    settings = json.loads((folder / "settings.json").read_text())
    assert settings["verdict"] == analysis.comparison.verdict
    assert settings["reasons"] == list(analysis.comparison.reasons)


def test_saving_over_another_analysis_needs_leave(analysis, folder):
    with pytest.raises(bg.errors.InputError, match="exists and is not empty"):
        analysis.save(folder)
    with pytest.raises(bg.errors.InputError, match="cannot be written to"):
        analysis.save(folder / "em.json" / "below", overwrite=True)


def test_too_many_features_for_a_picture_cost_the_picture_and_not_the_results(tmp_path):
    X = bg.datasets.simulate(300, 1, 11, rng=1).X
    wide = analyze(X, 1, covariance="spherical")
    with pytest.warns(bg.errors.BayesgmmWarning, match=r"fit.png was not written: .* 10 features"):
        wide.save(tmp_path / "wide")
    assert {"em.json", "posterior.nc", "comparison.csv", "settings.json", "trace.png"} <= set(
        os.listdir(tmp_path / "wide")
    )
    assert not (tmp_path / "wide" / "fit.png").exists()
    assert_array_equal(bg.Analysis.load(tmp_path / "wide").em.parameters.means, wide.em.parameters.means)


def copy_without(folder, target, name):
    target.mkdir()
    for path in folder.iterdir():
        if path.name != name:
            (target / path.name).write_bytes(path.read_bytes())
    return target


@pytest.mark.parametrize("name", ["em.json", "posterior.nc", "settings.json"])
def test_a_folder_that_lacks_a_file_is_refused(folder, tmp_path, name):
    target = copy_without(folder, tmp_path / "copy", name)
    with pytest.raises(
        bg.errors.InputError, match=f"holds no saved analysis: {name} missing. Pass the folder that save"
    ):
        bg.Analysis.load(target)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("em.json", "{"),
        ("em.json", "{}"),
        ("em.json", "[1, 2]"),
        ("em.json", '{"parameters": {"weights": [2.0], "means": [[0.0]], "covariances": [[[1.0]]]}}'),
        ("settings.json", ""),
        ("settings.json", '{"comparison": {"ci_prob": 2, "max_z": 1}}'),
        ("settings.json", '{"comparison": {"credibility": 0.9}}'),
        ("posterior.nc", "junk"),
    ],
)
def test_a_damaged_file_is_refused(folder, tmp_path, name, content):
    target = copy_without(folder, tmp_path / "copy", name)
    (target / name).write_text(content)
    with pytest.raises(bg.errors.InputError):
        bg.Analysis.load(target)


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(
        bg.errors.InputError, match=r"holds no saved analysis: em.json, posterior.nc, settings.json missing"
    ):
        bg.Analysis.load(tmp_path / "nowhere")


def test_what_an_analysis_cannot_use_is_refused_before_the_sampling(monkeypatch):
    monkeypatch.setattr("bayesgmm.analysis.run.posterior_of", None)
    with pytest.raises(bg.errors.InputError, match=r"ci_prob must lie between 0 and 1; received 1.5"):
        analyze(ci_prob=1.5)
    with pytest.raises(bg.errors.InputError, match="X holds 1 value that is NaN"):
        analyze(FRAME.assign(waiting=FRAME["waiting"].where(FRAME.index != 3)))
