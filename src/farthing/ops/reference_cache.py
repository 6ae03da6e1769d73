"""What a step of the reference reads and writes: new tokens, and the keys and values kept of old.

Knows nothing of pages: a sequence's keys and values are one array, grown by each step.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace

from farthing.ops.reference_codes import Codes
from farthing.weight import bf16_to_f32, f32_to_bf16

Arithmetic = Literal["fp32", "native"]
"""fp32 rounds nothing more than fp32 does; native rounds what the native side rounds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """Tokens start..stop of the step, standing at `position` onwards of one sequence."""

    sequence: int
    start: int
    stop: int
    position: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """tokens [T], positions [T] of each token in its sequence, rows [R] whose logits are wanted."""

    tokens: Any
    positions: Any
    rows: Any
    segments: tuple[Segment, ...]

    @classmethod
    def of(
        cls,
        pieces: Sequence[tuple[int, int, Sequence[int]]],
        *,
        rows: Sequence[int] | None = None,
        xp: Any = np,
    ) -> "Step":
        """From (sequence, position of its first token here, tokens). rows=None wants them all.

        Arrays are of the namespace `xp`.
        """
        tokens: list[int] = []
        positions: list[int] = []
        segments = []
        for sequence, position, new in pieces:
            start, stop = len(tokens), len(tokens) + len(new)
            segments.append(Segment(sequence=sequence, start=start, stop=stop, position=position))
            tokens += new
            positions += range(position, position + len(new))
        wanted = range(len(tokens)) if rows is None else rows
        return cls(
            tokens=xp.asarray(tokens, dtype=xp.int64),
            positions=xp.asarray(positions, dtype=xp.int64),
            rows=xp.asarray(list(wanted), dtype=xp.int64),
            segments=tuple(segments),
        )


@dataclass(slots=True)
class LayerCache:
    """One layer's keys and values, [P, kv_heads * head_dim] each, of every sequence.

    A layer of latents keeps one array [P, w] in their place.
    """

    arithmetic: Arithmetic = "fp32"
    codes: Codes | None = None
    """How keys and values are rounded to fewer bits; None keeps them as `arithmetic` says."""
    kept: dict[int, tuple[Any, ...]] = field(default_factory=dict)

    def extend(self, segment: Segment, *new: Any) -> tuple[Any, ...]:
        """Keeps the segment's arrays, forgetting what stood at its positions and after.

        Returns those of the whole sequence so far.
        """
        new = tuple(self._kept(*new))
        old = self.kept.get(segment.sequence)
        assert segment.position <= (0 if old is None else old[0].shape[0]), "a hole in the cache"
        if old is not None and segment.position:
            xp, at = array_namespace(*new), segment.position
            new = tuple(xp.concat([a[:at], b]) for a, b in zip(old, new, strict=True))
        self.kept[segment.sequence] = new
        return new

    def _kept(self, keys: Any, values: Any = None) -> Iterator[Any]:
        if self.codes is None:
            yield self.rounded(keys)
        else:
            yield self.codes.keys(keys)
        if values is not None:
            yield self.rounded(values) if self.codes is None else self.codes.values(values)

    def queries(self, x: Any) -> Any:
        """As they meet what is kept."""
        return self.rounded(x if self.codes is None else self.codes.queries(x))

    def attended(self, x: Any) -> Any:
        """What a head gives, [t, d], of values as they are kept."""
        return x if self.codes is None else self.codes.attended(x)

    def rounded(self, x: Any) -> Any:
        """What attention makes of its inputs: bf16 and back in native arithmetic.

        That is for NumPy only: the array API has no bf16.
        """
        if self.arithmetic == "fp32":
            return x
        assert isinstance(x, np.ndarray)
        return bf16_to_f32(f32_to_bf16(x))


@dataclass(frozen=True, slots=True)
class Cache:
    layers: tuple[LayerCache, ...]

    @classmethod
    def empty(
        cls, layers: int, arithmetic: Arithmetic = "fp32", codes: Sequence[Codes] | None = None
    ) -> "Cache":
        """`codes`: one a layer, for a cache of fewer bits."""
        each = [None] * layers if codes is None else codes
        return cls(tuple(LayerCache(arithmetic, one) for one in each))
