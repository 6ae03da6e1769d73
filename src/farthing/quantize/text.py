"""What calibration reads: samples of the user's text, or of what the model itself writes."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.config import EngineConfig
from farthing.engine.engine import Engine
from farthing.engine.pages import pages_for
from farthing.engine.runner import NativeRunner
from farthing.engine.types import Request, Sampling
from farthing.errors import FarthingError, InputError, NotFound
from farthing.tokenizer import Tokenizer

Samples = list[NDArray[np.int32]]
"""Each [T] token ids of one text."""
LARGEST = 32 << 20
TOGETHER = 64
"""Samples written at once, if the cache has room for them."""
CACHE_BYTES = 512 << 20
MOST_SEED = (1 << 48) - 1
"""Above it are the seeds of texts that models are measured on."""
BEGINNINGS = (
    "",
    "The",
    "In",
    "I",
    "1.",
    "def",
    "#",
    "Once upon a time",
    "According to",
    "Question:",
    "<p>",
    "Dear",
)
QUESTIONS = (
    "Hello!",
    "Write a short story.",
    "Explain how a bridge carries its load.",
    "Write a function that sorts a list.",
    "What is the capital of Peru?",
    "Summarize what happened in the year 1848.",
    "Translate into French: the weather is fine today.",
    "A train leaves at nine and drives 120 km at 80 km/h. When does it arrive?",
    "Give me three ideas for dinner.",
    "Why is the sky blue?",
    "Write a polite letter to my landlord.",
    "List the planets as JSON.",
)


def samples_of(path: Path, tokenizer: Tokenizer, *, samples: int, length: int) -> Samples:
    """`samples` pieces of `length` tokens, spread evenly over a text; fewer if it is shorter.

    A name that ends in .jsonl means an object with a "text" or with "messages" (a chat, put into
    the model's template) a line. Raises NotFound, or InputError naming the line, and for a text
    shorter than one sample.
    """
    held = _read(path)
    if path.suffix == ".jsonl":
        ids = _lines(held, tokenizer, path)
    else:
        ids = tokenizer.encode(held, add_special=True)
    if len(ids) < length:
        raise InputError(
            f"{path} has {len(ids)} tokens, and one sample takes {length}; give a longer text, or a"
            " smaller --length"
        )
    count = min(samples, len(ids) // length)
    every, spare = np.array(ids, np.int32), len(ids) - length
    starts = [i * spare // max(count - 1, 1) for i in range(count)]
    return [every[start : start + length] for start in starts]


def written_by(
    folder: Path,
    *,
    samples: int,
    length: int,
    seed: int,
    threads: int = 0,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Samples:
    """What the model in a packed folder writes at temperature 1, from several short beginnings.

    The same for a seed, on any number of threads. A text that ends is followed by what the model
    lets follow. `told` hears tokens done and tokens in all.
    """
    config = EngineConfig(threads=threads, cache_bytes=CACHE_BYTES, prefix_cache=False)
    runner = NativeRunner(folder, config)
    if length > min(runner.max_context, runner.pages * 64):
        raise InputError(f"a sample is {length} tokens, and the model reads {runner.max_context}")
    together = min(TOGETHER, runner.pages // pages_for(length))
    engine = Engine(runner, replace(config, max_sequences=together))
    made = begun(Tokenizer.open(folder), samples, length)
    for index, start in enumerate(made):
        engine.submit(
            Request(
                id=str(index),
                tokens=list(start),
                max_tokens=length - len(start),
                sampling=Sampling(seed=seed, choice=index),
            )
        )
    while not engine.idle:
        for token in engine.step().tokens:
            made[int(token.request)].append(token.id)
        told(sum(map(len, made)), samples * length)
    return [np.array(ids, np.int32) for ids in made]


def begun(tokenizer: Tokenizer, samples: int, length: int) -> list[list[int]]:
    """How each sample begins: plain, and as a chat where the model has a template for one."""
    starts = [tokenizer.encode(text, add_special=True) for text in BEGINNINGS]
    if tokenizer.template is not None:
        chats = [tokenizer.chat([{"role": "user", "content": asked}]) for asked in QUESTIONS]
        starts = [start for pair in zip(starts, chats, strict=True) for start in pair]
    fit = [start for start in starts if 0 < len(start) < length]
    if not fit:
        raise InputError(f"no beginning fits into a sample of {length} tokens; give --text FILE")
    return [list(fit[index % len(fit)]) for index in range(samples)]


def digest(samples: Sequence[NDArray[np.int32]]) -> str:
    """sha256 of the ids as little-endian int32, end to end."""
    return sha256(b"".join(ids.astype("<i4").tobytes() for ids in samples)).hexdigest()


def _read(path: Path) -> str:
    if not path.is_file():
        raise NotFound(f"{path}: no such file; --text wants plain text, or JSONL")
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from None
    if len(raw) > LARGEST:
        raise InputError(
            f"{path} is over {LARGEST >> 20} MiB; samples take less: give a part of it"
        )
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text at byte {error.start}") from None


def _lines(held: str, tokenizer: Tokenizer, path: Path) -> list[int]:
    ids: list[int] = []
    for number, line in enumerate(held.split("\n"), 1):
        if line.strip():
            try:
                ids += _line(line, tokenizer)
            except FarthingError as error:
                raise InputError(f"{path}, line {number}: {error}") from None
    return ids


def _line(line: str, tokenizer: Tokenizer) -> list[int]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {str(error)[:100]}") from None
    given: dict[str, Any] = found if isinstance(found, dict) else {}
    text, messages = given.get("text"), given.get("messages")
    if isinstance(text, str) and messages is None:
        return tokenizer.encode(text, add_special=True)
    objects = isinstance(messages, list) and all(isinstance(one, dict) for one in messages)
    if objects and messages and text is None:
        return tokenizer.chat(messages, add_generation_prompt=False)
    raise InputError(f'{line[:60]!r}; {{"text": "..."}} or {{"messages": [...]}} was expected')
