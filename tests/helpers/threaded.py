"""Helpers of the tests of both kinds of threaded chains."""

from bayesgmm.bayes.sampling.draws import Draws
from bayesgmm.bayes.sampling.run import Run, run_until


def draws_at(chains, checkpoints) -> Draws:
    """The draws at the last of some checkpoints."""
    try:
        for n_draws in checkpoints:
            draws = chains.first(n_draws)
        return draws
    finally:
        chains.stop()


def interrupted_run(monkeypatch, kind, start, n_reports) -> Run:
    """A run of chains of a kind that Ctrl-C ends at a report of progress."""
    reports = []

    def interrupt(chains):
        reports.append(1)
        if len(reports) == n_reports:
            raise KeyboardInterrupt

    monkeypatch.setattr(kind, "_show", interrupt)
    run = run_until(start, [1000], lambda draws: draws, lambda _: True)
    assert run.interrupted
    return run
