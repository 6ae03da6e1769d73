"""`farthing experts`: which experts of a model its tokens go to."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from farthing.cli import heat_map, models, prompts
from farthing.cli.progress import counting
from farthing.config import EngineConfig
from farthing.errors import ContextTooLong, FormatError, InputError
from farthing.evaluate import routing, routing_file
from farthing.evaluate.routing import Figures, Trace
from farthing.evaluate.routing_record import PAGE, Routes, record
from farthing.formats import packed
from farthing.tokenizer import Tokenizer

ROUTER = re.compile(r"model\.layers\.(\d+)\.mlp\.gate\.weight")
MOST_TOKENS = 1 << 16
SHARES = (1 / 16, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4)
"""Of a layer's experts: the caches that the terminal's table shows."""


class Runner(Routes, Protocol):
    max_context: int


def experts(
    model: str,
    /,
    *,
    prompts: Path,
    tokens: int = 4096,
    chat: Annotated[bool, Parameter(negative=())] = False,
    threads: int = 0,
    png: Path | None = None,
    save: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Run prompts through a mixture of experts, and show which experts its tokens go to.

    How often each expert of each layer is used, how uneven that is (max/mean), how many experts
    some tokens touch together, and how often a cache of the hottest experts would be right: beside
    the best that any cache could do, and beside what even routing gives.

        farthing experts olmoe-1b-7b --prompts prompts.txt --png experts.png

    Parameters
    ----------
    model
        A model's name (`farthing ls`), or a packed folder.
    prompts
        One prompt a line; or, in a file named *.jsonl, one object with a "text" a line.
    tokens
        Run this many tokens at most; the prompt that reaches it is cut there.
    chat
        Put each prompt into the model's chat template, as a user's message.
    threads
        Worker threads; 0 means one for each core this process may use.
    png
        Draw the same into this picture.
    save
        Keep the routing of every token in this file (.npz), to measure with later.
    as_json
        Print one JSON object instead.
    """
    if not routing.LEAST <= tokens <= MOST_TOKENS:
        raise InputError(f"tokens is {tokens}; it must be from {routing.LEAST} to {MOST_TOKENS}")
    folder = models.folder(model)
    found = trace(folder, prompts, tokens, chat=chat, threads=threads)
    figures = routing.figures(found)
    if save is not None:
        routing_file.save(save, found)
    if png is not None:
        from farthing.cli.experts_plot import draw

        draw(figures, png, title=f"{folder.name}: {headline(found)}")
    if as_json:
        print(json.dumps({"model": folder.name, **facts(figures)}))
    else:
        show(folder.name, figures)


def trace(folder: Path, file: Path, tokens: int, *, chat: bool, threads: int) -> Trace:
    """The routing of a file's prompts. InputError for a model without experts."""
    layers, count = mixture(packed.open(folder))
    texts = prompts.read(file)
    tokenizer = Tokenizer.open(folder)
    runner = open_runner(folder, EngineConfig(threads=threads, prefix_cache=False))
    room = min(runner.max_context, runner.pages * PAGE)
    asked = list(encoded(tokenizer, texts, room=room, tokens=tokens, chat=chat))
    if (whole := sum(map(len, asked))) < routing.LEAST:
        raise InputError(f"{file}: {whole} token in all; {routing.LEAST} are the least")
    if len(asked) < len(texts) or whole > tokens:
        print(
            f"farthing: ended at {tokens} tokens, in prompt {len(asked)} of {len(texts)};"
            " --tokens takes more",
            file=sys.stderr,
        )
    with counting("tokens", min(whole, tokens)) as told:
        return record(runner, asked, experts=count, layers=layers, tokens=tokens, told=told)


def open_runner(folder: Path, config: EngineConfig) -> Runner:
    from farthing.engine.runner import NativeRunner

    return NativeRunner(folder, config, trace=True)


def mixture(checkpoint: packed.Packed) -> tuple[tuple[int, ...], int]:
    """The numbers of the layers that have experts, and how many each of them has."""
    routers = {
        int(match[1]): tensor.shape[0]
        for name, tensor in checkpoint.tensors.items()
        if (match := ROUTER.fullmatch(name))
    }
    if not routers:
        raise InputError(
            f"{checkpoint.folder.name} is a dense model: every token uses all of it,"
            " so there are no experts to show"
        )
    sizes = sorted(set(routers.values()))
    if len(sizes) > 1:
        raise FormatError(f"{checkpoint.folder}: layers have {sizes} experts; expected one number")
    return tuple(sorted(routers)), sizes[0]


def encoded(
    tokenizer: Tokenizer, texts: Sequence[str], *, room: int, tokens: int, chat: bool
) -> Iterator[list[int]]:
    """Ids of one prompt after another, until there are `tokens`; none longer than `room`."""
    left = tokens
    for text in texts:
        if left <= 0:
            return
        if chat:
            ids = tokenizer.chat([{"role": "user", "content": text}])
        else:
            ids = tokenizer.encode(text, add_special=True)
        if min(len(ids), left) > room:
            raise ContextTooLong(len(ids), room)
        left -= len(ids)
        yield ids


def headline(trace: Trace) -> str:
    return (
        f"{len(trace.layers)} layers of {trace.experts} experts, {trace.top_k} a token;"
        f" {trace.tokens:,} tokens"
    )


def show(name: str, figures: Figures) -> None:
    console = Console(highlight=False)
    console.print(f"{name}: {headline(figures.trace)}\n", soft_wrap=True)
    colours = console.color_system is not None
    for line in heat_map.heat_map(figures, console.width, colours=colours):
        console.print(line, soft_wrap=True)
    console.print()
    console.print(together(figures))
    console.print()
    console.print(caches(figures))


def together(figures: Figures) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("tokens together", "experts touched", "of all", "if routing were even"):
        table.add_column(heading, justify="right")
    for one in figures.distinct:
        share = one.measured / figures.trace.experts
        table.add_row(
            f"{one.tokens:,}", f"{one.measured:.1f}", f"{share:.1%}", f"{one.uniform:.1f}"
        )
    return table


def caches(figures: Figures) -> Table:
    """Caches of some sizes: uses that find their expert, where both halves of the trace differ."""
    experts, found = figures.trace.experts, figures.cache
    table = Table(box=None, pad_edge=False)
    for heading in ("experts kept a layer", "hottest so far", "best possible", "even routing"):
        table.add_column(heading, justify="right")
    for size in sorted({max(1, round(share * experts)) for share in SHARES}):
        rates = (curve[size - 1] for curve in (found.hottest, found.best, found.uniform))
        table.add_row(f"{size} of {experts}", *(f"{rate:.1%}" for rate in rates))
    return table


def facts(figures: Figures) -> dict[str, Any]:
    """Every figure; of caches, index 0 is one that keeps one expert of each layer."""
    trace, cache = figures.trace, figures.cache
    return {
        "tokens": trace.tokens,
        "experts": trace.experts,
        "experts_a_token": trace.top_k,
        "layers": [
            {"layer": number, "imbalance": round(float(imbalance), 4), "counts": counts.tolist()}
            for number, imbalance, counts in zip(
                trace.layers, figures.imbalance, figures.counts, strict=True
            )
        ],
        "distinct": [
            {
                "tokens": one.tokens,
                "measured": round(one.measured, 4),
                "uniform": round(one.uniform, 4),
            }
            for one in figures.distinct
        ],
        "cache": {
            name: [round(float(rate), 6) for rate in getattr(cache, name)]
            for name in ("hottest", "best", "uniform")
        },
    }
