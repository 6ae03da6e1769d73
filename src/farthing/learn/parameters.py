"""The numbers that are trained, by the names that the model's page gives them.

Modules are nested by the names' dots and compute nothing: the page does. fp32 throughout; the page
is given what `cast` makes of them.
"""

from collections.abc import Iterator, Mapping
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from farthing import models
from farthing.models.deepseek_mtp import next_token_tensors

CORRECTION = "e_score_correction_bias"
"""Learned by the balance (balance.py), not by gradients."""

EMBEDDING_STD = 0.02
LAST = ("o_proj.weight", "down_proj.weight")
"""Matrices whose result is added to the stream: smaller at first, the more there are."""


class Parameters(nn.Module):
    """`weights()[name]` is the page's tensor; corrections are buffers."""

    def __init__(self, config: Mapping[str, Any], *, seed: int, next_token: bool = False) -> None:
        super().__init__()
        shapes = models.tensors_of(config)
        if next_token:
            shapes = shapes | next_token_tensors(config)
        self.names = tuple(shapes)
        generator = torch.Generator().manual_seed(seed)
        layers = int(config["num_hidden_layers"])
        for name, shape in shapes.items():
            value = initial(name, shape, layers, generator)
            owner, leaf = self._owner(name)
            if name.endswith(CORRECTION):
                owner.register_buffer(leaf, value)
            else:
                owner.register_parameter(leaf, nn.Parameter(value))

    def weights(self) -> dict[str, Tensor]:
        found = dict(self.named_parameters()) | dict(self.named_buffers())
        return {name: found[name] for name in self.names}

    def corrections(self) -> Iterator[tuple[str, Tensor]]:
        for name, value in self.weights().items():
            if name.endswith(CORRECTION):
                yield name, value

    def _owner(self, name: str) -> tuple[nn.Module, str]:
        *path, leaf = name.split(".")
        module: nn.Module = self
        for part in path:
            if part not in module._modules:
                module.add_module(part, nn.Module())
            module = module.get_submodule(part)
        return module, leaf


def initial(name: str, shape: tuple[int, ...], layers: int, generator: torch.Generator) -> Tensor:
    """Norms are one, biases and corrections zero, matrices normal by the width of their input."""
    if name.endswith((".bias", CORRECTION)):
        return torch.zeros(shape)
    if len(shape) == 1:
        return torch.ones(shape)
    std = (
        EMBEDDING_STD
        if name.endswith(("embed_tokens.weight", "lm_head.weight"))
        else (shape[-1] ** -0.5)
    )
    if name.endswith(LAST):
        std /= sqrt(2 * layers)
    return torch.randn(shape, generator=generator) * std


def cast(weights: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Matrices in the dtype that products are made in; vectors, routers and corrections stay."""
    return {
        name: weight.to(dtype) if weight.ndim > 1 and not name.endswith("gate.weight") else weight
        for name, weight in weights.items()
    }
