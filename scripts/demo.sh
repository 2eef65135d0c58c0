#!/usr/bin/env bash
# Read the sample films with the model that comes with the package and write a report.
# The films are drawn by a generator and show no real child; see src/firstread/samples.
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONHOME PYTHONPATH  # what a shell has set for other work goes before .venv

mkdir -p demo-out
.venv/bin/firstread read src/firstread/samples \
    --json demo-out/opinions.json --csv demo-out/opinions.csv --html demo-out/report.html
echo
echo "Report with heat maps, for a browser: $PWD/demo-out/report.html"
