"""The one place that talks to nutpie: compile the default density, run the chains, survive an interruption."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import nutpie
import xarray as xr
from nutpie.compiled_pyfunc import from_pyfunc

from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.model.log_posterior import keep_draw, whitened_log_posterior
from bayesgmm.bayes.sampling.run import StartingPoint, Z, cut, lengths
from bayesgmm.errors import SamplingError
from bayesgmm.types import FloatArray

try:
    from nutpie.compile_pymc import CompiledPyMCModel
except ImportError:  # nutpie does not document it
    CompiledPyMCModel = None


C_FUNCTIONS, PYTHON_FUNCTIONS, PYTENSOR = "C functions", "Python functions", "PyTensor"


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
                return cut(self._finished, slice(0, n))
            self._background.pause()
            self._paused = True
            tree = self._background.inspect()
            if min(lengths(tree)) >= n:
                return cut(tree, slice(0, n))
            wanted = self._done + 1  # counted, but not yet stored

    def stop(self) -> xr.DataTree:
        """End the chains; what they have drawn, padded to equal lengths."""
        if self._finished is None:
            self._finished = self._background.abort()
        return self._finished
