"""`compile_all`: fill the cache of compiled code in advance.

Numba compiles a function when it is first called, once for each type of its arguments, and keeps
the binaries on disk. The steps here make the calls that a user would make, on a few rows. Their results are discarded.
"""

import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Literal, NamedTuple, get_args

import numpy as np

from bayesgmm.bayes.pymc.model import build_model
from bayesgmm.bayes.sampling.sample import sample_posterior
from bayesgmm.bayes.sampling.sample_model import sample_model
from bayesgmm.comparison.compare import compare
from bayesgmm.em.fit import fit_em
from bayesgmm.em.path import em_path
from bayesgmm.em.result import EMFit
from bayesgmm.errors import BayesgmmWarning, InputError
from bayesgmm.mixture.covariance import STRUCTURES
from bayesgmm.posterior.labels.align import align
from bayesgmm.posterior.partition.partition import co_clustering, point_partition
from bayesgmm.posterior.prediction.predict import predict, predict_density
from bayesgmm.types import CovarianceName, RowArray
from bayesgmm.validation import check_flag
from bayesgmm.wording import shown

_N_ROWS, _N_FEATURES, _N_COMPONENTS = 30, 2, 2
_N_REPLICATES = 10
_N_DRAWS = 20


# The element types of rows that functions are compiled for. Rows of any layout in memory are brought to C order first.
type RowKind = Literal["float64", "float32"]
KINDS: tuple[RowKind, ...] = get_args(RowKind.__value__)


class Step(NamedTuple):
    """Calls that need the same compiled code. name: for the progress; run: makes the calls."""

    name: str
    run: Callable[[], object]


def compile_all(kinds: Collection[RowKind] = KINDS, *, pymc: bool = False, progress: bool = True) -> None:
    """Compile everything that a first call would otherwise compile, and keep it in Numba's cache.

    This takes some minutes, and less than one if the cache is already full. Use it when an image is built, or in
    a job whose cache later jobs share. The command `bayesgmm compile` does the same.

    Parameters
    ----------
    kinds : the element types of rows to compile for, "float64" and "float32"; by default both.
    pymc : compile also what sampling from a model of `build_model` needs. A changed model is compiled on its own.
    progress : write a line per step, with its number and the seconds that it took, to standard error.

    Raises
    ------
    InputError
        There is no such element type.

    Notes
    -----
    The cache is used by the same version of bayesgmm and of Numba, on the same kind of processor. It is in the folder
    NUMBA_CACHE_DIR if that variable is set, otherwise beside the package's files if they can be written to, otherwise
    in the user's cache folder.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> bg.compile_all(["float64"], progress=False)
    """
    is_list = isinstance(kinds, Collection) and not isinstance(kinds, str)
    if not is_list or not all(isinstance(kind, str) and kind in KINDS for kind in kinds):
        raise InputError(
            f"kinds must be a list of names from {', '.join(map(repr, KINDS))}; received {shown(kinds)}. Pass some of "
            f"these, or leave it out."
        )
    check_flag(pymc, "pymc")
    check_flag(progress, "progress")
    steps = [*_steps(_rows_by_kind(kinds)), *(_pymc_steps() if pymc else ())]
    for number, (name, run) in enumerate(steps, 1):
        if progress:
            print(f"{number:2d}/{len(steps)} {name} ... ", end="", file=sys.stderr, flush=True)
        began = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BayesgmmWarning)  # of fits to too few rows
            run()
        if progress:
            print(f"{time.perf_counter() - began:.1f} s", file=sys.stderr, flush=True)


def _rows_by_kind(kinds: Collection[RowKind]) -> dict[RowKind, RowArray]:
    """The same rows in each of these types."""
    values = np.random.default_rng(0).standard_normal((_N_ROWS, _N_FEATURES))
    return {kind: values.astype(kind) for kind in kinds}


def _steps(rows_by_kind: dict[RowKind, RowArray]) -> Iterator[Step]:
    for kind, X in rows_by_kind.items():
        yield Step(f"EM, {kind} rows", partial(_fit, X))
        yield Step(f"bootstrap, {kind} rows", partial(_bootstrap, X))
        yield Step(f"posterior, {kind} rows", partial(_sample, X))


def _pymc_steps() -> Iterator[Step]:
    X = np.random.default_rng(0).standard_normal((_N_ROWS, _N_FEATURES))
    for covariance in STRUCTURES:
        yield Step(f"PyMC model, covariance {covariance}", partial(_sample_pymc, X, covariance))


def _fit(X: RowArray) -> None:
    for covariance in STRUCTURES:
        em = fit_em(X, _N_COMPONENTS, covariance, n_init=4, rng=0)
        em.standard_errors()
    fit_em(X, _N_COMPONENTS, sample_weight=np.ones(_N_ROWS), n_init=4, rng=0)
    em_path(X, _N_COMPONENTS, rng=0)
    em.parameters.responsibilities(X)
    em.parameters.log_density(X)


def _bootstrap(X: RowArray) -> None:
    _one_fit(X).standard_errors("bootstrap", n_replicates=_N_REPLICATES, rng=0)


def _sample(X: RowArray) -> None:
    em = _one_fit(X)
    sample = partial(
        sample_posterior,
        X,
        _N_COMPONENTS,
        start=em.parameters,
        draws=_N_DRAWS,
        tune=_N_DRAWS,
        chains=2,
        rng=0,
        progress=False,
    )
    sample(sampler="nuts")
    posterior = align(sample(sampler="gibbs"), em.parameters)
    compare(em, posterior)
    predict(posterior, X)
    predict_density(posterior, X)
    co_clustering(posterior)
    point_partition(posterior, loss="binder", n_draws=_N_DRAWS, rng=0)
    point_partition(posterior, n_draws=_N_DRAWS, rng=0)


def _sample_pymc(X: RowArray, covariance: CovarianceName) -> None:
    model = build_model(X, _N_COMPONENTS, covariance)
    sample_model(model, draws=_N_DRAWS, tune=_N_DRAWS, chains=2, rng=0, progress=False)


def _one_fit(X: RowArray) -> EMFit:
    return fit_em(X, _N_COMPONENTS, n_init=4, rng=0)
