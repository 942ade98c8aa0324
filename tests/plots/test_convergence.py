"""`plot_convergence` draws every run of EM."""

import dataclasses

import numpy as np
from helpers.figures import (
    legend_texts,
)

import bayesgmm as bg
from bayesgmm import plots
from bayesgmm.em.runs import Restart, Status


def runs(ax):
    return [line for line in ax.lines if len(line.get_xdata()) > 1]


def test_every_run_is_drawn_by_its_distance_from_the_best(faithful_em):
    ax = plots.plot_convergence(faithful_em).axes[0]
    best = max(runs(ax), key=lambda line: line.get_linewidth())
    np.testing.assert_allclose(best.get_ydata(), np.maximum(faithful_em.log_likelihood - faithful_em.history, 1e-8))
    drawn = sorted(tuple(line.get_ydata()) for line in runs(ax))
    expected = [np.maximum(faithful_em.log_likelihood - run.history, 1e-8) for run in faithful_em.restarts]
    assert drawn == sorted(map(tuple, expected))
    abandoned = sum(run.status is Status.ABANDONED for run in faithful_em.restarts)
    assert f"{abandoned} abandoned" in legend_texts(ax)
    assert "log-likelihood" in ax.get_ylabel()


def test_ends_of_runs_tell_how_they_ended(faithful_em):
    best = Restart("given", Status.CONVERGED, faithful_em.history)
    others = (
        Restart("random", Status.COLLAPSED, np.array([-1300.0, -1200.0, -900.0])),  # past the best, to infinity
        Restart("random", Status.MAX_ITER, np.linspace(-1300, -1200, 500)),
        Restart("random", Status.CONVERGED, np.array([-1250.0, -1200.0])),
    )
    em = dataclasses.replace(faithful_em, restarts=(best, *others))
    ax = plots.plot_convergence(em).axes[0]
    assert [text.split("\n")[0] for text in legend_texts(ax)] == [
        "best of 4: -1,130.264,",
        "1 stopped at max_iter",
        "1 more converged",
        "1 collapsed",
    ]
    markers = {line.get_marker() for line in ax.lines if len(line.get_xdata()) == 1}
    assert markers == {"o", "s", "X"}
    assert ax.get_xscale() == "symlog"  # 500 iterations beside 2


def test_runs_on_a_sample_of_the_rows_are_counted_and_not_drawn():
    em = bg.fit_em(bg.datasets.simulate(20_000, 2, 2, rng=1).X, 2, n_init=5, rng=1)
    ax = plots.plot_convergence(em).axes[0]
    finished = [run for run in em.restarts if run.status is Status.CONVERGED]
    assert len(runs(ax)) == len(finished) == 3
    assert any("2 abandoned,\nnot drawn" in text for text in legend_texts(ax))
