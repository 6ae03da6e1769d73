"""DeepSeek-V3 and R1 (2412.19437), Moonlight and Kimi K2: V2 with experts chosen by sigmoid.

Each expert is scored for itself. A correction, learned to balance the load without a loss, takes
part in the choice alone; a group counts for its best two. Weights are divided by their sum.
"""

from collections.abc import Mapping
from typing import Any

from farthing.models.config import Dense, flag, number, whole
from farthing.models.deepseek import Sparse, one_of
from farthing.models.deepseek_latent import Latent, dense_from_hf
from farthing.models.deepseek_v2 import DeepseekV2
from farthing.ops.mixture import Router


class DeepseekV3(DeepseekV2):
    def read(self, config: Mapping[str, Any]) -> Dense:
        self.latent, self.sparse = Latent.from_hf(config), self.experts(config)
        interleaved = flag(config, "rope_interleave", True)
        return dense_from_hf(config, self.latent, interleaved=interleaved)

    def experts(self, config: Mapping[str, Any]) -> Sparse:
        one_of(config, "scoring_func", "sigmoid")
        one_of(config, "topk_method", "noaux_tc")
        router = Router(
            experts=whole(config, "n_routed_experts"),
            top_k=whole(config, "num_experts_per_tok"),
            score="sigmoid",
            normalise=flag(config, "norm_topk_prob", True),
            scale=number(config, "routed_scaling_factor"),
            groups=whole(config, "n_group"),
            top_groups=whole(config, "topk_group"),
            group_by="two",
        )
        return Sparse.from_hf(config, router, corrected=True)
