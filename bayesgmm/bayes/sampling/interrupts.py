"""Ctrl-C at moments when it can be handled."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


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
