"""Llama, and SmolLM2 and Mistral, which have its shape (2302.13971, 2310.06825).

Each block: attention over the past, then a gated MLP, both normalised before and added to the
stream. Weights keep their Hugging Face names.

Shapes: T tokens of this step (all sequences end to end), D model width, F MLP width, V vocabulary;
heads lie side by side in the width.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from farthing import ops
from farthing.errors import FormatError
from farthing.models.config import Dense, flag, whole
from farthing.models.tensors import Tensors
from farthing.models.types import Cache, Shape, Step, Weights


class Llama:
    def __init__(self, config: Mapping[str, Any], weights: Weights) -> None:
        self.config = c = self.read(config)
        tensors = Tensors(weights)
        self.embed = tensors.take("model.embed_tokens.weight", c.shape.vocabulary, c.width)
        self.blocks = [
            self.block(tensors.under(f"model.layers.{i}"), config, i) for i in range(c.shape.layers)
        ]
        self.norm = tensors.take("model.norm.weight", c.width)
        self.head = self.embed
        if not c.tied:
            self.head = tensors.take("lm_head.weight", c.shape.vocabulary, c.width)

    def read(self, config: Mapping[str, Any]) -> Dense:
        if config.get("sliding_window") is not None:
            raise FormatError(
                "config.json: llama with a sliding_window is not known; set it to null if the model"
                ' was trained without, or model_type to "mistral"'
            )
        return Dense.from_hf(config, (0,) * whole(config, "num_hidden_layers"))

    def block(self, tensors: Tensors, config: Mapping[str, Any], layer: int) -> "Block":
        attention = "qkvo" if flag(config, "attention_bias") else ""
        return Block(self.config, tensors, layer, attention, mlp_bias=flag(config, "mlp_bias"))

    @property
    def shape(self) -> Shape:
        return self.config.shape

    def forward(self, step: Step, cache: Cache) -> Any:
        x = ops.embedding(self.embed, step.tokens)
        for block, layer in zip(self.blocks, cache.layers, strict=True):
            x = ops.add(x, block.attend(x, step, layer))
            x = ops.add(x, block.mlp(x))
        x = ops.rms_norm(ops.rows(x, step), self.norm, eps=self.config.norm_eps)
        return ops.logits(x, self.head)


class Mistral(Llama):
    def read(self, config: Mapping[str, Any]) -> Dense:
        layers = whole(config, "num_hidden_layers")
        # absent is not null: the family's default is a window
        given = config.get("sliding_window", 4096)
        window = 0 if given is None else whole(config, "sliding_window", 4096)
        kind = "sliding_attention" if window else "full_attention"
        kinds = config.get("layer_types")
        if kinds is not None and kinds != [kind] * layers:
            raise FormatError(
                f"config.json: mistral with sliding_window {given} has layer_types {kinds!r};"
                f" expected {kind} in all {layers} layers"
            )
        return Dense.from_hf(config, (window,) * layers)

    def block(self, tensors: Tensors, config: Mapping[str, Any], layer: int) -> "Block":
        return Block(self.config, tensors, layer)


@dataclass(frozen=True, slots=True)
class Projection:
    weight: Any
    bias: Any

    def __call__(self, x: Any) -> Any:
        return ops.linear(x, self.weight, self.bias)


class Block:
    """`biased` names the attention projections that have a bias, of q, k, v and o."""

    def __init__(
        self, c: Dense, tensors: Tensors, layer: int, biased: str = "", *, mlp_bias: bool = False
    ) -> None:
        self.config, self.window = c, c.shape.windows[layer]

        def projection(name: str, rows: int, columns: int, bias: bool) -> Projection:
            weight = tensors.take(f"{name}.weight", rows, columns)
            return Projection(weight, tensors.take(f"{name}.bias", rows) if bias else None)

        q, kv = c.shape.heads * c.shape.head_dim, c.shape.kv_heads * c.shape.head_dim
        self.attention_norm = tensors.take("input_layernorm.weight", c.width)
        self.q = projection("self_attn.q_proj", q, c.width, "q" in biased)
        self.k = projection("self_attn.k_proj", kv, c.width, "k" in biased)
        self.v = projection("self_attn.v_proj", kv, c.width, "v" in biased)
        self.o = projection("self_attn.o_proj", c.width, q, "o" in biased)
        self.mlp_norm = tensors.take("post_attention_layernorm.weight", c.width)
        self.gate = projection("mlp.gate_proj", c.inner, c.width, mlp_bias)
        self.up = projection("mlp.up_proj", c.inner, c.width, mlp_bias)
        self.down = projection("mlp.down_proj", c.width, c.inner, mlp_bias)

    def attend(self, x: Any, step: Step, layer: Any) -> Any:
        s = self.config.shape
        x = ops.rms_norm(x, self.attention_norm, eps=self.config.norm_eps)
        q, k = self.queries_and_keys(x, step)
        out = ops.attention(
            q,
            k,
            self.v(x),
            step,
            layer,
            heads=s.heads,
            kv_heads=s.kv_heads,
            scale=s.head_dim**-0.5,
            window=self.window,
        )
        return self.o(out)

    def queries_and_keys(self, x: Any, step: Step) -> tuple[Any, Any]:
        s, rotation = self.config.shape, self.config.rotation
        q = ops.rope(self.q(x), step.positions, rotation, heads=s.heads)
        k = ops.rope(self.k(x), step.positions, rotation, heads=s.kv_heads)
        return q, k

    def mlp(self, x: Any) -> Any:
        x = ops.rms_norm(x, self.mlp_norm, eps=self.config.norm_eps)
        return self.down(ops.silu_mul(self.gate(x), self.up(x)))
