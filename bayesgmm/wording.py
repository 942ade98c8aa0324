"""Words that messages and displays share."""


def count(n: int, noun: str) -> str:
    """Return the number with its noun, such as "1 row" or "3 rows"."""
    return f"{n} {noun}{'' if n == 1 else 's'}"
