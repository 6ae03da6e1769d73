"""Small models of every family as sources, recipes for them, and what their pages say."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from farthing import models
from farthing.formats.types import Layout, Tensors
from farthing.ops.reference_cache import Cache, Step
from farthing.ops.reference_linear import bind
from farthing.quantize import source as sources
from farthing.quantize.source import Source
from farthing.quantize.types import Choice, Method
from farthing.weight import Form
from models.oracle import checkpoint
from server.toy_model import write_toy
from small_mixtures import VOCABULARY
from small_mixtures import source as write_mixture

INT4 = Form(bits=4, group=32, scale="f16", offset="none")
INT8 = Form(bits=8, group=32, scale="f16", offset="none")
KEEP = Choice(method="keep", form=None)
PRECISE = ("mlp.gate.weight", "shared_expert_gate.weight")
DENSE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
}


@dataclass(frozen=True)
class Same:
    """A recipe: all matrices by one method, but `others` by name's end; routers are kept."""

    method: Method = "keep"
    form: Form = INT4
    others: tuple[tuple[str, Choice], ...] = ()

    def choice(self, name: str, layout: Layout) -> Choice:
        for end, choice in self.others:
            if name.endswith(end):
                return choice
        if self.method == "keep" or layout.form is None or name.endswith(PRECISE):
            return KEEP
        if "embed_tokens" in name:
            return Choice(method="rtn", form=INT8)
        return Choice(method=self.method, form=self.form)


def dense(folder: Path, *, few: int = 0, **changes: Any) -> Source:
    """A small Llama, by transformers, in a Hugging Face folder.

    With `few`, its embeddings lie in so many directions, as those of real models almost do.
    """
    _, theirs = checkpoint("llama", **DENSE | changes)
    if few:
        with torch.no_grad():
            table = theirs.model.embed_tokens.weight
            table[:, few:] = 0
            table.copy_(table @ turn(table.shape[1]))
            for name, parameter in theirs.named_parameters():
                parameter *= 0.5 if name.endswith(("o_proj.weight", "down_proj.weight")) else 1
    theirs.save_pretrained(folder)
    write_toy(folder)
    return sources.open(folder)


def turn(width: int) -> torch.Tensor:
    """A rotation [width, width] that mixes all directions."""
    random = torch.randn(width, width, generator=torch.Generator().manual_seed(2))
    return torch.linalg.qr(random).Q


def mixed(folder: Path, case: str, **changes: Any) -> Source:
    """A small model of a case of small_mixtures."""
    write_mixture(folder, case, **changes)
    return sources.open(folder)


def some_samples(*lengths: int, seed: int = 3) -> list[NDArray[np.int32]]:
    random = np.random.default_rng(seed)
    return [random.integers(0, VOCABULARY, n).astype(np.int32) for n in lengths]


def held(tensors: Tensors) -> dict[str, Any]:
    """All tensors in memory, stacks as lists."""
    found: dict[str, Any] = {}
    for name in tensors.names():
        layout = tensors.layout(name)
        if layout.form is not None and len(layout.shape) == 3:
            found[name] = [tensors.tensor(name, index=i) for i in range(layout.shape[0])]
        else:
            found[name] = tensors.tensor(name)
    return found


def page_logits(
    config: dict[str, Any], tensors: Tensors, samples: list[NDArray[np.int32]]
) -> NDArray[np.float32]:
    """What the model's page says of samples, one after another: [T, V]."""
    model = models.load(config, bind(held(tensors)))
    found = []
    for sample in samples:
        cache = Cache.empty(model.shape.layers)
        found.append(model.forward(Step.of([(0, 0, sample.tolist())]), cache))
    return np.concatenate(found)
