"""Compiled code finds a writable folder when the usual folders are read-only, and one warning says so."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bayesgmm
from bayesgmm import compile_cache
from bayesgmm.compile_cache import COMPILED_FOLDERS

PACKAGE = Path(bayesgmm.__file__).parent
# Root may write everywhere, unless it gives its capabilities away.
WITHOUT_PRIVILEGES = [] if not hasattr(os, "geteuid") or os.geteuid() else ["setpriv", "--bounding-set=-all"]

COMPILED = [path for path in sorted(PACKAGE.rglob("*.py")) if "cache=True" in path.read_text()]

# Prints the two variables once a module with compiled code has been imported.
SETTINGS = (
    "import os; import bayesgmm; bayesgmm.fit_em; "
    "print(os.environ.get('NUMBA_CACHE_DIR', 'usual'), os.environ.get('PYTENSOR_FLAGS', 'usual'))"
)


def cannot_write_to(folder):
    code = f"open({str(folder / 'probe')!r}, 'w')"
    try:
        done = subprocess.run([*WITHOUT_PRIVILEGES, sys.executable, "-c", code], capture_output=True, text=True)
    except FileNotFoundError:
        return False
    return "PermissionError" in done.stderr


@pytest.fixture
def locked(tmp_path):
    """A home and a copy of the package that cannot be written to, and a temporary folder that can."""
    home, package, temporary = (tmp_path / name for name in ("home", "site/bayesgmm", "temporary"))
    home.mkdir(), temporary.mkdir()
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    folders = [home, package.parent, package, *(path for path in package.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o500)
    if not cannot_write_to(home):
        pytest.skip("privileges cannot be dropped here")
    yield tmp_path
    for folder in folders:
        folder.chmod(0o700)


def run(locked, code, **environment):
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "SYSTEMROOT")}
    usual = {
        "HOME": locked / "home",
        "PYTHONPATH": locked / "site",
        "TMPDIR": locked / "temporary",
        "MPLBACKEND": "Agg",
    }
    return subprocess.run(
        [*WITHOUT_PRIVILEGES, sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=locked / "temporary",
        env=kept | {name: str(value) for name, value in (usual | environment).items() if value is not None},
    )


def test_without_a_folder_for_binaries_a_temporary_one_is_used_and_named_once(locked):
    done = run(locked, "import bayesgmm as bg; bg.fit_em; bg.point_partition; import pytensor; print('imported')")
    assert done.stdout == "imported\n", done.stderr
    folder = locked / "temporary" / f"bayesgmm-cache-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert done.stderr.count("BayesgmmWarning") == 1
    assert str(folder) in done.stderr
    assert "set HOME, or NUMBA_CACHE_DIR" in done.stderr


def test_a_temporary_folder_that_others_may_write_to_is_not_used(locked):
    taken = locked / "temporary" / f"bayesgmm-cache-{os.getuid()}"
    taken.mkdir()
    taken.chmod(0o777)
    done = run(locked, SETTINGS)
    used = Path(done.stdout.split()[0])
    assert used.parent == taken.parent
    assert used != taken
    assert used.stat().st_mode & 0o777 == 0o700


def test_folders_that_were_named_are_left_as_they_are(locked):
    folder = locked / "temporary" / "mine"
    done = run(locked, SETTINGS, NUMBA_CACHE_DIR=folder, PYTENSOR_FLAGS=f"base_compiledir={folder}")
    assert (done.stdout, done.stderr) == (f"{folder} base_compiledir={folder}\n", "")


def test_other_flags_of_pytensor_are_kept(locked):
    done = run(locked, SETTINGS, PYTENSOR_FLAGS="floatX=float32")
    folder = locked / "temporary" / f"bayesgmm-cache-{os.getuid()}"
    assert done.stdout == f"{folder} floatX=float32,base_compiledir={folder}\n"


def test_a_writable_home_is_enough(locked):
    (locked / "home").chmod(0o700)
    done = run(locked, SETTINGS)
    assert (done.stdout, done.stderr) == ("usual usual\n", "")


def test_a_home_that_is_not_there_counts_as_none(locked):
    done = run(locked, SETTINGS, HOME=locked / "home" / "nowhere")
    assert str(locked / "temporary") in done.stdout


def test_numba_that_was_imported_before_is_told_too(locked):
    done = run(locked, "import numba; import bayesgmm as bg; bg.MixtureParameters; print('imported')")
    assert done.stdout == "imported\n", done.stderr


def test_importing_the_package_alone_changes_no_setting(locked):
    done = run(locked, SETTINGS.replace("bayesgmm.fit_em; ", ""))
    assert (done.stdout, done.stderr) == ("usual usual\n", "")


def test_the_warning_names_the_line_that_needed_compiled_code(locked):
    script = locked / "temporary" / "script.py"
    script.write_text("import bayesgmm as bg\n\nbg.fit_em([1.0, 2.0, 4.0], 1)\n")
    done = run(locked, f"import runpy; runpy.run_path({str(script)!r})")
    assert f"{script}:3: BayesgmmWarning" in done.stderr


def test_the_list_of_compiled_folders_is_that_of_the_source():
    assert set(COMPILED_FOLDERS) == {path.parent.relative_to(PACKAGE).as_posix() for path in COMPILED}


@pytest.mark.parametrize("path", COMPILED, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_every_module_with_compiled_code_can_be_the_first_import(locked, path):
    name = ".".join(["bayesgmm", *path.relative_to(PACKAGE).with_suffix("").parts])
    done = run(locked, f"import {name}; print('imported')")
    assert done.stdout == "imported\n", done.stderr
    assert done.stderr.count("BayesgmmWarning") == 1


@pytest.mark.slow
def test_a_first_analysis_without_folders_to_write_to_ends_with_a_verdict(locked):
    code = (
        "import bayesgmm as bg; X = bg.datasets.load_faithful(); "
        "analysis = bg.analyze(X, 2, n_init=3, draws=50, rng=1); print(analysis.comparison.verdict); "
        "bg.sample_model(bg.build_model(X, 1), draws=10, tune=10, chains=1, rng=1)"
    )
    done = run(locked, code)
    assert done.stdout == "not comparable\n", done.stderr
    assert done.stderr.count("BayesgmmWarning") == 1


def test_a_folder_for_binaries_holds_compiled_code_or_does_not(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert not compile_cache.has_compiled_code()
    code = "import bayesgmm as bg; bg.fit_em([0.0, 1.0, 3.0, 4.0], 1, rng=1)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
    assert compile_cache.has_compiled_code()
