"""`python -m benchmarks [PART ...]`: the machine, then the tables of the parts named, or of all."""

import sys

from benchmarks.analyze import analyze_table
from benchmarks.answer import answer_table
from benchmarks.em import iteration_table, memory_table, scoring_table, whole_call_table
from benchmarks.errors import errors_table
from benchmarks.gradient import gradient_table
from benchmarks.labels import labels_table, methods_table, relabelling_table
from benchmarks.optimum import optimum_table
from benchmarks.posterior import posterior_table
from benchmarks.samplers import samplers_table
from benchmarks.scale import scale_table
from benchmarks.timing import machine

PARTS = {
    "em": (iteration_table, scoring_table, whole_call_table, memory_table),
    "optimum": (optimum_table,),
    "errors": (errors_table,),
    "answer": (answer_table,),
    "analyze": (analyze_table,),
    "gradient": (gradient_table,),
    "labels": (labels_table, relabelling_table, methods_table),
    "samplers": (samplers_table,),
    "posterior": (posterior_table,),
    "scale": (scale_table,),
}


def main(names: list[str]) -> None:
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        sys.exit(f"There is no part {', '.join(unknown)}; the parts are {', '.join(PARTS)}.")
    print(machine(), "\n", flush=True)
    for name in names or PARTS:
        for table in PARTS[name]:
            table()
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
