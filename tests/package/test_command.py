"""The command `bayesgmm`."""

import inspect
import os
import subprocess
import sys
import warnings
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import bayesgmm as bg
from bayesgmm import cli
from bayesgmm.display.cards import brief_text
from bayesgmm.display.glossary import GLOSSARY
from bayesgmm.mixture.covariance import STRUCTURES

FRAME = bg.datasets.load_faithful()
NAMES = ("fit", "comparison", "labels", "density-difference", "trace", "rank", "convergence")
PICTURES = {f"{name}.png" for name in NAMES}
FILES = PICTURES | {"em.json", "posterior.nc", "comparison.csv", "labels.csv", "settings.json"}
NUMBERS = b"a,b\n1,2\n3,5\n4,4\n"


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
    for analysis in (bg.Analysis.load(out), bg.analyze(FRAME, 2, n_init=3, rng=1, progress=False)):
        parts = (analysis.em, analysis.diagnosis, analysis.comparison)
        assert text.startswith("\n\n".join(brief_text(part, "--full shows all") for part in parts))


def test_a_problem_of_em_is_told_once(command, tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"h": rng.normal(170, 10, 120), "male": rng.integers(0, 2, 120)})
    table.to_csv(tmp_path / "rows.csv", index=False)
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # shown, as in a process of its own
        _, text, errors = command(tmp_path / "rows.csv", "--seed", 1, "--quiet", "--draws", 20)
    assert "starts collapsed" in text and errors == ""


def test_full_prints_every_number(command):
    options = ("--dataset", "faithful", *QUICK, "--draws", 20, "--chains", 2)
    brief, full = command(*options)[1], command(*options, "--full")[1]
    assert "--full shows all" in brief and "covariances[1, waiting, waiting]" not in full
    assert full.count("\n") > brief.count("\n") and "--full" not in full


@pytest.mark.parametrize("form", ["pdf", "svg"])
def test_figures_have_the_format_that_was_asked_for(command, tmp_path, form):
    out = tmp_path / "results"
    command("--dataset", "galaxies", "-k", 1, *QUICK, "--draws", 20, "--out", out, "--figures", form)
    assert {path.suffix for path in out.iterdir()} == {f".{form}", ".json", ".nc", ".csv"}
    start = (out / f"fit.{form}").read_bytes()[:300]
    assert start.startswith(b"%PDF") if form == "pdf" else b"<svg" in start or b"DOCTYPE svg" in start


def test_labels_of_the_rows_are_written(command, tmp_path):
    command("--dataset", "faithful", *QUICK, "--draws", 20, "--out", tmp_path / "results")
    labels = pd.read_csv(tmp_path / "results" / "labels.csv", index_col=0)
    em = bg.Analysis.load(tmp_path / "results").em
    assert list(labels["label"]) == em.parameters.predict(FRAME).tolist()


def test_labels_can_be_joined_with_the_file(command, tmp_path):
    frame = FRAME[:80].assign(id=[f"p{i}" for i in range(80)], mean=range(5, 85), kind=["a", "b"] * 40)
    frame.loc[3, "waiting"] = None
    frame.to_csv(tmp_path / "rows.csv", index=False)
    out = tmp_path / "results"
    text = command(tmp_path / "rows.csv", *QUICK, "--draws", 20, "--drop-missing", "--out", out)[1]
    assert "labels.csv has a line for each row used: row is its number in the file" in text
    assert "id, mean name it; then its label" in text
    labels = pd.read_csv(out / "labels.csv")
    assert list(labels)[:5] == ["row", "id", "mean of the row", "label", "em"]
    expected = bg.Analysis.load(out).em.parameters.predict(frame.dropna()[["eruptions", "waiting"]])
    for joined in (
        frame.merge(labels[["id", "label"]], on="id", how="left"),
        frame.assign(row=range(1, 81)).merge(labels[["row", "label"]], on="row", how="left"),
    ):
        assert joined["label"].isna().to_numpy().nonzero()[0].tolist() == [3]
        assert joined["label"].dropna().tolist() == expected.tolist()


def test_the_stages_are_said_as_lines_where_there_is_no_terminal(command, tmp_path):
    options = ("--dataset", "galaxies", "-k", 1, "--starts", 3, "--seed", 1, "--draws", 20)
    errors = command(*options, "--out", tmp_path / "results")[2]
    stages = (
        "Fitting by EM",
        "Looking for the posterior's modes",
        "Sampling 4 chains",
        "Diagnosing",
        "Drawing the figures",
    )
    assert [line for line in errors.splitlines() if line.startswith(stages)] == sorted(
        [line for line in errors.splitlines() if line.startswith(stages)],
        key=lambda line: next(i for i, stage in enumerate(stages) if line.startswith(stage)),
    )
    assert all(any(line.startswith(stage) for line in errors.splitlines()) for stage in stages)


def test_an_unreliable_sampling_exits_with_3_and_prints_everything_all_the_same(command):
    code, text, errors = command("--dataset", "faithful", *QUICK, "--draws", 20, "--chains", 2)
    assert (code, errors) == (3, "")
    assert "Verdict: not comparable" in text and "problem: " in text


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


def test_the_posterior_is_sampled_where_em_has_no_maximum(command, tmp_path):
    x = [*np.zeros(20), *np.linspace(1, 3, 40)]
    pd.DataFrame({"a": np.random.default_rng(1).permutation(x)}).to_csv(tmp_path / "rows.csv", index=False)
    out = tmp_path / "results"
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # shown, as in a process of its own
        code, text, errors = command(tmp_path / "rows.csv", *QUICK, "--draws", 20, "--out", out)
    assert code == 1
    assert errors == ""
    assert (
        text.startswith("EM found no maximum, and the posterior is sampled without it. ")
        and "Diagnosis" in text
        and "Verdict" not in text
    )
    assert "comparison.csv" not in text and (out / "labels.csv").exists()
    loaded = bg.Analysis.load(out)
    assert "starts collapsed" in str(loaded.em_error)
    with pytest.raises(bg.errors.FitError, match="starts collapsed"):
        _ = loaded.comparison


def test_a_sampler_that_fails_is_one_line_and_exit_code_1(command, monkeypatch):
    def fail(*arguments, **options):
        raise bg.errors.SamplingError("The sampler stopped: no point has a finite density. Pass another start.")

    monkeypatch.setattr("bayesgmm.analysis.run.run_analysis", fail)
    code, text, errors = command("--dataset", "faithful", *QUICK)
    assert (code, text) == (1, "")
    assert errors == "bayesgmm: The sampler stopped: no point has a finite density. Pass another start.\n"


def test_the_command_says_what_it_read_unless_told_to_be_quiet(command, monkeypatch):
    monkeypatch.setattr(
        "bayesgmm.analysis.run.run_analysis",
        lambda *arguments, **options: (_ for _ in ()).throw(bg.errors.FitError("stopped")),
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
    assert all(command in help_of() for command in ("analyze", "compile", "words"))


def test_help_explains_the_exit_codes_and_names_the_arguments_in_python():
    shown = help_of("analyze")
    for code in ("0: done", "1: EM found no maximum", "2: bad input", "3: done, but"):
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


def test_the_words_of_the_results_are_explained(command):
    explained = " ".join(GLOSSARY)
    shown = CliRunner().invoke(cli.app, ["words"])
    assert shown.exit_code == 0 and all(f"{word}: " in shown.output for word in GLOSSARY)
    text = command("--dataset", "faithful", *QUICK, "--draws", 20, "--chains", 2, "--full")[1]
    for word in ("R-hat", "ESS", "E-BFMI", "Hellinger distance", "adjusted Rand index", "label-free quantities", "BIC"):
        assert word in text and word in explained


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
