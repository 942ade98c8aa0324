"""Records of how a result was made, as values for JSON: the seed, the rows, a file, the time, the command, versions."""

import hashlib
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bayesgmm.errors import InputError
from bayesgmm.types import RowArray
from bayesgmm.version import __version__


def seed_record(generator: np.random.Generator) -> object:
    """The seed from which the generator's children are made again: a number if `rng` was one, or else its parts."""
    sequence, name = generator.bit_generator.seed_seq, type(generator.bit_generator).__name__
    entropy = getattr(sequence, "entropy", None)
    entropy = entropy if entropy is None or isinstance(entropy, int) else [int(word) for word in entropy]
    spawn_key = [int(word) for word in getattr(sequence, "spawn_key", ())]
    n_spawned = int(getattr(sequence, "n_children_spawned", 0))
    if name == "PCG64" and isinstance(entropy, int) and not spawn_key and not n_spawned:
        return entropy
    return {"bit_generator": name, "entropy": entropy, "spawn_key": spawn_key, "n_children_spawned": n_spawned}


def rows_record(values: RowArray) -> dict[str, object]:
    """Number, type and hash of the rows (N, D)."""
    content = np.ascontiguousarray(values)
    digest = hashlib.sha256(content.data if content.size else b"").hexdigest()
    return {"n_rows": len(content), "dtype": str(content.dtype), "sha256": digest}


def file_record(path: Path) -> dict[str, object]:
    """Place, size and hash of the file that rows were read from.

    Raises InputError, which names the argument `source`, if the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"file": str(path.resolve()), "bytes": path.stat().st_size, "sha256": digest}
    except OSError as error:
        raise InputError(f"source: {path} cannot be read: {error.strerror or error}. Leave source out.") from error


def process_record() -> dict[str, object]:
    """The time, the command that runs, and the versions."""
    return {
        "date": now(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "versions": {"bayesgmm": __version__, "python": platform.python_version(), "numpy": np.__version__},
    }


def now() -> str:
    """Date and time in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
