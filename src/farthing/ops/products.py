"""The products of a recorded forward with its weights: what they read, what they compute."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from farthing.ops.mixture import Bank
from farthing.ops.record import Note, Recording


@dataclass(frozen=True, slots=True)
class Product:
    """`bytes` are read once, operations (a multiply-add is two) done for each token.

    Of a mixture, `expert_bytes` are read besides for each of its experts that a token goes to.
    """

    name: str
    bytes: int = 0
    int8: int = 0
    bf16: int = 0
    fp32: int = 0
    experts: int = 0
    top_k: int = 0
    expert_bytes: int = 0


def distinct(experts: int, top_k: int, tokens: float) -> float:
    """Experts that some tokens go to in all, where each goes to any top_k alike."""
    return float(experts * (1 - (1 - top_k / experts) ** tokens))


def product_of(note: Note) -> Product | None:
    """What a note multiplies with weights; None if it does not."""
    if note.name == "experts":
        return _mixture(note)
    if note.name not in ("linear", "head_linear", "logits"):
        return None
    weight = note.weights[0]
    operations = 2 * prod(weight.shape)
    if note.settings.get("precise"):
        return Product("router", weight.data.nbytes, fp32=operations)
    name = "head" if note.name == "logits" else "linear"
    return Product(name, weight.data.nbytes, **{_kind(weight): operations})


def _mixture(note: Note) -> Product:
    bank, shared = note.weights
    experts, top_k = bank.gate.shape[0], note.inputs[1].width // 2
    operations = {"int8": 0, "bf16": 0}
    for tensor in _matrices(bank):
        operations[_kind(tensor)] += 2 * top_k * prod(tensor.shape[1:])
    for tensor in _matrices(shared):
        operations[_kind(tensor)] += 2 * prod(tensor.shape)
    return Product(
        "experts",
        sum(tensor.data.nbytes for tensor in _matrices(shared)),
        **operations,
        experts=experts,
        top_k=top_k,
        expert_bytes=sum(tensor.data.nbytes for tensor in _matrices(bank)) // experts,
    )


def _kind(tensor: Any) -> str:
    return "bf16" if tensor.form.bits == 16 else "int8"


def _matrices(bank: Bank | None) -> tuple[Any, ...]:
    return () if bank is None else (bank.gate, bank.up, bank.down)


@dataclass(frozen=True, slots=True)
class Parameters:
    """`active`: what one token meets, all but the experts it does not go to."""

    total: int
    active: int


def parameters(recording: Recording) -> Parameters:
    total = active = 0
    seen: set[int] = set()
    for note in recording.notes:
        for tensor, share in _tensors(note):
            if id(tensor) not in seen:
                seen.add(id(tensor))
                size = prod(tensor.shape)
                total += size
                active += round(size * share)
    return Parameters(total, active)


def _tensors(note: Note) -> Iterator[tuple[Any, float]]:
    """A note's tensors, and the share of each that one token meets."""
    if note.name != "experts":
        yield from ((tensor, 1.0) for tensor in note.weights if tensor is not None)
        return
    bank, shared = note.weights
    chosen = note.inputs[1].width / 2 / bank.gate.shape[0]
    for one, share in ((bank, chosen), (shared, 1.0)):
        if one is not None:
            biases = (one.gate_bias, one.up_bias, one.down_bias)
            yield from ((t, share) for t in (*_matrices(one), *biases) if t is not None)
