"""Child processes of the tests of faults."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Seconds until a child is taken for hung; a first call may have to compile.
PATIENCE = 900


def environment(**changes):
    """The environment of a child; None removes a variable."""
    values = os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"} | changes
    return {name: str(value) for name, value in values.items() if value is not None}


def start(code, *arguments, **changes):
    """A child that runs Python code, with its output in pipes."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**changes),
    )


def run(code, *arguments, **changes):
    """Run Python code to its end; returns its standard output and error. Fails if the child does."""
    child = start(code, *arguments, **changes)
    try:
        out, err = child.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        raise
    assert child.returncode == 0, f"exit code {child.returncode}: {err[-3000:]}"
    return out, err
