"""How much work each op of a step is: bytes and operations, for the meter and the roofline.

Counts what must be done, not what a kernel happens to do: weights once a step (the head once for
every 32 rows, an expert's only if a token goes to it), each sequence's cache once, scores and
values of the positions a token sees.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farthing.ops.cache_grids import grids, latent_grid
from farthing.ops.products import Product, distinct, product_of
from farthing.ops.record import Note, Recording

HEAD_ROWS = 32

# Seconds for a byte and for an operation, about, of the machines we run on. Only their ratio
# matters: it says when a weight's bytes cost more than the sums made with it.
BYTE, INT8, BF16, FP32 = 1 / 40e9, 1 / 1.2e12, 1 / 0.5e12, 1 / 0.2e12


@dataclass(frozen=True, slots=True)
class OpWork:
    """Operations count a multiply-add as two."""

    name: str
    bytes: int
    int8: int = 0
    bf16: int = 0
    fp32: int = 0

    @property
    def seconds(self) -> float:
        return max(self.bytes * BYTE, self.int8 * INT8 + self.bf16 * BF16 + self.fp32 * FP32)


@dataclass(frozen=True, slots=True)
class Attention:
    """Of one layer: what is read for a position, what is done for a (token, position) pair."""

    bytes: int
    bf16: int
    window: int


class Work:
    def __init__(self, recording: Recording, kv_bits: int = 16) -> None:
        self.notes, self.kv_bits, self.layers = recording.notes, kv_bits, recording.layer_count
        products = [p for note in self.notes if (p := product_of(note)) is not None]
        heads = [p for p in products if p.name == "head"]
        self._head = heads[0] if heads else Product("head")
        plain = [p for p in products if p.name != "head" and not p.experts]
        self._bytes = sum(p.bytes for p in plain)
        self._token = sum(_seconds(p) for p in plain)
        self._mixtures = Counter(p for p in products if p.experts)
        each = (_attention(note, kv_bits, self.layers) for note in self.notes)
        self._attention = Counter(a for a in each if a is not None)

    def of(self, tokens: Sequence[int], contexts: Sequence[int], rows: int) -> list[OpWork]:
        """tokens [S]: new ones of each sequence; contexts [S]: positions before them.

        Distinct experts are as many as uniform routing is expected to choose.
        """
        total, out = sum(tokens), []
        for note in self.notes:
            if product := product_of(note):
                count = rows if product.name == "head" else total
                out.append(_work(product, count))
            elif attention := _attention(note, self.kv_bits, self.layers):
                out.append(_attend(attention, tokens, contexts))
        return out

    def shares(
        self, starts: NDArray[np.int32], positions: NDArray[np.int32], rows: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        """[S], summing to one: what each segment caused of a step.

        The bytes of weights are shared by all tokens alike (of the head: by all rows), and so are
        the sums made with them; reading a cache is its own sequence's affair.
        """
        tokens = np.diff(starts).astype(np.float64)
        owners = np.searchsorted(starts, rows, side="right") - 1
        wanted = np.bincount(owners, minlength=len(tokens)).astype(np.float64)
        total, count = tokens.sum(), max(wanted.sum(), 1.0)
        body = max(self._bytes * BYTE, total * self._token) + self._mixture_seconds(total)
        passes = np.ceil(count / HEAD_ROWS)
        head = max(passes * self._head.bytes * BYTE, count * _seconds(self._head))
        seconds = body * tokens / total + head * wanted / count
        seconds += self._attention_seconds(tokens, positions.astype(np.float64))
        return np.asarray(seconds / seconds.sum())

    def _mixture_seconds(self, tokens: float) -> float:
        return sum(
            layers * max(_bytes(p, tokens) * BYTE, tokens * _seconds(p))
            for p, layers in self._mixtures.items()
        )

    def _attention_seconds(
        self, tokens: NDArray[np.float64], positions: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        seconds = np.zeros_like(tokens)
        for a, layers in self._attention.items():
            pairs, read = positions_seen(tokens, positions, a.window)
            seconds += layers * np.maximum(read * a.bytes * BYTE, pairs * a.bf16 * BF16)
        return seconds


def positions_seen(
    tokens: NDArray[np.float64], positions: NDArray[np.float64], window: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each segment: how many positions its tokens see in all, and how many are read at all."""
    pairs = tokens * (positions + (tokens + 1) / 2)
    ends = positions + tokens
    if not window:
        return pairs, ends
    # tokens past the window see `window` positions; what a token at p would see more is p + 1 - w
    past = np.clip(ends - window, 0, tokens)
    first = ends - window - past
    return pairs - past * (first + (past + 1) / 2), np.minimum(ends, tokens + window - 1)


def _seconds(product: Product) -> float:
    """Of one token's operations."""
    return product.int8 * INT8 + product.bf16 * BF16 + product.fp32 * FP32


def _bytes(product: Product, tokens: float) -> float:
    chosen = distinct(product.experts, product.top_k, tokens) if product.experts else 0.0
    return product.bytes + chosen * product.expert_bytes


def _work(product: Product, tokens: int) -> OpWork:
    passes = -(-tokens // HEAD_ROWS) if product.name == "head" else 1
    operations = (tokens * each for each in (product.int8, product.bf16, product.fp32))
    return OpWork(product.name, round(passes * _bytes(product, tokens)), *operations)


def _attention(note: Note, kv_bits: int, layers: int) -> Attention | None:
    if note.name == "attention":
        q, k, _ = note.inputs
        heads, layer = note.settings["kv_heads"], note.settings["layer"]
        both = sum(grid.bytes(k.width // heads) for grid in grids(kv_bits, layer, layers))
        return Attention(heads * both, 4 * q.width, note.settings["window"])
    if note.name == "latent_attention":
        q, latent = note.inputs
        values = note.settings["heads"] * note.settings["value"]
        read = latent_grid(kv_bits).bytes(latent.width)
        return Attention(read, 2 * (q.width + values), 0)
    return None


def _attend(a: Attention, tokens: Sequence[int], contexts: Sequence[int]) -> OpWork:
    of_each = np.array(tokens, np.float64), np.array(contexts, np.float64)
    pairs, read = (int(x.sum()) for x in positions_seen(*of_each, a.window))
    return OpWork("attention", read * a.bytes, bf16=pairs * a.bf16)
