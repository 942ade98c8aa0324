"""Files in and out, and the command `bayesgmm`."""

import gzip
import inspect
import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal
from typer.testing import CliRunner

import bayesgmm as bg
from bayesgmm import cli
from bayesgmm.files.folders import prepare_folder
from bayesgmm.mixture.covariance import STRUCTURES

FRAME = bg.datasets.load_faithful()
NAMES = ("fit", "comparison", "labels", "density-difference", "trace", "rank", "convergence")
PICTURES = {f"{name}.png" for name in NAMES}
FILES = PICTURES | {"em.json", "posterior.nc", "comparison.csv", "settings.json"}
NUMBERS = b"a,b\n1,2\n3,5\n4,4\n"


# Tables from files.


@pytest.mark.parametrize("ending", ["csv", "txt", "csv.gz", "parquet", "pq", "PARQUET", "feather"])
def test_a_table_is_read_back_as_it_was_written(tmp_path, ending):
    path = tmp_path / f"rows.{ending}"
    if ending.lower() in ("parquet", "pq"):
        FRAME.to_parquet(path)
    elif ending == "feather":
        FRAME.to_feather(path)
    else:
        FRAME.to_csv(path, index=False)
    assert_frame_equal(bg.read_table(path), FRAME)
    assert_frame_equal(bg.read_table(str(path), ["waiting"]), FRAME[["waiting"]])
    assert list(bg.read_table(path, ["waiting", "eruptions"]).columns) == ["waiting", "eruptions"]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + NUMBERS,
        NUMBERS.replace(b"\n", b"\r\n"),
        NUMBERS.rstrip(),
        NUMBERS + b"\n\n",
        b'"a","b"' + NUMBERS[3:],
    ],
    ids=["byte order mark", "Windows line ends", "no last line end", "blank lines", "quoted names"],
)
def test_the_ways_in_which_csv_files_differ_make_no_difference(tmp_path, content):
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    assert_frame_equal(bg.read_table(path), pd.DataFrame({"a": [1, 3, 4], "b": [2, 5, 4]}))


def test_columns_that_pandas_numbered_keep_their_numbers_as_names(tmp_path):
    pd.DataFrame([[1.5, 2.5], [3.5, 4.5]]).to_csv(tmp_path / "rows.csv", index=False)
    assert bg.read_table(tmp_path / "rows.csv").shape == (2, 2)


NOT_A_TABLE = (
    "cannot be read as a table: .*Pass a CSV file, its first line the column names, or a Parquet, Feather or Excel file"
)
BAD_FILES = {
    "empty": ("rows.csv", b"", "rows.csv is empty. Pass a CSV file"),
    "blank lines": ("rows.csv", b"\n \n", NOT_A_TABLE),
    "names without rows": ("rows.csv", b"a,b\n", "has column names but no rows"),
    "binary junk": ("rows.csv", bytes(range(255, 0, -1)) * 20, NOT_A_TABLE),
    "nothing but zeros": ("rows.csv", bytes(5000), "cannot be read as a table|no rows"),
    "rows that grow": (
        "rows.csv",
        b"a,b\n1,2\n3,4,5\n",
        r"line 3 has 3 fields \(3, 4, 5\), and line 1 has 2 names \(a, b\)",
    ),
    "a quote that never ends": ("rows.csv", b'a,b\n1,"2\n3,4\n', NOT_A_TABLE),
    "compressed under a plain name": ("rows.csv", gzip.compress(NUMBERS), NOT_A_TABLE),
    "junk called gz": ("rows.csv.gz", NUMBERS, NOT_A_TABLE),
    "junk called zip": ("rows.zip", b"PK\x03\x04junk", NOT_A_TABLE),
    "CSV called Parquet": ("rows.parquet", NUMBERS, NOT_A_TABLE),
    "no line of names": (
        "rows.csv",
        b"1.5,2\n3,4\n5,6\n",
        "numbers where its column names should be: 1.5, 2 in line 1. Write the names",
    ),
}


@pytest.mark.parametrize("problem", BAD_FILES)
def test_files_that_hold_no_table_are_refused_by_name(tmp_path, problem):
    name, content, message = BAD_FILES[problem]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(bg.errors.InputError, match=message) as caught:
        bg.read_table(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)


def test_a_parquet_file_called_csv_is_refused(tmp_path):
    FRAME.to_parquet(tmp_path / "rows.csv")
    with pytest.raises(bg.errors.InputError, match=NOT_A_TABLE):
        bg.read_table(tmp_path / "rows.csv")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(bg.errors.InputError, match=r"There is no file .*rows.csv. Check its name and folder"):
        bg.read_table(tmp_path / "rows.csv")
    with pytest.raises(bg.errors.InputError, match="is a folder, not a file"):
        bg.read_table(tmp_path)
    with pytest.raises(bg.errors.InputError):
        bg.read_table("x" * 5000)


def test_missing_columns_are_refused_with_those_that_there_are(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(NUMBERS)
    with pytest.raises(
        bg.errors.InputError, match=r"rows.csv has no column 'c', 'B'; its columns are 'a', 'b'. Pass names"
    ):
        bg.read_table(path, ["c", "a", "B"])
    with pytest.raises(bg.errors.InputError, match=r"columns must be a list of names; received 'a'. Pass \['a'\]"):
        bg.read_table(path, "a")


FILES_OF_ONE_TABLE = {
    "semicolons, decimal commas": b"length;wait\n1,777;42,6\n2,54;63,9\n",
    "tabs, decimal commas": b"length\twait\n1,777\t42,6\n2,54\t63,9\n",
    "quoted decimal commas": b'length,wait\n"1,777","42,6"\n"2,54","63,9"\n',
    "tabs": b"length\twait\n1.777\t42.6\n2.54\t63.9\n",
    "bars": b"length|wait\n1.777|42.6\n2.54|63.9\n",
    "spaces": b" length   wait\n 1.777   42.6\n 2.54    63.9\n",
    "Excel's line of the separator": b"sep=;\nlength;wait\n1,777;42,6\n2,54;63,9\n",
    "a comment": b"# logger 7\nlength,wait\n1.777,42.6\n2.54,63.9\n",
    "UTF-16": "length,wait\n1.777,42.6\n2.54,63.9\n".encode("utf-16"),
    "UTF-16 without a mark": "length,wait\n1.777,42.6\n2.54,63.9\n".encode("utf-16-le"),
}


@pytest.mark.parametrize("form", FILES_OF_ONE_TABLE)
def test_separator_decimal_mark_and_encoding_are_recognised(tmp_path, form):
    (tmp_path / "rows.csv").write_bytes(FILES_OF_ONE_TABLE[form])
    expected = pd.DataFrame({"length": [1.777, 2.54], "wait": [42.6, 63.9]})
    assert_frame_equal(bg.read_table(tmp_path / "rows.csv"), expected)


def test_a_file_of_one_column_with_decimal_commas_is_read(tmp_path):
    (tmp_path / "rows.csv").write_bytes(b"length\n1,777\n2,54\n")
    assert bg.read_table(tmp_path / "rows.csv")["length"].tolist() == [1.777, 2.54]


def test_names_in_latin_1_are_read(tmp_path):
    (tmp_path / "rows.csv").write_bytes("größe,b\n1.5,2\n".encode("latin-1"))
    assert list(bg.read_table(tmp_path / "rows.csv").columns) == ["größe", "b"]


def test_commas_that_may_be_either_mark_are_refused_until_decimal_is_given(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a;b\n1;1,250\n2;2,500\n")
    with pytest.raises(
        bg.errors.InputError, match=r"may be decimal marks or .*'1,250' in line 2, column 'b'. Pass --de"
    ):
        bg.read_table(path)
    assert bg.read_table(path, decimal=",")["b"].tolist() == [1.25, 2.5]
    assert bg.read_table(path, decimal=".")["b"].tolist() == [1250, 2500]
    path.write_bytes(b"a;b\n1.5;1,25\n2;2,5\n")
    with pytest.raises(bg.errors.InputError, match=r"both decimal commas .* and decimal points \('1.5' in line 2"):
        bg.read_table(path)


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (np.arange(1, 273), "counts 1, 2, 3, ..."),
        (np.arange(1, 273)[::-1] * 3, "falls from row to row"),
        (np.arange(272) * 0.1, "grows from row to row"),
        (["a"] * 272, "holds text, such as 'a'"),
        (["2024-01-02"] * 272, "holds dates, such as '2024-01-02'"),
        ([None] * 272, "is empty"),
    ],
)
def test_columns_that_are_no_features_are_left_out_with_a_sentence(tmp_path, column, reason):
    table = FRAME.assign(other=column)
    table.to_csv(tmp_path / "rows.csv", index=False)
    with pytest.warns(bg.errors.BayesgmmWarning, match="Column left out: 'other', which") as warned:
        assert_frame_equal(bg.read_table(tmp_path / "rows.csv"), FRAME)
    assert reason in str(warned[0].message) and "--columns" in str(warned[0].message)
    assert_frame_equal(bg.read_table(tmp_path / "rows.csv", exclude=["other"]), FRAME)
    assert list(bg.read_table(tmp_path / "rows.csv", ["other"]).columns) == ["other"]


def test_row_numbers_of_pandas_are_left_out_and_sorted_data_are_kept(tmp_path):
    FRAME.to_csv(tmp_path / "rows.csv")
    with pytest.warns(bg.errors.BayesgmmWarning, match="has no name in the file"):
        assert_frame_equal(bg.read_table(tmp_path / "rows.csv"), FRAME)
    galaxies = bg.datasets.load_galaxies().sort_values("velocity").drop_duplicates().reset_index(drop=True)
    galaxies.to_csv(tmp_path / "sorted.csv", index=False)
    assert_frame_equal(bg.read_table(tmp_path / "sorted.csv"), galaxies)


def test_a_named_column_becomes_the_index(tmp_path):
    FRAME.assign(name=[f"r{i}" for i in range(272)]).to_csv(tmp_path / "rows.csv", index=False)
    table = bg.read_table(tmp_path / "rows.csv", index="name")
    assert list(table.columns) == ["eruptions", "waiting"] and list(table.index[:2]) == ["r0", "r1"]


def test_incomplete_rows_are_dropped_only_if_asked_for_and_the_others_keep_their_numbers(tmp_path):
    (tmp_path / "rows.csv").write_bytes(b"a,b\n1,2\n3,\n2,5\n")
    assert bg.read_table(tmp_path / "rows.csv").isna().to_numpy().sum() == 1
    with pytest.warns(bg.errors.BayesgmmWarning, match="1 of 3 rows dropped, as they have missing values in 'b'"):
        assert list(bg.read_table(tmp_path / "rows.csv", drop_missing=True).index) == [0, 2]


@pytest.mark.parametrize("names", ["5.1,3.5,setosa", "1.5,1.5", "7,3,9,setosa"])
def test_a_first_line_of_data_is_refused(tmp_path, names):
    (tmp_path / "rows.csv").write_text(f"{names}\n{names}\n")
    with pytest.raises(bg.errors.InputError, match="numbers where its column names should be"):
        bg.read_table(tmp_path / "rows.csv")


def test_an_excel_file_names_the_package_that_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / "rows.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(bg.errors.InputError, match=r"needs the package openpyxl\. Install it"):
        bg.read_table(tmp_path / "rows.xlsx")


# Folders.


def test_a_folder_is_made_with_its_parents_and_left_empty(tmp_path):
    folder = prepare_folder(tmp_path / "a" / "b")
    assert folder.is_dir() and not any(folder.iterdir())
    assert prepare_folder(str(folder)) == folder


def test_a_folder_in_use_is_refused_unless_overwriting_is_allowed(tmp_path):
    (tmp_path / "old").touch()
    with pytest.raises(
        bg.errors.InputError, match=r"exists and is not empty. Name another folder, or allow overwriting"
    ):
        prepare_folder(tmp_path)
    assert prepare_folder(tmp_path, overwrite=True) == tmp_path
    assert (tmp_path / "old").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path, overwrite):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(bg.errors.InputError, match=r"file is a file, not a folder. Name another folder"):
        prepare_folder(file, overwrite=overwrite)
    with pytest.raises(bg.errors.InputError, match=r"cannot be written to: .*Name another folder"):
        prepare_folder(file / "below", overwrite=overwrite)
    with pytest.raises(bg.errors.InputError, match=r"cannot be written to: .*Name another folder"):
        prepare_folder(tmp_path / ("x" * 5000), overwrite=overwrite)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(bg.errors.InputError, match="cannot be written to: Permission denied"):
            prepare_folder(tmp_path)
    finally:
        tmp_path.chmod(0o700)


# An analysis on disk.


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
    with pytest.warns(bg.errors.BayesgmmWarning, match=r"fit.png was not drawn: .* 10 features"):
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
    monkeypatch.setattr("bayesgmm.analysis.posterior_of", None)
    with pytest.raises(bg.errors.InputError, match=r"ci_prob must lie between 0 and 1; received 1.5"):
        analyze(ci_prob=1.5)
    with pytest.raises(bg.errors.InputError, match="X holds 1 value that is NaN"):
        analyze(FRAME.assign(waiting=FRAME["waiting"].where(FRAME.index != 3)))


# The command.


@pytest.fixture
def command(monkeypatch, capsys):
    """Run `bayesgmm analyze ...` in this process: exit code, standard output, standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["bayesgmm", "analyze", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    return run


QUICK = ("--starts", 3, "--seed", 1, "--quiet")


def test_success_prints_the_summary_writes_the_files_and_exits_with_0(command, tmp_path):
    out = tmp_path / "new" / "results"
    code, text, errors = command("--dataset", "faithful", *QUICK, "--out", out)
    assert (code, errors) == (0, "")
    assert {path.name for path in out.iterdir()} == FILES
    assert "Verdict: agree" in text
    assert f"Written to {out}: comparison.csv, comparison.png, " in text
    # The same seed in Python gives the same text, digit by digit.
    assert text.startswith(bg.Analysis.load(out).summary())
    assert text.startswith(bg.analyze(FRAME, 2, n_init=3, rng=1, progress=False).summary())


def test_an_unreliable_sampling_exits_with_3_and_prints_everything_all_the_same(command):
    code, text, errors = command("--dataset", "faithful", *QUICK, "--draws", 20, "--chains", 2)
    assert (code, errors) == (3, "")
    assert "Verdict: not comparable" in text and "problem: " in text
    assert text.rstrip("\n") == analyze().summary()


def test_the_command_takes_files_and_some_of_their_columns(command, tmp_path):
    FRAME.assign(name="a").to_csv(tmp_path / "rows.csv", index=False)
    code, text, _ = command(tmp_path / "rows.csv", *QUICK, "--draws", 20, "--columns", "waiting, eruptions", "-k", 1)
    assert code == 3
    assert "EMFit: 1 component, 2 features, covariance full, 272 rows" in text
    assert text.index("waiting") < text.index("eruptions")
    assert "70.9 (13.6)" in text and "3.49 (1.14)" in text


@pytest.mark.parametrize("covariance", ["tied", "diag", "spherical"])
def test_the_command_takes_every_covariance(command, covariance):
    code, text, _ = command("--dataset", "galaxies", "-k", 2, "--covariance", covariance, *QUICK, "--draws", 10)
    assert code == 3
    assert f"covariance {covariance}, 82 rows" in text


def with_file(content, name="rows.csv"):
    def arguments(tmp_path):
        (tmp_path / name).write_bytes(content)
        return [tmp_path / name]

    return arguments


def with_old_folder(tmp_path):
    (tmp_path / "old").touch()
    return ["--dataset", "faithful", "--out", tmp_path]


def with_folder_below_a_file(tmp_path):
    (tmp_path / "file").touch()
    return ["--dataset", "faithful", "--out", tmp_path / "file" / "below"]


BAD_COMMANDS = {
    "nothing to analyze": (lambda _: [], "Name one thing to analyze: a file DATA or --dataset"),
    "two things to analyze": (lambda _: ["rows.csv", "--dataset", "faithful"], "Name one thing to analyze"),
    "missing file": (lambda tmp_path: [tmp_path / "rows.csv"], "There is no file"),
    "folder for a file": (lambda tmp_path: [tmp_path], "is a folder, not a file"),
    "empty file": (with_file(b""), "rows.csv is empty"),
    "binary junk": (with_file(bytes(range(255, 0, -1)) * 20), "cannot be read as a table"),
    "no Parquet": (with_file(NUMBERS, "rows.parquet"), "cannot be read as a table"),
    "missing value": (with_file(NUMBERS + b"5,\n"), "rows.csv has 1 missing value, in 'b'; the first is in row 4"),
    "text": (
        lambda tmp_path: [*with_file(b"a,b[/x]\n1,x\n2,y\n")(tmp_path), "--columns", "a,b[/x]"],
        "the first cell that is no number is 'x' in line 2",
    ),
    "a wrong separator": (
        lambda tmp_path: [*with_file(NUMBERS.replace(b",", b";"))(tmp_path), "--sep", "comma"],
        "the first cell that is no number is '1;2' in line 2",
    ),
    "a cell that is no number": (
        with_file(b"a;b\n1,5;2\n2,5;.\n3,5;4\n"),
        "the first cell that is no number is '.' in line 3 (columns are separated by semicolon (';'); the decimal mark "
        "is ',')",
    ),
    "nothing but text": (with_file(b"a,b\nx,y\n"), "no number is 'x' in line 2"),
    "an option of files for a data set": (lambda _: ["--dataset", "faithful", "--sep", ";"], "are about a file DATA"),
    "fewer rows than components": (
        lambda tmp_path: [*with_file(NUMBERS)(tmp_path), "-k", 4],
        "X has 3 rows, fewer than n_components=4",
    ),
    "missing column": (
        lambda tmp_path: [*with_file(NUMBERS)(tmp_path), "--columns", "a,c"],
        "has no column 'c'; its columns are 'a', 'b'",
    ),
    "missing column of a data set": (
        lambda _: ["--dataset", "faithful", "--columns", "wait"],
        "The data set faithful has no column 'wait'; its columns are 'eruptions', 'waiting'",
    ),
    "no column named": (lambda _: ["--dataset", "faithful", "--columns", ""], "has no column ''"),
    "a folder in use": (with_old_folder, "exists and is not empty. Name another folder"),
    "a folder that cannot be": (with_folder_below_a_file, "cannot be written to"),
    "no components": (
        lambda _: ["--dataset", "faithful", "-k", 0],
        "n_components must be a whole number of at least 1",
    ),
    "a probability above 1": (lambda _: ["--dataset", "faithful", "--ci-prob", 90], "ci_prob must lie between 0 and 1"),
}


@pytest.mark.parametrize("problem", BAD_COMMANDS)
def test_bad_input_is_one_line_on_standard_error_and_exit_code_2(command, tmp_path, problem):
    make_arguments, message = BAD_COMMANDS[problem]
    code, text, errors = command(*make_arguments(tmp_path), *QUICK)
    assert (code, text) == (2, "")
    assert errors.startswith("bayesgmm: ") and errors.count("\n") == 1
    assert message in errors


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--covariance", "ful"),
        ("--dataset", "iris"),
        ("--components", "two"),
        ("--draws", "3"),
        ("--chains", "0"),
        ("--starts", "0"),
        ("--seed", "-1"),
        ("--ci-prob", "high"),
    ],
)
def test_a_mistyped_option_is_named_and_exits_with_2(command, option, value):
    code, text, errors = command("--dataset", "galaxies", option, value)
    assert (code, text) == (2, "")
    assert option in errors and "Traceback" not in errors


def test_an_unknown_option_exits_with_2(command):
    code, _, errors = command("--dataset", "faithful", "--componets", 2)
    assert code == 2 and "--componets" in errors


def test_a_fit_that_collapses_is_one_line_and_exit_code_1(command, tmp_path):
    pd.DataFrame({"a": [0, 0, 0, 1, 1, 1]}).to_csv(tmp_path / "rows.csv", index=False)
    code, text, errors = command(tmp_path / "rows.csv", *QUICK)
    assert (code, text) == (1, "")
    assert errors.startswith("bayesgmm: All ") and "starts collapsed" in errors and errors.count("\n") == 1


def test_a_sampler_that_fails_is_one_line_and_exit_code_1(command, monkeypatch):
    def fail(*arguments, **options):
        raise bg.errors.SamplingError("The sampler stopped: no point has a finite density. Pass another start.")

    monkeypatch.setattr(bg, "analyze", fail)
    code, text, errors = command("--dataset", "faithful", *QUICK)
    assert (code, text) == (1, "")
    assert errors == "bayesgmm: The sampler stopped: no point has a finite density. Pass another start.\n"


def test_the_command_says_what_it_read_unless_told_to_be_quiet(command, monkeypatch):
    monkeypatch.setattr(
        bg, "analyze", lambda *arguments, **options: (_ for _ in ()).throw(bg.errors.FitError("stopped"))
    )
    loud, told = ("--dataset", "faithful", "--seed", 1), "272 rows, columns eruptions, waiting; 2 components"
    assert told in command(*loud)[2]
    assert command(*loud, "--quiet")[2] == "bayesgmm: stopped\n"


def help_of(*command):
    environment = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    shown = CliRunner().invoke(cli.app, [*command, "--help"], env=environment)
    assert shown.exit_code == 0
    return " ".join(shown.output.split())


@pytest.mark.parametrize(("name", "function"), [("analyze", cli.analyze), ("compile", cli.compile_)])
def test_help_explains_every_option(name, function):
    shown = help_of(name)
    for option in inspect.signature(function).parameters:
        assert ("DATA" if option == "data" else f"--{option.replace('_', '-')}") in shown
    assert all(command in help_of() for command in ("analyze", "compile"))


def test_help_explains_the_exit_codes_and_names_the_arguments_in_python():
    shown = help_of("analyze")
    for code in ("0: done", "1: EM or the sampler failed", "2: bad input", "3: done, but"):
        assert code in shown
    for argument in ("n_components in Python", "n_init in Python", "rng in Python"):
        assert argument in shown


def test_the_command_takes_the_covariances_that_the_package_has():
    assert [covariance.value for covariance in cli.Covariance] == list(STRUCTURES)


@pytest.mark.parametrize(("options", "expected"), [((), (False, True)), (("--pymc", "--quiet"), (True, False))])
def test_the_command_compiles_all(monkeypatch, options, expected):
    calls = []
    monkeypatch.setattr(bg, "compile_all", lambda *, pymc, progress: calls.append((pymc, progress)))
    assert CliRunner().invoke(cli.app, ["compile", *options]).exit_code == 0
    assert calls == [expected]


def test_the_command_is_installed_and_is_what_the_module_runs():
    (script,) = entry_points(group="console_scripts", name="bayesgmm")
    assert script.load() is cli.main
    done = subprocess.run(
        [sys.executable, "-m", "bayesgmm", "analyze", "nowhere.csv"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parent,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "bayesgmm: There is no file nowhere.csv. Check its name and folder.\n"


def test_the_command_shows_its_version():
    shown = CliRunner().invoke(cli.app, ["--version"])
    assert (shown.exit_code, shown.output) == (0, f"bayesgmm {bg.__version__}\n")


def test_the_command_reads_standard_input_and_drops_incomplete_rows():
    text = "x;waiting\n;3\n" + FRAME.to_csv(sep=";", decimal=",", index=False, header=False)
    done = subprocess.run(
        [sys.executable, "-m", "bayesgmm", "analyze", "-", "-k", "0", "--drop-missing"],
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert "standard input: 272 rows, columns x, waiting" in done.stderr
    assert "separated by semicolon (';'); the decimal mark is ','" in done.stderr
    assert "1 of 273 rows dropped" in done.stderr


def test_results_are_saved_even_if_they_cannot_be_printed(tmp_path):
    FRAME.set_axis(["σ\x1b[31m", "waiting"], axis=1).to_csv(tmp_path / "rows.csv", index=False)
    options = (tmp_path / "rows.csv", "-k", 1, *QUICK, "--draws", 20, "--out", tmp_path / "out")
    done = subprocess.run(
        [sys.executable, "-m", "bayesgmm", "analyze", *map(str, options)],
        env=os.environ | {"PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 3 and (tmp_path / "out" / "em.json").exists()
    assert b"\x1b" not in done.stdout and rb"\u03c3\x1b[31m" in done.stdout
