"""The command `bayesgmm`."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bayesgmm.display.progress import is_watched
from bayesgmm.errors import FitError, InputError, SamplingError
from bayesgmm.files import prepare_folder, read_table, select_columns

EXIT_FIT, EXIT_INPUT, EXIT_SAMPLING = 1, 2, 3

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Gaussian mixtures by EM and by a posterior, and how far EM's numbers can be trusted.",
)
Covariance = StrEnum("Covariance", {"full": "full", "tied": "tied", "diag": "diag", "spherical": "spherical"})
Dataset = StrEnum("Dataset", {"faithful": "faithful", "galaxies": "galaxies"})


@app.callback()
def _bayesgmm() -> None:
    """Keeps `analyze` a subcommand while it is the only one."""


@app.command()
def analyze(
    data: Annotated[
        Path | None,
        typer.Argument(metavar="DATA", help="CSV (first line: column names) or Parquet file with the rows."),
    ] = None,
    dataset: Annotated[Dataset | None, typer.Option(help="A data set that bayesgmm ships, in place of DATA.")] = None,
    components: Annotated[int, typer.Option("--components", "-k", help="Number of mixture components.")] = 2,
    columns: Annotated[
        str | None, typer.Option(help="Columns to use, comma-separated, such as a,b. All columns by default.")
    ] = None,
    covariance: Annotated[
        Covariance, typer.Option(help="full: each component its own; tied: one for all; diag; spherical.")
    ] = Covariance["full"],
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of all random numbers. The same seed gives the same result."),
    ] = None,
    starts: Annotated[int, typer.Option(min=1, help="Starts of EM.")] = 100,
    draws: Annotated[
        int | None,
        typer.Option(min=4, help="Posterior draws a chain, after tuning. Without it, until the chains have converged."),
    ] = None,
    max_draws: Annotated[int, typer.Option(min=4, help="Most draws a chain when --draws is not given.")] = 10_000,
    chains: Annotated[int, typer.Option(min=1, help="Chains.")] = 4,
    ci_prob: Annotated[float, typer.Option(help="Probability of the equal-tailed intervals.")] = 0.9,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for em.json, posterior.nc, comparison.csv and the pictures. Must be new or empty."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write into --out even if it is not empty.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on a terminal; elsewhere there is none.")] = False,
) -> None:
    """Fit a mixture by EM, sample its posterior, and print how they compare.

    Exit code 0: done, whatever the verdict; 2: bad input; 3: done, but the sampling cannot be relied on, see the text;
    1: EM or the sampler failed.
    """
    say = Console(stderr=True, quiet=quiet or not is_watched(), highlight=False, markup=False)
    # What can be refused is refused before anything slow is imported or computed.
    if (data is None) == (dataset is None):
        raise InputError("Name one thing to analyze: a file DATA or --dataset.")
    if out is not None:
        prepare_folder(out, overwrite=overwrite)
    names = [name.strip() for name in columns.split(",")] if columns is not None else None
    if data is not None:
        table = read_table(data, names)
    else:
        from bayesgmm import datasets

        table = {"faithful": datasets.load_faithful, "galaxies": datasets.load_galaxies}[str(dataset)]()
        table = table if names is None else select_columns(table, names, f"The data set {dataset}")
    say.print(
        f"{len(table)} rows, columns {', '.join(table.columns)}; {components} components, covariance {covariance}"
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
        analysis.save(out, overwrite=True)  # the folder was checked above
        print(f"\nWritten to {out}: {', '.join(sorted(path.name for path in out.iterdir()))}")
    if not analysis.diagnosis.ok:
        raise typer.Exit(EXIT_SAMPLING)


def main() -> None:
    """Run the command; errors that bayesgmm raises on purpose become one line and an exit code."""
    try:
        app()
    except InputError as error:
        print(f"bayesgmm: {error}", file=sys.stderr)
        sys.exit(EXIT_INPUT)
    except (FitError, SamplingError) as error:
        print(f"bayesgmm: {error}", file=sys.stderr)
        sys.exit(EXIT_FIT)
