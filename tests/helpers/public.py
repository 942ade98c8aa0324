"""The public names: those of `bayesgmm` itself, and those of its namespaces."""

from inspect import ismodule

import bayesgmm as bg

NAMESPACES = ("datasets", "errors", "plots", "priors", "results")


def public_names():
    """Every public function and class, as it is written after `bg.`."""
    own = [name for name in bg.__all__ if name != "__version__" and not ismodule(getattr(bg, name))]
    return own + [f"{namespace}.{name}" for namespace in NAMESPACES for name in getattr(bg, namespace).__all__]


def resolve(name):
    """The function or class of a public name."""
    value = bg
    for part in name.split("."):
        value = getattr(value, part)
    return value
