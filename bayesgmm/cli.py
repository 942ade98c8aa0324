"""The command `bayesgmm`."""

import csv
import io
import os
import sys
import textwrap
import warnings
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from bayesgmm.display.cards import Displayed, brief_text
from bayesgmm.display.glossary import GLOSSARY
from bayesgmm.display.progress import LOGGER, Stages, close_counter
from bayesgmm.display.warning_lines import WarningLines
from bayesgmm.errors import FitError, InputError, SamplingError
from bayesgmm.escaping import one_line
from bayesgmm.files.folders import prepare_folder
from bayesgmm.files.tables import Reading, choose, read
from bayesgmm.storage.folder import written_files
from bayesgmm.types import CovarianceName
from bayesgmm.version import __version__
from bayesgmm.wording import count

if TYPE_CHECKING:
    from bayesgmm.analysis.result import Analysis

EXIT_FIT, EXIT_INPUT, EXIT_SAMPLING = 1, 2, 3

_LABELS = "labels.csv"
_WARNINGS = WarningLines()

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Gaussian mixtures by EM and by a posterior, and how far EM's numbers can be trusted.",
)
Covariance = StrEnum("Covariance", {"full": "full", "tied": "tied", "diag": "diag", "spherical": "spherical"})
Figures = StrEnum("Figures", {"png": "png", "pdf": "pdf", "svg": "svg"})
Dataset = StrEnum("Dataset", {"faithful": "faithful", "galaxies": "galaxies"})


@app.command()
def analyze(
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="DATA",
            help="CSV or other text file (first line: column names), Parquet, Feather or Excel file; - is standard "
            "input.",
        ),
    ] = None,
    dataset: Annotated[Dataset | None, typer.Option(help="A data set that bayesgmm ships, in place of DATA.")] = None,
    components: Annotated[
        int, typer.Option("--components", "-k", help="Number of mixture components (n_components in Python).")
    ] = 2,
    columns: Annotated[
        str | None,
        typer.Option(
            help="Columns to use, comma-separated, such as a,b. By default all columns of numbers, apart from row "
            "numbers and columns that grow or fall at every row.",
        ),
    ] = None,
    exclude: Annotated[str | None, typer.Option(help="Columns to leave out, comma-separated.")] = None,
    index: Annotated[str | None, typer.Option(help="Column that names the rows; it is not used as a feature.")] = None,
    sep: Annotated[
        str | None,
        typer.Option(
            help="Separator of the columns: a character, comma, semicolon, tab or space. Recognised by default."
        ),
    ] = None,
    decimal: Annotated[str | None, typer.Option(help="Decimal mark, . or a comma. Recognised by default.")] = None,
    drop_missing: Annotated[
        bool, typer.Option("--drop-missing", help="Leave out rows with a missing value in a column that is used.")
    ] = False,
    covariance: Annotated[
        Covariance,
        typer.Option(help="full: one matrix per component; tied: one matrix for all; diag; spherical."),
    ] = Covariance["full"],
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of all random numbers (rng in Python). The same seed gives the same result."),
    ] = None,
    starts: Annotated[
        int | None, typer.Option(min=1, help="Number of starts of EM (n_init in Python); by default 100 to 300.")
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(
            min=4, help="Posterior draws per chain after tuning. By default, until the chains have converged."
        ),
    ] = None,
    max_draws: Annotated[int, typer.Option(min=4, help="Most draws per chain if --draws is not given.")] = 10_000,
    chains: Annotated[int, typer.Option(min=1, help="Number of chains.")] = 4,
    max_time: Annotated[
        float | None, typer.Option(help="Seconds after which the sampling ends with the draws that there are.")
    ] = None,
    ci_prob: Annotated[float, typer.Option(help="Probability of the equal-tailed intervals.")] = 0.9,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the results, labels.csv and the figures. Must be new or empty."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write into --out even if it is not empty.")] = False,
    figures: Annotated[Figures, typer.Option(help="Format of the figures in --out.")] = Figures["png"],
    full: Annotated[
        bool, typer.Option("--full", help="Print every number; by default those that differ or are least certain.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Do not say what is being done.")] = False,
) -> None:
    """Fit a mixture by EM, sample its posterior, and print how they compare.

    The options are the arguments of bayesgmm.analyze in Python.

    Exit code 0: done, whatever the verdict; 1: EM found no maximum, or the sampler failed; 2: bad input; 3: done, but
    the draws cannot be relied on, see the text.
    """
    # Bad input is refused before anything slow is imported or computed.
    if (data is None) == (dataset is None):
        raise InputError("Name one thing to analyze: a file DATA or --dataset.")
    if out is not None:
        prepare_folder(out, overwrite=overwrite)
    options = _ReadOptions(_names(columns), _names(exclude) or [], index, sep, decimal, drop_missing)
    reading = _read_data_set(dataset, options) if data is None else _read_file(data, options)
    _say_what_was_read(reading, f"{count(components, 'component')}, covariance {covariance}", quiet=quiet)

    is_kept = out is not None
    print_result = partial(_print_result, full=full, is_kept=is_kept)
    with Stages(show=not quiet):
        analysis = _analysis_in_stages(
            reading,
            components,
            covariance.value,
            n_init=starts,
            ci_prob=ci_prob,
            rng=seed,
            show_em=print_result,
            draws=draws,
            max_draws=max_draws,
            chains=chains,
            max_time=max_time,
            progress=not quiet,
        )
        try:  # saved before it is printed, and printed even if it cannot be saved
            if out is not None:
                LOGGER.info("Drawing the figures and writing to %s", out)
                source = None if data == Path("-") else data  # standard input cannot be read again
                analysis.save(out, overwrite=True, source=source, figures=figures.value)  # `prepare_folder` checked it
        finally:
            print_result(analysis.diagnosis)
            if analysis.em_error is None:
                print_result(analysis.comparison)
    if out is not None:
        files = written_files(out)
        _show(f"Written to {out}: {', '.join(files)}", is_kept=is_kept)
        if _LABELS in files:
            _show(_about_labels(reading), is_kept=is_kept)
    rest = (
        "settings.json says how to make this again."
        if is_kept
        else "--out FOLDER keeps the results, the labels of the rows, and figures."
    )
    _show(f"`bayesgmm words` explains the words; {rest}", is_kept=is_kept)
    if analysis.em_error is not None:
        raise typer.Exit(EXIT_FIT)
    if not analysis.diagnosis.ok:
        raise typer.Exit(EXIT_SAMPLING)


@app.command("compile")
def compile_(
    pymc: Annotated[
        bool, typer.Option("--pymc", help="Compile also the models of build_model, which PyMC samples.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Compile everything that first calls would otherwise compile, for images and continuous integration.

    It takes some minutes. Set NUMBA_CACHE_DIR to choose the folder of the compiled code.
    """
    import bayesgmm

    bayesgmm.compile_all(pymc=pymc, progress=not quiet)


@app.command()
def words() -> None:
    """Explain the words that the results use."""
    for word, meaning in GLOSSARY.items():
        print(textwrap.fill(f"{word}: {meaning}.", 100, subsequent_indent="    "))


def main() -> None:
    """Run the command. Errors that bayesgmm raises on purpose become one line on standard error and an exit code."""
    for stream in (sys.stdout, sys.stderr):  # a character that the terminal cannot show is written as an escape
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    _WARNINGS.hold()
    warnings.showwarning = _WARNINGS.show
    try:
        app()
    except InputError as error:
        _WARNINGS.show_waiting()
        print(f"bayesgmm: {one_line(str(error))}", file=sys.stderr)
        sys.exit(EXIT_INPUT)
    except (FitError, SamplingError) as error:
        _WARNINGS.show_waiting()
        print(f"bayesgmm: {one_line(str(error))}", file=sys.stderr)
        sys.exit(EXIT_FIT)


def _analysis_in_stages(reading: Reading, components: int, covariance: CovarianceName, **options: Any) -> "Analysis":
    """The analysis; a line on standard error says that slow imports and compilation come first."""
    from bayesgmm.compile_cache import has_compiled_code

    if not has_compiled_code():
        LOGGER.info("Compiling, on the first run on a machine only: about a minute")
    from bayesgmm.analysis.run import run_analysis

    table = reading.table if reading.row_names is None else reading.table.set_axis(reading.row_names)
    return run_analysis(table, components, covariance, **options)


def _print_result(result: "Displayed | FitError", *, full: bool, is_kept: bool) -> None:
    """Print EM's fit, the diagnosis or the comparison, followed by an empty line."""
    if isinstance(result, FitError):
        text = f"EM found no maximum, and the posterior is sampled without it. {result}"
    else:
        text = result.summary() if full else brief_text(result, "--full shows all")
    close_counter()
    _show(text + "\n", is_kept=is_kept)
    _WARNINGS.show_waiting(text)


def _about_labels(reading: Reading) -> str:
    """How labels.csv is joined with the file."""
    first, *others = map(str, [] if reading.row_names is None else reading.row_names.names)
    named = f", {', '.join(others[:4])} {'names' if len(others) == 1 else 'name'} it" if others else ""
    return one_line(
        f"{_LABELS} has a line for each row used: {first} is its number in the file, from 1 below the names{named}; "
        f"then its label."
    )


def _show(text: str, *, is_kept: bool) -> None:
    """Print a text. If nobody reads the output any more, go on without it when the results are kept in a folder."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        if not is_kept:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@dataclass(frozen=True)
class _ReadOptions:
    """The options of the command about the file."""

    columns: list[str] | None
    exclude: list[str]
    index: str | None
    sep: str | None
    decimal: str | None
    drop_missing: bool


def _names(text: str | None) -> list[str] | None:
    """Names separated by commas; a name that holds a comma is in double quotes."""
    if text is None:
        return None
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True)) or [""]]


def _read_file(data: Path, options: _ReadOptions) -> Reading:
    reading = read(data, numbers_only=True, **vars(options))
    missing = reading.table.isna()
    if missing.to_numpy().any():
        names, n_missing = [repr(name) for name in reading.table.columns[missing.any()]], int(missing.to_numpy().sum())
        first = int(missing.any(axis=1).to_numpy().argmax()) + 1
        raise InputError(
            f"{reading.source} has {count(n_missing, 'missing value')}, in {', '.join(names[:12])}; "
            f"the first is in row {first} below the names. Pass --drop-missing to leave out such rows, or --exclude "
            f"to leave out columns."
        )
    return reading


def _read_data_set(dataset: Dataset | None, options: _ReadOptions) -> Reading:
    """A data set that the package ships."""
    if (options.index, options.sep, options.decimal) != (None, None, None):
        raise InputError("--index, --sep and --decimal are about a file DATA. Leave them out, or name a file.")
    from bayesgmm import datasets

    table = {"faithful": datasets.load_faithful, "galaxies": datasets.load_galaxies}[str(dataset)]()
    return choose(
        table,
        options.columns or list(table.columns.drop(options.exclude, errors="ignore")),
        f"The data set {dataset}",
        exclude=options.exclude,
        drop_missing=options.drop_missing,
    )


def _say_what_was_read(reading: Reading, model: str, *, quiet: bool) -> None:
    """Print on standard error what is fitted to what; with `quiet` only what the user may not expect."""
    log = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    names = [str(name) for name in reading.table.columns]
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    if not quiet:
        log.print(one_line(f"{reading.source}: {count(len(reading.table), 'row')}, columns {shown}; {model}"))
    for sentence in (*reading.notation, *reading.choices):
        log.print(one_line(sentence))


def _show_version(is_asked: bool) -> None:
    if is_asked:
        print(f"bayesgmm {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version, and exit.")
    ] = False,
) -> None:
    """Gaussian mixtures by EM and by a posterior, and how far EM's numbers can be trusted."""
