"""What models are measured on: the user's text, or what the reference itself writes.

Sequences are [T + 1] ids each: T tokens to read, and what followed each of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from farthing.config import EngineConfig
from farthing.engine.engine import Engine
from farthing.engine.runner import NativeRunner
from farthing.engine.types import Request, Sampling
from farthing.errors import FormatError, InputError
from farthing.evaluate.divergence import Ids
from farthing.formats import packed, quality

STREAM = 0xE5A1 << 48
"""Added to the seed. Noise is keyed by it, so that text written for calibration is never what is
measured on, whatever seeds the two were given."""
MOST_SEED = (1 << 48) - 1
TOGETHER = 32
"""Sequences written at once."""


@dataclass(frozen=True, slots=True)
class Texts:
    what: str
    sequences: Sequence[Ids]

    @property
    def tokens(self) -> int:
        return sum(len(ids) - 1 for ids in self.sequences)

    @property
    def lengths(self) -> list[int]:
        return [len(ids) - 1 for ids in self.sequences]

    def record(self) -> quality.Text:
        """As quality.json names it; the hash is of the ids as little-endian int32, end to end."""
        raw = b"".join(ids.astype("<i4").tobytes() for ids in self.sequences)
        return quality.Text(what=self.what, sha256=sha256(raw).hexdigest(), tokens=self.tokens)


def cut(ids: Sequence[int], *, length: int, tokens: int, what: str) -> Texts:
    """Whole sequences of `length` tokens from the start of a text, until there are `tokens`.

    What does not fill a sequence is left out. Raises InputError if not one is filled.
    """
    every = np.array(ids, np.int32)
    count = min((len(every) - 1) // length, -(-tokens // length))
    if count < 1:
        raise InputError(
            f"{what.removeprefix('user: ')} has {len(every)} tokens, and a sequence takes"
            f" {length} and the one after; give a longer text, or a smaller --length"
        )
    return Texts(what, [every[i * length : (i + 1) * length + 1] for i in range(count)])


def written(
    folder: Path,
    *,
    seed: int,
    length: int,
    tokens: int,
    told: Callable[[int], None] = lambda done: None,
) -> Texts:
    """What the model in a packed folder writes at temperature 1, from its beginning-of-text token.

    Samples of the reference, so that the mean KL over them is the divergence of whole texts.
    """
    if not 0 <= seed <= MOST_SEED:
        raise InputError(f"seed is {seed}; it must be from 0 to {MOST_SEED}")
    count = -(-tokens // length)
    config = EngineConfig(max_sequences=TOGETHER, prefix_cache=False)
    runner = NativeRunner(folder, config)
    engine = Engine(runner, config)
    if length >= engine.max_context:
        raise InputError(
            f"sequences of {length} tokens, and {folder.name} reads at most {engine.max_context},"
            " the first one included; give a smaller --length"
        )
    start = start_id(_ids(folder), runner.vocabulary)
    made: dict[str, list[int]] = {}
    for index in range(count):
        sampling = Sampling(seed=STREAM + seed, choice=index)
        made[str(index)] = [start]
        ask = Request(id=str(index), tokens=[start], max_tokens=length, sampling=sampling)
        engine.submit(ask)
    while not engine.idle:
        for token in engine.step().tokens:
            made[token.request].append(token.id)
        told(sum(map(len, made.values())) - count)
    sequences = [np.array(ids, np.int32) for ids in made.values()]
    return Texts(f"samples of the reference, seed {seed}", sequences)


def start_id(config: Mapping[str, Any], vocabulary: int) -> int:
    """The token a text begins with: config.json's bos_token_id, or where it has none, what ends one
    text and so begins another."""
    for name in ("bos_token_id", "eos_token_id"):
        found = config.get(name)
        found = found[0] if isinstance(found, list) and found else found
        if isinstance(found, int) and not isinstance(found, bool):
            if 0 <= found < vocabulary:
                return found
            raise FormatError(f"config.json: {name} is {found}; tokens are 0 to {vocabulary - 1}")
    raise InputError(
        "config.json names no bos_token_id or eos_token_id to begin a text with; give --text FILE"
    )


def _ids(folder: Path) -> dict[str, Any]:
    """config.json, and generation_config.json where that says nothing: it often has these ids."""
    path = folder / "generation_config.json"
    found = packed.read_json(path) if path.is_file() else {}
    config = packed.open(folder).config
    return found | {name: value for name, value in config.items() if value is not None}
