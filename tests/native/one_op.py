"""Native programs of a few ops, whose inputs and outputs are arrays: what ops are tested with."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing import _native, weight
from farthing.weight import Matrix

Floats = NDArray[np.float32]


def aligned(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy that starts on 64 bytes, as a mapped checkpoint does."""
    room = np.zeros(data.size + 64, np.uint8)
    start = -room.ctypes.data % 64
    room[start : start + data.size] = data
    return room[start : start + data.size]


def up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


class OneOp:
    """A program under construction, then run on any of the rows its inputs were given."""

    def __init__(
        self, isa: str, *, max_tokens: int = 64, threads: int = 1, max_context: int = 64
    ) -> None:
        self.native = _native.Program(isa, threads, max_tokens, max_context)
        self.tables: Any = np.zeros((1, 0), np.int32)
        self.finished = False
        # With several threads each makes the small values for itself, and only what they make
        # together (`shared`) can be read afterwards.
        self.small = threads > 1

    def slot(self, bytes: int, *, wanted: bool = False) -> int:
        return self.native.slot(bytes, wanted, self.small, True)

    def floats(self, width: int) -> int:
        return self.slot(4 * up(width, 16))

    def shared(self, width: int) -> int:
        """For what a linear or an attention writes."""
        return self.native.slot(4 * up(width, 16), False, False, True)

    def weight(self, matrix: Matrix) -> int:
        data = aligned(weight.pack(matrix))
        return self.native.weight(matrix.form.name, matrix.form.group, 0, *matrix.shape, data)

    def stack(self, matrices: Sequence[Matrix]) -> int:
        """Matrices of one shape and form, each on a boundary of a page of memory."""
        parts = [weight.pack(matrix) for matrix in matrices]
        data = np.concatenate([np.pad(part, (0, -part.size % 4096)) for part in parts])
        form, shape = matrices[0].form, matrices[0].shape
        return self.native.weight(form.name, form.group, len(parts), *shape, aligned(data))

    def input(self, values: Floats, *, group: int = 16) -> int:
        """A slot that holds, for token t, row t of `values`: a sum of three bf16 tables.

        A precise linear reads groups of 32.
        """
        width, rest, slots = values.shape[1], values.astype(np.float32), []
        for _ in range(3):
            part = weight.bf16_to_f32(weight.f32_to_bf16(rest))
            rest = rest - part
            slots.append(self.floats(up(width, group)))
            self.native.embed(self.weight(weight.dense(part)), slots[-1])
        assert not rest.any(), "three bf16 numbers don't hold these"
        for at in (1, 2):
            out = self.floats(up(width, group))
            self.native.add(slots[0], slots[at], width, out)
            slots[0] = out
        return slots[0]

    def quantized(self, values: Floats, *, bf16: bool = False) -> int:
        width = values.shape[1]
        k = up(width, 32)
        out = self.slot(2 * k if bf16 else k + k // 32 * 20)
        self.native.quantize(self.input(values), 1, width, "bf16" if bf16 else "int8", out)
        return out

    def linear(
        self, x: Floats, matrix: Matrix, bias: Floats | None = None, *, precise: bool = False
    ) -> int:
        out = self.shared(matrix.shape[0])
        if precise:
            weight = self.weight(matrix)
            self.native.linear(self.input(x, group=32), True, [weight], [out], [bias], [None])
            return out
        source = self.quantized(x, bf16=matrix.form.bits == 16)
        self.native.linear(source, False, [self.weight(matrix)], [out], [bias], [None])
        return out

    def run(
        self,
        tokens: Sequence[int],
        *,
        starts: Sequence[int] | None = None,
        positions: Sequence[int] = (0,),
        fresh: Sequence[int] = (),
        cache_bytes: int = 0,
    ) -> None:
        """One step; by default of one segment. Page tables are `self.tables`, a row a segment."""
        if not self.finished:
            self.native.finish(cache_bytes)
            self.finished = True

        def ints(values: Any) -> NDArray[np.int32]:
            return np.array(values, np.int32)

        vocabulary = self.native.vocabulary
        self.native.logits_of(
            ints(tokens),
            ints([0, len(tokens)] if starts is None else starts),
            ints(positions),
            self.tables,
            ints(fresh),
            ints([]),
            1 << 30,
            np.empty((0, vocabulary), np.float32),
        )
        self.count = len(tokens)

    def read(self, slot: int, width: int) -> Floats:
        """What the last step left in a slot, [T, width]."""
        return self.native.slot_rows(slot, self.count).view(np.float32)[:, :width].copy()

    def raw(self, slot: int) -> NDArray[np.uint8]:
        return self.native.slot_rows(slot, self.count).copy()
