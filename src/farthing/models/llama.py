"""Llama, and SmolLM2 and Mistral, which have its shape (2302.13971, 2310.06825).

Each block: attention over the past, then a gated MLP, both normalised before and added to the
stream. Weights keep their Hugging Face names.

Shapes: T tokens of this step (all sequences end to end), D model width, F MLP width, V vocabulary;
heads lie side by side in the width.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

from farthing import ops
from farthing.errors import FormatError
from farthing.models.config import Dense, flag, whole
from farthing.models.tensors import Tensors
from farthing.models.types import Cache, Shape, Step


class Layer(Protocol):
    """What each of its two halves adds to the stream [T, D]."""

    def attend(self, x: Any, step: Step, layer: Any) -> Any: ...

    def mlp(self, x: Any) -> Any: ...


class Llama:
    def __init__(self, config: Mapping[str, Any], tensors: Tensors) -> None:
        self.config = c = self.read(config)
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

    def block(self, tensors: Tensors, config: Mapping[str, Any], layer: int) -> Layer:
        c, biased = self.config, flag(config, "mlp_bias")
        attention = "qkvo" if flag(config, "attention_bias") else ""
        mlp = MLP(tensors.under("mlp"), c.width, c.inner, biased=biased)
        return Block(c, tensors, layer, attention, mlp=mlp)

    @property
    def shape(self) -> Shape:
        return self.config.shape

    def forward(self, step: Step, cache: Cache) -> Any:
        return self.answer(self.final(ops.rows(self.stream(step, cache), step)))

    def stream(self, step: Step, cache: Cache) -> Any:
        """[T, D]: what the last block leaves."""
        x = ops.embedding(self.embed, step.tokens)
        for block, layer in zip(self.blocks, cache.layers, strict=True):
            x = ops.add(x, block.attend(x, step, layer))
            x = ops.add(x, block.mlp(x))
        return x

    def final(self, x: Any) -> Any:
        """[R, D] of the stream, normalised: what the head reads, and a next-token head (MTP)."""
        return ops.rms_norm(x, self.norm, eps=self.config.norm_eps)

    def answer(self, x: Any) -> Any:
        """[R, D], normalised -> logits [R, V]."""
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

    @classmethod
    def take(
        cls, tensors: Tensors, name: str, rows: int, columns: int, *, biased: bool = False
    ) -> Self:
        weight = tensors.take(f"{name}.weight", rows, columns)
        return cls(weight, tensors.take(f"{name}.bias", rows) if biased else None)

    def __call__(self, x: Any) -> Any:
        return ops.linear(x, self.weight, self.bias)


class MLP:
    """silu(gate) * up, then down: [T, width] -> [T, width]."""

    def __init__(self, tensors: Tensors, width: int, inner: int, *, biased: bool = False) -> None:
        self.gate = Projection.take(tensors, "gate_proj", inner, width, biased=biased)
        self.up = Projection.take(tensors, "up_proj", inner, width, biased=biased)
        self.down = Projection.take(tensors, "down_proj", width, inner, biased=biased)

    def __call__(self, x: Any) -> Any:
        return self.down(ops.silu_mul(self.gate(x), self.up(x)))


class Block:
    """`biased` names the attention projections that have a bias, of q, k, v and o.

    `mlp` is what stands after attention: a plain one unless given.
    """

    def __init__(
        self,
        c: Dense,
        tensors: Tensors,
        layer: int,
        biased: str = "",
        *,
        mlp: Callable[[Any], Any] | None = None,
    ) -> None:
        self.config, self.window = c, c.shape.windows[layer]
        self.scale: float = c.shape.head_dim**-0.5
        self.sinks: Any = None

        def projection(name: str, rows: int, columns: int) -> Projection:
            full = f"self_attn.{name}_proj"
            return Projection.take(tensors, full, rows, columns, biased=name in biased)

        q, kv = c.shape.heads * c.shape.head_dim, c.shape.kv_heads * c.shape.head_dim
        self.attention_norm = tensors.take("input_layernorm.weight", c.width)
        self.q = projection("q", q, c.width)
        self.k = projection("k", kv, c.width)
        self.v = projection("v", kv, c.width)
        self.o = projection("o", c.width, q)
        self.mlp_norm = tensors.take("post_attention_layernorm.weight", c.width)
        self.inner = mlp or MLP(tensors.under("mlp"), c.width, c.inner)

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
            scale=self.scale,
            window=self.window,
            sinks=self.sinks,
        )
        return self.o(out)

    def queries_and_keys(self, x: Any, step: Step) -> tuple[Any, Any]:
        s, rotation = self.config.shape, self.config.rotation
        q = ops.rope(self.q(x), step.positions, rotation, heads=s.heads)
        k = ops.rope(self.k(x), step.positions, rotation, heads=s.kv_heads)
        return q, k

    def mlp(self, x: Any) -> Any:
        return self.inner(ops.rms_norm(x, self.mlp_norm, eps=self.config.norm_eps))
