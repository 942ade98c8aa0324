"""What the tests of the figures share: cases, and closed figures after each test."""

import matplotlib.pyplot as plt
import pytest
from helpers.figures import case

import bayesgmm as bg


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="session")
def comparison(faithful_em, faithful_posterior):
    return bg.compare(faithful_em, faithful_posterior)


@pytest.fixture(scope="session")
def flat():
    """A fit and a posterior of three components and two features."""
    return case(3, 2)


@pytest.fixture(scope="session")
def single():
    """A fit and a posterior of three components and one feature."""
    return case(3, 1)


@pytest.fixture(scope="session")
def partition(flat):
    return bg.point_partition(flat[1], rng=1)
