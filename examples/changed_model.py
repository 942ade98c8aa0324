"""A changed PyMC model: knowledge of one cluster's mean put in, and the posterior sampled whitened all the same.

Run it with `python examples/changed_model.py [FOLDER]`; the picture goes to FOLDER, `example-output` by default.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pymc as pm

import bayesgmm as bg


def main(folder: Path) -> None:
    X = bg.datasets.load_faithful()[["waiting"]]  # minutes to the next eruption
    em = bg.fit_em(X, n_components=2, rng=1)
    usual = bg.sample_posterior(X, 2, start=em.parameters, draws=1000, rng=1, progress=False)

    # Another observer found 83 minutes, give or take half a minute, after long eruptions: a prior of our own on the
    # larger of the two mean waiting times, whichever component it belongs to.
    model = bg.build_model(X, n_components=2)
    with model:
        longer = pm.math.max(model["means"][:, 0])
        pm.Potential("known_waiting", pm.logp(pm.Normal.dist(83.0, 0.5), longer))
    posterior = bg.sample_model(model, start=em.parameters, draws=1000, rng=1, progress=False)
    changed = bg.align(posterior, em.parameters)
    print(f"Sampler {changed.attrs['sampler']}: {changed.attrs['sampler_reason']}")
    print(bg.diagnose(changed), "\n")

    figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, tree, color in (("the usual prior", usual, "C0"), ("83 minutes known", changed, "C1")):
        waiting = tree["posterior"]["means"].sel(feature="waiting").max("component").values.ravel()
        print(f"mean waiting time after long eruptions, {name}: {waiting.mean():.1f} minutes (sd {waiting.std():.1f})")
        ax.hist(waiting, bins=60, density=True, histtype="step", color=color, label=name)
    ax.set(xlabel="mean waiting time after long eruptions (minutes)", ylabel="posterior density (per minute)")
    ax.legend(frameon=False, loc="upper left")
    figure.savefig(folder / "changed-model.png", dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "example-output")
    folder.mkdir(parents=True, exist_ok=True)
    main(folder)
