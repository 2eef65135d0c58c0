#!/usr/bin/env bash
# Make .venv ready: `setup.sh base` to read films, `setup.sh test` to train and test too.
#
# A stamp inside .venv remembers for which pyproject.toml, constraints.txt and place the
# install was made, so that a second call is instant and a stale one installs again.
# PYTHON=... picks the interpreter of a new .venv.
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:-base}
case $kind in
    base) what=. call="make demo" ;;
    test) what='.[train,clinic,fast,scale,dev]' call="make test" ;;
    *) echo "setup: base or test, not '$kind'" >&2; exit 2 ;;
esac
trap 'echo "setup: interrupted; the same command goes on" >&2; exit 130' INT

# What a shell has set for other work: modules that go before those of .venv, and places of pip's
# that are not .venv.
unset PYTHONHOME PYTHONPATH PYTHONWARNINGS PIP_PREFIX PIP_ROOT PIP_TARGET
export PIP_USER=0

stamp=.venv/firstread-setup
want="$PWD $(cat pyproject.toml constraints.txt scripts/setup.sh scripts/install_torch.sh | cksum)"
made() { [ "$(cat "$stamp-$1" 2>/dev/null)" = "$want" ]; }
# The stamp stays where the Python below .venv or the package was taken away since, or where pip
# put a copy of the package in the place of this checkout.
works() {
    .venv/bin/firstread --version && .venv/bin/python -c 'import os, firstread
os.path.samefile(os.path.dirname(firstread.__file__), "src/firstread") or exit(1)'
} >/dev/null 2>&1
# What the tests need holds all that the reader needs.
if { made "$kind" || made test; } && works; then exit 0; fi

# Runs, is of a version we support, and can make environments (Debian splits that off).
usable() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
        >/dev/null 2>&1
}
find_python() {
    local name
    if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3 python3.12 python3.11 python3.13 python; fi
    for name in "$@"; do
        if usable "$name"; then echo "$name"; return; fi
    done
    if [ -n "${PYTHON:-}" ]; then
        echo "setup: PYTHON=$PYTHON is no Python 3.11 to 3.13 with the venv module" >&2
    else
        echo "setup: no Python 3.11, 3.12 or 3.13 with the venv module found;" \
            "install one (Debian, Ubuntu: python3 and python3-venv) or name it: $call PYTHON=/path/to/python3.12" >&2
    fi
    return 1
}

python=.venv/bin/python
# An environment that was left half made has a pip that does not start; one that was moved or copied
# along with its checkout has one that names another place, and would install there.
if ! { usable $python && grep -qF "$(pwd -P)/.venv/" .venv/bin/pip && .venv/bin/pip --version; } \
    >/dev/null 2>&1; then
    base=$(find_python)
    echo "setup: making .venv with $("$base" --version)"
    if ! said=$("$base" -m venv --clear .venv 2>&1); then
        echo "setup: .venv cannot be made: ${said##*$'\n'}" >&2
        exit 1
    fi
fi
rm -f "$stamp-base" "$stamp-test"

failed() {
    echo "setup: firstread is not installed; why stands above (often there is no network, or the disk" \
        "is full). Mend that and give the same command again" >&2
    exit 1
}
pip() { .venv/bin/pip --disable-pip-version-check "$@"; }
if [ "$kind" = test ]; then scripts/install_torch.sh || failed; fi
echo "setup: installing firstread and what it needs (once; a minute or a few)"
pip install --quiet --constraint constraints.txt --editable "$what" && works || failed
echo "$want" >"$stamp-$kind"
