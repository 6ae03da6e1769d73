"""`farthing bench`: how fast farthing is here, against what the machine can do at most."""

import json
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter
from rich.console import Console

from farthing.cli import models
from farthing.store.pulling import DEFAULT

HELP = """Measure prefill, decode, load time and memory, each against this machine's roofline.

`farthing bench serve URL` loads an OpenAI-compatible server instead.

A share of the roofline is of the least time that the machine's own limits allow: for each part of a
step its bytes at the read bandwidth, or its operations at their peak. Rows are measured in turn,
several times; the median counts. The last line is JSON. Close what else is running."""

bench = App(name="bench", help=HELP)


@bench.default
def measure(
    model: str = DEFAULT,
    /,
    *,
    threads: int = 0,
    rounds: int = 5,
    quick: Annotated[bool, Parameter(negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """As HELP says.

    Parameters
    ----------
    model
        A model's name (`farthing ls`), or a packed folder.
    threads
        Worker threads; 0 means one for each core this process may use.
    rounds
        How often each row is measured, after it was warmed up.
    quick
        A minute instead of several: fewer rows, three rounds.
    as_json
        Print the JSON alone.
    """
    from dataclasses import replace

    from farthing.bench import suite, tell

    plan = suite.QUICK if quick else replace(suite.Plan(), rounds=rounds)
    folder: Path = models.folder(model)
    console = Console(stderr=True)
    with console.status("") as status:
        result = suite.run(folder, plan, threads=threads, seen=lambda row: status.update(row))
    if not as_json:
        Console().print(tell.table(result))
    print(json.dumps(tell.record(result)))


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
