"""`farthing learn check`: a served model's greedy text, held to the torch reading."""

import json
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from farthing.cli import torch_needed
from farthing.cli.progress import counting

if TYPE_CHECKING:
    from farthing.learn.agreement import Agreement
    from farthing.learn.documents import Document
    from farthing.tokenizer import Tokenizer

SHOWN = 20
OPENING = 16
"""Tokens of a plain text that stand as its prompt."""


def check(
    model: str,
    prompts: tuple[Path, ...],
    /,
    *,
    count: int = 32,
    max_tokens: int = 64,
    near: float = 0.1,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Serve a model, and hold each token of its greedy answers to the torch reading of the same
    weights in fp32. Exits 1 if one differs that is no near-tie.

    Examples:

        farthing learn check mite data/held-out --count 100

    Parameters
    ----------
    model
        A model's name (`farthing ls`), or a packed folder.
    prompts
        Data sets or .jsonl files: a chat is asked up to its last answer, a text goes on from its
        first words.
    count
        How many documents.
    max_tokens
        Of each answer.
    near
        Two tokens are near-ties if torch holds them no further apart than this, in nats.
    as_json
        Print one JSON object.
    """
    torch_needed.check()
    # NumPy and torch are first imported here
    from farthing.cli import models
    from farthing.learn import agreement, pretrained
    from farthing.learn.sources import Sources
    from farthing.tokenizer import Tokenizer

    folder = models.folder(model)
    tokenizer = Tokenizer.open(folder)
    asked = [opening(tokenizer, one) for one in islice(Sources(prompts), count)]
    with counting("serving", count * max_tokens) as told:
        served = agreement.serve(
            folder, asked, max_tokens=max_tokens, stop_ids=tokenizer.stop_ids, told=told
        )
    read = pretrained.read(folder)
    found = agreement.agreement(read.config, read.weights, asked, served)
    if as_json:
        differences = [asdict(one) for one in found.differences]
        print(json.dumps({"tokens": found.tokens, "differences": differences}))
    else:
        show(found, tokenizer, near)
    return 1 if found.far(near) else 0


def opening(tokenizer: "Tokenizer", document: "Document") -> list[int]:
    """What is asked: a chat up to its last answer, or the first tokens of a text."""
    if document.text is not None:
        bos = tokenizer.special_id("bos_token")
        ids = tokenizer.encode(document.text, parse_special=False)[:OPENING]
        return ids if bos is None else [bos, *ids]
    messages = [{"role": one.role, "content": one.content} for one in document.messages or ()]
    while messages and messages[-1]["role"] == "assistant":
        messages.pop()
    return tokenizer.chat(messages)


def show(found: "Agreement", tokenizer: "Tokenizer", near: float) -> None:
    off, far = len(found.differences), len(found.far(near))
    print(
        f"{found.tokens:,} tokens served; {found.tokens - off:,} are torch's own,"
        f" {off - far} near-ties, {far} differ"
    )
    for one in sorted(found.differences, key=lambda one: -one.behind)[:SHOWN]:
        ours, theirs = (tokenizer.token_text(id) for id in (one.served, one.torch))
        print(
            f"  prompt {one.prompt}, token {one.place}: {ours!r} served, {theirs!r} by torch,"
            f" {one.behind:.4f} nats ahead"
        )
