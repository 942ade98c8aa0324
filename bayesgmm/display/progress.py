"""Progress on standard error, shown only on a terminal or in a notebook."""

import sys
import time
from typing import Self


def is_watched() -> bool:
    """Whether standard error is read as it is written: on a terminal, or in a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return sys.stderr.isatty() or getattr(shell, "kernel", None) is not None


class _Progress:
    """Counts replicates on standard error where a person looks at it."""

    def __init__(self, n: int, progress: bool) -> None:
        self._n, self._shown, self._last = n, progress and is_watched(), 0.0

    def __enter__(self) -> Self:
        return self

    def __call__(self, done: int) -> None:
        if self._shown and (done == self._n or time.monotonic() - self._last > 0.1):
            self._last = time.monotonic()
            print(f"\r{done} of {self._n} replicates", end="", file=sys.stderr, flush=True)

    def __exit__(self, *_: object) -> None:
        if self._shown:
            print(file=sys.stderr)
