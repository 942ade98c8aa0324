"""Saved analyses: all files or none, nothing believed that was not saved together, and nothing lost on a full disk."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
import xarray as xr

import bayesgmm as bg
from bayesgmm.storage import folder as storage
from bayesgmm.storage.netcdf import from_netcdf, to_netcdf

X = bg.datasets.load_faithful()


def analyze(rows, seed):
    return bg.analyze(rows, 1, n_init=2, draws=40, chains=2, rng=seed, progress=False)


@pytest.fixture(scope="module")
def analyses():
    return analyze(X, 1), analyze(X + 1000, 2)


@pytest.fixture(scope="module")
def saved(analyses, tmp_path_factory):
    """The folders of two analyses."""
    parent = tmp_path_factory.mktemp("saved")
    return [analysis.save(parent / str(number)) for number, analysis in enumerate(analyses)]


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved[0], tmp_path / "copy")


def rehash(folder):
    """Make the list of files agree with the files, as somebody who means harm would."""
    settings = json.loads((folder / "settings.json").read_text())
    for name in settings["files"]:
        content = (folder / name).read_bytes()
        settings["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "settings.json").write_text(json.dumps(settings))


# All files or none.


@pytest.mark.parametrize("name", ["em.json", "posterior.nc", "settings.json"])
def test_files_of_two_analyses_are_not_taken_for_one(saved, folder, name):
    shutil.copy(saved[1] / name, folder / name)
    with pytest.raises(bg.errors.InputError, match=r"is not the file that was saved with the others.*Save it again"):
        bg.Analysis.load(folder)


CUTS = ["write", "before the rename", "after the rename", "in the middle of the moves"]


def test_a_file_that_is_not_read_may_change_but_not_silently(folder):
    (folder / "labels.csv").write_text("row,label\n")
    (folder / "comparison.csv").unlink()
    with pytest.warns(bg.errors.BayesgmmWarning, match=r"^comparison\.csv, labels\.csv in .* were changed or removed"):
        loaded = bg.Analysis.load(folder)
    assert loaded.comparison.verdict
    loaded.save(folder, overwrite=True)
    bg.Analysis.load(folder)  # without a warning


def test_a_fit_of_other_rows_is_not_comparable_after_loading_either(analyses, folder):
    (folder / "em.json").write_text(json.dumps(analyses[1].em.to_dict()))
    rehash(folder)
    loaded = bg.Analysis.load(folder)
    assert loaded.comparison.verdict == "not comparable"
    assert "EM was fitted to other rows than the posterior" in " ".join(loaded.comparison.reasons)


@pytest.mark.parametrize("cut", CUTS)
def test_a_save_that_is_cut_off_leaves_one_whole_analysis(saved, folder, monkeypatch, cut):
    files = {path.name: path.read_bytes() for path in saved[1].iterdir()}
    settings = json.loads(files.pop("settings.json"))
    n_calls = 0

    def killed(*_):
        raise KeyboardInterrupt

    def replace_three(path, target):
        nonlocal n_calls
        n_calls += 1
        if n_calls > 3:
            raise KeyboardInterrupt
        os.replace(path, target)

    with monkeypatch.context() as patch:
        if cut == "write":
            patch.setattr(storage, "_write", killed)
        elif cut == "before the rename":
            patch.setattr(storage.Path, "rename", killed)
        elif cut == "after the rename":
            patch.setattr(storage.Path, "replace", killed)
        else:
            patch.setattr(storage.Path, "replace", replace_three)
        with pytest.raises(KeyboardInterrupt):
            storage.write_files(folder, files, settings, files)
    is_new = cut in CUTS[2:]
    assert (bg.Analysis.load(folder).em.parameters.means[0, 0] > 500) == is_new
    storage.write_files(folder, files, settings, files)
    assert bg.Analysis.load(folder).em.parameters.means[0, 0] > 500
    assert {path.name for path in folder.iterdir()} == {*files, "settings.json"}


def test_overwriting_removes_old_figures_and_keeps_the_files_of_others(analyses, folder):
    (folder / "energy.png").write_bytes(b"of an older analysis")
    (folder / "notes.txt").write_text("mine")
    analyses[0].save(folder, overwrite=True)
    assert not (folder / "energy.png").exists()
    assert (folder / "notes.txt").read_text() == "mine"


def test_settings_say_how_to_make_the_analysis_again(analyses, folder, tmp_path):
    made = json.loads((folder / "settings.json").read_text())["made"]
    assert made["seed"] == 1
    assert made["arguments"]["n_init"] == 2
    assert made["arguments"]["covariance"] == "full"
    assert made["data"]["columns"] == ["eruptions", "waiting"]
    assert made["data"]["sha256"] == hashlib.sha256(X.to_numpy().tobytes()).hexdigest()
    assert made["prior"].startswith("Prior(mean_location=")
    assert {"date", "command", "versions"} <= set(made)
    again = bg.analyze(X, **made["arguments"], rng=made["seed"], progress=False)
    np.testing.assert_array_equal(again.posterior["posterior"]["means"], analyses[0].posterior["posterior"]["means"])
    file = tmp_path / "rows.csv"
    X.to_csv(file, index=False)
    bg.Analysis.load(folder).save(tmp_path / "second", source=file)
    made_again = json.loads((tmp_path / "second" / "settings.json").read_text())["made"]
    assert made_again.pop("source")["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert made_again == made


# Nothing is believed that a file says of itself.


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("covariance", -1),
        ("covariance", "diag"),
        ("n_free", None),
        ("n_free", 3),
        ("n_free ", 3),
        ("n_samples", "many"),
        ("n_samples", -5),
        pytest.param("n_samples", 10**400, id="n_samples-huge"),
        ("history", None),
        ("history", []),
        ("history", [[1.0]]),
        ("entropy", {}),
        ("log_likelihood", float("inf")),
        ("log_likelihood", True),
        ("bic", 0.0),
        ("status", "FINE"),
        ("restarts", [{"start": 3}]),
        ("restarts", [[]]),
        ("optima", [{"parameters": {}, "log_likelihood": 1.0, "n_runs": 1}]),
        ("parameters", {"weights": [1.0], "means": [[0.0], [1.0, 2.0]], "covariances": []}),
        ("parameters", {"weights": [1.0], "means": "many", "covariances": [[[1.0]]]}),
        ("parameters", []),
    ],
)
def test_a_fit_of_wrong_types_or_that_contradicts_itself_is_refused(folder, key, value):
    values = json.loads((folder / "em.json").read_text()) | {key: value}
    with pytest.raises(bg.errors.InputError) as refusal:
        bg.results.EMFit.from_dict(values)
    assert len(str(refusal.value)) < 500
    (folder / "em.json").write_text(json.dumps(values))
    rehash(folder)
    with pytest.raises(bg.errors.InputError, match="holds a damaged analysis"):
        bg.Analysis.load(folder)


@pytest.mark.parametrize("values", [{}, None, [], "fit", {"parameters": {}}])
def test_what_is_no_dictionary_of_a_fit_is_refused(values):
    with pytest.raises(bg.errors.InputError, match=r"EMFit.from_dict: .*to_dict returned"):
        bg.results.EMFit.from_dict(values)


def test_json_that_is_nested_too_deeply_is_refused(folder):
    (folder / "em.json").write_text("[" * 100_000 + "]" * 100_000)
    rehash(folder)
    with pytest.raises(bg.errors.InputError, match="nested too deeply"):
        bg.Analysis.load(folder)


def bomb(file, folder):
    file.create_dataset("observed_data/bomb", shape=(10**7, 10**7), dtype="f8", chunks=(1000, 1000))


def text_bomb(file, folder):
    file.create_dataset("posterior/bomb", shape=(10**9,), dtype=h5py.string_dtype(), chunks=(1000,))


def external_values(file, folder):
    (folder / "secret.txt").write_bytes(b"password" * 1000)
    del file["observed_data/X"]
    external = [(str(folder / "secret.txt"), 0, h5py.h5f.UNLIMITED)]
    file.create_dataset("observed_data/X", shape=(272, 2), dtype="f8", external=external)


def external_link(file, folder):
    file["observed_data/other"] = h5py.ExternalLink(str(folder / "other.h5"), "/X")


def soft_link(file, folder):
    file["observed_data/other"] = h5py.SoftLink("/posterior/means")


def virtual_values(file, folder):
    layout = h5py.VirtualLayout(shape=(4,), dtype="f8")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "X", shape=(4,))
    file.create_virtual_dataset("observed_data/other", layout)


def circle(file, folder):
    file["posterior/again"] = file["posterior"]


@pytest.mark.parametrize(
    "harm",
    [bomb, text_bomb, external_values, external_link, soft_link, virtual_values, circle],
    ids=lambda f: f.__name__,
)
def test_netcdf_that_declares_too_much_or_refers_elsewhere_is_refused(folder, harm):
    with h5py.File(folder / "posterior.nc", "a") as file:
        harm(file, folder)
    rehash(folder)
    with pytest.raises(bg.errors.InputError, match=r"posterior.nc is damaged"):
        bg.Analysis.load(folder)


def test_draws_that_are_missing_are_refused_and_missing_statistics_are_told(folder):
    def lose(group):
        with h5py.File(folder / "posterior.nc", "a") as file:
            del file[group]
        rehash(folder)

    lose("sample_stats")
    assert "no group sample_stats" in bg.Analysis.load(folder).diagnosis.notes[0]
    lose("posterior")
    with pytest.raises(bg.errors.InputError, match="damaged analysis"):
        bg.Analysis.load(folder)


@pytest.mark.parametrize("wrong", [None, 3, b"\0", ["a"]])
def test_what_is_no_folder_is_refused(wrong, analyses):
    for call in (bg.Analysis.load, analyses[0].save):
        with pytest.raises(bg.errors.InputError):
            call(wrong)


def test_trees_survive_netcdf_unchanged():
    tree = xr.DataTree.from_dict(
        {
            "/": xr.Dataset(attrs={"rows": [1, 2], "name": "größe"}),
            "/a": xr.Dataset({"x": ("d", [True, False])}, coords={"d": ["u", "größe"]}),
            "/a/b": xr.Dataset({"y": (("row", "n"), np.arange(6.0).reshape(3, 2), {"units": "days since 2000-01-01"})}),
        }
    )
    again = from_netcdf(to_netcdf(tree), "file")
    assert again.equals(tree)
    assert again.attrs["name"] == "größe"
    assert again["a/b"]["y"].attrs["units"] == "days since 2000-01-01"


@pytest.mark.parametrize("wrong", [object(), None, "a\0b", "a\ud800b", {"a": 1}])
def test_what_netcdf_cannot_hold_is_refused_by_its_group(wrong):
    tree = xr.DataTree.from_dict({"/a": xr.Dataset(attrs={"x": wrong})})
    with pytest.raises(bg.errors.InputError, match=r"group /a .* Remove or convert"):
        to_netcdf(tree)


# A full disk.

FULL = """
import resource, signal, sys
import bayesgmm as bg
analysis = bg.Analysis.load(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))
try:
    analysis.save(sys.argv[1], overwrite=True)
except bg.errors.InputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits on the size of files are of POSIX")
def test_a_disk_that_fills_up_is_an_error_and_costs_nothing(folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = subprocess.run([sys.executable, "-c", FULL, folder], capture_output=True, text=True, timeout=300, check=True)
    assert "cannot be written to" in done.stdout
    assert "still in memory" in done.stdout
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_too_little_space_is_said_before_anything_is_written(analyses, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(bg.errors.InputError, match=r"MB are needed, and 0.0 MB are free"):
        analyses[0].save(tmp_path / "small")
    assert list((tmp_path / "small").iterdir()) == []


def test_a_figure_that_fails_does_not_cost_the_results(analyses, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("no font")

    monkeypatch.setattr("bayesgmm.plots.saving.plot_trace", fail)
    with pytest.warns(bg.errors.BayesgmmWarning, match=r"trace.png was not written: no font"):
        bg.Analysis.load(analyses[0].save(tmp_path / "results"))


def test_what_a_killed_save_left_is_removed_an_hour_later(analyses, folder):
    for name, age in (("old", 7200.0), ("new", 0.0)):
        left = folder / f".bayesgmm-saving-{name}"
        left.mkdir()
        (left / "em.json").write_text("{}")
        os.utime(left, (time.time() - age, time.time() - age))
    analyses[0].save(folder, overwrite=True)
    assert [path.name for path in folder.glob(".bayesgmm-saving-*")] == [".bayesgmm-saving-new"]
