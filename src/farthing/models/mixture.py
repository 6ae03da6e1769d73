"""A mixture of experts in the place of a block's MLP, as every family has it.

A router sends each token to a few of many small gated MLPs (Shazeer et al., 1701.06538); beside
them there may be a shared one that every token meets (DeepSeekMoE, 2401.06066).

Shapes: T tokens, D model width, E experts, I inner width of an expert.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from farthing import ops
from farthing.errors import FormatError
from farthing.models.config import whole
from farthing.models.tensors import Tensors
from farthing.ops.mixture import SILU, Activation, Bank, Router

COUNTS = ("num_experts", "num_local_experts")


@dataclass(frozen=True, slots=True)
class Shared:
    """The expert that every token meets: its name, its inner width, and whether it has a gate.

    The gate's name is `{name}_gate`.
    """

    name: str
    inner: int
    gated: bool = False


class Mixture:
    """[T, D] -> [T, D]. Its tensors, under `mlp`, have the names that readers give all families.

    `biased`: the router and the experts have biases. `corrected`: a correction, learned beside the
    router, takes part in the choice of experts.
    """

    def __init__(
        self,
        tensors: Tensors,
        router: Router,
        width: int,
        inner: int,
        *,
        activation: Activation = SILU,
        biased: bool = False,
        corrected: bool = False,
        shared: Shared | None = None,
    ) -> None:
        self.router, self.activation = router, activation
        count = router.experts
        self.gate = tensors.take("gate.weight", count, width)
        self.gate_bias = tensors.take("gate.bias", count) if biased else None
        self.correction = None
        if corrected:
            self.correction = tensors.take("gate.e_score_correction_bias", count)
        self.bank = bank(tensors.under("experts"), width, inner, count, biased=biased)
        self.shared = self.shared_gate = None
        if shared is not None:
            self.shared = bank(tensors.under(shared.name), width, shared.inner)
        if shared is not None and shared.gated:
            self.shared_gate = tensors.take(f"{shared.name}_gate.weight", 1, width)

    def __call__(self, x: Any) -> Any:
        logits = ops.linear(x, self.gate, self.gate_bias, precise=True)
        routed = ops.route(logits, self.router, self.correction)
        gate = None
        if self.shared_gate is not None:
            gate = ops.linear(x, self.shared_gate, precise=True)
        return ops.experts(
            x, routed, self.bank, activation=self.activation, shared=self.shared, gate=gate
        )


def bank(tensors: Tensors, width: int, inner: int, *experts: int, biased: bool = False) -> Bank:
    """The gated MLPs of a prefix: as many as `experts` says, or one."""

    def take(name: str, rows: int, columns: int) -> tuple[Any, Any]:
        weight = tensors.take(f"{name}.weight", *experts, rows, columns)
        return weight, tensors.take(f"{name}.bias", *experts, rows) if biased else None

    gate, gate_bias = take("gate_proj", inner, width)
    up, up_bias = take("up_proj", inner, width)
    down, down_bias = take("down_proj", width, inner)
    return Bank(
        gate=gate,
        up=up,
        down=down,
        gate_bias=gate_bias,
        up_bias=up_bias,
        down_bias=down_bias,
    )


def softmax_router(hf: Mapping[str, Any], *, normalise: bool) -> Router:
    """Of Mixtral, OLMoE and Qwen: weights by softmax over all experts.

    Experts are counted by num_experts or num_local_experts: writers of one family use either.
    """
    names = [name for name in COUNTS if hf.get(name) is not None] or COUNTS[:1]
    count = whole(hf, names[0])
    if whole(hf, names[-1]) != count:
        raise FormatError(
            f"config.json: num_experts is {count} and num_local_experts {hf[names[-1]]};"
            " they count the same"
        )
    router = Router(experts=count, top_k=whole(hf, "num_experts_per_tok"), normalise=normalise)
    return checked(router, names[0])


def checked(router: Router, experts: str = "num_experts") -> Router:
    """The same router. FormatError, naming the config's fields, if it contradicts itself.

    `experts` is the field that counts them; of groups all families write n_group and topk_group.
    """
    r, size = router, router.experts // router.groups
    if r.top_k > r.experts:
        raise FormatError(
            f"config.json: num_experts_per_tok is {r.top_k}, and {experts} only {r.experts}"
        )
    if r.experts % r.groups:
        raise FormatError(
            f"config.json: n_group is {r.groups}, into which {experts} = {r.experts}"
            " does not divide evenly"
        )
    if r.top_groups > r.groups:
        raise FormatError(f"config.json: topk_group is {r.top_groups}, and n_group {r.groups}")
    if r.top_groups * size < r.top_k:
        raise FormatError(
            f"config.json: topk_group is {r.top_groups}, whose groups of {size} experts have fewer"
            f" than num_experts_per_tok = {r.top_k}"
        )
    if r.group_by == "two" and size < 2:
        raise FormatError(
            f"config.json: n_group is {r.groups}, which makes groups of one expert;"
            " this family counts the best two of each"
        )
    return router
