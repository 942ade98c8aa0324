"""Sampling in a given way, where the package would choice."""

from contextlib import contextmanager
from unittest.mock import patch

from bayesgmm.bayes.sampling import choice, sample


@contextmanager
def only(way):
    """`sample_posterior` samples in one of the ways that `choose` knows, without pilots."""

    def forced(posterior, curvature, quantity, *, tune, start_width, rng, usual="", objection=""):
        found = {at.name: at for at in choice.candidates_for(posterior, curvature, tune)}
        return choice.Choice(found[way], "forced")

    with patch.object(sample, "choose", forced):
        yield
