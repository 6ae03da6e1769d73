"""What a teacher makes of a corpus, kept: for each token, an estimate of who may follow it.

    logits.json    the teacher, the corpus, and how the estimate was drawn
    top_ids.npy    [N, k] uint16 or uint32: the k likeliest successors of token i
    top.npy        [N, k] fp16: their probabilities, rounded down
    drawn.npy      [N, n] like top_ids: drawn from all others, as often as probability has it

The likeliest count as they are; what they leave is shared evenly by those that were drawn. So the
estimate sums to one, and its expectation is the teacher's distribution itself: the gradient is
unbiased, where that of the likeliest alone is not (Anshumann et al., 2503.16870; there all are
drawn, here only the tail, which varies less).

Shapes: N tokens of a corpus, V vocabulary, R rows of a step.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from farthing.errors import FormatError, InputError, NotFound
from farthing.formats.hf import read_object
from farthing.store.space import need

VERSION = 1
ABOUT = "logits.json"
TOLD = ("seconds", "command")
"""Of it, what decides nothing."""

Mapped = np.memmap[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Kept:
    path: Path
    top_ids: NDArray[Any]
    top: NDArray[np.float16]
    drawn: NDArray[Any]
    about: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises NotFound, or FormatError naming the file and what is wrong with it."""
        if not (path / ABOUT).is_file():
            raise NotFound(
                f"{path} holds no teacher's logits ({ABOUT} is missing); make them with"
                " `farthing learn data logits`"
            )
        about = read_object(path / ABOUT)
        if about.get("version") != VERSION:
            raise FormatError(f"{path}/{ABOUT} is of no version {VERSION}; make the logits again")
        top_ids, top, drawn = (_array(path, name) for name in ("top_ids", "top", "drawn"))
        _check(path, top_ids, top, drawn)
        return cls(path, top_ids, top, drawn, about)

    @property
    def identity(self) -> str:
        """Of what decides the arrays: made again by the same teacher, they are the same."""
        decides = {name: self.about[name] for name in self.about if name not in TOLD}
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    def fits(self, corpus: str, vocabulary: int, temperature: float) -> None:
        """InputError if they are of another corpus, vocabulary or temperature."""
        for name, mine in (
            ("corpus", corpus),
            ("vocabulary", vocabulary),
            ("temperature", temperature),
        ):
            if self.about.get(name) != mine:
                raise InputError(
                    f"{self.path}: made for {name} {self.about.get(name)!r:.80}, and this run has"
                    f" {mine!r:.80}; make the logits again"
                )

    def shares(self, places: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Of the tokens at [T]: ids [T, k + n] and shares [T, k + n] fp32, which sum to 1."""
        top = self.top[places].astype(np.float32)
        ids = np.concatenate([self.top_ids[places], self.drawn[places]], 1).astype(np.int64)
        left = np.maximum(0, 1 - top.sum(1, keepdims=True, dtype=np.float64)).astype(np.float32)
        count = self.drawn.shape[1]
        tail = np.repeat(left / max(count, 1), count, 1)
        if not count:  # the likeliest alone, made to sum to one: biased, for comparison
            top = top / np.maximum(top.sum(1, keepdims=True), np.finfo(np.float32).tiny)
        return torch.from_numpy(ids), torch.from_numpy(np.concatenate([top, tail], 1))


def drawn(
    logits: Tensor, *, top: int, draws: int, temperature: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """From logits [R, V]: top_ids [R, top], top [R, top] fp16, drawn [R, draws]."""
    p = torch.softmax(logits / temperature, -1)
    likeliest, ids = p.topk(top, -1)
    kept = _down(likeliest)
    p.scatter_(1, ids, 0.0)
    # nothing is left where the likeliest are all there is: what is drawn then counts nothing
    p[:, 0] += p.sum(-1) <= 0
    if not draws:
        return ids, kept, ids[:, :0]
    return ids, kept, torch.multinomial(p, draws, replacement=True, generator=generator)


def _down(values: Tensor) -> Tensor:
    """To fp16, never up: what is left for the others is at least what it was."""
    half = values.half()
    above = half.float() > values
    return torch.where(above, torch.nextafter(half, torch.zeros_like(half)), half)


def begin(path: Path, tokens: int, vocabulary: int, *, top: int, draws: int) -> dict[str, Mapped]:
    """The arrays of a folder, mapped to be written; those that are there go on."""
    dtype = np.uint16 if vocabulary <= 1 << 16 else np.uint32
    wanted: Mapping[str, tuple[tuple[int, int], Any]] = {
        "top_ids": ((tokens, top), dtype),
        "top": ((tokens, top), np.float16),
        "drawn": ((tokens, draws), dtype),
    }
    size = sum(n * k * np.dtype(kind).itemsize for (n, k), kind in wanted.values())
    held = sum(file.stat().st_blocks * 512 for file in path.glob("*.npy"))
    # a mapped file that finds no room ends the process, with no word
    need(path, size - held, "what is kept of the teacher")
    made = {}
    for name, (shape, kind) in wanted.items():
        file = path / f"{name}.npy"
        mode: Any = "r+" if file.exists() else "w+"
        made[name] = np.lib.format.open_memmap(file, mode, kind, shape)
    return made


def _array(path: Path, name: str) -> NDArray[Any]:
    try:
        found: NDArray[Any] = np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}/{name}.npy can't be read: {error}") from None
    return found


def _check(path: Path, top_ids: Any, top: Any, drawn: Any) -> None:
    kinds = (
        (top_ids, "top_ids", ("uint16", "uint32")),
        (top, "top", ("float16",)),
        (drawn, "drawn", ("uint16", "uint32")),
    )
    for array, name, dtypes in kinds:
        if array.ndim != 2 or str(array.dtype) not in dtypes:
            raise FormatError(f"{path}/{name}.npy is {array.dtype} {array.shape}; make it again")
    if top.shape != top_ids.shape or len(drawn) != len(top):
        raise FormatError(f"{path}: arrays of {top_ids.shape}, {top.shape} and {drawn.shape}")
