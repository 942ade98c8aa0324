"""Iris: clusters found without the species, held against them, and whether the posterior believes in three clusters.

Run it with `python examples/iris.py [FOLDER]`; the picture goes to FOLDER, `example-output` by default.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score

import bayesgmm as bg


def main(folder: Path) -> None:
    iris = load_iris()
    X = pd.DataFrame(iris.data, columns=iris.feature_names)
    species = pd.Series(iris.target_names[iris.target], name="species")

    em = bg.fit_em(X, n_components=3, rng=1)
    labels = pd.Series(em.parameters.predict(X), name="component")
    print(em, "\n")
    print(pd.crosstab(species, labels), "\n")
    print(f"Adjusted Rand index with the species: {adjusted_rand_score(species, labels):.2f}\n")

    # EM found the species, but the flowers alone do not establish three components: the posterior says so. What does
    # not depend on labels can still be read: the partition of least expected loss.
    posterior = bg.sample_posterior(X, n_components=3, start=em.parameters, draws=1000, rng=1, progress=False)
    posterior = bg.align(posterior, em.parameters)
    print(bg.diagnose(posterior), "\n")
    partition = bg.point_partition(posterior, n_draws=200, rng=1)
    print(partition, "\n")
    print(pd.crosstab(species, pd.Series(partition.labels, name="cluster")))

    figure = bg.plots.plot_fit(em, posterior, features=["petal length (cm)", "petal width (cm)"])
    figure.savefig(folder / "iris.png", dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "example-output")
    folder.mkdir(parents=True, exist_ok=True)
    main(folder)
