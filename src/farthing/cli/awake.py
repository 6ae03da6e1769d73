"""What one token of a packed model needs: its parameters, its bytes, its place in the cache.

Read off the notes of the model's page. Of a bank of experts a token needs top_k / E.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from fractions import Fraction
from math import prod
from pathlib import Path

from farthing import models
from farthing.formats import packed
from farthing.ops.mixture import Bank
from farthing.ops.record import Note, Packed, Recording

BF16 = 2
"""Bytes of a number in the cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Awake:
    parameters: int
    active: int
    """Parameters that a token needs: of an embedding one row, of experts those it goes to.

    (Some makers count the embedding whole: Qwen does, DeepSeek and OpenAI do not.)
    """

    always_bytes: int
    """Of weights that every step reads, whatever its tokens."""

    expert_bytes: int
    """Of all experts that routers choose from."""

    chosen_bytes: int
    """Of those that one token goes to."""

    context_bytes: int
    """What the cache takes for one token of context."""

    max_context: int

    @property
    def token_bytes(self) -> int:
        """Weights read by one decode step of one sequence."""
        return self.always_bytes + self.chosen_bytes


@dataclass(frozen=True, slots=True)
class Use:
    """A weight in an op, and the share of it that one token reads."""

    weight: Packed
    share: Fraction = Fraction(1)
    routed: bool = False

    @property
    def bytes(self) -> Fraction:
        return self.share * int(self.weight.data.nbytes)

    @property
    def parameters(self) -> int:
        return prod(self.weight.shape)


def awake(folder: Path) -> Awake:
    """Of a packed folder; reads its header and no weights. FormatError if no page takes it."""
    checkpoint = packed.open(folder)
    model = models.load(checkpoint.config, checkpoint.tensors)
    recording = Recording(model.shape.layers)
    model.forward(recording, recording)
    return of(recording, model.shape.max_context)


def of(recording: Recording, max_context: int) -> Awake:
    """Of the notes of a page that was run on packed tensors."""
    used: dict[str, Use] = {}
    for use in uses(recording.notes):
        before = used.setdefault(use.weight.name, use)
        # a table may be embedding and head in one
        used[use.weight.name] = max(before, use, key=lambda one: one.share)
    routed = [use for use in used.values() if use.routed]
    return Awake(
        parameters=sum(use.parameters for use in used.values()),
        active=int(sum(use.parameters * use.share for use in used.values())),
        always_bytes=int(sum(use.bytes for use in used.values() if not use.routed)),
        expert_bytes=sum(use.weight.data.nbytes for use in routed),
        chosen_bytes=int(sum(use.bytes for use in routed)),
        context_bytes=sum(map(cached, recording.notes)),
        max_context=max_context,
    )


def uses(notes: list[Note]) -> Iterator[Use]:
    routers = {id(note.out): note.settings["router"] for note in notes if note.name == "route"}
    for note in notes:
        if note.name == "experts":
            bank, shared = note.weights
            router = routers[id(note.inputs[1])]
            share = Fraction(router.top_k, router.experts)
            yield from (Use(weight, share, routed=True) for weight in held(bank))
            yield from (Use(weight) for weight in held(shared))
        elif note.name == "embedding":
            table = note.weights[0]
            yield Use(table, Fraction(1, table.shape[0]))
        else:
            yield from (Use(weight) for weight in note.weights if weight is not None)


def held(bank: Bank | None) -> list[Packed]:
    if bank is None:
        return []
    tensors = (getattr(bank, field.name) for field in fields(bank))
    return [tensor for tensor in tensors if tensor is not None]


def cached(note: Note) -> int:
    """Bytes that a token leaves in the cache of this op."""
    if note.name == "attention":
        _, k, v = note.inputs
        return BF16 * (k.width + v.width)
    if note.name == "latent_attention":
        return BF16 * note.inputs[1].width
    return 0
