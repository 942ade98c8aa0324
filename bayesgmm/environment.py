"""Settings of the process under which libraries that this package needs cannot be imported or used."""

import os
import sys

from bayesgmm.errors import InputError


def check_docstrings() -> None:
    """Raise InputError where Python removes docstrings, which ArviZ reads when it computes."""
    if sys.flags.optimize > 1:
        raise InputError(
            "Python runs with -OO or PYTHONOPTIMIZE=2, which removes docstrings, and ArviZ cannot compute without "
            "them. Use -O or PYTHONOPTIMIZE=1, or neither."
        )


def backend_error(error: ValueError) -> InputError:
    """The refusal of a Matplotlib back end that does not exist, for an error of importing Matplotlib."""
    return InputError(
        f"Matplotlib cannot be imported with MPLBACKEND={os.environ.get('MPLBACKEND', '')[:100]!r}: "
        f"{str(error)[:100]} ... Set MPLBACKEND=agg, or unset it."
    )
