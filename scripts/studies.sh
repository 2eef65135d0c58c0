#!/usr/bin/env bash
# Make every file under docs/results/ from the real films: the exact commands, in order.
#
#   FIRSTREAD_DATA=... FIRSTREAD_WEIGHTS=... scripts/studies.sh
#
# Hours on two cores, most of them the trainings. A step whose output exists is
# skipped, and a training that was stopped goes on where it was: run the script again after
# an interruption; delete an output to make it anew. Runs lie in RUNS (runs/, which git
# ignores). Only numbers go to docs/results/: no film, no picture of one, no machine's path.
set -euo pipefail
cd "$(dirname "$0")/.."

: "${FIRSTREAD_DATA:?names the folder of real films}"
: "${FIRSTREAD_WEIGHTS:?names the folder of pretrained weights}"
export FIRSTREAD_DATA FIRSTREAD_WEIGHTS
RUNS=${RUNS:-runs}
RESULTS=${RESULTS:-docs/results}
SEEDS="0 1 2"
SIZES="32 64 128 224"
films=$FIRSTREAD_DATA/chest_xray
table=$FIRSTREAD_DATA/chest_xray.csv  # the same films, with the size of each original
bin=.venv/bin

mkdir -p "$RUNS" "$RESULTS"
# step OUTPUT COMMAND...: run the command unless its output exists. Exit code 1 is
# firstread's "done, but some films failed": the output tells which.
step() {
    local output=$1
    shift
    if [ -e "$output" ]; then echo "there already: $output"; return; fi
    echo "+ $*"
    "$@" || [ $? -eq 1 ]
    [ -e "$output" ]
}

# 1. The model, three seeds. Validation: the last eighth of the patients of each series.
for seed in $SEEDS; do
    run=$RUNS/default-seed$seed
    step "$run/bundle/card.json" \
        $bin/firstread train default --seed "$seed" --data "$films" --out "$run"
done

# 2. The same validation films by the table, which also knows the originals' sizes: what they
#    alone give away stands beside the model. The split is the very one the runs made.
step "$RUNS/blocks.csv" $bin/firstread data split "$table" --by blocks --out "$RUNS/blocks.csv"
for seed in $SEEDS; do
    step "$RESULTS/blocks_seed$seed.json" \
        $bin/firstread evaluate "$RUNS/default-seed$seed" --data "$table" \
        --split "$RUNS/blocks.csv" --json "$RESULTS/blocks_seed$seed.json"
done
step "$RESULTS/seeds.json" \
    $bin/python scripts/seeds.py $(printf "$RUNS/default-seed%s " $SEEDS) \
    --json "$RESULTS/seeds.json"

# 3. Another hospital, other ages: the first seed, within AP and PA views.
step "$RESULTS/nih.json" \
    $bin/firstread evaluate "$RUNS/default-seed0" --data "$FIRSTREAD_DATA/nih_adult.csv" \
    --by view --json "$RESULTS/nih.json"

# 4. The same film as another file: original and copy, stretched, cropped, stored again.
step "$RESULTS/consistency.json" \
    $bin/python benchmarks/consistency.py --run "$RUNS/default-seed0" \
    --json "$RESULTS/consistency.json"

# 5. What is a larger input worth? The small CNN at four sizes, four epochs each, each decoding
#    all its films (an empty cache of its own), so that its training time holds that too.
for size in $SIZES; do
    run=$RUNS/cnn-$size
    if [ ! -e "$run/bundle/card.json" ]; then
        cache=$(mktemp -d)
        FIRSTREAD_CACHE=$cache step "$run/bundle/card.json" \
            $bin/firstread train cnn --size "$size" --epochs 4 --data "$films" --out "$run"
        rm -rf "$cache"
    fi
done
step "$RESULTS/sizes.json" \
    $bin/firstread compare $(printf "$RUNS/cnn-%s " $SIZES) \
    --json "$RESULTS/sizes.json" --html "$RUNS/sizes.html"

# Nothing that was made may name a place on this machine.
if grep -rnF -e "$FIRSTREAD_DATA" -e "$FIRSTREAD_WEIGHTS" -e "$PWD" "$RESULTS"; then
    echo "studies: a result names a path of this machine; do not commit it" >&2
    exit 1
fi
