"""What a mixture of experts is made of, as plain values that every reading shares."""

from dataclasses import dataclass
from math import inf
from typing import Any, Literal

Score = Literal["softmax", "softmax_chosen", "sigmoid"]
"""Over all experts; over the chosen ones' logits alone; each expert for itself."""

GroupBy = Literal["max", "two"]
"""What a group of experts counts for: its best expert, or the sum of its best two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """How a token's logits, one an expert, become the experts it goes to and their weights.

    Experts are chosen by score (plus the correction, where there is one), within the best groups;
    ties go to the lowest index. Weights are the scores without the correction, divided by their
    sum if `normalise`, times `scale`.
    """

    experts: int
    top_k: int
    score: Score = "softmax"
    normalise: bool = False
    scale: float = 1.0
    groups: int = 1
    top_groups: int = 1
    group_by: GroupBy = "max"


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """(up + shift) * gate * sigmoid(sharpness * gate), gate at most `limit`, up within it.

    The defaults are SwiGLU's silu(gate) * up.
    """

    sharpness: float = 1.0
    shift: float = 0.0
    limit: float = inf


SILU = Activation()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """Gated MLPs of one shape. gate and up [E, I, H], down [E, H, I]; biases [E, I], [E, H].

    A bank of one that every token goes to (a shared expert) has no E in front.
    """

    gate: Any
    up: Any
    down: Any
    gate_bias: Any = None
    up_bias: Any = None
    down_bias: Any = None
