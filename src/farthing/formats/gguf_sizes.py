"""The shapes that a GGUF file's stacks must have, by its own keys, and that none is missing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from farthing.errors import FormatError
from farthing.formats.types import Shape

_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
_MISSING = {
    "mlp.gate.weight": "ffn_gate_inp.weight",
    "mlp.experts.gate_proj.weight": "ffn_gate_exps.weight",
    "mlp.experts.up_proj.weight": "ffn_up_exps.weight",
    "mlp.experts.down_proj.weight": "ffn_down_exps.weight",
}
_MISSING_LATENT = {
    "self_attn.k_b_proj.weight": "attn_k_b.weight",
    "self_attn.v_b_proj.weight": "attn_v_b.weight",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Of a config: 0 experts, or a rank of 0, if it is no mixture, or has no latent attention."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    experts: int
    inner: int
    dense: int
    """How many layers at the beginning have no experts."""
    rank: int
    nope: int
    value: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        return cls(
            layers=config["num_hidden_layers"],
            width=config["hidden_size"],
            heads=config["num_attention_heads"],
            kv_heads=config["num_key_value_heads"],
            experts=next((config[key] for key in _EXPERTS if key in config), 0),
            inner=config.get("moe_intermediate_size", config["intermediate_size"]),
            dense=config.get("first_k_dense_replace", 0),
            rank=config.get("kv_lora_rank", 0),
            nope=config.get("qk_nope_head_dim", 0),
            value=config.get("v_head_dim", 0),
        )

    @property
    def keys(self) -> Shape:
        return (self.heads, self.rank, self.nope)

    @property
    def values(self) -> Shape:
        return (self.heads, self.value, self.rank)

    @property
    def reasons(self) -> str:
        found = {
            "expert_count": self.experts,
            "embedding_length": self.width,
            "the width of an expert": self.inner,
            "head_count": self.heads,
            "kv_lora_rank": self.rank,
        }
        return ", ".join(f"{name} {size}" for name, size in found.items() if size)

    def expected(self, ours: str) -> tuple[Shape, ...] | None:
        """The shape of a tensor that must have one, then others that lie in the same bytes."""
        e, i, h = self.experts, self.inner, self.width
        rows = self.heads * (self.nope + self.value)
        known: dict[str, tuple[Shape, ...]] = {
            "mlp.gate.weight": ((e, h),),
            "mlp.gate.bias": ((e,),),
            "mlp.gate.e_score_correction_bias": ((e,),),
            "mlp.shared_expert_gate.weight": ((1, h), (h,)),
            "mlp.experts.gate_proj.weight": ((e, i, h),),
            "mlp.experts.up_proj.weight": ((e, i, h),),
            "mlp.experts.down_proj.weight": ((e, h, i),),
            "mlp.experts.gate_up_proj.weight": ((e, 2 * i, h),),
            "mlp.experts.gate_proj.bias": ((e, i),),
            "mlp.experts.up_proj.bias": ((e, i),),
            "mlp.experts.down_proj.bias": ((e, h),),
            "self_attn.k_b_proj.weight": (self.keys, _flat(self.keys)),
            "self_attn.v_b_proj.weight": (self.values, _flat(self.values)),
            "self_attn.kv_b_proj.weight": ((rows, self.rank),),
        }
        return known.get(ours.split(".", 3)[-1])

    def check_whole(self, where: str, names: Iterable[str]) -> None:
        """Raises FormatError naming the first layer and tensor of a stack that is not there."""
        found = set(names)
        for layer in range(self.layers):
            needed = _MISSING if self.experts and layer >= self.dense else {}
            for ours, name in (needed | (_MISSING_LATENT if self.rank else {})).items():
                if f"model.layers.{layer}.{ours}" not in found:
                    raise FormatError(
                        f"{where}: blk.{layer}.{name} is missing, and no other tensor holds it;"
                        f" the file is not whole: fetch or convert it again"
                    )


def _flat(shape: Shape) -> Shape:
    return (shape[0] * shape[1], shape[2])
