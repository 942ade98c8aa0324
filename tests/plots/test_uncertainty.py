"""`plot_uncertainty` draws how uncertain each row's component is."""

import numpy as np
import pytest
from helpers.figures import (
    case,
    responsibilities,
)

import bayesgmm as bg
from bayesgmm import plots


def test_colours_are_the_doubt_of_em_and_of_the_posterior(flat):
    em, posterior = flat
    left, right, bar = plots.plot_uncertainty(em, posterior).axes
    X = posterior["observed_data"]["X"].values
    draws = posterior["posterior"].to_dataset().stack(sample=("chain", "draw")).transpose("sample", ...)
    of_draws = [
        responsibilities(
            X, bg.MixtureParameters(*(draws[name].values[s] for name in ("weights", "means", "covariances")))
        )
        for s in range(draws.sizes["sample"])
    ]
    for name, ax, probabilities in (
        ("EM", left, responsibilities(X, em.parameters)),
        ("posterior", right, np.mean(of_draws, axis=0)),
    ):
        doubt, labels = 1 - probabilities.max(axis=1), probabilities.argmax(axis=1)
        assert sum(len(marks.get_offsets()) for marks in ax.collections) == len(X)
        for k, marks in zip(np.unique(labels), ax.collections, strict=True):
            rows = [int(np.flatnonzero((at == X).all(axis=1))[0]) for at in marks.get_offsets().data]
            assert (labels[rows] == k).all()
            np.testing.assert_allclose(marks.get_array(), doubt[rows], atol=1e-12)
            assert (np.diff(marks.get_array()) >= 0).all()  # the most doubtful on top
            assert marks.get_clim() == (0, pytest.approx(2 / 3))
        assert ax.get_title() == f"{name}\n{doubt.sum():.1f} of 80 rows expected to be labelled wrongly"
    assert bar.get_ylabel() == "1 - probability of the\nmost probable component"


def test_of_one_feature_the_height_is_the_doubt():
    em, posterior = case(2, 1)
    left, *_ = plots.plot_uncertainty(em, posterior).axes
    drawn = {tuple(at) for marks in left.collections for at in marks.get_offsets().data}
    X = posterior["observed_data"]["X"].values
    doubt = 1 - em.parameters.responsibilities(X).max(axis=1)
    assert drawn == set(zip(X[:, 0], doubt, strict=True))


def test_doubt_needs_labels_and_the_fits_components(flat):
    em, posterior = flat
    raw = posterior.copy()
    raw.attrs["aligned"] = 0
    with pytest.raises(bg.errors.InputError, match="not aligned"):
        plots.plot_uncertainty(em, raw)
    with pytest.raises(bg.errors.InputError, match="the posterior has 3 of 2"):
        plots.plot_uncertainty(case(2, 2)[0], posterior)
