"""All doors: importing the modules below registers theirs."""

from fuzz import em_doors, file_doors, mixture_doors, posterior_doors, relations
from fuzz.runner import DOORS

__all__ = ["DOORS", "em_doors", "file_doors", "mixture_doors", "posterior_doors", "relations"]
