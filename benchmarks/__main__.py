"""`python -m benchmarks [em|posterior]`: print the tables, the machine first."""

import sys

from benchmarks import em, posterior
from benchmarks.timing import machine

PARTS = {"em": (em.iteration_table, em.whole_call_table, em.memory_table), "posterior": (posterior.table,)}


def main(names: list[str]) -> None:
    print(machine(), "\n", flush=True)
    for name in names or PARTS:
        for part in PARTS[name]:
            part()
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
