"""Fields of frozen dataclasses, set once while the value is made."""

import numpy as np


def freeze(instance: object, **values: object) -> None:
    """Set fields of a frozen dataclass in its `__post_init__`; an array is stored as a read-only view."""
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            value = value.view()
            value.flags.writeable = False
        object.__setattr__(instance, name, value)
