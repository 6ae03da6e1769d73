"""A router and experts as a native program, the reference's answer, and how far off one may be."""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from one_op import OneOp
from test_native_linear import EPS, bound

from farthing import weight
from farthing.ops import reference_mixture as reference
from farthing.ops.mixture import SILU, Activation, Bank, Router
from farthing.ops.reference_linear import Weight, bind, linear, quantize
from farthing.ops.reference_mixture import Routed
from farthing.weight import Matrix

Floats = NDArray[np.float32]
Far = NDArray[np.float64]


@dataclass(kw_only=True)
class Mixture:
    """x [T, H], logits [T, E], gate [T, 1]; a bank's stacks are lists of Matrix, or one Matrix."""

    x: Floats
    logits: Floats
    router: Router
    bank: Bank
    activation: Activation = SILU
    correction: Floats | None = None
    shared: Bank | None = None
    gate: Floats | None = None

    @cached_property
    def routed(self) -> Routed:
        return reference.route(self.logits, self.router, self.correction)

    @cached_property
    def expected(self) -> Floats:
        out: Floats = reference.experts(
            self.x,
            self.routed,
            _bound_bank(self.bank),
            activation=self.activation,
            shared=None if self.shared is None else _bound_bank(self.shared),
            gate=self.gate,
        )
        return out

    @cached_property
    def allowed(self) -> Far:
        """[T, H]: how far two fp32 sums of the same terms may lie apart, codes near an edge too."""
        routed, size = self.routed, np.zeros(self.x.shape)
        far = np.zeros(self.x.shape)
        for e in range(self.router.experts):
            tokens, place = np.nonzero(routed.ids == e)
            if len(tokens):
                factor = np.abs(routed.weights[tokens, place, None])
                y, off = _mlp(self.x[tokens], _one(self.bank, e), self.activation)
                far[tokens] += factor * off
                size[tokens] += factor * np.abs(y)
        if self.shared is not None:
            y, off = _mlp(self.x, self.shared, self.activation)
            factor = 1.0 if self.gate is None else reference.sigmoid(self.gate)
            far, size = far + factor * off, size + factor * np.abs(y)
        return np.asarray(far + (4 * self.router.top_k + 64) * EPS * size + 1e-7)


class Native:
    """Mixtures of the same tokens, one op after another in one program."""

    def __init__(self, isa: str, *mixtures: Mixture, threads: int = 1) -> None:
        most = max(len(m.x) for m in mixtures)
        self.op = OneOp(isa, max_tokens=most, threads=threads, max_context=most)
        self.mixtures = mixtures
        self.slots = [self._add(m) for m in mixtures]

    def _add(self, m: Mixture) -> tuple[int, int]:
        r, native, width = m.router, self.op.native, m.x.shape[1]
        routed, out = self.op.floats(2 * r.top_k), self.op.shared(width)
        native.route(
            self.op.input(m.logits),
            r.experts,
            r.top_k,
            r.score,
            r.normalise,
            r.scale,
            r.groups,
            r.top_groups,
            r.group_by == "two",
            m.correction,
            routed,
        )
        bank, shared = self._bank(m.x, m.bank), None if m.shared is None else m.shared
        handed = None if shared is None else self._bank(m.x, shared)
        gate, a = None if m.gate is None else self.op.input(m.gate), m.activation
        native.experts(
            routed, r.top_k, width, bank, handed, gate, a.sharpness, a.shift, a.limit, out
        )
        return routed, out

    def _bank(self, x: Floats, bank: Bank) -> tuple[Any, ...]:
        first = bank.gate[0] if isinstance(bank.gate, list) else bank.gate
        source = self.op.quantized(x, bf16=first.form.bits == 16)
        weights = (self._weight(w) for w in (bank.gate, bank.up, bank.down))
        biases = (bank.gate_bias, bank.up_bias, bank.down_bias)
        return (source, *weights, *(None if b is None else np.atleast_2d(b) for b in biases))

    def _weight(self, held: list[Matrix] | Matrix) -> int:
        return self.op.stack(held) if isinstance(held, list) else self.op.weight(held)

    def run(self, rows: Any, at: int = 0) -> Floats:
        """One step of tokens that stand at these rows of the mixtures' inputs: [T, H] of one."""
        self.op.run(list(rows))
        return self.op.read(self.slots[at][1], self.mixtures[at].x.shape[1])

    def routed(self, at: int = 0) -> Routed:
        """Of the step before; only with one thread."""
        k = 4 * self.mixtures[at].router.top_k
        raw = self.op.raw(self.slots[at][0])
        ids, weights = (np.ascontiguousarray(raw[:, i : i + k]) for i in (0, k))
        return Routed(ids.view(np.int32), weights.view(np.float32))


def _one(bank: Bank, e: int) -> Bank:
    held = {f.name: getattr(bank, f.name) for f in fields(bank)}
    return Bank(**{name: None if v is None else v[e] for name, v in held.items()})


def _bound_bank(bank: Bank) -> Bank:
    held = {f.name: getattr(bank, f.name) for f in fields(bank)}
    return Bank(**{n: v for n, v in bind(held, "int8").items()})


def _product(x: Floats, m: Matrix, bias: Floats | None) -> tuple[Floats, Far]:
    """What a linear gives, and how far off one may be."""
    y = linear(x, Weight(m, "bf16" if m.form.bits == 16 else "int8"), bias)
    return y, bound(x, m) + 2 * EPS * (np.abs(y) + (0 if bias is None else np.abs(bias)))


def _mlp(x: Floats, bank: Bank, activation: Activation) -> tuple[Floats, Far]:
    gate, gate_off = _product(x, bank.gate, bank.gate_bias)
    up, up_off = _product(x, bank.up, bank.up_bias)
    middle = reference.gated(gate, up, activation)
    # x * sigmoid(s * x) is nowhere steeper than 1.1, whatever s is
    high = np.clip(up, -activation.limit, activation.limit) + activation.shift
    swish = reference.gated(gate, np.ones_like(up), Activation(sharpness=activation.sharpness))
    off = 1.1 * gate_off * np.abs(high) + np.abs(swish) * up_off + 16 * EPS * np.abs(middle)
    y, y_off = _product(middle, bank.down, bank.down_bias)
    return y, y_off + _rounded_otherwise(middle, off, bank.down) @ np.abs(bank.down.dequantize().T)


def _rounded_otherwise(x: Floats, off: Far, m: Matrix) -> Far:
    """How far what x is rounded to may lie from what another is that is at most `off` away."""
    if m.form.bits == 16:
        low, high = (weight.f32_to_bf16((x + s * off).astype(np.float32)) for s in (-1, 1))
        return np.abs(weight.bf16_to_f32(high).astype(np.float64) - weight.bf16_to_f32(low))
    codes, scales = quantize(x)
    blocks = np.arange(x.shape[1]) // 32
    largest = np.maximum.reduceat(off, np.arange(0, x.shape[1], 32), axis=1)
    scale = np.maximum(scales.astype(np.float64), 1e-30)
    moved = (largest / (127 * scale))[:, blocks]  # the scale's own error, relative
    scaled, scale = np.abs(x) / scale[:, blocks], scale[:, blocks]
    reach = off / scale + scaled * (moved + 4 * EPS)
    near = np.rint(scaled - reach) != np.rint(scaled + reach)
    return np.asarray(scale * (near + np.abs(codes) * moved))
