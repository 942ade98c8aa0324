"""Galaxies: the number of components that 82 velocities show, by BIC and by leave-one-out, and their density.

Run it with `python examples/galaxies.py [FOLDER]`; the picture goes to FOLDER, `example-output` by default.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import bayesgmm as bg


def main(folder: Path) -> None:
    X = bg.datasets.load_galaxies()  # velocities, 1000 km/s

    print("K     BIC    leave-one-out log density (standard error)")
    posteriors = {}
    for K in range(1, 5):
        em = bg.fit_em(X, n_components=K, rng=1)
        posteriors[K] = bg.sample_posterior(X, K, start=em.parameters, draws=500, rng=1, progress=False)
        loo = bg.loo(posteriors[K])
        print(
            f"{K}  {em.bic:.2f}    {loo.elpd:.1f} ({loo.se:.1f}){'' if loo.ok else '  some rows are too influential'}"
        )

    # The density does not care which component is which, so that it can be read where labels cannot.
    grid = np.linspace(5, 40, 300)
    density = bg.predict_density(posteriors[4], grid)
    low, high = np.exp(density.log_density_interval.T)
    at = int(np.argmax(density.log_density))
    print(f"\n{density}")
    print(f"Four components: highest at {grid[at]:.1f}, {np.exp(density.log_density[at]):.3f} per 1000 km/s, ", end="")
    print(f"90 % interval {low[at]:.3f} to {high[at]:.3f}")

    figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    ax.hist(X["velocity"], bins=40, density=True, color="0.85", label="82 galaxies")
    ax.fill_between(grid, low, high, alpha=0.3, label="90 % interval")
    ax.plot(grid, np.exp(density.log_density), label="posterior predictive, K = 4")
    ax.set(xlabel="velocity (1000 km/s)", ylabel="density (per 1000 km/s)")
    ax.legend(frameon=False)
    figure.savefig(folder / "galaxies.png", dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "example-output")
    folder.mkdir(parents=True, exist_ok=True)
    main(folder)
