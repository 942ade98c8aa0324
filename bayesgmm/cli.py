"""The command `bayesgmm`."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.console import Console

from bayesgmm.display.progress import is_watched
from bayesgmm.errors import FitError, InputError, SamplingError
from bayesgmm.files import prepare_folder, read_table, select_columns
from bayesgmm.storage.folder import written_files
from bayesgmm.wording import count

EXIT_FIT, EXIT_INPUT, EXIT_SAMPLING = 1, 2, 3

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Gaussian mixtures by EM and by a posterior, and how far EM's numbers can be trusted.",
)
Covariance = StrEnum("Covariance", {"full": "full", "tied": "tied", "diag": "diag", "spherical": "spherical"})
Dataset = StrEnum("Dataset", {"faithful": "faithful", "galaxies": "galaxies"})


@app.command()
def analyze(
    data: Annotated[
        Path | None,
        typer.Argument(metavar="DATA", help="CSV (first line: column names) or Parquet file with the rows."),
    ] = None,
    dataset: Annotated[Dataset | None, typer.Option(help="A data set that bayesgmm ships, in place of DATA.")] = None,
    components: Annotated[
        int, typer.Option("--components", "-k", help="Number of mixture components (n_components in Python).")
    ] = 2,
    columns: Annotated[
        str | None, typer.Option(help="Columns to use, comma-separated, such as a,b. All columns by default.")
    ] = None,
    covariance: Annotated[
        Covariance,
        typer.Option(help="full: one matrix per component; tied: one matrix for all; diag; spherical."),
    ] = Covariance["full"],
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of all random numbers (rng in Python). The same seed gives the same result."),
    ] = None,
    starts: Annotated[int, typer.Option(min=1, help="Number of starts of EM (n_init in Python).")] = 100,
    draws: Annotated[
        int | None,
        typer.Option(
            min=4, help="Posterior draws per chain after tuning. By default, until the chains have converged."
        ),
    ] = None,
    max_draws: Annotated[int, typer.Option(min=4, help="Most draws per chain if --draws is not given.")] = 10_000,
    chains: Annotated[int, typer.Option(min=1, help="Number of chains.")] = 4,
    ci_prob: Annotated[float, typer.Option(help="Probability of the equal-tailed intervals.")] = 0.9,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for em.json, posterior.nc, comparison.csv and the figures. Must be new or empty."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write into --out even if it is not empty.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Show no progress. Progress is only ever shown on a terminal.")
    ] = False,
) -> None:
    """Fit a mixture by EM, sample its posterior, and print how they compare.

    The options are the arguments of bayesgmm.analyze in Python.

    Exit code 0: done, whatever the verdict; 1: EM or the sampler failed; 2: bad input; 3: done, but the draws cannot be
    relied on, see the text.
    """
    # Bad input is refused before anything slow is imported or computed.
    if (data is None) == (dataset is None):
        raise InputError("Name one thing to analyze: a file DATA or --dataset.")
    if out is not None:
        prepare_folder(out, overwrite=overwrite)
    table = _read_rows(data, dataset, columns)
    log = Console(stderr=True, quiet=quiet or not is_watched(), highlight=False, markup=False)
    log.print(
        f"{count(len(table), 'row')}, columns {', '.join(table.columns)}; {count(components, 'component')}, "
        f"covariance {covariance}"
    )

    import bayesgmm

    analysis = bayesgmm.analyze(
        table,
        components,
        covariance.value,
        n_init=starts,
        draws=draws,
        max_draws=max_draws,
        chains=chains,
        ci_prob=ci_prob,
        rng=seed,
        progress=not quiet,
    )
    print(analysis.summary())
    if out is not None:
        analysis.save(out, overwrite=True, source=data)  # `prepare_folder` has checked the folder
        print(f"\nWritten to {out}: {', '.join(written_files(out))}")
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


def main() -> None:
    """Run the command. Errors that bayesgmm raises on purpose become one line on standard error and an exit code."""
    try:
        app()
    except InputError as error:
        print(f"bayesgmm: {error}", file=sys.stderr)
        sys.exit(EXIT_INPUT)
    except (FitError, SamplingError) as error:
        print(f"bayesgmm: {error}", file=sys.stderr)
        sys.exit(EXIT_FIT)


def _read_rows(data: Path | None, dataset: Dataset | None, columns: str | None) -> pd.DataFrame:
    """Read the columns of a file, or of a data set that the package ships if `data` is None."""
    names = [name.strip() for name in columns.split(",")] if columns is not None else None
    if data is not None:
        return read_table(data, names)
    from bayesgmm import datasets

    table = {"faithful": datasets.load_faithful, "galaxies": datasets.load_galaxies}[str(dataset)]()
    return table if names is None else select_columns(table, names, f"The data set {dataset}")
