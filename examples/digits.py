"""Handwritten digits: a mixture as a model of images, its size chosen by BIC after PCA, and new digits drawn from it.

Run it with `python examples/digits.py [FOLDER]`; the picture goes to FOLDER, `example-output` by default.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

import bayesgmm as bg


def main(folder: Path) -> None:
    digits = load_digits()  # 1797 images of 8 x 8 pixels
    pca = PCA(n_components=16, random_state=1)
    X = pca.fit_transform(digits.data)
    print(f"{len(X)} images; 16 principal components keep {pca.explained_variance_ratio_.sum():.0%} of the variance")

    fits = {K: bg.fit_em(X, n_components=K, n_init=10, rng=1) for K in (5, 10, 15, 20, 25, 30)}
    print("\n K        BIC  how it ended")
    for K, em in fits.items():
        print(f"{K:2d}  {em.bic:9.0f}  {em.status.text}")
    em = min(fits.values(), key=lambda fit: fit.bic)
    agreement = adjusted_rand_score(digits.target, em.parameters.predict(X))
    print(f"\nSmallest BIC: {em.parameters.n_components} components, which know nothing of the ten digits;")
    print(f"adjusted Rand index of the components with the digits: {agreement:.2f}")

    # A mixture is a density of images: draw from it, and go back from principal components to pixels.
    drawn, _ = em.parameters.sample(40, rng=1)
    figure, axes = plt.subplots(8, 10, figsize=(6, 5.2), layout="constrained")
    images = [*digits.data[:40], *pca.inverse_transform(drawn)]
    for ax, image in zip(axes.flat, images, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.axis("off")
    figure.suptitle("Above: digits as they were written. Below: drawn from the mixture")
    figure.savefig(folder / "digits.png", dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "example-output")
    folder.mkdir(parents=True, exist_ok=True)
    main(folder)
