"""Progress on standard error, shown only on a terminal or in a notebook."""

import sys
import time
from typing import Self

# Seconds between two updates of a counter.
_INTERVAL = 0.1


def is_watched() -> bool:
    """Whether standard error is read as it is written: on a terminal, or in a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return sys.stderr.isatty() or getattr(shell, "kernel", None) is not None


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
            print(f"\r{n_done} of {self._total} {self._noun}", end="", file=sys.stderr, flush=True)

    def __exit__(self, *_: object) -> None:
        if self._is_shown:
            print(file=sys.stderr)
