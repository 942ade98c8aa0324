"""The main job in Python: fit Old Faithful by EM, sample its posterior, compare, and keep the results.

Run it with `python examples/old_faithful.py [FOLDER]`; without a folder the results go to a temporary one.
"""

import sys
import tempfile
from pathlib import Path

import bayesgmm as bg


def main(folder: Path) -> None:
    X = bg.datasets.load_faithful()

    em = bg.fit_em(X, n_components=2, rng=1)
    posterior = bg.sample_posterior(X, n_components=2, start=em.parameters, rng=1, progress=False)
    aligned = bg.align(posterior, em.parameters)
    diagnosis = bg.diagnose(aligned)
    comparison = bg.compare(em, aligned, diagnosis=diagnosis)

    print(em.summary())
    print(diagnosis.summary())
    print(comparison.summary())

    # The same in one call, saved and read again.
    analysis = bg.analyze(X, n_components=2, rng=1, progress=False)
    analysis.save(folder, overwrite=True)
    again = bg.load(folder)
    print(f"\nSaved to {folder} and read again: verdict {again.comparison.verdict}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
