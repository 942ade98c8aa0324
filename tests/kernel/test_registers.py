"""The kernel compiled for processors with narrower registers: its tests, run in a process that is told so."""

import os
import subprocess
import sys

import pytest
from helpers.paths import ROOT
from llvmlite.binding import get_host_cpu_features

KERNEL_TESTS = "tests/kernel/test_kernel.py"
NARROW = {"NUMBA_CPU_NAME": "generic"}
WIDER = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma"}


def python_process(arguments, folder, settings):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder)} | settings
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900
    )


@pytest.mark.parametrize(("settings", "lanes"), [(NARROW, 2), (WIDER, 4)], ids=["two", "four"])
def test_the_kernel_is_right_with_narrower_registers(tmp_path, settings, lanes):
    features = get_host_cpu_features()
    if lanes == 4 and not all(features.get(name) for name in ("avx", "avx2", "fma")):
        pytest.skip("this processor has no registers of four doubles")
    reported = python_process(["-c", "from bayesgmm.kernel import simd; print(simd.LANES)"], tmp_path, settings)
    assert (reported.stdout, reported.stderr) == (f"{lanes}\n", "")
    tests = python_process(["-m", "pytest", "-q", "-p", "no:cacheprovider", KERNEL_TESTS], tmp_path, settings)
    assert tests.returncode == 0, tests.stdout[-4000:]
