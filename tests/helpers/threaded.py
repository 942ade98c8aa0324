"""What the tests of both kinds of threaded chains share."""

from bayesgmm.bayes.sampling.run import run_until


def drawn(chains, looks):
    """z and log posteriors after some looks at how far the chains are."""
    try:
        for n in looks:
            tree = chains.first(n)
        return tree["posterior"]["z"].values, tree["sample_stats"]["logp"].values
    finally:
        chains.stop()


def interrupted(monkeypatch, kind, begin, n_looks):
    """What a run of chains of a kind leaves that Ctrl-C ends at a look."""
    looked = []

    def interrupt(chains):
        looked.append(1)
        if len(looked) == n_looks:
            raise KeyboardInterrupt

    monkeypatch.setattr(kind, "_show", interrupt)
    run = run_until(begin, [1000], lambda tree: tree, lambda _: True)
    assert run.partial
    return run
