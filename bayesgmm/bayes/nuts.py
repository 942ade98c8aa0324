"""The one place that talks to nutpie: compile the default density, run the chains, survive an interruption."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import numpy as np
import nutpie
import xarray as xr
from numpy.typing import NDArray
from nutpie.compiled_pyfunc import from_pyfunc

from bayesgmm.bayes.density import MixtureDensity
from bayesgmm.bayes.log_posterior import keep_draw, whitened_log_posterior
from bayesgmm.exceptions import SamplingError

try:
    from nutpie.compile_pymc import CompiledPyMCModel
except ImportError:  # nutpie does not document it
    CompiledPyMCModel = None

type FloatArray = NDArray[np.float64]
type StartingPoint = Callable[[int], FloatArray]

Z = "z"
C_FUNCTIONS, PYTHON_FUNCTIONS, PYTENSOR = "C functions", "Python functions", "PyTensor"


class Posterior(Protocol):
    """A log posterior density that can be sampled."""

    @property
    def n_dim(self) -> int: ...

    @property
    def density(self) -> MixtureDensity | None:
        """The default model's density; None for a PyMC model."""
        ...

    @property
    def calls(self) -> str:
        """What nutpie calls for each gradient."""
        ...

    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]: ...

    def sampler(self, centre: FloatArray, scale: FloatArray, start: StartingPoint) -> Any:
        """nutpie's model of z, theta = centre + scale z, scale (P,) or (P, P); chains begin at z = start(seed)."""
        ...


class CompiledDensity:
    """The default model's density as a nutpie model, without PyTensor.

    nutpie calls two C functions and passes them `user_data`; `CompiledPyMCModel` is the class of nutpie's that takes
    such functions. It is not documented: where it is missing or takes other arguments, nutpie calls Python.
    """

    def __init__(self, density: MixtureDensity) -> None:
        self._density = density
        self.calls = C_FUNCTIONS

    @property
    def density(self) -> MixtureDensity:
        return self._density

    @property
    def n_dim(self) -> int:
        return self.density.n_dim

    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]:
        return self.density(theta)

    def sampler(self, centre: FloatArray, scale: FloatArray, start: StartingPoint) -> Any:
        if CompiledPyMCModel is not None:
            try:
                return self._of_c_functions(centre, scale, start)
            except TypeError:  # other arguments than those known here
                pass
        self.calls = PYTHON_FUNCTIONS
        return self._of_python_functions(centre, scale, start)

    def _of_c_functions(self, centre: FloatArray, scale: FloatArray, start: StartingPoint) -> Any:
        header, arrays = self.density.user_data(centre, scale)
        P = self.n_dim
        return CompiledPyMCModel(
            dims={},
            _n_dim=P,
            _shapes={Z: (P,)},
            _coords={},
            compiled_logp_func=whitened_log_posterior(),
            compiled_expand_func=keep_draw(),
            initial_point_func=start,
            shared_data=dict(enumerate(arrays)),  # keeps alive what the header points to
            shared_var_keys={},
            user_data=header,
            n_expanded=P,
            shape_info=([Z], [slice(0, P)], [(P,)]),
            logp_func=None,
            expand_func=None,
            reparameterized_names=[],
        )

    def _of_python_functions(self, centre: FloatArray, scale: FloatArray, start: StartingPoint) -> Any:
        matrix = np.diag(scale) if scale.ndim == 1 else scale

        def log_density(z: FloatArray) -> tuple[float, FloatArray]:
            value, gradient = self.density(centre + matrix @ z)
            return value, matrix.T @ gradient

        return from_pyfunc(
            self.n_dim,
            lambda: log_density,
            lambda *seeds: lambda z: {Z: z},
            [np.dtype(np.float64)],
            [(self.n_dim,)],
            [Z],
            make_initial_point_fn=start,
        )


@dataclasses.dataclass(frozen=True)
class Settings:
    """How the chains tune: draws, and nutpie's name for the adaptation of the mass matrix."""

    tune: int
    adaptation: str


@contextmanager
def _sampling_errors() -> Iterator[None]:
    """nutpie's own errors as ours."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, RuntimeError) and not _is_panic(error):
            raise
        reason = str(error).splitlines()[0].removeprefix("called `Result::unwrap()` on an `Err` value: ")
        raise SamplingError(
            f"The sampler stopped: {reason}. Check the prior's scales against the data, or pass another start."
        ) from error


def _is_panic(error: BaseException) -> bool:
    """Whether one of nutpie's threads broke off, as at a starting point without a gradient: this is no Exception."""
    return type(error).__name__ == "PanicException"


# Seconds between two looks at how far the chains are.
_LOOK = 0.02


class Chains:
    """Chains that run in the background until each has as many draws as one wants to see, and then pause.

    All run at the same time, whatever the number of cores: none has to wait for another's last draw. What a chain
    draws depends on the model and the seed alone, not on when one looked.
    """

    @_sampling_errors()
    def __init__(self, sampler: Any, settings: Settings, *, limit: int, chains: int, seed: int, progress: bool) -> None:
        self._settings = settings
        self._done, self._paused = 0, False
        self._finished: xr.DataTree | None = None
        self._background = nutpie.sample(
            sampler,
            draws=limit,
            tune=settings.tune,
            adaptation=settings.adaptation,
            chains=chains,
            cores=chains,
            seed=seed,
            save_warmup=False,
            progress_bar=progress,
            progress_callback=self._note,
            progress_rate=100 if progress else int(1000 * _LOOK),
            blocking=False,
        )

    def _note(self, progress: list[Any]) -> None:
        self._done = min(chain.finished_draws for chain in progress) - self._settings.tune

    @_sampling_errors()
    def first(self, n: int) -> xr.DataTree:
        """The first n draws of every chain."""
        try:
            return self._first(n)
        except BaseException as error:
            if _is_panic(error):
                self._finished = xr.DataTree()  # nothing is left that could be stopped
            raise

    def _first(self, n: int) -> xr.DataTree:
        wanted = n
        while True:
            if self._paused:
                self._background.resume()
                self._paused = False
            while self._finished is None and self._done < wanted:
                with suppress(TimeoutError):
                    self._finished = self._background.wait(timeout=_LOOK)
            if self._finished is not None:
                return _cut(self._finished, slice(0, n))
            self._background.pause()
            self._paused = True
            tree = self._background.inspect()
            if min(_lengths(tree)) >= n:
                return _cut(tree, slice(0, n))
            wanted = self._done + 1  # counted, but not yet stored

    def stop(self) -> xr.DataTree:
        """End the chains; what they have drawn, padded to equal lengths."""
        if self._finished is None:
            self._finished = self._background.abort()
        return self._finished


@dataclasses.dataclass(frozen=True)
class Run:
    """What the sampler left (tree), and what was read of it (draws).

    lengths: draws of each chain before they were cut to equal length; enough: whether the draws were; partial: whether
    sampling was interrupted.
    """

    tree: xr.DataTree
    draws: xr.DataTree
    lengths: tuple[int, ...]
    enough: bool
    partial: bool


def starting_within(width: float, n_dim: int) -> StartingPoint:
    """Points (P,) uniform in (-width, width), one a seed."""
    return lambda seed: np.random.default_rng(seed).uniform(-width, width, n_dim)


class Sampling(Protocol):
    """Chains of any sampler: `Chains`, or those with allocations. What they leave has z and `logp`."""

    def first(self, n: int) -> xr.DataTree: ...

    def stop(self) -> xr.DataTree: ...


def run(
    chains: Callable[[], Sampling],
    checkpoints: Iterable[int],
    read: Callable[[xr.DataTree], xr.DataTree],
    enough: Callable[[xr.DataTree], bool],
) -> Run:
    """Sample until at a checkpoint, so many draws a chain, what was read of them is enough, or to the last checkpoint.

    Ctrl-C keeps what is done: of the chains, those are kept that together hold the most draws at equal length.

    Raises
    ------
    SamplingError when no chain could start.
    KeyboardInterrupt when interrupted before any chain had a draw to keep.
    """
    running = chains()
    try:
        for n in checkpoints:
            tree = running.first(n)
            draws = read(tree)
            satisfied = enough(draws)
            if satisfied:
                break
        return Run(tree, draws, _lengths(tree), satisfied, False)
    except KeyboardInterrupt:
        tree = running.stop()
        trimmed = _trim(tree, _lengths(tree))
        return Run(trimmed, read(trimmed), _lengths(tree), False, True)
    finally:
        running.stop()


def _lengths(tree: xr.DataTree) -> tuple[int, ...]:
    return tuple(int(n) for n in np.isfinite(tree["sample_stats"].to_dataset()["logp"].values).sum(axis=1))


def _cut(tree: xr.DataTree, draws: slice, chains: Any = slice(None)) -> xr.DataTree:
    return xr.DataTree.from_dict(
        {name: tree[name].to_dataset().isel(chain=chains, draw=draws) for name in ("posterior", "sample_stats")}
    )


def _trim(tree: xr.DataTree, lengths: tuple[int, ...]) -> xr.DataTree:
    """Equal lengths: nutpie pads an interrupted chain with NaN, and its `diverging` with False."""
    order = np.argsort(lengths)[::-1]
    kept = max(range(1, len(lengths) + 1), key=lambda n: n * lengths[order[n - 1]])
    length = lengths[order[kept - 1]]
    if length == 0:
        raise KeyboardInterrupt("interrupted before the first draw after tuning")
    return _cut(tree, slice(0, length), np.sort(order[:kept]))
