"""Tensors held in memory, and small models quantized to a form, for the tests of writers."""

from typing import Any

import numpy as np
import torch
import transformers

from farthing import models
from farthing.formats.types import ALL, Layout
from farthing.ops.reference_cache import Cache, Step
from farthing.ops.reference_linear import bind
from farthing.weight import Form, Matrix, dense
from models.canonical import canonical

INT4 = Form(bits=4, group=32, scale="f16", offset="none")
INT8 = Form(bits=8, group=32, scale="f16", offset="none")
ZERO = Form(bits=4, group=32, scale="f16", offset="zero")
MINIMUM = Form(bits=4, group=32, scale="f16", offset="min")
SMALL = {
    "vocab_size": 72,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
}
EXPERTS = {
    "moe_intermediate_size": 64,
    "num_experts": 4,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "shared_expert_intermediate_size": 64,
}
FIELDS = ("codes", "scale", "minimum", "zero")


class Held:
    """Implements `formats.types.Tensors`: a vector, a matrix, or the list of a stack by name."""

    def __init__(self, tensors: dict[str, Any]) -> None:
        self.tensors = tensors

    def names(self) -> list[str]:
        return list(self.tensors)

    def layout(self, name: str) -> Layout:
        held = self.tensors[name]
        if isinstance(held, list):
            return Layout((len(held), *held[0].shape), held[0].form)
        return Layout(held.shape, held.form if isinstance(held, Matrix) else None)

    def tensor(self, name: str, rows: slice = ALL, index: int | None = None) -> Any:
        held = self.tensors[name]
        assert isinstance(held, list) == (index is not None)
        held = held if index is None else held[index]
        if not isinstance(held, Matrix):
            return held[rows]
        fields = {field: getattr(held, field) for field in FIELDS}
        kept = {field: array[rows] for field, array in fields.items() if array is not None}
        return Matrix(form=held.form, **kept)


def quantized(weight: np.ndarray, form: Form) -> Matrix:
    """To the nearest, every group from its least to its largest; the plain way."""
    if form.bits == 16:
        return dense(weight)
    rows, columns = weight.shape
    groups = weight.reshape(rows, columns // form.group, form.group)
    most, fields = (1 << form.bits) - 1, {}
    scale = np.abs(groups).max(-1) / (most // 2)
    low = np.full_like(scale, -form.bias) * scale
    if form.offset != "none":
        scale, low = (groups.max(-1) - groups.min(-1)) / most, groups.min(-1)
    kept = scale.astype(np.float16 if form.scale == "f16" else np.float32)
    wide = np.where(kept == 0, np.float32(1), kept.astype(np.float32))
    if form.offset == "zero":
        zero = np.clip(np.rint(-low / wide), 0, most)
        fields["zero"], low = zero.astype(np.float16), -zero * wide
    elif form.offset == "min":
        fields["minimum"] = low.astype(np.float16)
        low = fields["minimum"].astype(np.float32)
    else:
        low = -form.bias * wide
    codes = np.clip(np.rint((groups - low[..., None]) / wide[..., None]), 0, most)
    codes = codes.reshape(rows, columns).astype(np.uint8)
    return Matrix(form=form, codes=codes, scale=kept, **fields)


def model_of(family: str, **changed: Any) -> Any:
    torch.manual_seed(5)
    given = SMALL | (EXPERTS if family.endswith("moe") or family in ("mixtral", "olmoe") else {})
    config = transformers.AutoConfig.for_model(family, **given | changed)
    model = transformers.AutoModelForCausalLM.from_config(config).float()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.copy_((tensor + torch.randn_like(tensor) / 50).bfloat16())
    return model.eval()


def held(model: Any, forms: dict[str, Form]) -> Held:
    """Its tensors, matrices in the form of the longest ending of their name that `forms` has."""
    config = model.config.to_dict()
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        del state["lm_head.weight"]
    made: dict[str, Any] = {}
    for name, array in canonical(state, config).items():
        endings = [ending for ending in forms if name.endswith(ending)]
        if array.ndim == 1:
            made[name] = array
        elif not endings:
            made[name] = dense(array)
        elif array.ndim == 3:
            made[name] = [quantized(one, forms[max(endings, key=len)]) for one in array]
        else:
            made[name] = quantized(array, forms[max(endings, key=len)])
    return Held(made)


def our_logits(config: dict[str, Any], tensors: Any, tokens: list[int]) -> np.ndarray:
    """farthing's own reading of tensors: the page on NumPy, fp32."""
    found = {}
    for name in tensors.names():
        shape, form = tensors.layout(name).shape, tensors.layout(name).form
        if form is not None and len(shape) == 3:
            found[name] = [tensors.tensor(name, index=index) for index in range(shape[0])]
        else:
            found[name] = tensors.tensor(name)
    model = models.load(config, bind(found))
    return model.forward(Step.of([(0, 0, tokens)]), Cache.empty(model.shape.layers))
