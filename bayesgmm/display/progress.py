"""Progress on standard error: counters, the stages of a long call, and signs of life.

Functions deep in the package say what they are doing through the logger `bayesgmm`, at the level INFO; `Stages` shows
it. Counters are shown only if a person watches.
"""

import logging
import sys
import threading
import time
from typing import Self

from bayesgmm.escaping import one_line

LOGGER = logging.getLogger("bayesgmm")
# Seconds between two updates of a counter.
_INTERVAL = 0.1
# Seconds without any output after which a sign of life is shown.
_LONGEST_SILENCE = 8.0

_last_output = time.monotonic()
_counter_is_open = False


def is_watched() -> bool:
    """Whether standard error is read as it is written: on a terminal, or in a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return sys.stderr.isatty() or getattr(shell, "kernel", None) is not None


def show_counter(text: str) -> None:
    """Show a line that replaces the last one."""
    global _last_output, _counter_is_open
    _last_output, _counter_is_open = time.monotonic(), True
    print(f"\r{text}", end="", file=sys.stderr, flush=True)


def show_line(text: str) -> None:
    """Show a line of its own."""
    global _last_output
    close_counter()
    _last_output = time.monotonic()
    print(one_line(text), file=sys.stderr, flush=True)


def close_counter() -> None:
    """End the line of a counter, if there is one."""
    global _counter_is_open
    if _counter_is_open:
        _counter_is_open = False
        print(file=sys.stderr, flush=True)


class Progress:
    """A counter on standard error, such as "20 of 999 replicates", shown only if a person watches.

    It is a context manager; inside, it is called with the number of items that are done.

    Parameters
    ----------
    total : number of items.
    noun : what is counted, in the plural.
    show : False hides the counter in any case.
    """

    def __init__(self, total: int, noun: str, *, show: bool = True) -> None:
        self._total, self._noun = total, noun
        self._is_shown, self._last_update = show and is_watched(), 0.0

    def __enter__(self) -> Self:
        return self

    def __call__(self, n_done: int) -> None:
        """Show how many items are done; skipped if the last update was less than 0.1 seconds ago."""
        if self._is_shown and (n_done == self._total or time.monotonic() - self._last_update > _INTERVAL):
            self._last_update = time.monotonic()
            show_counter(f"{n_done} of {self._total} {self._noun}")

    def __exit__(self, *_: object) -> None:
        close_counter()


class Stages(logging.Handler):
    """Lines on standard error that say what a long call is doing.

    It is a context manager. Inside, every message of the package's logger is a line, and no more than ten seconds pass
    without a line: a thread repeats the last message with the seconds since it began.

    Parameters
    ----------
    show : False shows nothing.
    """

    def __init__(self, *, show: bool) -> None:
        super().__init__(logging.INFO)
        self._is_shown, self._stage, self._began = show, "", time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._show_life, name="bayesgmm-progress", daemon=True)

    def __enter__(self) -> Self:
        if self._is_shown:
            self._level_before = LOGGER.level
            LOGGER.addHandler(self)
            LOGGER.setLevel(logging.INFO)
            self._thread.start()
        return self

    def emit(self, record: logging.LogRecord) -> None:
        """Show the message as the stage that begins now."""
        self._stage, self._began = record.getMessage(), time.monotonic()
        show_line(self._stage)

    def __exit__(self, *_: object) -> None:
        if self._is_shown:
            LOGGER.removeHandler(self)
            LOGGER.setLevel(self._level_before)
            self._ended.set()
            self._thread.join()
            close_counter()

    def _show_life(self) -> None:
        while not self._ended.wait(1.0):
            if time.monotonic() - _last_output > _LONGEST_SILENCE:
                show_line(f"{self._stage}: {time.monotonic() - self._began:.0f} s so far")
