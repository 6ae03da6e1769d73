"""Toy models of every family in packed form, and steps to run them with. No downloads."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing import weight
from farthing.config import EngineConfig
from farthing.engine.runner import NativeRunner
from farthing.engine.types import RowSampling, Step
from farthing.formats import packed
from farthing.formats.types import Layout
from farthing.weight import Form, Matrix

FORMS = {
    "int4": Form(bits=4, group=32, scale="f16", offset="none"),
    "int4-min": Form(bits=4, group=32, scale="f16", offset="min"),
    "int4-64": Form(bits=4, group=64, scale="f16", offset="none"),
    "int4-128-f32-min": Form(bits=4, group=128, scale="f32", offset="min"),
    "int4-f32": Form(bits=4, group=32, scale="f32", offset="none"),
    "q4_k": Form(bits=4, group=32, scale="two_level", offset="min"),
    "int8": Form(bits=8, group=32, scale="f16", offset="none"),
    "int8-min": Form(bits=8, group=32, scale="f16", offset="min"),
    "int8-f32": Form(bits=8, group=64, scale="f32", offset="none"),
    "int8-f32-min": Form(bits=8, group=32, scale="f32", offset="min"),
    "q5_k": Form(bits=8, group=32, scale="two_level", offset="min"),
    "q6_k": Form(bits=8, group=16, scale="two_level", offset="none"),
    "int4-zero": Form(bits=4, group=32, scale="f16", offset="zero"),
    "int8-zero-128": Form(bits=8, group=128, scale="f16", offset="zero"),
    "bf16": weight.BF16,
}


BIASED = ("self_attn.q", "self_attn.k", "self_attn.v")


def matrix(rng: np.random.Generator, form: Form, n: int, k: int, size: float = 0.02) -> Matrix:
    """Random codes, and scales that make weights of about `size`."""
    if form.bits == 16:
        return weight.dense((rng.standard_normal((n, k)) * size).astype(np.float32))
    groups, supers = -(-k // form.group), -(-k // weight.SUPER)
    codes = rng.integers(0, 1 << form.bits, (n, k)).astype(np.uint8)
    step = size / (1 << (form.bits - 1)) * 2

    def scales() -> NDArray[Any]:
        return (rng.random((n, groups)) + 0.5) * step

    fields: dict[str, Any] = {}
    if form.scale == "two_level":
        low, kind = (-40, np.int8) if form.offset == "none" else (1, np.uint8)
        fields["super_scale"] = ((rng.random((n, supers)) + 0.5) * step / 20).astype(np.float16)
        fields["scale"] = rng.integers(low, 40, (n, groups)).astype(kind)
        if form.offset == "min":
            middle = step / 20 * (1 << (form.bits - 1))
            fields["super_minimum"] = np.full((n, supers), middle, np.float16)
            fields["minimum"] = rng.integers(1, 40, (n, groups)).astype(np.uint8)
    else:
        kind = np.float16 if form.scale == "f16" else np.float32
        fields["scale"] = scales().astype(kind)
        if form.offset == "min":
            fields["minimum"] = (-scales() * (1 << (form.bits - 1))).astype(kind)
        if form.offset == "zero":
            zeros = rng.integers(0, (1 << form.bits) + 1, (n, groups))
            fields["zero"] = zeros.astype(np.float16)
    return Matrix(form=form, codes=codes, **fields)


def config(family: str = "llama", **changes: Any) -> dict[str, Any]:
    base = {
        "model_type": family,
        "vocab_size": 211,
        "hidden_size": 96,
        "intermediate_size": 160,
        "num_hidden_layers": 2,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
    }
    return base | changes


def tensors(c: dict[str, Any], form: Form, seed: int = 0) -> dict[str, Any]:
    """Every tensor that the family's page asks for, by its Hugging Face name."""
    rng = np.random.default_rng(seed)
    width, inner, d = c["hidden_size"], c["intermediate_size"], c["head_dim"]
    q, kv = c["num_attention_heads"] * d, c["num_key_value_heads"] * d

    def vector(n: int, centre: float) -> NDArray[np.float32]:
        return (centre + 0.1 * rng.standard_normal(n)).astype(np.float32)

    out: dict[str, Any] = {
        "model.embed_tokens.weight": matrix(rng, FORMS["int8"], c["vocab_size"], width, 0.5),
        "model.norm.weight": vector(width, 1.0),
    }
    if not c["tie_word_embeddings"]:
        out["lm_head.weight"] = matrix(rng, form, c["vocab_size"], width, 0.2)
    shapes = {
        "self_attn.q_proj": (q, width),
        "self_attn.k_proj": (kv, width),
        "self_attn.v_proj": (kv, width),
        "self_attn.o_proj": (width, q),
        "mlp.gate_proj": (inner, width),
        "mlp.up_proj": (inner, width),
        "mlp.down_proj": (width, inner),
    }
    for layer in range(c["num_hidden_layers"]):
        under = f"model.layers.{layer}."
        for name, (n, k) in shapes.items():
            out[f"{under}{name}.weight"] = matrix(rng, form, n, k, 0.15)
            if c["model_type"] == "qwen2" and name[:11] in BIASED:
                out[f"{under}{name}.bias"] = vector(n, 0.0)
        for name in ("input_layernorm", "post_attention_layernorm"):
            out[f"{under}{name}.weight"] = vector(width, 1.0)
        if c["model_type"] == "qwen3":
            for name in ("q_norm", "k_norm"):
                out[f"{under}self_attn.{name}.weight"] = vector(d, 1.0)
    return out


class Held:
    """formats.types.Tensors over a dict."""

    def __init__(self, held: dict[str, Any]) -> None:
        self.held = held

    def names(self) -> list[str]:
        return list(self.held)

    def layout(self, name: str) -> Layout:
        tensor = self.held[name]
        if isinstance(tensor, list):
            return Layout((len(tensor), *tensor[0].shape), tensor[0].form)
        return Layout(tuple(tensor.shape), tensor.form if isinstance(tensor, Matrix) else None)

    def tensor(self, name: str, rows: slice = slice(None), index: int | None = None) -> Any:
        tensor = self.held[name] if index is None else self.held[name][index]
        if not isinstance(tensor, Matrix):
            return tensor[rows]
        arrays = ("codes", "scale", "minimum", "super_scale", "super_minimum")
        held = {n: getattr(tensor, n) for n in arrays}
        return Matrix(
            form=tensor.form, **{n: None if a is None else a[rows] for n, a in held.items()}
        )


def folder(at: Path, c: dict[str, Any], held: dict[str, Any]) -> Path:
    at.mkdir(parents=True)
    source = packed.Source(file="toy", sha256="0" * 64, kind="toy")
    packed.write(at, c, Held(held), source=source, files={})
    return at


def runner(at: Path, *, threads: int = 1, max_step_tokens: int = 512) -> NativeRunner:
    settings = EngineConfig(
        threads=threads, max_step_tokens=max_step_tokens, cache_bytes=1 << 26, max_context=2048
    )
    return NativeRunner(at, settings)


def greedy(rows: int, **changes: Any) -> RowSampling:
    """Greedy choices, no adjustments; `changes` are values for every row, or whole arrays."""
    fields = {
        "temperature": (np.float32, 0.0),
        "top_k": (np.int32, 0),
        "top_p": (np.float32, 1.0),
        "min_p": (np.float32, 0.0),
        "repetition": (np.float32, 1.0),
        "presence": (np.float32, 0.0),
        "frequency": (np.float32, 0.0),
        "seed": (np.uint64, 0),
        "choice": (np.uint32, 0),
        "position": (np.int32, 0),
        "logprobs": (np.int32, -1),
    }
    arrays = {
        name: np.ascontiguousarray(np.broadcast_to(changes.pop(name, value), rows), kind)
        for name, (kind, value) in fields.items()
    }
    adjustments = {
        "first": np.zeros(rows + 1, np.int32),
        "ids": np.zeros(0, np.int32),
        "bias": np.zeros(0, np.float32),
        "counts": np.zeros(0, np.int32),
        "seen": np.zeros(0, np.uint8),
    }
    return RowSampling(**arrays, **(adjustments | changes))


def step(
    pieces: Sequence[tuple[int, int, Sequence[int]]],
    *,
    rows: Sequence[int] | None = None,
    sampling: RowSampling | None = None,
    fresh: bool = True,
) -> Step:
    """From (sequence, position of its first token here, tokens). Sequence s has pages 32s onwards.

    All rows are wanted unless `rows` says which. Pages first met are fresh.
    """
    tokens = [t for _, _, new in pieces for t in new]
    starts = np.cumsum([0, *(len(new) for _, _, new in pieces)])
    taken = [
        32 * s + page
        for s, at, new in pieces
        for page in range(-(-at // 64), -(-(at + len(new)) // 64))
    ]
    wanted = np.arange(len(tokens)) if rows is None else np.asarray(rows)
    tables = np.array([np.arange(32) + 32 * s for s, _, _ in pieces], np.int32)
    return Step(
        tokens=np.array(tokens, np.int32),
        starts=starts.astype(np.int32),
        positions=np.array([at for _, at, _ in pieces], np.int32),
        tables=tables,
        fresh=np.array(taken if fresh else [], np.int32),
        rows=wanted.astype(np.int32),
        sampling=sampling or greedy(len(wanted)),
    )
