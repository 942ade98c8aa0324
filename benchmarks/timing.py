"""Timing two things in turn, and the machine they ran on."""

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def in_turn(actions: dict[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Each action measures and returns seconds; A B C, A B C, ..., so that a drifting machine drifts for all."""
    measured: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(repeats):
        for name, action in actions.items():
            measured[name].append(action())
    return measured


def ratio(mine: list[float], theirs: list[float]) -> float:
    """Median over the turns of theirs / mine: how many times as fast mine is."""
    return float(np.median(np.array(theirs) / np.array(mine)))


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
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    rate = matrix_product_rate()
    return f"{model}, {cores} cores, Python {platform.python_version()}, matrix product {rate:.0f} Gflop/s"
