"""The only module that imports nutpie: models in nutpie's form, and chains of NUTS in the background."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import numpy as np
import nutpie
import xarray as xr
from nutpie.compiled_pyfunc import from_pyfunc

from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.model.log_posterior import keep_draw, whitened_log_posterior
from bayesgmm.bayes.sampling.draws import Draws
from bayesgmm.bayes.sampling.run import RunSettings
from bayesgmm.bayes.sampling.starts import StartingPoint
from bayesgmm.errors import SamplingError
from bayesgmm.interrupts import check_time, deferred_interrupts, take_interrupts
from bayesgmm.types import FloatArray

try:
    from nutpie.compile_pymc import CompiledPyMCModel
except ImportError:  # nutpie does not document it
    CompiledPyMCModel = None

C_FUNCTIONS, PYTHON_FUNCTIONS, PYTENSOR = "C functions", "Python functions", "PyTensor"
# nutpie's names for the statistics of a draw, and ArviZ's.
_STATISTICS = {
    "energy": "energy",
    "diverging": "diverging",
    "mean_tree_accept": "acceptance_rate",
    "n_steps": "n_steps",
    "depth": "tree_depth",
    "maxdepth_reached": "reached_max_treedepth",
    "step_size": "step_size",
    "step_size_bar": "step_size_bar",
}
_Z = "z"
_POLLING_SECONDS = 0.02


class NutpieModel(NamedTuple):
    """A model in coordinates z, as nutpie takes it.

    model : nutpie's object.
    z_name : the variable of its draws that holds z.
    gradients_by : what nutpie calls for each gradient.
    """

    model: Any
    z_name: str
    gradients_by: str


def density_model(density: MixtureDensity, centre: FloatArray, scale: FloatArray, start: StartingPoint) -> NutpieModel:
    """The default model in coordinates z, theta = centre + scale z, without PyTensor; scale (P,) or (P, P).

    nutpie calls two C functions and passes them `user_data`. Its class for such functions, `CompiledPyMCModel`, is
    undocumented: where it is missing or takes other arguments, nutpie calls Python functions, which is slower.
    """
    if CompiledPyMCModel is not None:
        with suppress(TypeError):  # other arguments than those known here
            return NutpieModel(_c_function_model(density, centre, scale, start), _Z, C_FUNCTIONS)
    return NutpieModel(_python_function_model(density, centre, scale, start), _Z, PYTHON_FUNCTIONS)


def _c_function_model(density: MixtureDensity, centre: FloatArray, scale: FloatArray, start: StartingPoint) -> Any:
    header, arrays = density.user_data(centre, scale)
    P = density.n_dim
    return CompiledPyMCModel(
        dims={},
        _n_dim=P,
        _shapes={_Z: (P,)},
        _coords={},
        compiled_logp_func=whitened_log_posterior(),
        compiled_expand_func=keep_draw(),
        initial_point_func=start,
        shared_data=dict(enumerate(arrays)),  # keeps alive the arrays that the header points to
        shared_var_keys={},
        user_data=header,
        n_expanded=P,
        shape_info=([_Z], [slice(0, P)], [(P,)]),
        logp_func=None,
        expand_func=None,
        reparameterized_names=[],
    )


def _python_function_model(density: MixtureDensity, centre: FloatArray, scale: FloatArray, start: StartingPoint) -> Any:
    matrix = np.diag(scale) if scale.ndim == 1 else scale

    def log_density(z: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = density(centre + matrix @ z)
        return value, matrix.T @ gradient

    return from_pyfunc(
        density.n_dim,
        lambda: log_density,
        lambda *seeds: lambda z: {_Z: z},
        [np.dtype(np.float64)],
        [(density.n_dim,)],
        [_Z],
        make_initial_point_fn=start,
    )


def compile_pymc(model: Any, var_names: list[str]) -> Any:
    """Nutpie's compiled form of a `pymc.Model`, whose draws hold the named variables."""
    return nutpie.compile_pymc_model(model, var_names=var_names)


class NUTSChains:
    """Chains of NUTS that run in the background, all at the same time whatever the number of cores.

    nutpie adapts a diagonal mass matrix in coordinates z; draws are handed over in theta = centre + scale z.
    """

    def __init__(self, nutpie_model: NutpieModel, centre: FloatArray, scale: FloatArray, settings: RunSettings) -> None:
        self._z_name, self._centre, self._scale = nutpie_model.z_name, centre, scale
        self._tune, self._deadline = settings.tune, settings.deadline
        self._n_done, self._is_paused = 0, False
        self._final_tree: xr.DataTree | None = None
        with _sampling_errors():
            self._background = nutpie.sample(
                nutpie_model.model,
                draws=settings.limit,
                tune=settings.tune,
                adaptation="diag",
                chains=settings.chains,
                cores=settings.chains,
                seed=settings.seed,
                save_warmup=False,
                progress_bar=settings.progress,
                progress_callback=self._note_progress,
                progress_rate=100 if settings.progress else int(1000 * _POLLING_SECONDS),
                blocking=False,
            )

    def _note_progress(self, chains: list[Any]) -> None:
        self._n_done = min(chain.finished_draws for chain in chains) - self._tune

    def first(self, n_draws: int) -> Draws:
        """The first draws of every chain."""
        with _sampling_errors():
            try:
                # nutpie hands its results over once: an interruption at that moment must not lose them.
                with deferred_interrupts():
                    tree = self._tree_of(n_draws)
                return self._draws(tree).first(n_draws)
            except BaseException as error:
                if _is_panic(error):
                    self._final_tree = xr.DataTree()  # nothing is left that could be stopped
                raise

    def _tree_of(self, n_draws: int) -> xr.DataTree:
        """Nutpie's draws, at least n_draws per chain; the chains pause unless they have ended."""
        n_reported = n_draws
        while True:
            if self._is_paused:
                self._background.resume()
                self._is_paused = False
            while self._final_tree is None and self._n_done < n_reported:
                take_interrupts()
                check_time(self._deadline)
                with suppress(TimeoutError):
                    self._final_tree = self._background.wait(timeout=_POLLING_SECONDS)
            if self._final_tree is not None:
                return self._final_tree
            self._background.pause()
            self._is_paused = True
            with _few_draws_allowed():
                tree: xr.DataTree = self._background.inspect()
            log_posterior = tree["sample_stats"].to_dataset()["logp"].values
            if np.isfinite(log_posterior).sum(axis=1).min() >= n_draws:
                return tree
            n_reported = self._n_done + 1  # draws that nutpie has counted may not be stored yet

    def stop(self) -> Draws:
        """End the chains. What they have drawn so far; nutpie pads the log posterior with NaN to equal lengths."""
        try:
            if self._final_tree is None:
                with _few_draws_allowed():
                    self._final_tree = self._background.abort()
            return self._draws(self._final_tree)
        except (KeyError, ValueError):  # no chain has started, or nutpie has no results any more
            return Draws(np.empty((0, 0, len(self._centre))), np.empty((0, 0)))

    def _draws(self, tree: xr.DataTree) -> Draws:
        posterior, stats = tree["posterior"].to_dataset(), tree["sample_stats"].to_dataset()
        z = np.asarray(posterior[self._z_name].values)
        flat = z.reshape(-1, z.shape[-1])
        theta = self._centre + (flat * self._scale if self._scale.ndim == 1 else flat @ self._scale.T)
        variables = posterior.drop_vars(self._z_name)
        return Draws(
            theta.reshape(z.shape),
            np.asarray(stats["logp"].values),
            {ours: stats[name].values for name, ours in _STATISTICS.items() if name in stats},
            variables if variables.data_vars else None,
        )


@contextmanager
def _few_draws_allowed() -> Iterator[None]:
    """Leave out ArviZ's warning that there are more chains than draws, which is so when chains end early."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Found chain dimension to be longer than draw dimension")
        yield


@contextmanager
def _sampling_errors() -> Iterator[None]:
    """Raise nutpie's errors as SamplingError."""
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
    """Whether a thread of nutpie panicked, as at a starting point without a gradient. Its class is not exported."""
    return type(error).__name__ == "PanicException"
