#!/bin/sh
# find-python.sh OLDEST NEWEST [PYTHON]: print the path of the first interpreter from 3.OLDEST to 3.NEWEST that runs and
# can make an environment. Candidates are PYTHON alone if it is given; otherwise python3, python3.NEWEST to
# python3.OLDEST, and the versions of pyenv. Each candidate is run, because a name on the PATH may be a stub that fails.
set -u
oldest=$1 newest=$2

# Fails with the reason if the interpreter does not fit.
probe='
import sys

oldest, newest = int(sys.argv[1]), int(sys.argv[2])
version = sys.version_info[:3]
if not (3, oldest) <= version[:2] <= (3, newest):
    sys.exit("is Python %d.%d.%d" % version)
try:
    import ensurepip, venv
except ImportError:
    hint = "on Debian and Ubuntu: apt install python%d.%d-venv" % version[:2]
    sys.exit("is Python %d.%d.%d without venv and ensurepip (%s)" % (version + (hint,)))
print(sys.executable)
'

minors() { # NEWEST to OLDEST
    minor=$newest
    while [ "$minor" -ge "$oldest" ]; do
        echo "$minor"
        minor=$((minor - 1))
    done
}

if [ -n "${3:-}" ]; then
    set -- "$3"
else
    set -- python3
    for minor in $(minors); do
        set -- "$@" "python3.$minor"
    done
    if pyenv_root=$(pyenv root 2>/dev/null); then
        for minor in $(minors); do
            for path in "$pyenv_root"/versions/3."$minor"*/bin/python3; do
                [ -x "$path" ] && set -- "$@" "$path"
            done
        done
    fi
fi

report=
for python in "$@"; do
    if ! command -v "$python" >/dev/null 2>&1; then
        reason="not found"
    elif output=$("$python" -c "$probe" "$oldest" "$newest" 2>&1); then
        printf '%s\n' "$output" | tail -n 1
        exit 0
    else
        reason=$(printf '%s\n' "${output:-does not run}" | head -n 1)
    fi
    report="$report
  $python: $reason"
done

if [ "$oldest" -eq "$newest" ]; then wanted=3.$newest; else wanted="3.$oldest to 3.$newest"; fi
cat >&2 <<END

This needs Python $wanted with its venv module, and none was found:
$report

Install one: from your system's packages (Debian and Ubuntu: python3.N and python3.N-venv), with Homebrew
(python@3.N) or pyenv (pyenv install 3.N). Or name one that you have: make PYTHON=/path/to/python3.N ...

END
exit 1
