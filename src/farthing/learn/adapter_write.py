"""Adapters to disk, as PEFT reads them (adapter.py says how they lie there)."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from farthing.learn import place
from farthing.learn.adapter import CONFIG, FUSED, PREFIX, WEIGHTS
from farthing.learn.lora import Adapter, Module, Part, modules


def write(folder: Path, adapter: Adapter, *, base: str) -> None:
    """Into an existing folder: parts of one rank and scale, as `Adapter.fresh` makes them.

    base: the model's name, for people. Raises DiskFull; the weights come last.
    """
    (rank,) = {part.a.shape[-2] for part in adapter.parts.values()}
    (scale,) = {part.scale for part in adapter.parts.values()}
    everything = modules(adapter.config)
    plain = {n: part for n, part in adapter.parts.items() if not everything[n].experts}
    stacks: dict[str, dict[str, Part]] = {}
    for name in adapter.parts.keys() - plain.keys():
        stem, leaf = name.rsplit(".", 1)
        stacks.setdefault(stem, {})[leaf] = adapter.parts[name]
    tensors = {f"{name}.lora_{x}.weight": t for name, p in plain.items() for x, t in _ab(p)}
    for stem, parts in stacks.items():
        tensors |= _stacked(stem, parts)
    leaves = {leaf for parts in stacks.values() for leaf in parts}
    fused = [name for name, halves in FUSED.items() if leaves & set(halves)]
    # gate and up together have a rank of their own, and count as much as others
    double = {r".*\.gate_up_proj": 2} if leaves >= set(FUSED["gate_up_proj"]) else {}
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": scale * rank,
        "rank_pattern": {key: times * rank for key, times in double.items()},
        "alpha_pattern": {key: times * scale * rank for key, times in double.items()},
        "lora_dropout": 0.0,
        "target_modules": _targets(everything, plain),
        "target_parameters": [f"mlp.experts.{name}" for name in fused] or None,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "use_dora": False,
        "use_rslora": False,
    }
    whole = {PREFIX + name: x.detach().float().clone() for name, x in tensors.items()}
    place.write(folder / CONFIG, json.dumps(settings, indent=2).encode())
    place.write(folder / WEIGHTS, save(whole, {"format": "pt"}))


def _ab(part: Part) -> tuple[tuple[str, Tensor], tuple[str, Tensor]]:
    return ("A", part.a), ("B", part.b)


def _stacked(stem: str, parts: Mapping[str, Part]) -> dict[str, Tensor]:
    """Of one layer's experts: the inner of two is gate and up."""
    found = {}
    inner = f"{stem}.base_layer" if "down_proj" in parts and len(parts) > 1 else stem
    pair = [parts.get(name) for name in FUSED["gate_up_proj"]]
    for at, part in ((inner, _joined(*pair)), (stem, parts.get("down_proj"))):
        if part is not None:
            found[f"{at}.lora_A.weight"] = part.a.flatten(0, 1)
            found[f"{at}.lora_B.weight"] = part.b.permute(1, 2, 0).flatten(1)
    return found


def _joined(gate: Part | None, up: Part | None) -> Part | None:
    """Both as the part of one matrix [E, 2 I, H]: A one under the other, B along the diagonal."""
    if gate is None or up is None:
        one = gate or up
        if one is None:
            return None
        none = torch.zeros_like(one.b)
        return Part(one.a, torch.cat([one.b, none] if gate else [none, one.b], 1), one.scale)
    above = torch.cat([gate.b, torch.zeros_like(gate.b)], 2)
    below = torch.cat([torch.zeros_like(up.b), up.b], 2)
    return Part(torch.cat([gate.a, up.a], 1), torch.cat([above, below], 1), gate.scale)


def _targets(everything: Mapping[str, Module], parts: Mapping[str, Part]) -> list[str]:
    """Last names, if they mean these modules and no others; else all names in full."""
    last = {name.rsplit(".", 1)[1] for name in parts}
    meant = {name for name in everything if name.rsplit(".", 1)[1] in last}
    return sorted(last if meant == set(parts) else parts)
