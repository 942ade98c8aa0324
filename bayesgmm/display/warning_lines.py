"""Warnings as single lines on standard error, without a place in the source."""

from bayesgmm.display.progress import show_line


class WarningLines:
    """Shows warnings, and keeps back those that a result says as well.

    Warnings that come before the first result is printed wait for it, and are left out if it says the same.
    """

    def __init__(self) -> None:
        self._waiting: list[str] | None = None

    def hold(self) -> None:
        """Let warnings wait from now on."""
        self._waiting = []

    def show(self, message: Warning | str, *_: object, **__: object) -> None:
        """Show a warning, or let it wait. The arguments are those of `warnings.showwarning`."""
        if self._waiting is None:
            show_line(f"bayesgmm: warning: {message}")
        else:
            self._waiting.append(str(message))

    def show_waiting(self, printed: str = "") -> None:
        """Show those that wait, without those whose text was printed; later ones do not wait."""
        waiting, self._waiting = self._waiting or [], None
        words = " ".join(printed.split())
        for message in waiting:
            if " ".join(message.split()) not in words:
                show_line(f"bayesgmm: warning: {message}")
