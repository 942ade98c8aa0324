"""The one place that talks to nutpie: compile the default density, run the chains, survive an interruption."""

import dataclasses
from typing import Any, Protocol

import numpy as np
import nutpie
import xarray as xr
from numpy.typing import NDArray
from nutpie.compile_pymc import CompiledPyMCModel

from bayesgmm.bayes.density import MixtureDensity, keep_draw, whitened_log_posterior
from bayesgmm.exceptions import SamplingError

type FloatArray = NDArray[np.float64]

Z = "z"


class Posterior(Protocol):
    """A log posterior density that can be sampled."""

    @property
    def n_dim(self) -> int: ...

    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]: ...

    def sampler(self, centre: FloatArray, scale: FloatArray) -> Any: ...


class CompiledDensity:
    """The default model's density as a nutpie model, without PyTensor.

    nutpie calls two C functions and passes them `user_data`; `CompiledPyMCModel` is the class of nutpie's that takes
    such functions. It is not documented: tests hold it against the versions that are supported.
    """

    def __init__(self, density: MixtureDensity) -> None:
        self.density = density

    @property
    def n_dim(self) -> int:
        return self.density.n_dim

    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]:
        return self.density(theta)

    def sampler(self, centre: FloatArray, scale: FloatArray) -> Any:
        header, arrays = self.density.user_data(centre, scale)
        P = self.n_dim
        return CompiledPyMCModel(
            dims={},
            _n_dim=P,
            _shapes={Z: (P,)},
            _coords={},
            compiled_logp_func=whitened_log_posterior,
            compiled_expand_func=keep_draw,
            initial_point_func=lambda seed: np.zeros(P),
            shared_data=dict(enumerate(arrays)),  # keeps alive what the header points to
            shared_var_keys={},
            user_data=header,
            n_expanded=P,
            shape_info=([Z], [slice(0, P)], [(P,)]),
            logp_func=None,
            expand_func=None,
            reparameterized_names=[],
        )


@dataclasses.dataclass(frozen=True)
class Run:
    """What the sampler left. lengths: draws of each chain that was started; partial: it was interrupted."""

    tree: xr.DataTree
    lengths: tuple[int, ...]
    partial: bool


def run(sampler: Any, *, start_width: float, draws: int, tune: int, chains: int, seed: int, progress: bool) -> Run:
    """Sample. Chains start at points uniform in (-start_width, start_width) around the centre, in units of its scale.

    Ctrl-C keeps what is done: of the chains, those are kept that together hold the most draws at equal length.

    Raises
    ------
    SamplingError when no chain could start.
    KeyboardInterrupt when interrupted before any chain had a draw to keep.
    """
    P: int = sampler.n_dim

    def start(chain_seed: Any) -> FloatArray:
        return np.random.default_rng(chain_seed).uniform(-start_width, start_width, P)

    partial = False
    try:
        background = nutpie.sample(
            dataclasses.replace(sampler, initial_point_func=start),
            draws=draws,
            tune=tune,
            chains=chains,
            seed=seed,
            save_warmup=False,
            progress_bar=progress,
            blocking=False,
        )
        try:
            tree = background.wait()
        except KeyboardInterrupt:
            partial = True
            tree = background.abort()
    except RuntimeError as error:
        raise SamplingError(
            f"The sampler stopped: {error}. Check the prior's scales against the data, or pass another start."
        ) from error
    lengths = tuple(int(n) for n in np.isfinite(tree["sample_stats"]["logp"].values).sum(axis=1))
    if partial:
        tree = _trim(tree, lengths)
    return Run(tree, lengths, partial)


def _trim(tree: xr.DataTree, lengths: tuple[int, ...]) -> xr.DataTree:
    """Equal lengths: nutpie pads an interrupted chain with NaN, and its `diverging` with False."""
    order = np.argsort(lengths)[::-1]
    kept = max(range(1, len(lengths) + 1), key=lambda n: n * lengths[order[n - 1]])
    length = lengths[order[kept - 1]]
    if length == 0:
        raise KeyboardInterrupt("interrupted before the first draw after tuning")
    chains = np.sort(order[:kept])
    return xr.DataTree.from_dict(
        {
            name: tree[name].to_dataset().isel(chain=chains, draw=slice(0, length))
            for name in ("posterior", "sample_stats")
        }
    )
