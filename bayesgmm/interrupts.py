"""Ctrl-C and the end of the time allowed, at moments when they can be handled."""

import signal
import threading
import time
from collections.abc import Iterator
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


class _Pending:
    """A handler of SIGINT that remembers Ctrl-C for the handler before it."""

    def __init__(self) -> None:
        self._signals: list[tuple[Any, ...]] = []
        self.before: Any = None

    def __call__(self, *signal_and_frame: Any) -> None:
        self._signals.append(signal_and_frame)

    def handle(self) -> None:
        if self._signals and callable(self.before):
            self.before(*self._signals.pop())


# The handler of the outermost block of `deferred_interrupts` in the main thread.
_outermost: _Pending | None = None


def take_interrupts() -> None:
    """Let a Ctrl-C that a block of `deferred_interrupts` has put off take effect now."""
    if _outermost is not None and threading.current_thread() is threading.main_thread():
        _outermost.handle()


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Let Ctrl-C take effect only where `take_interrupts` is called, and at the end of the block.

    It belongs around calls of functions that Numba has compiled. Numba runs Python code when it makes the result, such
    as the class of a named tuple, and an exception out of a signal handler in there becomes a SystemError or ends the
    process. Python runs signal handlers in its main thread; in other threads nothing has to be deferred. In a block
    that defers interrupts already, the outer block decides.
    """
    global _outermost
    if _outermost is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    pending = _Pending()
    pending.before = signal.signal(signal.SIGINT, pending)
    _outermost = pending
    try:
        yield
    finally:
        _outermost = None
        signal.signal(signal.SIGINT, pending.before)
    pending.handle()
