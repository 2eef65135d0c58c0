#!/usr/bin/env bash
# Put torch into .venv, the CPU build where no GPU is seen and such a build can be had.
#
# PyPI's torch for Linux brings several gigabytes of CUDA along, of no use without a GPU.
# Three ways, each tried when the one before fails:
#   1. a wheel that lies where pip is configured to look (find-links): no network at all;
#   2. uv, which knows where the CPU builds are kept;
#   3. plain pip, which takes whatever build it finds. It works everywhere, but may be large.
set -euo pipefail
cd "$(dirname "$0")/.."

python=.venv/bin/python
version=$(sed -n 's/^torch==//p' constraints.txt)
pip() { .venv/bin/pip --disable-pip-version-check "$@"; }
# Not every system has `timeout` (macOS); there the way with a limit is not taken.
limited() { local seconds=$1; shift; timeout "$seconds" "$@"; }

# Another version would be replaced by whatever build plain pip finds.
"$python" -c "import sys, torch; sys.exit(torch.__version__.split('+')[0] != '$version')" \
    2>/dev/null && exit 0

gpu() { command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; }
if [ "$(uname -s)" = Linux ] && ! gpu; then
    echo "setup: no GPU seen; looking for a CPU build of torch $version"
    if pip install --quiet --no-index --no-deps "torch==$version" 2>/dev/null; then exit 0; fi
    if pip install --quiet --constraint constraints.txt uv &&
        limited 900 .venv/bin/uv pip install --quiet --python "$python" --no-deps \
            --torch-backend cpu "torch==$version" 2>/dev/null; then
        exit 0
    fi
    echo "setup: no CPU build to be had; taking the usual one (several gigabytes)"
fi
pip install --quiet --constraint constraints.txt torch
