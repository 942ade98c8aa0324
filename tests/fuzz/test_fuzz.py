"""A short, fixed run of the fuzzer over every door; `make fuzz` makes a long one."""

from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from fuzz.doors import DOORS
from fuzz.mixture_doors import FAMILIES
from fuzz.runner import fuzz
from helpers.public import public_names

# Importing PyTensor raises the limit of recursion, and hypothesis remarks on it.
pytestmark = pytest.mark.filterwarnings("ignore:The recursion limit will not be reset")

# Cases of each door, by what a case costs.
SLOW = {
    "sample_posterior": 3,
    "analyze, save and load": 1,
    "BayesianGaussianMixture": 2,
    "standard_errors": 4,
    "fit_em against scikit-learn": 10,
}
QUICK = 12

# Public names that no door calls, each with the reason.
NOT_FUZZED = {
    "compile_all": "it takes no data, and some minutes",
    "sample_model": "each model is compiled for a minute",
    "plots.animate_iterations": "it draws the frames of plots.plot_iterations",
    "plots.component_style": "it takes a number, and has examples and tests",
    "plots.ComponentStyle": "plots.component_style makes it",
    "plots.plot_similarity": "it takes the result of point_partition, which is fuzzed",
    "datasets.load_faithful": "it takes no argument",
    "datasets.load_galaxies": "it takes no argument",
}
# Classes of results and of errors are not called by users.
MADE_BY_FUNCTIONS = ("results.", "errors.")


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


@pytest.mark.parametrize("name", DOORS)
def test_a_public_function_refuses_with_a_remedy_or_gives_a_valid_answer(name):
    n_cases = SLOW.get(name, 3 if name.endswith("given draws") else QUICK)
    tally = fuzz(DOORS[name], n_cases, first_seed=1)
    assert tally.n_cases >= n_cases
    assert not tally.failures, "\n".join(failure.report() for failure in tally.failures.values())


def test_every_public_function_has_a_door_or_a_reason():
    source = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("*doors.py"))
    source += Path(__file__).with_name("relations.py").read_text(encoding="utf-8")
    wanted = {name for name in public_names() if not name.startswith(MADE_BY_FUNCTIONS)}
    reached = {name for name in wanted if f"bg.{name}" in source}
    reached |= {f"priors.{family}" for family in FAMILIES}
    assert wanted - reached == set(NOT_FUZZED)
