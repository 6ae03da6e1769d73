"""`farthing bench`: how fast farthing is here, against what the machine can do at most."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cyclopts import App, Parameter
from rich.console import Console

from farthing.cli import models
from farthing.cli.progress import bars
from farthing.errors import InputError
from farthing.store.pulling import DEFAULT

HELP = """Measure prefill, decode, load time and memory, each against this machine's roofline.

`farthing bench serve URL` loads an OpenAI-compatible server instead.

`farthing bench --config NAME --random` measures a model of that shape with random weights, so that
nothing need be downloaded to know how fast it would be: qwen3-30b-a3b, olmoe-1b-7b,
deepseek-v2-lite, gpt-oss-20b, or any folder with a config.json.

A share of the roofline is of the least time that the machine's own limits allow: for each part of a
step its bytes at the read bandwidth, or its operations at their peak. Rows are measured in turn,
several times; the median counts. The last line is JSON, and `farthing board` shows the speeds.
Close what else is running."""

bench = App(name="bench", help=HELP)


@bench.default
def measure(
    model: str = DEFAULT,
    /,
    *,
    threads: int = 0,
    kv_bits: Literal[16, 8, 4] = 16,
    rounds: int = 5,
    quick: Annotated[bool, Parameter(negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    config: str | None = None,
    random: Annotated[bool, Parameter(negative=())] = False,
    layers: int | None = None,
    routing: Path | None = None,
    gguf: Path | None = None,
) -> None:
    """As HELP says.

    Parameters
    ----------
    model
        A model's name (`farthing ls`), or a packed folder.
    threads
        Worker threads; 0 means one for each core this process may use.
    kv_bits
        Bits of a number in the KV cache: how fast that is, whatever it loses.
    rounds
        How often each row is measured, after it was warmed up.
    quick
        A minute instead of several: fewer rows, three rounds.
    as_json
        Print the JSON alone.
    config
        With --random: a shape that ships with farthing, or a folder that holds a config.json.
    random
        Measure that shape with random INT4 weights. They are written once, gigabytes of them.
    layers
        Of that shape, the first layers alone.
    routing
        Also decode with tokens going where this trace's did: `farthing experts --save` wrote it.
    gguf
        Write those weights into this GGUF file, for other programs, and measure nothing.
    """
    if config is not None or random:
        given = (config, random, layers, routing, gguf)
        return _random(*given, threads, kv_bits, rounds, quick, as_json)
    if layers is not None or gguf is not None or routing is not None:
        raise InputError(
            "--layers, --routing and --gguf are about random weights: add --config NAME"
        )
    from dataclasses import replace

    from farthing.bench import suite, tell
    from farthing.cli import measured

    plan = suite.QUICK if quick else replace(suite.Plan(), rounds=rounds)
    folder: Path = models.folder(model)
    console = Console(stderr=True)
    with console.status("") as status:
        result = suite.run(
            folder, plan, threads=threads, kv_bits=kv_bits, seen=lambda row: status.update(row)
        )
    rates = {rate.name: rate.taken.median for rate in result.rates}
    measured.keep_speed(folder, rates, kv_bits=kv_bits, isa=result.isa, threads=result.threads)
    if not as_json:
        Console().print(tell.table(result))
    print(json.dumps(tell.record(result)))


def _random(
    config: str | None,
    random: bool,
    layers: int | None,
    routing: Path | None,
    gguf: Path | None,
    threads: int,
    kv_bits: int,
    rounds: int,
    quick: bool,
    as_json: bool,
) -> None:
    from farthing.bench import random_gguf, random_packed, random_suite, random_tell, skeleton
    from farthing.evaluate import routing_file

    if config is None or not random:
        raise InputError(
            "--config and --random go together: a shape, measured with random weights"
            f" (--config {skeleton.names()[-1]} --random); a model's own weights are measured"
            " by its name"
        )
    shape = skeleton.read(config, layers)
    with bars() as progress:
        tell = partial(progress, "writing")
        if gguf is not None:
            random_gguf.write(gguf, shape, progress=tell)
            print(f"{gguf}: {gguf.stat().st_size / 1e9:.1f} GB")
            return
        say = partial(print, "farthing:", file=sys.stderr)
        folder = random_packed.made(shape, before=say, progress=tell)
    trace = None if routing is None else routing_file.load(routing).ids
    with Console(stderr=True).status("") as status:
        result = random_suite.run(
            folder,
            rounds=rounds,
            threads=threads,
            kv_bits=kv_bits,
            quick=quick,
            seen=lambda row: status.update(row),
            trace=trace,
        )
    if not as_json:
        Console().print(random_tell.table(result))
    print(json.dumps(random_tell.record(result)))


@bench.command
def serve(
    url: str,
    /,
    *,
    model: str | None = None,
    concurrency: int = 32,
    requests: int = 32,
    prompt_tokens: int = 126,
    shared_tokens: int = 0,
    output_tokens: int = 128,
    rate: float = 0.0,
    chat: Annotated[bool, Parameter(negative=())] = False,
    seed: int = 0,
    first_seconds: float = 1.0,
    token_seconds: float = 0.1,
    key: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Load an OpenAI-compatible server with concurrent streams, and say what each of them felt.

    Time to first token, time per output token, time between tokens, end to end (mean, median,
    p99), throughput, and goodput: requests a second that met both objectives. Works on any server.

    Parameters
    ----------
    url
        As http://127.0.0.1:8000.
    model
        As the server names it; a server of one model may not ask.
    concurrency
        Streams at once, at most.
    requests
        Requests in all.
    prompt_tokens
        Words of each prompt, about a token each; the report says how many the server counted.
    shared_tokens
        How many of them, from the start, are the same in all prompts.
    output_tokens
        Tokens of each answer.
    rate
        Arrivals a second, at random moments; 0 sends the next when a stream is free.
    chat
        Ask /v1/chat/completions; otherwise /v1/completions.
    seed
        Of the prompts and the moments.
    first_seconds
        Good: the first token within this many seconds ...
    token_seconds
        ... and each token after it in this many, in the mean.
    key
        API key.
    as_json
        Print the JSON alone; otherwise it is the last line.
    """
    from farthing.bench import felt
    from farthing.bench.serve import Load
    from farthing.bench.serve import serve as run

    load = Load(
        url=url,
        model=model,
        concurrency=concurrency,
        requests=requests,
        prompt_tokens=prompt_tokens,
        shared_tokens=shared_tokens,
        output_tokens=output_tokens,
        rate=rate,
        chat=chat,
        seed=seed,
        first_seconds=first_seconds,
        token_seconds=token_seconds,
        key=key,
    )
    report = run(load)
    if not as_json:
        Console().print(felt.table(report))
    print(msgspec.json.encode(report).decode())
