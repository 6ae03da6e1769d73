"""DeepSeekMoE-16B (2401.06066): Llama's attention, and experts cut fine, some of them shared.

The first layers have a plain MLP. In the others a router sends each token to a few of many small
experts; what every token needs is left to the shared ones.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from farthing.errors import FormatError
from farthing.models.config import Dense, flag, number, whole
from farthing.models.llama import MLP, Block, Llama
from farthing.models.mixture import Mixture, Shared, checked
from farthing.models.tensors import Tensors
from farthing.ops.mixture import Router


@dataclass(frozen=True, kw_only=True, slots=True)
class Sparse:
    """Which layers have experts, and how wide these are: DeepSeek's names, in all its families.

    `corrected`: what the router chooses by is corrected, as learned while balancing the load.
    """

    router: Router
    inner: int
    shared: int
    first: int
    every: int
    corrected: bool = False

    @classmethod
    def from_hf(cls, hf: Mapping[str, Any], router: Router, *, corrected: bool = False) -> Self:
        inner = whole(hf, "moe_intermediate_size")
        return cls(
            router=checked(router, "n_routed_experts"),
            inner=inner,
            shared=inner * whole(hf, "n_shared_experts", 0, least=0),
            first=whole(hf, "first_k_dense_replace", least=0),
            every=whole(hf, "moe_layer_freq", 1),
            corrected=corrected,
        )

    def mlp(self, tensors: Tensors, c: Dense, layer: int) -> Callable[[Any], Any]:
        if layer < self.first or layer % self.every:
            return MLP(tensors, c.width, c.inner)
        shared = Shared("shared_experts", self.shared) if self.shared else None
        return Mixture(
            tensors, self.router, c.width, self.inner, corrected=self.corrected, shared=shared
        )


class Deepseek(Llama):
    def read(self, config: Mapping[str, Any]) -> Dense:
        one_of(config, "scoring_func", "softmax")
        one_of(config, "topk_method", "greedy")
        top_k = whole(config, "num_experts_per_tok")
        router = Router(
            experts=whole(config, "n_routed_experts"),
            top_k=top_k,
            # One expert alone keeps its weight: divided by itself it would say nothing.
            normalise=flag(config, "norm_topk_prob") and top_k > 1,
            scale=number(config, "routed_scaling_factor", 1.0),
        )
        self.sparse = Sparse.from_hf(config, router)
        return super().read(config)

    def block(self, tensors: Tensors, config: Mapping[str, Any], layer: int) -> Block:
        mlp = self.sparse.mlp(tensors.under("mlp"), self.config, layer)
        biased = "qkvo" if flag(config, "attention_bias") else ""
        return Block(self.config, tensors, layer, biased, mlp=mlp)


def one_of(hf: Mapping[str, Any], name: str, *known: str) -> str:
    """A field's text. Null counts as absent: the first of the known ones."""
    value = hf.get(name)
    value = known[0] if value is None else value
    if not isinstance(value, str) or value not in known:
        raise FormatError(
            f"config.json: {name} is {value!r:.80}, which {hf.get('model_type')} does not know;"
            f" known: {', '.join(known)}"
        )
    return value
