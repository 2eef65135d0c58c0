#!/usr/bin/env bash
# Lint, formatting, types, tests: the first that fails ends the run with its exit code.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=.venv/bin
$bin/ruff check .
$bin/ruff format --check .
$bin/mypy
exec $bin/pytest "$@"
