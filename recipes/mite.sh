#!/usr/bin/env bash
# mite, from nothing (docs/mite.md): data, tokenizer, training, and the folder that ships.
# Each step is left out if what it makes is there, so that a stopped run goes on.
#
#   recipes/mite.sh                all of it, in runs/mite
#   recipes/mite.sh data           up to what training reads
#   recipes/mite.sh twins          the dense models that mite is held against
set -euo pipefail

FARTHING=${FARTHING:-farthing}
cd "$(dirname "$0")/.." # recipes name data by paths from here
WORK=runs/mite
TEACHER=${TEACHER:-smollm2-135m}
PORT=${PORT:-8131}

say() { printf '\n== %s\n' "$*" >&2; }
open_port() { (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; }
absent() { [ ! -e "$WORK/$1" ]; }
tasks() { absent "$1" || return 0; "$FARTHING" learn data tasks -o "$WORK/$1" "${@:2}"; }

sampled() { # NAME WHAT...: the teacher's answers to prompts grown from seeds
    absent "$1/card.json" || return 0
    "$FARTHING" learn data sample -o "$WORK/$1" --url "http://127.0.0.1:$PORT/v1" --streams 48 \
        --model "$TEACHER" \
        --max-tokens 512 --temperature 0.7 --licence apache-2.0 "${@:2}"
}

prose() {
    local server
    absent prose/card.json || absent prose-held/card.json || return 0
    open_port && say "somebody serves at port $PORT already; set PORT to another" && return 1
    "$FARTHING" serve "$TEACHER" --port "$PORT" >"$WORK/serve.log" 2>&1 &
    server=$!
    trap 'kill "$server"' EXIT
    until open_port; do
        kill -0 "$server" || { cat "$WORK/serve.log" >&2; return 1; }
        sleep 0.2
    done
    sampled prose --samples 200000 --tokens 2690000
    sampled prose-held --samples 340 --seed 99
    kill "$server"
    wait "$server" || true
    trap - EXIT
}

filtered() { # NAME WHAT...: a small teacher goes round in circles; half as strict keeps a third
    absent "$1-clean" || return 0
    "$FARTHING" learn data filter "$WORK/$1" -o "$WORK/$1-clean" --strictness 0.5 "${@:2}"
}

packed() { # NAME FROM WHAT...
    absent "packed-$1" || return 0
    "$FARTHING" learn data pack "$WORK/$2" -o "$WORK/packed-$1" --tokenizer "$WORK/tokenizer" "${@:3}"
}

data() {
    mkdir -p "$WORK"
    say "tasks, and texts by grammar"
    tasks tasks-train --count 900000 --seed 11
    tasks texts-train --kinds texts --count 400000 --seed 12
    tasks tasks-held --split test --count 5000 --seed 13
    tasks texts-held --kinds texts --split test --count 2500 --seed 14
    tasks tests --questions --count 200 --seed 17
    say "the teacher's prose"
    prose
    filtered prose-held
    filtered prose --held-out "$WORK/prose-held-clean"
    say "tokenizer"
    tasks tasks-words --count 90000 --seed 15
    tasks texts-words --kinds texts --count 25000 --seed 16
    absent tokenizer && "$FARTHING" learn tokenizer "$WORK/tasks-words" "$WORK/texts-words" \
        "$WORK/prose-clean" -o "$WORK/tokenizer" --size 8192
    say "rows of tokens"
    packed tasks-train tasks-train --answers-only
    packed tasks-held tasks-held --answers-only
    packed texts-train texts-train
    packed texts-held texts-held
    packed prose prose-clean
    packed prose-held prose-held-clean
}

trained() { # RECIPE
    say "$1"
    "$FARTHING" learn pretrain "recipes/$1.toml" -o "$WORK/$1" --resume
}

wanted=${1:-all}
case $wanted in
data | twins | all) data ;;
*) say "data, twins, or nothing for mite itself; not $wanted" && exit 2 ;;
esac
case $wanted in
twins)
    trained mite-active
    trained mite-total
    "$FARTHING" learn compare "$WORK"/{mite,mite-active,mite-total} --curves "$WORK/twins.svg"
    ;;
all)
    trained mite
    absent published || exit 0
    "$FARTHING" learn publish "$WORK/mite" --recipe recipes/mite.toml -o "$WORK/published" \
        --licence apache-2.0
    ;;
esac
