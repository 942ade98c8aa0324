"""Timing things in turn, new processes, and the machine they ran on."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

N_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def in_turn(actions: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, list[Any]]:
    """What each action measured and returned; A B C, A B C, ..., so that a drifting machine drifts for all."""
    measured: dict[str, list[Any]] = {name: [] for name in actions}
    for _ in range(repeats):
        for name, action in actions.items():
            measured[name].append(action())
    return measured


def ratio(mine: list[float], theirs: list[float]) -> float:
    """Median over the turns of theirs / mine: how many times as fast mine is."""
    return float(np.median(np.array(theirs) / np.array(mine)))


def child(module: str, *arguments: object, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run benchmarks.children.`module` in a new Python; the last line that it prints is its result, as JSON."""
    command = [sys.executable, "-m", f"benchmarks.children.{module}", *map(str, arguments)]
    done = subprocess.run(command, env=os.environ | (environment or {}), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:])} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def matrix_product_rate() -> float:
    """Gflop/s of a 1500 x 1500 product on all cores, median of five."""
    A = np.random.default_rng(0).normal(size=(1500, 1500))
    A @ A
    return 2 * 1500**3 / float(np.median([seconds(lambda: A @ A) for _ in range(5)])) / 1e9


def machine() -> str:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    rate = matrix_product_rate()
    return f"{model}, {N_CORES} cores, Python {platform.python_version()}, matrix product {rate:.0f} Gflop/s"
