#!/usr/bin/env bash
# Lint, formatting, types, tests: the first that fails ends the run with its exit code.
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONHOME PYTHONPATH  # what a shell has set for other work goes before .venv

bin=.venv/bin
$bin/ruff check .
$bin/ruff format --check .
$bin/mypy
exec $bin/pytest "$@"
