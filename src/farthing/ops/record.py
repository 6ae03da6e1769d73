"""The ops noted down: a model page run once on symbols becomes a list of notes, in order.

Knows nothing of slots, threads or the native side; `lower.py` makes a program of the notes.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

from farthing.ops.mixture import SILU, Activation, Bank, Router
from farthing.ops.rotation import Rotation
from farthing.weight import Form


class Packed(Protocol):
    """A tensor as a checkpoint maps it: packed bytes [N, K], or fp32 [N] (form None).

    A stack of matrices is [E, N, K], and of vectors [E, N].
    """

    name: str
    shape: tuple[int, ...]
    form: Form | None
    data: Any

    def vector(self) -> Any: ...


@dataclass(eq=False, slots=True)
class Symbol:
    """A value [T, width], or [R, width] where `wanted`. A width of 0: ids, one a token."""

    recording: "Recording"
    width: int
    wanted: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """One op: `inputs` are symbols, `weights` packed tensors (or None), `settings` plain values."""

    name: str
    inputs: tuple[Symbol, ...]
    out: Symbol
    weights: tuple[Any, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Recording:
    """Plays step and cache to a model page, and keeps its notes."""

    layer_count: int
    notes: list[Note] = field(default_factory=list)

    @property
    def tokens(self) -> Symbol:
        return Symbol(self, 0)

    @property
    def positions(self) -> Symbol:
        return Symbol(self, 0)

    @property
    def layers(self) -> range:
        return range(self.layer_count)

    def note(self, name: str, *inputs: Symbol, width: int, **rest: Any) -> Symbol:
        wanted = rest.pop("wanted", inputs[0].wanted)
        out = Symbol(self, width, wanted)
        self.notes.append(Note(name, inputs, out, rest.pop("weights", ()), rest))
        return out


def embedding(table: Packed, tokens: Symbol) -> Symbol:
    return tokens.recording.note("embedding", tokens, width=table.shape[1], weights=(table,))


def rms_norm(x: Symbol, weight: Packed, *, eps: float, heads: int = 1) -> Symbol:
    assert weight.shape[0] * heads == x.width, "a norm's weight must be as wide as a head"
    return x.recording.note("rms_norm", x, width=x.width, weights=(weight,), eps=eps, heads=heads)


def linear(
    x: Symbol, weight: Packed, bias: Packed | None = None, *, precise: bool = False
) -> Symbol:
    assert weight.shape[1] == x.width, f"{weight.name} is {weight.shape}, its input {x.width} wide"
    return x.recording.note(
        "linear", x, width=weight.shape[0], weights=(weight, bias), precise=precise
    )


def head_linear(x: Symbol, weight: Packed) -> Symbol:
    heads, rows, columns = weight.shape
    assert heads * columns == x.width, f"{weight.name} is {weight.shape}, its input {x.width} wide"
    return x.recording.note("head_linear", x, width=heads * rows, weights=(weight,))


def logits(x: Symbol, weight: Packed) -> Symbol:
    assert x.wanted, "logits are of wanted rows"
    return x.recording.note("logits", x, width=weight.shape[0], weights=(weight,))


def rope(x: Symbol, positions: Symbol, rotation: Rotation, *, heads: int) -> Symbol:
    assert rotation.width * heads == x.width, "a rotation must be as wide as a head"
    return x.recording.note("rope", x, width=x.width, rotation=rotation, heads=heads)


def attention(
    q: Symbol,
    k: Symbol,
    v: Symbol,
    step: Recording,
    layer: int,
    *,
    heads: int,
    kv_heads: int,
    scale: float,
    window: int = 0,
    sinks: Packed | None = None,
) -> Symbol:
    return q.recording.note(
        "attention",
        q,
        k,
        v,
        width=q.width,
        weights=(sinks,),
        layer=layer,
        heads=heads,
        kv_heads=kv_heads,
        scale=scale,
        window=window,
    )


def latent_attention(
    q: Symbol, latent: Symbol, step: Recording, layer: int, *, heads: int, width: int, scale: float
) -> Symbol:
    assert q.width == heads * latent.width, "every head's query must be as wide as the latent"
    return q.recording.note(
        "latent_attention",
        q,
        latent,
        width=heads * width,
        layer=layer,
        heads=heads,
        value=width,
        scale=scale,
    )


def route(logits: Symbol, router: Router, correction: Packed | None = None) -> Symbol:
    """A row of ids, then of weights."""
    assert logits.width == router.experts, "a router needs one logit an expert"
    return logits.recording.note(
        "route", logits, width=2 * router.top_k, weights=(correction,), router=router
    )


def experts(
    x: Symbol,
    routed: Symbol,
    bank: Bank,
    *,
    activation: Activation = SILU,
    shared: Bank | None = None,
    gate: Symbol | None = None,
) -> Symbol:
    inputs = (x, routed) if gate is None else (x, routed, gate)
    return x.recording.note(
        "experts", *inputs, width=x.width, weights=(bank, shared), activation=activation
    )


def silu_mul(gate: Symbol, up: Symbol) -> Symbol:
    return gate.recording.note("silu_mul", gate, up, width=gate.width)


def add(x: Symbol, y: Symbol) -> Symbol:
    return x.recording.note("add", x, y, width=x.width)


def scale(x: Symbol, factor: float) -> Symbol:
    return x.recording.note("scale", x, width=x.width, factor=factor)


def part(x: Symbol, *, heads: int, begin: int, end: int) -> Symbol:
    assert 0 <= begin < end <= x.width // heads, "a part lies within each head"
    width = heads * (end - begin)
    return x.recording.note("part", x, width=width, heads=heads, begin=begin, end=end)


def join(x: Symbol, y: Symbol, *, heads: int) -> Symbol:
    return x.recording.note("join", x, y, width=x.width + y.width, heads=heads)


def rows(x: Symbol, step: Recording) -> Symbol:
    return x.recording.note("rows", x, width=x.width, wanted=True)
