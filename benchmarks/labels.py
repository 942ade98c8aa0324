"""Labels: galaxies with six components, whose labels switch, against JAGS; the methods of relabelling, side by side."""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr

import bayesgmm as bg
from bayesgmm.mixture.draws import responsibilities_of_draws
from bayesgmm.posterior.labels.methods import RELABELLINGS
from benchmarks.cases import Data, faithful, galaxies, iris, simulated
from benchmarks.draws import Sampled, bulk_ess, log_likelihoods
from benchmarks.timing import N_CORES, in_turn, seconds

_SCRIPT = Path(__file__).with_name("jags_mixture.R")


def has_jags() -> bool:
    if shutil.which("Rscript") is None:
        return False
    return subprocess.run(["Rscript", "-e", "library(rjags)"], capture_output=True).returncode == 0


def jags(X: np.ndarray, K: int, burn: int, draws: int) -> Sampled:
    """Four chains with sampled assignments and bayesgmm's default prior, all of which JAGS can say."""
    prior, shape = bg.Prior.for_data(X), (4, draws, K)
    numbers = (prior.mean_location, prior.mean_scale, np.log(prior.std.median), prior.std.log_sd)
    with tempfile.TemporaryDirectory() as folder:
        np.ascontiguousarray(X, dtype=np.float64).tofile(Path(folder, "data.bin"))
        arguments = [folder, len(X), K, *(np.ravel(number)[0] for number in numbers), burn, draws, N_CORES]
        command = ["Rscript", str(_SCRIPT), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        weights, means, stds = (
            np.fromfile(Path(folder, f"{name}.bin")).reshape(shape) for name in ("weights", "means", "stds")
        )
    values = {
        "weights": weights,
        "means": means[..., np.newaxis],
        "covariances": (stds**2)[..., np.newaxis, np.newaxis],
    }
    return Sampled(0.0, float(done.stdout.split()[-1]), values)


def labels_table(n_components=6, our_draws=1000, jags_draws=10_000, repeats=3):
    X, K = galaxies(), n_components
    print(
        f"\nGalaxies, K = {K}, 4 chains: bulk-ESS of the log-likelihood a second of sampling (each turn, then medians)"
    )
    start = bg.fit_em(X, K, rng=1).parameters

    def ours() -> tuple[float, float, float, float]:
        began = time.perf_counter()
        posterior = bg.sample_posterior(X, K, start=start, draws=our_draws, rng=next(seeds), progress=False)
        whole = time.perf_counter() - began
        values = posterior["sample_stats"]["total_log_likelihood"].values
        return posterior.attrs.get("seconds_sampling", whole), bulk_ess(values), values.mean(), values.std()

    def theirs() -> tuple[float, float, float, float]:
        drawn = jags(X, K, burn=2000, draws=jags_draws)
        values = log_likelihoods(X, **drawn.values)
        return drawn.seconds, bulk_ess(values), values.mean(), values.std()

    seeds = iter(range(repeats + 1))
    ours()  # loads what is cached
    samplers = {"bayesgmm": (ours, our_draws)}
    if has_jags():
        samplers["JAGS"] = (theirs, jags_draws)
    else:
        print("JAGS or R's rjags is not installed: skipped")
    measured = in_turn({name: sampler for name, (sampler, _) in samplers.items()}, repeats)
    rates = {name: np.array([ess / took for took, ess, *_ in runs]) for name, runs in measured.items()}
    print(f"{'':>9} {'draws':>11} {'sample':>9} {'ESS':>7} {'ESS / s':>9} {'log-likelihood, mean and sd':>28}")
    for name, runs in measured.items():
        took, ess, mean, sd = np.median(np.array(runs), axis=0)
        shown = "" if name == "bayesgmm" else f"{np.median(rates['bayesgmm'] / rates[name]):>8.1f}x"
        draws = f"4 x {samplers[name][1]:,}"
        print(
            f"{name:>9} {draws:>11} {took:>7.2f} s {ess:>7.0f} {np.median(rates[name]):>9.0f} "
            f"{mean:>19.2f}, {sd:>7.2f} {shown}"
        )


def invented(n_rows: int, n_draws: int, n_components: int, n_features: int) -> tuple[xr.DataTree, bg.MixtureParameters]:
    """Four chains of draws around a mixture, each with its components in an order of its own; and the mixture."""
    rng = np.random.default_rng(1)
    X, _, mixture = bg.datasets.simulate(n_rows, n_components, n_features, separation=3.0, rng=rng)
    shape = 4, n_draws // 4, n_components
    order = np.argsort(rng.random(shape), axis=-1)
    scale = np.exp(0.1 * rng.standard_normal(shape))
    values = {
        "weights": rng.dirichlet(200 * mixture.weights, shape[:2]),
        "means": mixture.means + 0.1 * rng.standard_normal((*shape, n_features)),
        "covariances": mixture.covariances * scale[..., np.newaxis, np.newaxis],
    }
    dims = ("chain", "draw", "component", "feature", "feature_other")
    posterior = {
        name: (dims[: value.ndim], np.take_along_axis(value, order.reshape(*shape, *(1,) * (value.ndim - 3)), axis=2))
        for name, value in values.items()
    }
    lp = (("chain", "draw"), np.zeros(shape[:2]))
    groups = {
        "posterior": xr.Dataset(posterior),
        "sample_stats": xr.Dataset({"lp": lp}),
        "observed_data": xr.Dataset({"X": (("row", "feature"), X)}),
    }
    return xr.DataTree.from_dict(groups), mixture


def relabelling_table(n_rows=1000, n_draws=4000, n_components=8, n_features=2, repeats=5):
    print(
        f"\nRelabelling {n_draws} draws, {n_rows} rows, K = {n_components}, D = {n_features}: seconds, median of "
        f"{repeats} turns (no peer: R's label.switching is not installed)"
    )
    posterior, mixture = invented(n_rows, n_draws, n_components, n_features)
    bg.align(posterior, mixture, "kullback-leibler")  # loads what is cached
    actions = {name: lambda name=name: seconds(lambda: bg.align(posterior, mixture, name)) for name in RELABELLINGS}
    for name, took in in_turn(actions, repeats).items():
        iterations = bg.align(posterior, mixture, name).attrs["align_iterations"]
        print(f"{name:>17} {np.median(took):>7.2f} s {f'({iterations} iterations)' if iterations > 1 else ''}")


def quality(aligned: xr.DataTree, labels: np.ndarray) -> tuple[float, float, float]:
    """Share of draws with these labels; Stephens' divergence, nats a draw; mean posterior sd of a mean, in data sd."""
    draws, X = aligned["posterior"].to_dataset(), aligned["observed_data"]["X"].values
    names = ("weights", "means", "covariances")
    flat = [draws[name].values.reshape(-1, *draws[name].shape[2:]) for name in names]
    mean = np.mean(list(responsibilities_of_draws(X, *flat)), axis=0)
    divergences = [
        np.sum(p * np.log(np.maximum(p, 1e-300) / np.maximum(mean, 1e-300)))
        for p in responsibilities_of_draws(X, *flat)
    ]
    same = (aligned["sample_stats"]["label"].values == labels).all(axis=-1).mean()
    return same, np.mean(divergences), (flat[1].std(axis=0) / X.std(axis=0)).mean()


def methods_table(rng=1):
    cases = [
        Data("Old Faithful", faithful, 2),
        Data("Old Faithful", faithful, 3),
        Data("iris", iris, 3),
        Data("galaxies", galaxies, 3),
        Data("galaxies", galaxies, 6),
        Data("simulated, 1.5 apart", simulated(300, 3, 2, 1.5), 3),
        Data("simulated, 1 apart", simulated(500, 4, 2, 1.0), 4),
    ]
    print(
        "\nMethods of relabelling, 4 x 1000 draws: share of draws labelled as by kullback-leibler; mean divergence of a"
        "\ndraw's responsibilities from their mean (nats; less is better); mean posterior sd of the means, in data sd"
    )
    print(f"{'':>24} {'unclear':>8} " + "".join(f"{name:>27}" for name in RELABELLINGS))
    for name, load, K in cases:
        X = load()
        start = bg.fit_em(X, K, rng=1).parameters
        posterior = bg.sample_posterior(X, K, start=start, draws=1000, rng=rng, progress=False)
        aligned = {method: bg.align(posterior, start, method) for method in RELABELLINGS}
        labels = aligned["kullback-leibler"]["sample_stats"]["label"].values
        unclear = 1 - bg.label_report(aligned["ecr"]).label_clear
        shown = [quality(tree, labels) for tree in aligned.values()]
        cells = "".join(f"{100 * same:>11.1f} % {nats:>7.2f} {sd:>6.3f}" for same, nats, sd in shown)
        print(f"{name:>20}, {K} {100 * unclear:>6.1f} % {cells}", flush=True)
