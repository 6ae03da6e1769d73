"""Every op of a page, once for each way it is called, on small tensors. Shared by tests here."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from packed_rows import packed, step_of
from torch import Tensor

from farthing.learn.cross_entropy import Logits
from farthing.learn.fast import Fast
from farthing.ops import reference
from farthing.ops.mixture import Bank, Router
from farthing.ops.reference_cache import LayerCache
from farthing.ops.reference_mixture import Routed
from farthing.ops.rotation import Rotation

ROWS = [[4, 1, 18, 49], [72]]
"""Lengths of documents in two rows of 70 tokens, and the two that follow a row."""

BATCH = packed(ROWS, vocabulary=16)
STEP = step_of(BATCH)
T = BATCH.tokens.numel()
EXPERTS, CHOSEN = 6, 2

PRECISE = ("logits", "correction", "weights", "shared_gate")
"""Inputs that stay in fp32 when products are made in bf16, besides vectors."""

Inputs = dict[str, Tensor]


@dataclass(frozen=True)
class Case:
    shapes: dict[str, tuple[int, ...]]
    call: Callable[[Any, Inputs, Any], Tensor]
    """Of an op's reading, its inputs, and what stands for a layer's cache."""

    exact: tuple[str, ...] = field(default=())
    """Inputs without a gradient."""

    def inputs(self, dtype: torch.dtype, seed: int = 3) -> Inputs:
        """Of values that bf16 holds where it is used: every dtype computes on the same numbers."""
        generator = torch.Generator().manual_seed(seed)
        made = {}
        for name, shape in self.shapes.items():
            value = torch.randn(shape, generator=generator)
            if len(shape) == 1 or name in PRECISE:
                made[name] = value.to(torch.promote_types(dtype, torch.float32))
            else:
                made[name] = value.bfloat16().to(dtype)
            made[name].requires_grad_(name not in self.exact)
        return made


def by_reference(case: Case, inputs: Inputs) -> Tensor:
    return case.call(reference, inputs, LayerCache())


def by_fast(case: Case, inputs: Inputs) -> Tensor:
    out = case.call(Fast(BATCH), inputs, None)
    return out.of(slice(None)) if isinstance(out, Logits) else out


def gradients(out: Tensor, inputs: Inputs, seed: int = 4) -> Inputs:
    """Of the sum of out's entries, each times a random number."""
    wanted = {name: x for name, x in inputs.items() if x.requires_grad}
    generator = torch.Generator().manual_seed(seed)
    cotangent = torch.randn(out.shape, generator=generator).bfloat16().to(out.dtype)
    return dict(
        zip(wanted, torch.autograd.grad(out, list(wanted.values()), cotangent), strict=True)
    )


def rotation(layout: Any, turned: int, width: int = 8) -> Rotation:
    frequencies = (100.0 ** -(np.arange(turned // 2) * 2 / turned)).astype(np.float32)
    return Rotation(frequencies=frequencies, magnitude=1.25, width=width, layout=layout)


def turned(of: Rotation) -> Case:
    return Case({"x": (T, 24)}, lambda o, i, _: o.rope(i["x"], STEP.positions, of, heads=3))


def attended(heads: int, kv_heads: int, window: int = 0) -> Case:
    return Case(
        {"q": (T, heads * 8), "k": (T, kv_heads * 8), "v": (T, kv_heads * 8)},
        lambda o, i, layer: o.attention(
            i["q"],
            i["k"],
            i["v"],
            STEP,
            layer,
            heads=heads,
            kv_heads=kv_heads,
            scale=0.3,
            window=window,
        ),
    )


def routed(router: Router, *, corrected: bool = False) -> Case:
    shapes: dict[str, tuple[int, ...]] = {"logits": (T, router.experts)}
    if corrected:
        shapes["correction"] = (router.experts,)
    return Case(
        shapes,
        lambda o, i, _: o.route(i["logits"], router, i.get("correction")).weights,
        exact=("correction",),
    )


def chosen(experts: int = EXPERTS) -> Tensor:
    """[T, CHOSEN] ascending; the first expert gets most tokens, the last one none."""
    generator = torch.Generator().manual_seed(1)
    worth = torch.rand(T, experts - 1, generator=generator)
    worth[:, 0] += 0.6
    picks = worth.argsort(1, descending=True)[:, :CHOSEN]
    return picks.sort(1).values


def mixture(*, shared: bool = False, gated: bool = False) -> Case:
    e, wide, inner = EXPERTS, 16, 8
    shapes: dict[str, tuple[int, ...]] = {
        "x": (T, wide),
        "weights": (T, CHOSEN),
        "gate": (e, inner, wide),
        "up": (e, inner, wide),
        "down": (e, wide, inner),
    }
    if shared:
        shapes |= {"s_gate": (12, wide), "s_up": (12, wide), "s_down": (wide, 12)}
    if gated:
        shapes["shared_gate"] = (T, 1)

    def call(o: Any, i: Inputs, _: Any) -> Tensor:
        bank = Bank(gate=i["gate"], up=i["up"], down=i["down"])
        beside = Bank(gate=i["s_gate"], up=i["s_up"], down=i["s_down"]) if shared else None
        routed = Routed(chosen(), i["weights"])
        return o.experts(i["x"], routed, bank, shared=beside, gate=i.get("shared_gate"))

    return Case(shapes, call)


def latent(o: Any, i: Inputs, layer: Any) -> Tensor:
    """As a page calls them; between them `Fast` puts off what the reference makes."""
    q = o.join(o.head_linear(i["plain"], i["k_b"]), i["rotated"], heads=3)
    out = o.latent_attention(q, i["latent"], STEP, layer, heads=3, width=8, scale=0.3)
    return o.head_linear(out, i["v_b"])


def product(*, biased: bool = False, precise: bool = False) -> Case:
    shapes: dict[str, tuple[int, ...]] = {"x": (T, 16), "weight": (12, 16)}
    if biased:
        shapes["bias"] = (12,)
    return Case(
        shapes, lambda o, i, _: o.linear(i["x"], i["weight"], i.get("bias"), precise=precise)
    )


GROUPED = {"groups": 3, "top_groups": 2, "experts": 6, "top_k": 2}
CASES: dict[str, Case] = {
    "embedding": Case({"table": (16, 8)}, lambda o, i, _: o.embedding(i["table"], STEP.tokens)),
    "rms_norm": Case(
        {"x": (T, 24), "weight": (24,)}, lambda o, i, _: o.rms_norm(i["x"], i["weight"], eps=1e-3)
    ),
    "rms_norm of heads": Case(
        {"x": (T, 24), "weight": (8,)},
        lambda o, i, _: o.rms_norm(i["x"], i["weight"], eps=1e-3, heads=3),
    ),
    "linear": product(),
    "linear, biased": product(biased=True),
    "linear, precise": product(precise=True),
    "linear, precise and biased": product(precise=True, biased=True),
    "logits": Case(
        {"x": (T, 16), "weight": (30, 16)}, lambda o, i, _: o.logits(i["x"], i["weight"])
    ),
    "rope, halves": turned(rotation("half", 8)),
    "rope, pairs": turned(rotation("interleaved", 8)),
    "rope of a part, halves": turned(rotation("half", 4)),
    "rope of a part, pairs": turned(rotation("interleaved", 4)),
    "attention": attended(4, 4),
    "attention, grouped": attended(4, 2),
    "attention, one for all": attended(3, 1),
    "attention, window": attended(4, 2, window=3),
    "latent_attention, with its products": Case(
        {
            "plain": (T, 3 * 4),
            "k_b": (3, 8, 4),
            "rotated": (T, 3 * 6),
            "latent": (T, 8 + 6),
            "v_b": (3, 5, 8),
        },
        latent,
    ),
    "route, softmax": routed(Router(experts=6, top_k=2)),
    "route, softmax normalised": routed(Router(experts=6, top_k=2, normalise=True)),
    "route, softmax of the chosen": routed(Router(experts=6, top_k=3, score="softmax_chosen")),
    "route, sigmoid": routed(
        Router(experts=6, top_k=2, score="sigmoid", normalise=True, scale=2.5), corrected=True
    ),
    "route, sigmoid in groups by two": routed(
        Router(**GROUPED, score="sigmoid", group_by="two"), corrected=True
    ),
    "route, softmax in groups": routed(Router(**GROUPED, scale=16.0)),
    "route, all experts": routed(Router(experts=4, top_k=4, normalise=True)),
    "experts": mixture(),
    "experts, shared": mixture(shared=True),
    "experts, shared by a gate": mixture(shared=True, gated=True),
    "silu_mul": Case({"a": (T, 16), "b": (T, 16)}, lambda o, i, _: o.silu_mul(i["a"], i["b"])),
    "add": Case({"a": (T, 16), "b": (T, 16)}, lambda o, i, _: o.add(i["a"], i["b"])),
    "scale": Case({"x": (T, 16)}, lambda o, i, _: o.scale(i["x"], 0.3)),
    "part": Case({"x": (T, 24)}, lambda o, i, _: o.part(i["x"], heads=3, begin=2, end=7)),
    "join": Case({"a": (T, 15), "b": (T, 9)}, lambda o, i, _: o.join(i["a"], i["b"], heads=3)),
    "rows": Case({"x": (T, 16)}, lambda o, i, _: o.rows(i["x"], STEP)),
}
