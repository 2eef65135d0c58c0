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
SIZES="32 64 128 224"
films=$FIRSTREAD_DATA/chest_xray
table=$FIRSTREAD_DATA/chest_xray.csv  # the same films, with the size of each original
hospital=$FIRSTREAD_DATA/nih_adult.csv  # films of another hospital
bin=.venv/bin

mkdir -p "$RUNS" "$RESULTS/trials" "$RESULTS/candidates"
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

# 1. The splits: blocks, series against series, and the halves of the other hospital's patients,
#    of which `val` chooses and `train` reports.
step "$RUNS/blocks.csv" $bin/firstread data split "$table" --by blocks --out "$RUNS/blocks.csv"
step "$RUNS/series.csv" $bin/firstread data split "$table" --by series --out "$RUNS/series.csv"
step "$RUNS/hospital.csv" $bin/firstread data split "$hospital" --by patient --fraction 0.5 \
    --out "$RUNS/hospital.csv"

# 2. Trials of recipes, small, on series against series.
for recipe in studies/trials/*.toml; do
    name=$(basename "$recipe" .toml)
    step "$RUNS/trials/$name/bundle/card.json" \
        $bin/firstread train "$recipe" --data "$table" --split "$RUNS/series.csv" \
        --out "$RUNS/trials/$name"
    step "$RESULTS/trials/$name.json" \
        $bin/python scripts/trials.py "$name" "$RUNS/trials/$name" --table "$table" \
        --hospital "$hospital" --choose "$RUNS/hospital.csv" --json "$RESULTS/trials/$name.json"
done

#    And `full-6` once more: without the films whose labels networks doubt that never saw them, and
#    from weights that were warmed up on the films without their labels.
step "$RESULTS/doubtful.json" \
    $bin/python scripts/doubtful_labels.py studies/trials/light.toml --table "$table" \
    --split "$RUNS/series.csv" --runs "$RUNS/doubt" --out "$RUNS/series-cleaned.csv" \
    --json "$RESULTS/doubtful.json"
step "$RUNS/warm.safetensors" \
    $bin/python scripts/self_supervised.py studies/trials/full-6.toml --table "$table" \
    --split "$RUNS/series.csv" --out "$RUNS/warm.safetensors"
once_more() {  # NAME SPLIT [OPTION...]
    local name=$1 split=$2
    shift 2
    step "$RUNS/$name/bundle/card.json" \
        $bin/firstread train studies/trials/full-6.toml --seed 0 "$@" --data "$table" \
        --split "$split" --out "$RUNS/$name"
    step "$RESULTS/trials/$name.json" \
        $bin/python scripts/trials.py "$name" "$RUNS/$name" --table "$table" \
        --hospital "$hospital" --choose "$RUNS/hospital.csv" --json "$RESULTS/trials/$name.json"
}
once_more full-cleaned "$RUNS/series-cleaned.csv"
once_more full-warm "$RUNS/series.csv" --weights "$RUNS/warm.safetensors"

# 3. Candidates at full size. Validation: the last eighth of the patients of each series, the very
#    split that the runs make themselves. Those named settle-* are second steps. `default-7`, but for
#    the sizes that are read, and `settle-10` are the recipes `default` and `settle`, as those with 5,
#    6, 7 and 9 were of earlier versions; trials stand on all of them.
candidate() {  # NAME RECIPE [OPTION...]
    local name=$1 recipe=$2
    shift 2
    step "$RUNS/$name/bundle/card.json" \
        $bin/firstread train "$recipe" "$@" --data "$films" --out "$RUNS/$name"
    step "$RESULTS/candidates/$name.json" \
        $bin/python scripts/trials.py "$name" "$RUNS/$name" --table "$table" \
        --split "$RUNS/blocks.csv" --hospital "$hospital" --choose "$RUNS/hospital.csv" \
        --json "$RESULTS/candidates/$name.json"
}
for name in swap swap-focus standardise taught grain grain-rare grain-no-noise sharpness; do
    candidate $name studies/full/$name.toml --seed 0
done
candidate default-5 studies/default-5.toml --seed 0
candidate settle-5 studies/settle-5.toml --seed 0 --start "$RUNS/default-5"
for name in settle-focus settle-long settle-long-swap; do
    candidate $name studies/full/$name.toml --seed 0 --start "$RUNS/default-5"
done
candidate settle-standardise studies/full/settle-standardise.toml --seed 0 \
    --start "$RUNS/standardise"
candidate default-5-seed1 studies/default-5.toml --seed 1
candidate settle-5-seed1 studies/settle-5.toml --seed 1 --start "$RUNS/default-5-seed1"
candidate settle-hide studies/full/settle-hide.toml --seed 1 --start "$RUNS/default-5-seed1"
candidate settle-grain studies/full/settle-grain.toml --seed 0 --start "$RUNS/grain"
candidate default-6 studies/default-6.toml --seed 0
candidate settle-6 studies/settle-6.toml --seed 0 --start "$RUNS/default-6"
candidate settle-6-focus studies/full/settle-6-focus.toml --seed 0 --start "$RUNS/default-6"
candidate default-7 studies/default-7.toml --seed 0
candidate settle-7 studies/settle-7.toml --seed 0 --start "$RUNS/default-7"
for name in settle-9 settle-10; do
    candidate $name studies/$name.toml --seed 0 --start "$RUNS/default-7"
done
candidate settle-7-plain studies/settle-6.toml --seed 0 --start "$RUNS/default-7"
candidate settle-sharpness studies/settle-7.toml --seed 0 --start "$RUNS/sharpness"

#    The twins, which never saw one of the series: how far a film of another batch moves a network.
#    Thresholds and calibration of the shipped bundle are chosen by its twin too.
twin() {  # NAME RECIPE START
    step "$RUNS/$1/bundle/card.json" \
        $bin/firstread train "$2" --seed 0 --start "$3" --data "$table" \
        --split "$RUNS/series.csv" --out "$RUNS/$1"
    step "$RESULTS/trials/$1.json" \
        $bin/python scripts/trials.py "$1" "$RUNS/$1" --table "$table" --hospital "$hospital" \
        --choose "$RUNS/hospital.csv" --json "$RESULTS/trials/$1.json"
}
twin twin-5 studies/settle-5.toml "$RUNS/trials/full-default"
twin twin-standardise studies/full/settle-standardise.toml "$RUNS/trials/full-standardise"
twin twin-grain studies/full/settle-grain.toml "$RUNS/trials/full-grain-low"
twin twin-grain-no-swap studies/full/settle-grain-no-swap.toml "$RUNS/trials/full-grain-low"
twin twin-grain-no-noise studies/full/settle-grain-no-noise.toml "$RUNS/trials/full-no-noise"
for name in hide jpeg noise; do
    twin twin-6-$name studies/full/settle-6-$name.toml "$RUNS/trials/full-no-noise"
done
twin twin-6-focus studies/full/settle-6-focus.toml "$RUNS/trials/full-6"
twin twin-6 studies/settle-6.toml "$RUNS/trials/full-6"
twin twin-7 studies/settle-7.toml "$RUNS/trials/full-7"
twin twin-9 studies/settle-9.toml "$RUNS/trials/full-7"
#    `full-7` once more: a training of another day differs by more than a recipe does.
step "$RUNS/full-7-anew/bundle/card.json" \
    $bin/firstread train studies/trials/full-7.toml --seed 0 --data "$table" \
    --split "$RUNS/series.csv" --out "$RUNS/full-7-anew"
twin twin-9-anew studies/settle-9.toml "$RUNS/full-7-anew"
twin twin-10 studies/settle-10.toml "$RUNS/full-7-anew"
twin twin-sharpness studies/settle-7.toml "$RUNS/trials/full-sharpness"
for name in swap hide; do
    twin twin-sharpness-$name studies/full/settle-7-$name.toml "$RUNS/trials/full-sharpness"
done
twin twin-7-plain studies/settle-6.toml "$RUNS/trials/full-7"
for name in slow slow-focus; do
    twin twin-7-$name studies/full/settle-7-$name.toml "$RUNS/trials/full-7"
done
step "$RUNS/shipped/card.json" \
    $bin/firstread export "$RUNS/settle-10" --twin "$RUNS/twin-10" --data "$films" \
    --name firstread-default-10 --out "$RUNS/shipped"
$bin/python scripts/trial_table.py

# 4. How much a seed matters: five of both steps of what ships, each looked at as what ships is.
seeds() {  # WORDS: each with the five seeds behind it
    printf "$1-seed%s$2 " 0 1 2 3 4
}
for seed in 0 1 2 3 4; do
    first=$RUNS/default-10-seed$seed run=$RUNS/settle-10-seed$seed
    step "$first/bundle/card.json" \
        $bin/firstread train studies/default-10.toml --seed "$seed" --data "$films" --no-gate \
        --out "$first"
    step "$run/bundle/card.json" \
        $bin/firstread train studies/settle-10.toml --seed "$seed" --start "$first" \
        --data "$films" --no-gate --out "$run"
    step "$run/blocks.json" \
        $bin/firstread evaluate "$run" --data "$table" --split "$RUNS/blocks.csv" --corruptions \
        --occlude box --occlude silhouette --heat-energy --json "$run/blocks.json"
    step "$run/nih.json" \
        $bin/firstread evaluate "$run" --data "$hospital" --split "$RUNS/hospital.csv" \
        --part train --by view --json "$run/nih.json"
done
step "$RESULTS/seeds.json" \
    $bin/python scripts/seeds.py $(seeds "$RUNS/default-10") --json "$RESULTS/seeds.json"
step "$RESULTS/seeds_settled.json" \
    $bin/python scripts/seeds.py $(seeds "$RUNS/settle-10") \
    --studies $(seeds "$RUNS/settle-10" /blocks.json) $(seeds "$RUNS/settle-10" /nih.json) \
    --json "$RESULTS/seeds_settled.json"

#    And what can be had without anybody's weights, at 28 px and at 224.
for recipe in scratch resnet10; do
    step "$RUNS/$recipe/bundle/card.json" \
        $bin/firstread train $recipe --seed 0 --data "$table" --split "$RUNS/blocks.csv" \
        --out "$RUNS/$recipe"
    step "$RESULTS/$recipe.json" \
        $bin/firstread evaluate "$RUNS/$recipe" --data "$table" --split "$RUNS/blocks.csv" \
        --json "$RESULTS/$recipe.json"
done

# 5. The shipped bundle. On the blocks, whose table also knows the originals' sizes: what they
#    alone give away stands beside the model. On the reporting half of the other hospital.
step "$RESULTS/blocks.json" \
    $bin/firstread evaluate shipped --data "$table" --split "$RUNS/blocks.csv" --corruptions \
    --occlude box --occlude silhouette --heat-energy --map-curves \
    --json "$RESULTS/blocks.json"
step "$RESULTS/nih.json" \
    $bin/firstread evaluate shipped --data "$hospital" --split "$RUNS/hospital.csv" --part train \
    --by view --recalibrate-on "$hospital" --json "$RESULTS/nih.json"
#    A rehearsal of the freeze: the same way once more without the first eighth of the patients of
#    each series, and one look at these.
again=$RUNS/rehearsal
looked_at() {  # NAME OUTPUT: a run of it, on the part kept apart
    step "$RESULTS/$2.json" \
        $bin/firstread evaluate "$again-$1" --data "$table" --split "$again.csv" --part test \
        --occlude box --heat-energy --json "$RESULTS/$2.json"
}
rehearsed() {  # NAME RECIPE DATA SPLIT [OPTION...]
    local out=$again-$1 recipe=$2 data=$3 split=$4
    shift 4
    step "$out/bundle/card.json" \
        $bin/firstread train "$recipe" --seed 0 "$@" --data "$data" --split "$split" --out "$out"
}
step "$again-films.csv" $bin/firstread data split "$films" --test 0.125 --out "$again-films.csv"
step "$again-series.csv" $bin/firstread data split "$table" --by series --test 0.125 \
    --out "$again-series.csv"
step "$again.csv" $bin/firstread data split "$table" --test 0.125 --out "$again.csv"
rehearsed default studies/default-9.toml "$films" "$again-films.csv"
rehearsed settle studies/settle-9.toml "$films" "$again-films.csv" --start "$again-default"
rehearsed twin-start studies/default-9.toml "$table" "$again-series.csv"
rehearsed twin studies/settle-9.toml "$table" "$again-series.csv" --start "$again-twin-start"
step "$again/card.json" \
    $bin/firstread export "$again-settle" --twin "$again-twin" --data "$films" \
    --name firstread-rehearsal --out "$again"
step "$RESULTS/rehearsal.json" \
    $bin/firstread evaluate "$again" --data "$table" --split "$again.csv" --part test \
    --corruptions --occlude box --occlude silhouette --heat-energy --map-curves \
    --json "$RESULTS/rehearsal.json"
step "$RESULTS/rehearsal_gate.json" \
    $bin/python scripts/gate_study.py --bundle "$again" --split "$again.csv" --table "$table" \
    --adults "$hospital" --negatives "$FIRSTREAD_DATA/negatives.csv" \
    ${PICTURES:+--photos "$PICTURES"} --json "$RESULTS/rehearsal_gate.json"

#    What its second step buys, and three others: after that look, so that these films are used up.
looked_at default rehearsal_first_step
second_step() {  # NAME RECIPE
    rehearsed "$1" "$2" "$films" "$again-films.csv" --start "$again-default" --no-gate
    looked_at "$1" "rehearsal_${1//-/_}"
}
second_step swap studies/full/settle-9-swap.toml
second_step swap-more studies/full/settle-9-swap-more.toml
second_step blind studies/settle-10.toml

step "$RESULTS/lungs.json" \
    $bin/firstread lungs evaluate --data "$table" --split "$RUNS/blocks.csv" \
    --json "$RESULTS/lungs.json"

step "$RESULTS/gate.json" \
    $bin/python scripts/gate_study.py --split "$RUNS/blocks.csv" --table "$table" \
    --adults "$hospital" --negatives "$FIRSTREAD_DATA/negatives.csv" \
    ${PICTURES:+--photos "$PICTURES"} --json "$RESULTS/gate.json"  # skimage/data of its wheel

step "$RESULTS/hint.json" \
    $bin/python scripts/hint_study.py --table "$table" --split "$RUNS/blocks.csv" \
    --json "$RESULTS/hint.json"

# 6. The same film as another file: original and copy, stretched, cropped, stored again.
step "$RESULTS/consistency.json" \
    $bin/python benchmarks/consistency.py --run "$RUNS/settle-10" \
    --bundle src/firstread/read/shipped --json "$RESULTS/consistency.json"

# 7. What is a larger input worth? The small CNN at four sizes, four epochs each, each decoding
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

$bin/python scripts/fill_numbers.py --write

# Nothing that was made may name a place on this machine.
if grep -rnF -e "$FIRSTREAD_DATA" -e "$FIRSTREAD_WEIGHTS" -e "$PWD" "$RESULTS"; then
    echo "studies: a result names a path of this machine; do not commit it" >&2
    exit 1
fi
