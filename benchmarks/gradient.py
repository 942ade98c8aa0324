"""One value and gradient of the log posterior, after compilation."""

import time
import warnings
from functools import partial

import numpy as np

import bayesgmm as bg
from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.mixture.checked_rows import as_rows
from bayesgmm.mixture.covariance import FULL
from benchmarks import pymc_peer
from benchmarks.posterior import HAS_NUMPYRO
from benchmarks.timing import in_turn, ratio, seconds

if HAS_NUMPYRO:
    import jax
    import jax.numpy as jnp
    from numpyro.infer.util import initialize_model

    from benchmarks import numpyro_peer


def bayesgmm(X, mixture):
    density = MixtureDensity.of(as_rows(X), mixture.n_components, FULL, bg.Prior.for_data(X))
    return partial(density, density.unconstrain(mixture))


def of_pymc(make, X, mixture):
    model = make(X, mixture.n_components)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        function = model.logp_dlogp_function(ravel_inputs=True, mode="NUMBA")
    function.set_extra_values({})
    point = model.initial_point() | {"means": mixture.means}
    theta = np.concatenate([np.ravel(point[variable.name]) for variable in model.value_vars])
    return partial(function, theta)


def of_numpyro(X, mixture):
    start = numpyro_peer.start_values(mixture)
    arguments = jnp.asarray(X), mixture.n_components, bg.Prior.for_data(X)
    model = initialize_model(
        jax.random.PRNGKey(0),
        numpyro_peer.mixture,
        init_strategy=numpyro_peer.init_to_value(values=start),
        model_args=arguments,
    )
    function = jax.jit(jax.value_and_grad(model.potential_fn))
    return lambda: jax.block_until_ready(function(model.param_info.z))


def one_after_the_other(call, n):
    """Seconds of one of n calls in a row, which is how a sampler makes them: what the first brings up stays near."""
    return seconds(lambda: [call() for _ in range(n)]) / n


def gradient_table(n_samples=100_000, n_features=5, n_components=4, repeats=15, in_a_row=10):
    print(f"\nLog posterior and gradient at {n_samples:,} x {n_features}, K = {n_components}")
    print(f"Medians over {repeats} turns of {in_a_row} in a row")
    simulation = bg.datasets.simulate(n_samples, n_components, n_features, rng=1)
    X, mixture = simulation.X, simulation.parameters
    makers = {"bayesgmm": partial(bayesgmm, X, mixture)}
    makers |= {form: partial(of_pymc, make, X, mixture) for form, make in pymc_peer.FORMS.items()}
    if HAS_NUMPYRO:
        makers["NumPyro"] = partial(of_numpyro, X, mixture)
    else:
        print("NumPyro is not installed: skipped")
    calls, first = {}, {}
    for name, make in makers.items():
        began = time.perf_counter()
        calls[name] = make()
        calls[name]()
        first[name] = time.perf_counter() - began
    times = in_turn({name: partial(one_after_the_other, call, in_a_row) for name, call in calls.items()}, repeats)
    for name, took in times.items():
        shown = "" if name == "bayesgmm" else f"  {ratio(times['bayesgmm'], took):.1f}x"
        print(f"{name:>14} {1e3 * np.median(took):>9.2f} ms, made and called once in {first[name]:.1f} s{shown}")
