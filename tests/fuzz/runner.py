"""Doors, that is public functions with strategies for their arguments, and the runs that count the outcomes."""

import re
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fuzz.properties import Refused, watched
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

# Seconds for making one failing example smaller.
SHRINKING = 20.0


@dataclass(frozen=True)
class Door:
    """A public function, or a relation between two of its answers.

    Attributes
    ----------
    name : of the function or relation.
    share : number of cases in every 10,000.
    cases : strategy of its arguments.
    run : run(case) returns if the answer is valid, raises Refused if the function refuses, and fails otherwise.
    """

    name: str
    share: int
    cases: SearchStrategy[Any]
    run: Callable[[Any], None]


DOORS: dict[str, Door] = {}


def door(name, share, cases):
    """Decorator that registers run(case) as a door."""

    def register(run):
        DOORS[name] = Door(name, share, cases, run)
        return run

    return register


def outcome_of(entry, case):
    """The kind of the outcome and the reason of a refusal, ("answer", "") if there is none.

    Raises whatever breaks the property.
    """
    with watched():
        try:
            entry.run(case)
        except Refused as refusal:
            return str(refusal), _without_numbers(str(refusal.__cause__))
    return "answer", ""


@dataclass
class Failure:
    """A way in which the property was broken, with the smallest case found."""

    case: object
    error: BaseException
    n_cases: int = 1

    def report(self):
        frames = [f"{f.filename}:{f.lineno}" for f in traceback.extract_tb(self.error.__traceback__)][-3:]
        text = str(self.error).strip()[:1500]
        return f"{self.case!r}\n    {type(self.error).__name__}: {text}\n    at {', '.join(frames)}"


@dataclass
class Tally:
    """The outcomes of a door's cases."""

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    failures: dict[tuple[object, ...], Failure] = field(default_factory=dict)

    @property
    def n_cases(self):
        return sum(self.outcomes.values()) + sum(failure.n_cases for failure in self.failures.values())


def fails(entry, n_cases, first_seed=1):
    """Whether any case of a door fails. The case is not made smaller."""
    tally = Tally()
    _round(entry, n_cases, first_seed, tally, (Phase.generate,))
    return bool(tally.failures)


def fuzz(entry, n_cases, first_seed=1):
    """Run a door; after a failure, go on with the other cases and only count that failure."""
    tally = Tally()
    for number in range(first_seed, first_seed + 50):
        remaining = n_cases - tally.n_cases
        if remaining <= 0:
            break
        _round(entry, remaining, number, tally, (Phase.generate, Phase.shrink))
    return tally


def _round(entry, n_cases, number, tally, phases):
    """Run until a failure that is not known yet, or to the end."""
    begun = 0.0
    smallest = None

    def one(case):
        nonlocal begun, smallest
        if begun and time.monotonic() - begun > SHRINKING and repr(case) != repr(smallest[0]):
            return
        try:
            outcome, reason = outcome_of(entry, case)
        except Exception as error:
            known = tally.failures.get(signature(error))
            if known is not None:
                known.n_cases += not begun
                return
            begun = begun or time.monotonic()
            smallest = (case, error)
            raise
        if not begun:
            tally.outcomes[outcome] += 1
            tally.reasons[reason] += 1

    options = settings(
        max_examples=n_cases,
        database=None,
        deadline=None,
        phases=phases,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    try:
        seed(number)(options(given(entry.cases)(one)))()
    except Exception:
        if smallest is None:
            raise
        tally.failures[signature(smallest[1])] = Failure(*smallest)


def signature(error):
    """What tells one failure from another: its type and place; of a failed check also its words without numbers."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [f for f in frames if "bayesgmm/" in f.filename and "/tests/" not in f.filename] or frames
    words = _without_numbers(str(error)) if isinstance(error, AssertionError) else ""
    return type(error).__name__, inside[-1].filename, inside[-1].lineno, words


def _without_numbers(text):
    return re.sub(r"-?\d[\d.]*(e[+-]?\d+)?", "#", text)[:60]
