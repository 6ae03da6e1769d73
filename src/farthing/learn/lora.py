"""Low-rank parts beside frozen weights (LoRA; Hu et al., 2106.09685): W + scale * B A.

A module's name is the one that PEFT and the family's published folders give it. Of a stack of
experts each matrix has a part of its own; MLA's kv_b_proj, which the page reads as two stacks of
heads, has one part for both. Routers, embeddings and the head are never adapted.

The sum is never made while training (adapted.py). Merging makes it, once.

Shapes: r rank, N rows, K columns, E experts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from farthing import models
from farthing.errors import InputError
from farthing.formats.hf_published import FAMILIES, published
from farthing.formats.types import ROUNDED
from farthing.learn import frozen
from farthing.learn.frozen import Codes, Frozen

ALL = "all-linear"
KEYS, VALUES, LATENT = "k_b_proj", "v_b_proj", "kv_b_proj"


@dataclass(frozen=True, slots=True)
class Module:
    """What may have a part: `[experts,] rows, columns`; experts 0 is a plain matrix."""

    name: str
    rows: int
    columns: int
    experts: int = 0

    def called(self, family: str) -> list[str]:
        """Its name, and what the family's own folders call it; of a stack, its first expert."""
        if family not in FAMILIES:
            return [self.name]
        theirs = published(family, f"{self.name}.weight", 0 if self.experts else None)
        return [self.name, theirs.removesuffix(".weight")]


@dataclass(frozen=True, slots=True)
class Part:
    """scale * b a, fp32: a [(E,) r, K], b [(E,) N, r]."""

    a: Tensor
    b: Tensor
    scale: float

    def delta(self) -> Tensor:
        return self.scale * (self.b @ self.a)


@dataclass(frozen=True, slots=True)
class Weight:
    """What a page takes in place of a tensor: base, and a part in the base's layout or none."""

    base: Frozen
    part: Part | None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.base.shape)

    def whole(self, dtype: torch.dtype) -> Tensor:
        base = frozen.dense(self.base, dtype)
        return base if self.part is None else base + self.part.delta().to(base.dtype)


def modules(config: Mapping[str, Any]) -> dict[str, Module]:
    """All that a model's page lets be adapted, in the page's order."""
    found: dict[str, Module] = {}
    for full, shape in models.tensors_of(config).items():
        name = full.removesuffix(".weight")
        block = full.startswith("model.layers.") and full.endswith(".weight")
        if not block or len(shape) < 2 or full.endswith(ROUNDED):
            continue
        stem, leaf = name.rsplit(".", 1)
        if leaf == KEYS:
            heads, latent, nope = shape
            value = models.tensors_of(config)[f"{stem}.{VALUES}.weight"][1]
            joined = f"{stem}.{LATENT}"
            found[joined] = Module(joined, heads * (nope + value), latent)
        elif leaf != VALUES:
            rows, columns = shape[-2:]
            found[name] = Module(name, rows, columns, shape[0] if len(shape) == 3 else 0)
    return found


def targeted(config: Mapping[str, Any], targets: Sequence[str]) -> dict[str, Module]:
    """Those that a target names: "all-linear", or a name or its end, as PEFT reads them.

    Raises InputError for a target that names nothing.
    """
    everything, family = modules(config), models.family(config)
    chosen: set[str] = set()
    for target in targets:
        mine = {
            name
            for name, module in everything.items()
            if target == ALL or any(_names(target, one) for one in module.called(family))
        }
        if not mine:
            known = sorted({module.name.rsplit(".", 1)[1] for module in everything.values()})
            raise InputError(
                f"target {target[:80]!r} names no matrix of this model's blocks; there are"
                f" {', '.join(known)}, and {ALL} is all of them"
            )
        chosen |= mine
    return {name: module for name, module in everything.items() if name in chosen}


def _names(target: str, name: str) -> bool:
    return name == target or name.endswith(f".{target}")


class Adapter:
    """Parts by their modules' names; all are parameters."""

    def __init__(self, config: Mapping[str, Any], parts: Mapping[str, Part]) -> None:
        self.config, self.parts = config, dict(parts)

    @classmethod
    def fresh(
        cls,
        config: Mapping[str, Any],
        targets: Sequence[str],
        *,
        rank: int,
        alpha: float,
        seed: int,
    ) -> "Adapter":
        """A as PEFT draws it, uniform within 1 / sqrt(K); B zero, so that nothing changes yet."""
        generator = torch.Generator().manual_seed(seed)
        parts = {}
        for name, module in targeted(config, targets).items():
            stack = (module.experts,) if module.experts else ()
            bound = 1 / sqrt(module.columns)
            a = torch.rand(*stack, rank, module.columns, generator=generator) * 2 * bound - bound
            b = torch.zeros(*stack, module.rows, rank)
            parts[name] = Part(a.requires_grad_(), b.requires_grad_(), alpha / rank)
        return cls(config, parts)

    def named(self) -> Iterator[tuple[str, Tensor]]:
        for name, part in self.parts.items():
            yield f"{name}.lora_A", part.a
            yield f"{name}.lora_B", part.b

    def beside(self, base: Mapping[str, Frozen], dtype: torch.dtype) -> dict[str, Any]:
        """The page's weights: what has a part or is of codes as a Weight, others as they are."""
        parts: dict[str, Part] = {}
        for name, part in self.parts.items():
            cast = Part(part.a.to(dtype), part.b.to(dtype), part.scale)
            parts |= placed(self.config, name, cast)
        return {
            name: Weight(weight, parts.get(name))
            if name in parts or isinstance(weight, Codes)
            else weight
            for name, weight in base.items()
        }

    @torch.no_grad()
    def merged(self, base: Mapping[str, Frozen]) -> dict[str, Tensor]:
        """The page's tensors with the parts added, made in fp32 and then in the base's dtype."""
        deltas: dict[str, Part] = {}
        for name, part in self.parts.items():
            deltas |= placed(self.config, name, part)
        made = {}
        for name, weight in base.items():
            whole = frozen.dense(weight, torch.float32)
            if name in deltas:
                whole = (whole.float() + deltas[name].delta()).to(whole.dtype)
            made[name] = whole
        return made


def placed(config: Mapping[str, Any], name: str, part: Part) -> dict[str, Part]:
    """A module's part as parts of the page's tensors.

    kv_b_proj has, for each head, rows of K and then rows of V; the page wants K's turned over:
    (B A)^T = A^T B^T.
    """
    stem, leaf = name.rsplit(".", 1)
    if leaf != LATENT:
        return {f"{name}.weight": part}
    nope, value = int(config["qk_nope_head_dim"]), int(config["v_head_dim"])
    heads = part.b.reshape(-1, nope + value, part.b.shape[1])
    keys, values = heads[:, :nope], heads[:, nope:]
    return {
        f"{stem}.{KEYS}.weight": Part(keys.mT, part.a.T, part.scale),
        f"{stem}.{VALUES}.weight": Part(part.a, values, part.scale),
    }
