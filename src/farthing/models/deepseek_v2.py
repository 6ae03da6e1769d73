"""DeepSeek-V2, V2-Lite and V2.5 (2405.04434): latent attention, and experts chosen by softmax.

With group_limited_greedy a token's experts come from its few best groups (in training these were
machines), a group counting for its best expert. Weights are not divided by their sum, but scaled.
"""

from collections.abc import Mapping
from typing import Any

from farthing.errors import FormatError
from farthing.models.config import Dense, flag, number, whole
from farthing.models.deepseek import Sparse, one_of
from farthing.models.deepseek_latent import Latent, LatentBlock, dense_from_hf
from farthing.models.llama import Llama
from farthing.models.tensors import Tensors
from farthing.ops.mixture import Router


class DeepseekV2(Llama):
    def read(self, config: Mapping[str, Any]) -> Dense:
        self.latent, self.sparse = Latent.from_hf(config), self.experts(config)
        return dense_from_hf(config, self.latent)

    def experts(self, config: Mapping[str, Any]) -> Sparse:
        for name, why in UNCLEAR.items():
            if flag(config, name):
                raise FormatError(
                    f"config.json: {name} is true; deepseek_v2 is known without: {why}"
                )
        one_of(config, "scoring_func", "softmax")
        grouped = one_of(config, "topk_method", "greedy", "group_limited_greedy") != "greedy"
        router = Router(
            experts=whole(config, "n_routed_experts"),
            top_k=whole(config, "num_experts_per_tok"),
            scale=number(config, "routed_scaling_factor", 1.0),
            groups=whole(config, "n_group") if grouped else 1,
            top_groups=whole(config, "topk_group") if grouped else 1,
        )
        return Sparse.from_hf(config, router)

    def block(self, tensors: Tensors, config: Mapping[str, Any], layer: int) -> LatentBlock:
        mlp = self.sparse.mlp(tensors.under("mlp"), self.config, layer)
        return LatentBlock(self.config, self.latent, tensors, mlp)


UNCLEAR = {
    "norm_topk_prob": "DeepSeek's code then leaves routed_scaling_factor out, transformers heeds"
    " neither",
    "mlp_bias": "no model of the family was published with it",
}
