"""Words that messages and displays share."""

from collections.abc import Iterable

# Bits of the largest whole number that a message shows in full.
_LONGEST_INTEGER = 256
_MOST_SDS = 1000  # standard deviations from which a distance is not written out


def count(n: int, noun: str) -> str:
    """Return the number with its noun, such as "1 row" or "3 rows"."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def in_sds(z: float, *, signed: bool = False, digits: int = 2) -> str:
    """Return a distance in standard deviations; beyond three digits "> 1000", or "< -1000" if it has a sign."""
    if abs(z) >= _MOST_SDS:
        return f"< -{_MOST_SDS}" if signed and z < 0 else f"> {_MOST_SDS}"
    return f"{z:+.{digits}f}" if signed else f"{z:.{digits}f}"


def shortened(text: str, longest: int = 200) -> str:
    """Return the text, without its middle if it has more than `longest` characters."""
    if len(text) <= longest:
        return text
    half = (longest - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"


def shown(value: object) -> str:
    """Return how a value looks in a message: its `repr`, shortened. Long whole numbers appear by their size alone."""
    if isinstance(value, int) and value.bit_length() > _LONGEST_INTEGER:
        return f"a whole number of {value.bit_length()} bits"
    try:
        return shortened(repr(value))
    except ValueError:  # Python refuses to write whole numbers of more than 4300 digits
        return f"a {type(value).__name__}"


def listed(names: Iterable[object], most: int = 8) -> str:
    """Return names in a list with commas, such as "a, b and 38 others" if there are more than `most`."""
    texts = [shortened(str(name), 60) for name in names]
    if len(texts) <= most + 1:
        return ", ".join(texts)
    return f"{', '.join(texts[:most])} and {len(texts) - most} others"
