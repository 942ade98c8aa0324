"""Iris: clusters found without the species, held against them, and how sure the posterior is of each flower.

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
    X = pd.DataFrame(iris.data, columns=[name.removesuffix(" (cm)") for name in iris.feature_names])  # in cm
    species = pd.Series(iris.target_names[iris.target], name="species")

    em = bg.fit_em(X, n_components=3, rng=1)
    labels = pd.Series(em.parameters.predict(X), name="component")
    print(em, "\n")
    print(pd.crosstab(species, labels), "\n")
    print(f"Adjusted Rand index with the species: {adjusted_rand_score(species, labels):.2f}\n")

    # The posterior agrees where it should, and names the flowers whose label is open.
    posterior = bg.align(
        bg.sample_posterior(X, n_components=3, start=em.parameters, rng=1, progress=False), em.parameters
    )
    print(bg.diagnose(posterior), "\n")
    unsure = bg.row_uncertainty(em, posterior).nlargest(5, "p_wrong")
    print("The flowers of which EM's label is the least sure:")
    print(unsure[["em_label", "em_probability", "p_wrong"]].join(species).round(2))

    figure = bg.plots.plot_fit(em, posterior, features=["petal length", "petal width"])
    figure.savefig(folder / "iris.png", dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "example-output")
    folder.mkdir(parents=True, exist_ok=True)
    main(folder)
