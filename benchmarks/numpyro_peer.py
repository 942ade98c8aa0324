"""The mixture in NumPyro, with bayesgmm's default prior. Import this before anything else uses JAX."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS, init_to_value

import bayesgmm as bg
from benchmarks.draws import Sampled

N_CHAINS = 4
numpyro.set_host_device_count(N_CHAINS)  # a thread for each chain
numpyro.enable_x64()
_compiling: list[float] = []


def _note(event: str, duration: float, **_: object) -> None:
    if event.startswith("/jax/core/compile/"):  # tracing, lowering, and XLA
        _compiling.append(duration)


jax.monitoring.register_event_duration_secs_listener(_note)


def mixture(X, K, prior):
    D = X.shape[1]
    weights = numpyro.sample("weights", dist.Dirichlet(jnp.ones(K)))
    with numpyro.plate("component", K):
        means = numpyro.sample("means", dist.Normal(prior.mean_location, prior.mean_scale).to_event(1))
        log_median = jnp.log(jnp.broadcast_to(prior.std.median, (D,)))
        stds = numpyro.sample("stds", dist.LogNormal(log_median, prior.std.log_sd).to_event(1))
        factors = numpyro.sample("factors", dist.LKJCholesky(D, prior.correlation_eta))
    choleskys = stds[..., None] * factors
    numpyro.deterministic("covariances", choleskys @ choleskys.mT)
    components = dist.MultivariateNormal(means, scale_tril=choleskys)
    numpyro.sample("X", dist.MixtureSameFamily(dist.Categorical(probs=weights), components), obs=X)


def start_values(start: bg.MixtureParameters) -> dict[str, jax.Array]:
    values = {
        "weights": start.weights,
        "means": start.means,
        "stds": start.stds,
        "factors": np.linalg.cholesky(start.correlations),
    }
    return {name: jnp.asarray(value) for name, value in values.items()}


def sampled(X: np.ndarray, start: bg.MixtureParameters, draws: int, tune: int, seed: int) -> Sampled:
    """Four chains of NUTS. Every run compiles anew; JAX itself says how many of the seconds that took."""
    kernel = NUTS(mixture, init_strategy=init_to_value(values=start_values(start)))
    mcmc = MCMC(
        kernel, num_warmup=tune, num_samples=draws, num_chains=N_CHAINS, chain_method="parallel", progress_bar=False
    )
    data, prior = jnp.asarray(X), bg.Prior.for_data(X)
    _compiling.clear()
    began = time.perf_counter()
    mcmc.run(jax.random.PRNGKey(seed), data, start.n_components, prior)
    values = {name: np.asarray(value) for name, value in mcmc.get_samples(group_by_chain=True).items()}
    compilation = sum(_compiling)
    return Sampled(compilation, time.perf_counter() - began - compilation, values)
