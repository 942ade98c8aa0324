"""Tables read from files, and folders prepared for writing."""

import gzip
import os
import zipfile

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import bayesgmm as bg
from bayesgmm.files.folders import prepare_folder
from bayesgmm.files.tables import read

NUMBERS = b"a,b\n1,2\n3,5\n4,4\n"
FRAME = bg.datasets.load_faithful()


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


def test_no_columns_at_all_are_refused(tmp_path):
    (tmp_path / "rows.csv").write_bytes(NUMBERS)
    with pytest.raises(bg.errors.InputError, match=r"columns must name at least one column of .*rows\.csv"):
        bg.read_table(tmp_path / "rows.csv", columns=[])


@pytest.mark.parametrize(
    ("argument", "value"), [("exclude", None), ("exclude", 3), ("columns", 3.5), ("columns", {"a"})]
)
def test_names_must_be_in_a_list(argument, value, tmp_path):
    (tmp_path / "rows.csv").write_bytes(NUMBERS)
    with pytest.raises(bg.errors.InputError, match=f"{argument} must be a list of names; received .*Pass names"):
        bg.read_table(tmp_path / "rows.csv", **{argument: value})


@pytest.mark.parametrize(
    "names", [("b", "a"), np.array(["b", "a"]), pd.Index(["b", "a"])], ids=["tuple", "array", "index"]
)
def test_names_may_be_in_any_sequence(names, tmp_path):
    (tmp_path / "rows.csv").write_bytes(NUMBERS)
    assert list(bg.read_table(tmp_path / "rows.csv", columns=names)) == ["b", "a"]


@pytest.mark.parametrize("missing", [[3], [0, 7, 8], [19]])
@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("n", np.arange(5.0, 25.0)),
        ("time", np.cumsum(np.linspace(0.5, 2.0, 20))),
        ("id", np.arange(20.0)[::-1] * 3 + 1),
    ],
)
def test_row_numbers_and_times_with_missing_entries_are_no_features(name, column, missing, tmp_path):
    table = FRAME.head(20).reset_index(drop=True)
    table.insert(0, name, column)
    table.loc[missing, name] = np.nan
    table.to_csv(tmp_path / "rows.csv", index=False)
    with pytest.warns(bg.errors.BayesgmmWarning, match=f"Column left out: '{name}'"):
        read = bg.read_table(tmp_path / "rows.csv")
    assert list(read) == list(FRAME.columns)
    assert len(read) == 20


def test_whole_numbers_beyond_64_bits_are_read_as_floats(tmp_path):
    numbers = [2**70 + 10**20 * (i * i % 11) for i in range(12)]
    lines = [f"{number},{i % 7}.5" for i, number in enumerate(numbers)]
    (tmp_path / "rows.csv").write_text("a,b\n" + "\n".join(lines))
    assert bg.read_table(tmp_path / "rows.csv")["a"].tolist() == [float(number) for number in numbers]


@pytest.mark.parametrize("place", [0, 5])
def test_an_infinite_number_leaves_its_column_a_feature(place, tmp_path):
    table = pd.DataFrame({"a": np.arange(12) % 5 + 0.5, "n": np.arange(12.0)})
    table.loc[place, "n"] = np.inf
    table.to_csv(tmp_path / "rows.csv", index=False)
    assert list(bg.read_table(tmp_path / "rows.csv")) == ["a", "n"]


def test_excluding_every_column_is_refused(tmp_path):
    (tmp_path / "rows.csv").write_bytes(NUMBERS)
    with pytest.raises(bg.errors.InputError, match=r"has no column to use\. exclude names all of them"):
        bg.read_table(tmp_path / "rows.csv", exclude=["a", "b"])


def test_the_first_sheet_of_an_excel_file_is_read(tmp_path):
    table = FRAME.head(20).assign(name="a", day=pd.Timestamp("2026-01-01"))
    with pd.ExcelWriter(tmp_path / "rows.xlsx") as workbook:
        table.to_excel(workbook, sheet_name="data", index=False)
        FRAME.to_excel(workbook, sheet_name="other", index=False)
    assert_frame_equal(
        bg.read_table(tmp_path / "rows.xlsx", ["waiting", "eruptions"]), FRAME.head(20)[["waiting", "eruptions"]]
    )


def test_an_excel_file_without_numbers_and_a_zip_file_are_refused(tmp_path):
    pd.DataFrame({"a": ["x", "y"]}).to_excel(tmp_path / "words.xlsx", index=False)
    with pytest.raises(bg.errors.InputError, match=r"words\.xlsx"):
        bg.read_table(tmp_path / "words.xlsx", ["b"])
    with zipfile.ZipFile(tmp_path / "rows.xlsx", "w") as archive:
        archive.writestr("a.txt", "a")
    with pytest.raises(bg.errors.InputError, match=r"rows\.xlsx"):
        bg.read_table(tmp_path / "rows.xlsx")


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


def test_rows_keep_their_number_in_the_file_and_their_names(tmp_path):
    X = np.random.default_rng(1).standard_normal((9, 2))
    frame = pd.DataFrame(X, columns=["a", "b"]).assign(row=range(9), name=list("abcdefghi"), kind="x")
    frame.loc[2, "a"] = None
    path = tmp_path / "rows.csv"
    frame.to_csv(path, index=False)
    found = read(path, drop_missing=True).row_names
    assert found.names == ["row of the file", "row", "name"]
    assert found.tolist()[1:3] == [(2, 1, "b"), (4, 3, "d")]
    assert read(path, ["b"], index="name").row_names.names == ["row of the file", "name", "row"]
    frame[["a", "b", "kind"]].to_csv(path, index=False)
    assert read(path).row_names.equals(pd.RangeIndex(1, 10, name="row"))
