"""Adapters from disk, as PEFT writes them: adapter_model.safetensors, adapter_config.json.

Experts lie in stacks, as PEFT has them with transformers 5 (`target_parameters`): A of all experts
one under the other, B with experts side by side, gate and up as one matrix. Those that lie one by
one, as PEFT wrote them before, are read too.

Whatever else PEFT knows (DoRA, biases, layers replicated, ...) is refused by name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from farthing.errors import FormatError, NotFound
from farthing.formats.hf import read_object
from farthing.formats.hf_names import EXPERT, canonical
from farthing.learn.lora import Adapter, Module, Part, modules

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
PREFIX = "base_model.model."
_TENSOR = re.compile(r"base_model\.model\.(.+)\.lora_(A|B)\.weight")
_FUSED = re.compile(r"(model\.layers\.\d+\.mlp\.experts)(\.base_layer)?")
_PATTERN = re.compile(r"(?:\.\*\\\.)?((?:\w|\\?\.)+)")

FUSED = {"gate_up_proj": ("gate_proj", "up_proj"), "down_proj": ("down_proj",)}
KNOWN = {"r", "lora_alpha", "use_rslora", "alpha_pattern", "target_modules", "target_parameters"}
PLAIN = {
    "peft_type": ("LORA",),
    "task_type": ("CAUSAL_LM", None),
    "bias": ("none",),
    "init_lora_weights": (True, False, "gaussian"),
}
"""Fields that decide what an adapter means, and the values that are understood."""
IDLE = {
    "auto_mapping",
    "base_model_name_or_path",
    "inference_mode",
    "loftq_config",
    "lora_dropout",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "rank_pattern",
    "revision",
    "exclude_modules",
    "layers_pattern",
    "layers_to_transform",
    "lora_ga_config",
    "runtime_config",
    "ensure_weight_tying",
}
"""Fields that the tensors already show, or that only training reads."""


def read(folder: Path, config: Mapping[str, Any]) -> Adapter:
    """For the model of that config.json. Raises NotFound, or FormatError naming file and field."""
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise NotFound(f"{folder} holds no adapter: {name} is missing")
    settings = read_object(folder / CONFIG)
    _check(folder / CONFIG, settings)
    try:
        tensors = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError, ValueError) as error:
        raise FormatError(f"{folder / WEIGHTS} can't be read: {error}") from None
    made = _Reading(folder / WEIGHTS, settings, modules(config))
    for name, tensor in tensors.items():
        made.take(name, tensor.float())
    return Adapter(config, made.parts())


def _check(path: Path, settings: Mapping[str, Any]) -> None:
    for name, known in PLAIN.items():
        if settings.get(name, known[0]) not in known:
            raise FormatError(
                f"{path}: {name} is {settings[name]!r:.80}; understood is"
                f" {' or '.join(map(repr, known))}"
            )
    for name, value in settings.items():
        if name not in KNOWN | PLAIN.keys() | IDLE and value not in (None, False, "none", [], {}):
            raise FormatError(f"{path}: {name} is {value!r:.80}, which is not understood")
    for name in ("r", "lora_alpha"):
        if type(settings.get(name)) not in (int, float) or settings[name] <= 0:
            raise FormatError(f"{path}: {name} is {settings.get(name)!r:.80}; a number expected")


@dataclass(slots=True)
class _Reading:
    path: Path
    settings: Mapping[str, Any]
    modules: Mapping[str, Module]
    found: dict[tuple[str, int], dict[str, Tensor]] = field(default_factory=dict)
    """(module, expert or -1) -> "A" and "B"."""
    scales: dict[str, float] = field(default_factory=dict)

    def take(self, full: str, tensor: Tensor) -> None:
        named = _TENSOR.fullmatch(full)
        if named is None or tensor.ndim != 2:
            raise FormatError(
                f"{self.path}: tensor {full[:120]!r} {list(tensor.shape)}; only"
                f" {PREFIX}*.lora_A.weight and lora_B, as matrices, are understood"
            )
        module, which = named.groups()
        name = canonical(f"{module}.weight")
        fused, expert = _FUSED.fullmatch(name.removesuffix(".weight")), EXPERT.fullmatch(name)
        if fused:
            self._fused(full, fused[1], bool(fused[2]), which, tensor)
        elif expert:
            self._add(f"{expert[1]}.{expert[3][:-7]}", int(expert[2]), which, tensor, module)
        else:
            self._add(name.removesuffix(".weight"), -1, which, tensor, module)

    def parts(self) -> dict[str, Part]:
        """In the page's order. Raises FormatError for a half, or an expert, that is missing."""
        ours = [name for name in self.modules if name in self.scales]
        if not ours:
            raise FormatError(f"{self.path} holds no tensor")
        return {name: self._part(name) for name in ours}

    def _part(self, name: str) -> Part:
        module, pairs = self.modules[name], []
        for index in range(module.experts) if module.experts else [-1]:
            pair = self.found.get((name, index), {})
            if pair.keys() != {"A", "B"} or len(pair["A"]) != pair["B"].shape[1]:
                of = f" of expert {index}" if module.experts else ""
                raise FormatError(
                    f"{self.path}: {name} has no matching lora_A and lora_B{of}; save it again"
                )
            shapes = (*pair["A"].shape, *pair["B"].shape)
            if (shapes[1], shapes[2]) != (module.columns, module.rows):
                raise FormatError(
                    f"{self.path}: {name} is for a matrix of {shapes[2]} x {shapes[1]}, and the"
                    f" model's is {module.rows} x {module.columns}; it is of another model"
                )
            pairs.append(pair)
        if len({len(pair["A"]) for pair in pairs}) > 1:
            raise FormatError(f"{self.path}: {name} has experts of different ranks")
        a, b = (torch.stack([pair[which] for pair in pairs]) for which in "AB")
        scale = self.scales[name] / (
            sqrt(a.shape[1]) if self.settings.get("use_rslora") else a.shape[1]
        )
        return Part(a, b, scale) if module.experts else Part(a[0], b[0], scale)

    def _add(self, name: str, index: int, which: str, tensor: Tensor, theirs: str) -> None:
        module = self.modules.get(name)
        if module is None or index >= max(module.experts, 0):
            raise FormatError(
                f"{self.path}: {theirs[:120]!r} is no matrix of this model's blocks that is adapted"
            )
        self.found.setdefault((name, index), {})[which] = tensor
        self.scales[name] = self._alpha(theirs)

    def _fused(self, full: str, experts: str, inner: bool, which: str, tensor: Tensor) -> None:
        """All experts in one tensor: the inner one is gate and up where both are adapted."""
        given = self.settings.get("target_parameters") or ()
        named = [str(name).rsplit(".", 1)[-1] for name in given]
        both = set(FUSED) <= set(named)
        kind = "gate_up_proj" if inner or (not both and "gate_up_proj" in named) else "down_proj"
        down = self.modules.get(f"{experts}.down_proj")
        if down is None or kind not in named or (inner and not both):
            raise FormatError(f"{self.path}: {full[:120]!r} belongs to no stack of experts here")
        length = tensor.shape[0] if which == "A" else tensor.shape[1]
        if length % down.experts:
            raise FormatError(f"{self.path}: {full[:120]!r} is not for {down.experts} experts")
        if which == "A":
            each = tensor.view(down.experts, -1, tensor.shape[1])
        else:
            each = tensor.view(tensor.shape[0], -1, down.experts).permute(2, 0, 1)
        halves = {"down_proj": each}
        if kind == "gate_up_proj":
            gate, up = (each, each) if which == "A" else each.chunk(2, 1)
            halves = {"gate_proj": gate, "up_proj": up}
        for name, stack in halves.items():
            for index, one in enumerate(stack):
                self._add(f"{experts}.{name}", index, which, one, f"{experts}.{kind}")

    def _alpha(self, module: str) -> float:
        """alpha_pattern's for a module, by the end of its name; else lora_alpha."""
        for pattern, value in (self.settings.get("alpha_pattern") or {}).items():
            plain = _PATTERN.fullmatch(pattern)
            if plain is None or type(value) not in (int, float):
                raise FormatError(
                    f"{self.path.parent / CONFIG}: alpha_pattern {pattern[:80]!r}: only plain names"
                    " are understood"
                )
            name = plain[1].replace("\\", "")
            if module == name or module.endswith(f".{name}"):
                return float(value)
        return float(self.settings["lora_alpha"])
