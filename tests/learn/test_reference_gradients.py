"""The reference's gradients are finite differences, in float64: what `Fast` is held to is right."""

import pytest
import torch
from op_cases import CASES, STEP, Case, Inputs, T, by_reference, chosen

from farthing.ops import reference
from farthing.ops.mixture import Activation, Bank
from farthing.ops.reference_cache import LayerCache
from farthing.ops.reference_mixture import Routed


def attended_with_sinks(o: object, i: Inputs, layer: object) -> torch.Tensor:
    return reference.attention(
        i["q"], i["k"], i["v"], STEP, layer, heads=2, kv_heads=1, scale=0.3, sinks=i["sinks"]
    )


def clipped(o: object, i: Inputs, layer: object) -> torch.Tensor:
    bank = Bank(**{name: i[name] for name in BANK})
    routed = Routed(chosen(), i["weights"])
    activation = Activation(sharpness=1.702, shift=1.0, limit=1.5)
    return reference.experts(i["x"], routed, bank, activation=activation)


BANK: dict[str, tuple[int, ...]] = {
    "gate": (6, 4, 8),
    "up": (6, 4, 8),
    "down": (6, 8, 4),
    "gate_bias": (6, 4),
    "up_bias": (6, 4),
    "down_bias": (6, 8),
}
ALONE = {
    "attention, sinks": Case(
        {"q": (T, 16), "k": (T, 8), "v": (T, 8), "sinks": (2,)}, attended_with_sinks
    ),
    "experts, clipped and biased": Case({"x": (T, 8), "weights": (T, 2)} | BANK, clipped),
}


@pytest.mark.parametrize("case", (CASES | ALONE).values(), ids=list(CASES | ALONE))
def test_gradients_are_finite_differences(case: Case) -> None:
    inputs = case.inputs(torch.float64)
    names = list(inputs)

    def call(*given: torch.Tensor) -> torch.Tensor:
        return by_reference(case, dict(zip(names, given, strict=True)))

    assert torch.autograd.gradcheck(call, tuple(inputs.values()), atol=1e-6, fast_mode=True)


def test_a_router_that_begins_at_zero_learns() -> None:
    """Where scores are all equal there is a slope: forms of the sigmoid with abs have none."""
    case = CASES["route, sigmoid"]
    logits = torch.zeros(T, 6, dtype=torch.float64, requires_grad=True)
    out = case.call(reference, {"logits": logits}, LayerCache())
    (slope,) = torch.autograd.grad(out[:, 0].sum(), logits)
    assert slope.abs().max() > 0.1
