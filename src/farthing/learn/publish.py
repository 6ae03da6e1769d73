"""A trained model as a Hugging Face folder, which transformers, vLLM and farthing load.

Matrices are rounded to bf16; norms, biases and corrections stay fp32. The page's tensors go back to
the names and shapes of their family: MLA's halves into one kv_b_proj, experts one by one. A
next-token head is the layer after the last, as in DeepSeek-V3's released weights.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from farthing import models
from farthing.errors import FormatError, InputError
from farthing.formats.hf import SINGLE, TEMPLATE, TOKENIZER
from farthing.formats.hf_published import EMBEDDING, HEAD, published
from farthing.formats.safetensors import Head, Writer
from farthing.learn.published_config import ARCHITECTURES, explicit
from farthing.models.deepseek_mtp import next_token_tensors
from farthing.store.space import clear_when_full, need
from farthing.tokenizer import Tokenizer
from farthing.weight import f32_to_bf16

GENERATION = "generation_config.json"
KEYS, VALUES, BOTH = "k_b_proj.weight", "v_b_proj.weight", "kv_b_proj.weight"

Array = NDArray[Any]
Weights = Mapping[str, Tensor]
Further = Callable[[Path], Mapping[str, str]]
"""Given the folder with its weights, texts that belong beside them, by name: README.md, say."""


@dataclass(frozen=True, slots=True)
class Item:
    """A tensor as it will lie in the folder."""

    name: str
    head: Head
    numbers: Callable[[], Array]


def folder(
    config: Mapping[str, Any],
    weights: Weights,
    tokenizer: Path,
    into: Path,
    *,
    copies: bool = False,
    further: Further = lambda draft: {},
) -> Path:
    """A new folder, whole or not there. weights: fp32, by the page's names.

    `copies`: embedding and head stand a second time in the next-token layer, as in the released
    weights; whoever loads the folder has them from the main model anyway. Raises InputError if the
    folder exists, a weight is not a number or the vocabularies differ, FormatError for a family
    that is not written or weights that are not the config's, DiskFull.
    """
    if into.exists():
        raise InputError(f"{into} exists; remove it, or choose another folder")
    layers = _checked(config, weights)
    items = list(_items(config, weights))
    if copies and layers:
        items += _copies(weights, f"model.layers.{config['num_hidden_layers']}")
    files = _texts(config, tokenizer, layers)
    draft = into.with_name(f".{into.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        with clear_when_full(f"writing {into}", draft):
            need(draft, sum(item.head.bytes for item in items), f"{into.name}")
            with Writer(draft / SINGLE, {i.name: i.head for i in items}, {"format": "pt"}) as out:
                for item in items:
                    out.put(item.name, item.numbers())
            for name, text in {**files, **further(draft)}.items():
                (draft / name).write_text(text, "utf-8")
            draft.rename(into)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return into


def _checked(config: Mapping[str, Any], weights: Weights) -> int:
    """How many next-token layers there are: 0 or 1."""
    family = models.family(config)
    if family not in ARCHITECTURES:
        raise FormatError(
            f"models of type {family!r} are not written as Hugging Face folders yet; written are"
            f" {', '.join(ARCHITECTURES)}"
        )
    wanted, layers = models.tensors_of(config), 0
    if any(name.startswith(f"model.layers.{config['num_hidden_layers']}.") for name in weights):
        wanted, layers = wanted | next_token_tensors(config), 1
    found = {name: tuple(weight.shape) for name, weight in weights.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise FormatError(
                f"weight {name} is {found.get(name, 'missing')}, and the config calls for"
                f" {wanted.get(name, 'none')}; is this the run's own config?"
            )
        if not bool(torch.isfinite(weights[name]).all()):
            raise InputError(
                f"weight {name} holds what is no number; publish an earlier checkpoint of the run"
            )
    return layers


def _items(config: Mapping[str, Any], weights: Weights) -> Iterator[Item]:
    family = str(config["model_type"])
    if family == "granitemoe":
        weights = _granite(weights)
    for name, weight in weights.items():
        if name.endswith(KEYS):
            stem = name.removesuffix(KEYS)
            yield _matrix(stem + BOTH, _joined(weight, weights[stem + VALUES]))
        elif name.endswith(VALUES):
            continue
        elif weight.ndim == 3 and family != "granitemoe":
            for index, one in enumerate(weight):
                yield _matrix(published(family, name, index), one)
        elif weight.ndim > 1:
            yield _matrix(published(family, name), weight)
        else:
            yield Item(name, Head("F32", tuple(weight.shape)), partial(_numbers, weight))


def _granite(weights: Weights) -> Weights:
    """Experts stay stacks, gate's rows above up's in one of them, under names of its own."""
    found: dict[str, Tensor] = {}
    for name, weight in weights.items():
        stem, _, part = name.partition(".mlp.")
        sparse = f"{stem}.block_sparse_moe"
        if part == "experts.gate_proj.weight":
            up = weights[f"{stem}.mlp.experts.up_proj.weight"]
            found[f"{sparse}.input_linear.weight"] = torch.cat([weight, up], 1)
        elif part == "experts.down_proj.weight":
            found[f"{sparse}.output_linear.weight"] = weight
        elif part == "gate.weight":
            found[f"{sparse}.router.layer.weight"] = weight
        elif part != "experts.up_proj.weight":
            found[name] = weight
    return found


def _joined(keys: Tensor, values: Tensor) -> Tensor:
    """[h, rank, nope], [h, v, rank] -> [h * (nope + v), rank]: K's rows of a head, then V's."""
    return torch.cat([keys.transpose(1, 2), values], 1).flatten(0, 1)


def _copies(weights: Weights, layer: str) -> list[Item]:
    head = weights.get(HEAD, weights[EMBEDDING])
    return [
        _matrix(f"{layer}.embed_tokens.weight", weights[EMBEDDING]),
        _matrix(f"{layer}.shared_head.head.weight", head),
    ]


def _matrix(name: str, weight: Tensor) -> Item:
    return Item(name, Head("BF16", tuple(weight.shape)), lambda: f32_to_bf16(_numbers(weight)))


def _numbers(weight: Tensor) -> Array:
    return np.ascontiguousarray(weight.detach().to(torch.float32).numpy())


def _texts(config: Mapping[str, Any], tokenizer: Path, layers: int) -> dict[str, str]:
    """config.json, and the tokenizer's files."""
    opened = Tokenizer.open(tokenizer)
    if opened.vocabulary > config["vocab_size"]:
        raise InputError(
            f"{tokenizer} has {opened.vocabulary} tokens, and the model {config['vocab_size']};"
            " give the tokenizer that its data was packed with"
        )
    paths = [tokenizer / name for name in (*TOKENIZER, TEMPLATE, GENERATION)]
    files = {path.name: path.read_text("utf-8") for path in paths if path.exists()}
    bos, eos = (opened.special_id(f"{name}_token") for name in ("bos", "eos"))
    if GENERATION not in files:
        files[GENERATION] = json.dumps({"bos_token_id": bos, "eos_token_id": eos}, indent=2)
    made = explicit(config) | {"bos_token_id": bos, "eos_token_id": eos}
    if config["model_type"] == "deepseek_v3":
        made["num_nextn_predict_layers"] = layers
    files["config.json"] = json.dumps(made, indent=2)
    return files
