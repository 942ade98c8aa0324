"""Old Faithful: the main job. Fit by EM, sample the posterior, compare, and keep the results with their pictures.

Run it with `python examples/old_faithful.py [FOLDER]`; everything goes to FOLDER/old-faithful, `example-output` by
default.
"""

import sys
from pathlib import Path

import bayesgmm as bg


def main(folder: Path) -> None:
    X = bg.datasets.load_faithful()

    em = bg.fit_em(X, n_components=2, rng=1)
    posterior = bg.sample_posterior(X, n_components=2, start=em.parameters, rng=1, progress=False)
    aligned = bg.align(posterior, em.parameters)
    diagnosis = bg.diagnose(aligned)
    comparison = bg.compare(em, aligned, diagnosis=diagnosis)

    print(em, "\n")
    print(diagnosis, "\n")
    print(comparison.summary(), "\n")

    # The same in one call, saved and read again.
    analysis = bg.analyze(X, n_components=2, rng=1, progress=False)
    analysis.save(folder / "old-faithful", overwrite=True)
    again = bg.Analysis.load(folder / "old-faithful")
    print(again)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "example-output"))
