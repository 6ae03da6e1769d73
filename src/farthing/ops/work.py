"""How much work each op of a step is: bytes and operations, for the meter and the roofline.

Counts what must be done, not what a kernel happens to do: weights once a step (the head once for
every 32 rows), each sequence's cache once, scores and values of the positions a token sees.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


class Work:
    def __init__(self, recording: Recording) -> None:
        self.notes = recording.notes
        linears = [n for n in self.notes if n.name == "linear"]
        self._linear_bytes = sum(n.weights[0].data.nbytes for n in linears)
        self._linear_token = sum(_linear(n, 1).seconds_of_operations for n in linears)
        (head,) = [n for n in self.notes if n.name == "logits"]
        self._head_bytes = head.weights[0].data.nbytes
        self._head_row = _linear(head, 1).seconds_of_operations
        self._attention = Counter(
            (*_widths(n), n.settings["window"]) for n in self.notes if n.name == "attention"
        )

    def of(self, tokens: Sequence[int], contexts: Sequence[int], rows: int) -> list[OpWork]:
        """tokens [S]: new ones of each sequence; contexts [S]: positions before them."""
        total, out = sum(tokens), []
        for note in self.notes:
            if note.name == "logits":
                out.append(_head(note, rows))
            elif note.name == "linear":
                out.append(_linear(note, total).work)
            elif note.name == "attention":
                out.append(_attend(note, tokens, contexts))
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
        linear = max(self._linear_bytes * BYTE, total * self._linear_token)
        passes = np.ceil(count / HEAD_ROWS)
        head = max(passes * self._head_bytes * BYTE, count * self._head_row)
        seconds = linear * tokens / total + head * wanted / count
        seconds += self._attention_seconds(tokens, positions.astype(np.float64))
        return np.asarray(seconds / seconds.sum())

    def _attention_seconds(
        self, tokens: NDArray[np.float64], positions: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        seconds = np.zeros_like(tokens)
        for (width, kv, window), layers in self._attention.items():
            pairs, read = positions_seen(tokens, positions, window)
            seconds += layers * np.maximum(read * kv * 4 * BYTE, pairs * width * 4 * BF16)
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


@dataclass(frozen=True, slots=True)
class _Linear:
    work: OpWork

    @property
    def seconds_of_operations(self) -> float:
        return self.work.int8 * INT8 + self.work.bf16 * BF16


def _linear(note: Note, tokens: int) -> _Linear:
    weight = note.weights[0]
    rows, columns = weight.shape
    operations = 2 * rows * columns * tokens
    dense = weight.form.bits == 16
    return _Linear(
        OpWork(
            "linear",
            weight.data.nbytes,
            int8=0 if dense else operations,
            bf16=operations if dense else 0,
        )
    )


def _head(note: Note, rows: int) -> OpWork:
    work = _linear(note, rows).work
    passes = -(-rows // HEAD_ROWS)
    return OpWork("head", work.bytes * passes, int8=work.int8, bf16=work.bf16)


def _attend(note: Note, tokens: Sequence[int], contexts: Sequence[int]) -> OpWork:
    width, kv = _widths(note)
    of_each = np.array(tokens, np.float64), np.array(contexts, np.float64)
    pairs, read = (int(x.sum()) for x in positions_seen(*of_each, note.settings["window"]))
    return OpWork("attention", read * kv * 4, bf16=4 * pairs * width)


def _widths(note: Note) -> tuple[int, int]:
    """Widths of all query heads, and of all kv heads, side by side."""
    q, k, _ = note.inputs
    return q.width, k.width
