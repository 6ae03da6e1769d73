"""Multi-head latent attention (DeepSeek-V2, 2405.04434), absorbed: V2's, V3's and Kimi's.

A token leaves behind one latent for all heads: `rank` numbers, from which every head's key and
value follow by a matrix, and a rotated key of `rope` more. The key's matrix is applied to the query
instead (W_K'q . c = q . W_K c), the value's to what attention sums up, so neither is ever expanded.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from farthing import ops
from farthing.errors import FormatError
from farthing.models.config import Dense, flag, whole
from farthing.models.llama import Projection
from farthing.models.tensors import Tensors
from farthing.models.types import Step
from farthing.ops.rotation import softmax_factor

INNER_EPS = 1e-6
"""Of the norms of the low ranks: their class's own default, whatever rms_norm_eps says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Latent:
    """Sizes of a head: a query is `nope` + `rope` wide, a value `value`.

    `query_rank` is the width between the two projections of the queries; 0: there is but one.
    """

    rank: int
    nope: int
    rope: int
    value: int
    query_rank: int
    biased: bool
    scale: float

    @property
    def width(self) -> int:
        """What a token leaves in a layer's cache."""
        return self.rank + self.rope

    @classmethod
    def from_hf(cls, hf: Mapping[str, Any]) -> Self:
        nope, rope = _eights(hf, "qk_nope_head_dim"), _eights(hf, "qk_rope_head_dim")
        low = hf.get("q_lora_rank") is not None
        return cls(
            rank=_eights(hf, "kv_lora_rank"),
            nope=nope,
            rope=rope,
            value=_eights(hf, "v_head_dim"),
            query_rank=_eights(hf, "q_lora_rank") if low else 0,
            biased=flag(hf, "attention_bias"),
            scale=(nope + rope) ** -0.5 * softmax_factor(hf),
        )


def dense_from_hf(hf: Mapping[str, Any], latent: Latent, *, interleaved: bool = True) -> Dense:
    """The rest of the decoder. To a cache it has one head, as wide as the latent."""
    heads = whole(hf, "num_attention_heads")
    # All heads share one latent. Some write 1 here, DeepSeek writes as many as there are heads.
    if whole(hf, "num_key_value_heads", heads) not in (1, heads):
        raise FormatError(
            f"config.json: num_key_value_heads is {hf['num_key_value_heads']}; latent attention"
            f" has one latent for all {heads} heads, written 1 or {heads}"
        )
    rotated = {**hf, "num_key_value_heads": 1, "head_dim": latent.rope}
    dense = Dense.from_hf(rotated, (0,) * whole(hf, "num_hidden_layers"))
    if 2 * len(dense.rotation.frequencies) != latent.rope:
        raise FormatError(
            "config.json: partial_rotary_factor is given; latent attention turns all of"
            f" qk_rope_head_dim ({latent.rope})"
        )
    return replace(
        dense,
        shape=replace(dense.shape, head_dim=latent.width, latent=latent.rank),
        rotation=replace(dense.rotation, layout="interleaved" if interleaved else "half"),
    )


class LatentAttention:
    """x [T, D], normalised -> [T, D]. Tensors are under `self_attn`."""

    def __init__(self, c: Dense, latent: Latent, tensors: Tensors) -> None:
        self.config, self.latent, heads = c, latent, c.shape.heads

        def projection(name: str, rows: int, columns: int, *, biased: bool = False) -> Projection:
            return Projection.take(tensors, name, rows, columns, biased=biased)

        wide, low, biased = heads * (latent.nope + latent.rope), latent.query_rank, latent.biased
        if low:
            self.q_a = projection("q_a_proj", low, c.width, biased=biased)
            self.q_norm = tensors.take("q_a_layernorm.weight", low)
        self.q = projection("q_b_proj" if low else "q_proj", wide, low or c.width)
        self.kv_a = projection("kv_a_proj_with_mqa", latent.width, c.width, biased=biased)
        self.kv_norm = tensors.take("kv_a_layernorm.weight", latent.rank)
        self.k_b = tensors.take("k_b_proj.weight", heads, latent.rank, latent.nope)
        self.v_b = tensors.take("v_b_proj.weight", heads, latent.value, latent.rank)
        self.o = projection("o_proj", c.width, heads * latent.value, biased=biased)

    def __call__(self, x: Any, step: Step, layer: Any) -> Any:
        # The latent comes first: it can go to the cache while the queries are still in the making.
        latent = self.left_behind(x, step)
        out = ops.latent_attention(
            self.queries(x, step),
            latent,
            step,
            layer,
            heads=self.config.shape.heads,
            width=self.latent.rank,
            scale=self.latent.scale,
        )
        return self.o(ops.head_linear(out, self.v_b))

    def left_behind(self, x: Any, step: Step) -> Any:
        """[T, rank + rope]: the normalised latent, then the rotated key."""
        s, both = self.latent, self.kv_a(x)
        latent = ops.part(both, heads=1, begin=0, end=s.rank)
        key = ops.part(both, heads=1, begin=s.rank, end=s.width)
        latent = ops.rms_norm(latent, self.kv_norm, eps=INNER_EPS)
        key = ops.rope(key, step.positions, self.config.rotation, heads=1)
        return ops.join(latent, key, heads=1)

    def queries(self, x: Any, step: Step) -> Any:
        """[T, heads * (rank + rope)]: each head's against the latent, then against the key."""
        s, heads = self.latent, self.config.shape.heads
        if s.query_rank:
            x = ops.rms_norm(self.q_a(x), self.q_norm, eps=INNER_EPS)
        q = self.q(x)
        plain = ops.part(q, heads=heads, begin=0, end=s.nope)
        turned = ops.part(q, heads=heads, begin=s.nope, end=s.nope + s.rope)
        turned = ops.rope(turned, step.positions, self.config.rotation, heads=heads)
        return ops.join(ops.head_linear(plain, self.k_b), turned, heads=heads)


class LatentBlock:
    """Latent attention, and what stands in the MLP's place; a `llama.Layer`."""

    def __init__(
        self, c: Dense, latent: Latent, tensors: Tensors, mlp: Callable[[Any], Any]
    ) -> None:
        self.config, self.inner = c, mlp
        self.attention_norm = tensors.take("input_layernorm.weight", c.width)
        self.attention = LatentAttention(c, latent, tensors.under("self_attn"))
        self.mlp_norm = tensors.take("post_attention_layernorm.weight", c.width)

    def attend(self, x: Any, step: Step, layer: Any) -> Any:
        x = ops.rms_norm(x, self.attention_norm, eps=self.config.norm_eps)
        return self.attention(x, step, layer)

    def mlp(self, x: Any) -> Any:
        return self.inner(ops.rms_norm(x, self.mlp_norm, eps=self.config.norm_eps))


def _eights(hf: Mapping[str, Any], name: str) -> int:
    value = whole(hf, name)
    if value % 8:
        raise FormatError(f"config.json: {name} is {value}; expected a multiple of 8")
    return value
