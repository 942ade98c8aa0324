"""Run the fuzzer and print what came of it: `make fuzz ARGS="--cases 10000 --seed 1"`."""

import argparse
import os
import sys
import time
from collections import Counter

import matplotlib

matplotlib.use("Agg")

from fuzz.doors import DOORS
from fuzz.runner import fuzz


def main():
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=int(os.environ.get("FUZZ_CASES", "10000")))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--doors", nargs="*", default=[], help="parts of the names of the doors to run")
    parser.add_argument("--reasons", action="store_true", help="print the commonest reasons of refusals")
    options = parser.parse_args()
    total = sum(entry.share for entry in DOORS.values())
    chosen = [e for e in DOORS.values() if not options.doors or any(part in e.name for part in options.doors)]
    tallies = {}
    for entry in chosen:
        begun = time.process_time()
        tallies[entry.name] = tally = fuzz(entry, max(1, round(options.cases * entry.share / total)), options.seed)
        print_line(entry.name, tally, time.process_time() - begun)
        for reason, n in tally.reasons.most_common(9) if options.reasons else ():
            print(f"  {n} x {reason}")
        for failure in tally.failures.values():
            print(f"  FAILURE, {failure.n_cases} cases; the smallest: {failure.report()}", flush=True)
    outcomes = sum((tally.outcomes for tally in tallies.values()), Counter())
    failures = [failure for tally in tallies.values() for failure in tally.failures.values()]
    n_failed = sum(failure.n_cases for failure in failures)
    print(f"{outcomes.total() + n_failed} cases: {dict(outcomes)}; {len(failures)} failures in {n_failed} cases")
    return int(bool(failures))


def print_line(name, tally, seconds):
    outcomes = ", ".join(f"{kind} {n}" for kind, n in sorted(tally.outcomes.items()))
    print(f"{name}: {tally.n_cases} cases, {seconds:.0f} s; {outcomes}; failures {len(tally.failures)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
