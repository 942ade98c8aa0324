"""What the tests share: data, and one fit and posterior of Old Faithful."""

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

PACKAGE = Path(__file__).resolve().parent.parent / "bayesgmm"


def _drop_stale_binaries() -> None:
    """Numba looks at a function's own file only, so a change of the kernel leaves its callers' binaries behind."""
    newest = max(path.stat().st_mtime for path in PACKAGE.rglob("*.py"))
    for binary in PACKAGE.rglob("__pycache__/*.nb[ci]"):
        with suppress(FileNotFoundError):  # another run of the tests does the same
            if binary.stat().st_mtime < newest:
                binary.unlink()


if "PYTEST_XDIST_WORKER" not in os.environ:
    _drop_stale_binaries()

import bayesgmm as bg  # noqa: E402


@pytest.fixture
def usual_ctrl_c():
    """Python's own handler, also where the process that runs the tests ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def faithful():
    return bg.datasets.load_faithful()


@pytest.fixture(scope="session")
def iris():
    from sklearn.datasets import load_iris

    return load_iris().data


@pytest.fixture(scope="session")
def galaxies():
    return bg.datasets.load_galaxies()


@pytest.fixture(scope="session")
def low_dim_gauss_mix():
    values = json.loads((Path(__file__).parent / "data" / "low_dim_gauss_mix.json").read_text())["y"]
    return np.array(values)


@pytest.fixture(scope="session")
def faithful_em(faithful):
    return bg.fit_em(faithful, 2, rng=1)


@pytest.fixture(scope="session")
def faithful_posterior(faithful, faithful_em):
    posterior = bg.sample_posterior(faithful, 2, start=faithful_em.parameters, rng=1, progress=False)
    return bg.align(posterior, faithful_em.parameters)


@pytest.fixture(scope="session")
def faithful_nuts(faithful, faithful_em):
    """The same drawn by NUTS, which has divergences and an energy."""
    posterior = bg.sample_posterior(faithful, 2, start=faithful_em.parameters, sampler="nuts", rng=1, progress=False)
    return bg.align(posterior, faithful_em.parameters)
