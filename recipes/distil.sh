#!/usr/bin/env bash
# One field's task, from a general model to a small one of its own (docs/distil.md):
# a teacher is tuned, answers what it was never told, and a fresh student learns from its text.
# Each step is left out if what it makes is there, so that a stopped run goes on.
#
#   recipes/distil.sh                    the whole of it, in runs/distil
#   KIND=sort WORK=runs/sort STUDENT=sort.toml recipes/distil.sh
#                                        another task of `farthing learn data tasks`
set -euo pipefail

FARTHING=${FARTHING:-farthing}
HERE=$(cd "$(dirname "$0")" && pwd)
WORK=${WORK:-$HERE/../runs/distil}
BASE=${BASE:-smollm2-135m}
KIND=${KIND:-units}
SPOKEN=${SPOKEN:-en}
TUNED=${TUNED:-12000}       # chats that the teacher is tuned on
ASKED=${ASKED:-30000}       # questions that it then answers
SIZE=${SIZE:-448}           # tokens of the student's vocabulary: the recipe's vocab_size
TESTED=${TESTED:-500}       # questions of templates that neither ever saw
STUDENT=${STUDENT:-$HERE/student.toml}
PORT=${PORT:-8017}

say() { printf '\n== %s\n' "$*" >&2; }
open_port() { (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; }
absent() { [ ! -e "$1" ]; }
tasks() { "$FARTHING" learn data tasks --kinds "$KIND" --languages "$SPOKEN" "$@"; }

served() { # NAME THREADS COMMAND...: the command while that model is served
    local model=$1 threads=$2 server status=0
    shift 2
    open_port && say "somebody serves at port $PORT already; set PORT to another" && return 1
    "$FARTHING" serve "$WORK/$model" --port "$PORT" --threads "$threads" --unmeasured \
        >"$WORK/serve-$model.log" 2>&1 &
    server=$!
    until open_port; do
        kill -0 "$server" 2>/dev/null || { cat "$WORK/serve-$model.log" >&2; return 1; }
        sleep 0.2
    done
    "$@" || status=$?
    kill "$server"
    wait "$server" || true
    return "$status"
}

answers() { # NAME QUESTIONS INTO COUNT WHAT...
    "$FARTHING" learn data sample --url "http://127.0.0.1:$PORT/v1" --model "$1" --prompts "$2" \
        -o "$3" --samples "$4" --temperature 0 --top-p 1 --max-tokens 96 --licence apache-2.0 "${@:5}"
}

eight_bits() { # NAME: packed in 8 bits
    absent "$WORK/$1-8" || return 0
    "$FARTHING" quantize "$WORK/$1" -o "$WORK/$1-8" --method rtn --bits 8
}

scored() { # NAME MODEL: right answers to the test's questions, as served
    absent "$WORK/$1.json" || return 0
    "$FARTHING" eval "$2" --chat --tokens 0 --tasks "$WORK/questions/$KIND-$SPOKEN.jsonl" \
        --json >"$WORK/$1.json.part"
    mv "$WORK/$1.json.part" "$WORK/$1.json"
}

billed() { # NAME THREADS: what an answer to the test costs, as the server bills it
    absent "$WORK/bill-$1/card.json" || return 0
    served "$1" "$2" answers "$1" "$WORK/test" "$WORK/bill-$1" "$TESTED" --streams 16
}

mkdir -p "$WORK"
WORK=$(cd "$WORK" && pwd)
task="$BASE $KIND $SPOKEN $TUNED $ASKED $SIZE $TESTED"
absent "$WORK/task" && echo "$task" >"$WORK/task"
[ "$(cat "$WORK/task")" = "$task" ] || {
    say "$WORK is of $(cat "$WORK/task"); this is $task: set WORK to another folder, or remove it"
    exit 2
}
say "questions"
absent "$WORK/tuned" && tasks -o "$WORK/tuned" --count "$TUNED" --seed 1
absent "$WORK/asked" && tasks -o "$WORK/asked" --count "$ASKED" --seed 2
absent "$WORK/test" && tasks -o "$WORK/test" --split test --count "$TESTED" --seed 3
absent "$WORK/questions" && tasks -o "$WORK/questions" --questions --count "$TESTED" --seed 3

say "the teacher: $BASE, tuned"
absent "$WORK/teacher/adapter_model.safetensors" && "$FARTHING" learn tune "$BASE" \
    --data "$WORK/tuned" -o "$WORK/teacher" --rank 16 --alpha 32 --rate 1e-3 --rows 4 --together 4 --resume
absent "$WORK/$KIND-teacher" &&
    "$FARTHING" learn merge "$BASE" "$WORK/teacher" -o "$WORK/$KIND-teacher"
eight_bits "$KIND-teacher"
scored "$BASE" "$BASE"
scored "$KIND-teacher-8" "$WORK/$KIND-teacher-8"

say "its answers"
absent "$WORK/told/card.json" &&
    served "$KIND-teacher-8" 0 answers "$KIND-teacher-8" "$WORK/asked" "$WORK/told" "$ASKED"

say "the student: random weights, the teacher's text"
absent "$WORK/tokenizer" &&
    "$FARTHING" learn tokenizer "$WORK/told" -o "$WORK/tokenizer" --size "$SIZE"
absent "$WORK/packed" && "$FARTHING" learn data pack "$WORK/told" -o "$WORK/packed" \
    --tokenizer "$WORK/tokenizer" --answers-only
"$FARTHING" learn pretrain "$STUDENT" -o "$WORK/student" --resume
absent "$WORK/$KIND-student" && "$FARTHING" learn publish "$WORK/student" \
    --recipe "$STUDENT" -o "$WORK/$KIND-student" --licence apache-2.0
eight_bits "$KIND-student"
scored "$KIND-student-8" "$WORK/$KIND-student-8"

say "what an answer costs"
billed "$KIND-teacher-8" 0 # as many threads as there are cores
billed "$KIND-student-8" 1 # whose steps are so short that HTTP had better keep a core
python3 "$HERE/distilled.py" "$WORK" "$BASE" "$KIND-teacher-8" "$KIND-student-8"
