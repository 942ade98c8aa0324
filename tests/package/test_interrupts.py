"""Ctrl-C waits for a moment at which it can be handled."""

import signal

import pytest

from bayesgmm.interrupts import deferred_interrupts, take_interrupts
from bayesgmm.parallel import on_threads

pytestmark = pytest.mark.usefixtures("usual_ctrl_c")


def steps_before_ctrl_c(run):
    """The steps that run(steps) has appended when Ctrl-C takes effect in it; it also restores the handler."""
    steps = []
    with pytest.raises(KeyboardInterrupt):
        run(steps)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return steps


def test_it_takes_effect_at_the_end_of_a_block_that_defers_it():
    def run(steps):
        with deferred_interrupts():
            signal.raise_signal(signal.SIGINT)
            steps.append("the rest of the block")
        steps.append("never")

    assert steps_before_ctrl_c(run) == ["the rest of the block"]


def test_it_takes_effect_where_the_block_allows_it():
    def run(steps):
        with deferred_interrupts():
            take_interrupts()
            signal.raise_signal(signal.SIGINT)
            steps.append("before the place")
            take_interrupts()
            steps.append("never")

    assert steps_before_ctrl_c(run) == ["before the place"]


def test_in_nested_blocks_the_outer_one_decides():
    def run(steps):
        with deferred_interrupts():
            with deferred_interrupts():
                signal.raise_signal(signal.SIGINT)
            steps.append("the rest of the outer block")

    assert steps_before_ctrl_c(run) == ["the rest of the outer block"]


def test_it_waits_for_the_end_of_an_item_of_work():
    def run(steps):
        def work(item):
            signal.raise_signal(signal.SIGINT)
            steps.append(item)

        list(on_threads(work, [1, 2], work=0))

    assert steps_before_ctrl_c(run) == [1]
