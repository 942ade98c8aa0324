"""What the page for users of scikit-learn shows is what the two packages print."""

import re
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest
from helpers.paths import DOCS

import bayesgmm as bg

PAGE = (DOCS / "from-scikit-learn.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def words_and_numbers(text):
    """Numbers apart, because those of a posterior depend on how the machine rounds."""
    return NUMBER.sub("#", text).split(), np.array(NUMBER.findall(text), float)


def test_every_block_prints_what_stands_below_it():
    namespace = {}
    assert len(BLOCKS) == PAGE.count("```python")
    for code, shown in BLOCKS:
        printed = StringIO()
        with redirect_stdout(printed):
            exec(compile(code, "from-scikit-learn.md", "exec"), namespace)
        words, numbers = words_and_numbers(printed.getvalue())
        words_shown, numbers_shown = words_and_numbers(shown)
        assert words == words_shown
        drawn = "BayesianGaussianMixture" in code or "posterior_" in code
        np.testing.assert_allclose(numbers, numbers_shown, **{"rtol": 0.01, "atol": 0.05} if drawn else {"rtol": 1e-5})


@pytest.mark.parametrize("mixture", [bg.GaussianMixture(), bg.BayesianGaussianMixture()], ids=["em", "posterior"])
def test_every_parameter_of_scikit_learn_is_here_or_in_the_table(mixture):
    import sklearn.mixture

    theirs = getattr(sklearn.mixture, type(mixture).__name__)().get_params()
    told = set(re.findall(r"`([a-z_]+)`", PAGE))
    assert {name for name in theirs if name not in mixture.get_params()} <= told
    assert {name for name, value in theirs.items() if mixture.get_params().get(name, value) != value} <= told
