"""Ctrl-C and the end of the time allowed, at moments when they can be handled."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class OutOfTimeError(Exception):
    """The time that the caller allowed is over."""


def check_time(deadline: float) -> None:
    """Raise OutOfTimeError after the deadline, a time of `time.monotonic`."""
    if time.monotonic() > deadline:
        raise OutOfTimeError


@contextmanager
def held_interrupts() -> Iterator[list[object]]:
    """Collect interruptions in the list that this yields, so that a block is not left half done.

    Python runs signal handlers in its main thread; in other threads nothing has to be held.
    """
    held: list[object] = []
    if threading.current_thread() is not threading.main_thread():
        yield held
        return
    handler = signal.signal(signal.SIGINT, lambda *signal_and_frame: held.append(signal_and_frame))
    try:
        yield held
    finally:
        signal.signal(signal.SIGINT, handler)


@contextmanager
def deferred_interrupts() -> Iterator[Callable[[], None]]:
    """Let Ctrl-C take effect only where the function that this yields is called, and at the end of the block.

    Python runs signal handlers in its main thread; in other threads nothing has to be deferred.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    pending: list[tuple[Any, ...]] = []
    handler = signal.signal(signal.SIGINT, lambda *signal_and_frame: pending.append(signal_and_frame))

    def handle_pending() -> None:
        if pending and callable(handler):
            handler(*pending.pop())

    try:
        yield handle_pending
    finally:
        signal.signal(signal.SIGINT, handler)
    handle_pending()
