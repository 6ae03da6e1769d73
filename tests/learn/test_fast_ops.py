"""Every op of `Fast` says what the reference says, and so do its gradients."""

import inspect

import pytest
import torch
from op_cases import BATCH, CASES, STEP, Case, T, by_fast, by_reference, chosen, gradients
from packed_rows import packed, step_of

from farthing.errors import InputError
from farthing.learn.fast import Fast
from farthing.ops import reference
from farthing.ops.mixture import Activation, Bank
from farthing.ops.reference_cache import LayerCache
from farthing.ops.reference_mixture import Routed

ROUNDED, ROUNDED_BACK = 0.01, 0.02
"""Of the norm, how far bf16 may go from fp32 on the same numbers: forward, and back. A rounding is
half of 2^-8 at most; each op makes a few, one after the other."""

every = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))


@every
def test_forward_is_the_references(case: Case) -> None:
    inputs = case.inputs(torch.float32)
    assert_close(by_fast(case, inputs), by_reference(case, inputs))


@every
def test_gradients_are_the_references(case: Case) -> None:
    inputs = case.inputs(torch.float32)
    expected = gradients(by_reference(case, inputs), inputs)
    got = gradients(by_fast(case, inputs), inputs)
    for name, gradient in expected.items():
        assert gradient.abs().max() > 0, name
        assert_close(got[name], gradient)


@every
def test_bf16_stays_near_fp32(case: Case) -> None:
    exact, inputs = case.inputs(torch.float32), case.inputs(torch.bfloat16)
    expected, got = by_reference(case, exact), by_fast(case, inputs)
    assert off(got.detach(), expected.detach()) < ROUNDED
    back = gradients(got, inputs)
    for name, gradient in gradients(expected, exact).items():
        assert back[name].dtype == inputs[name].dtype
        assert off(back[name], gradient) < ROUNDED_BACK, name


def assert_close(got: torch.Tensor, expected: torch.Tensor) -> None:
    """To 1e-5 of the largest: sums of many terms are as exact as these are large."""
    torch.testing.assert_close(
        got, expected, atol=1e-5 * float(expected.detach().abs().max()), rtol=0
    )


def off(got: torch.Tensor, expected: torch.Tensor) -> float:
    return float((got.float() - expected).norm() / expected.norm())


def test_every_op_of_a_page_is_here() -> None:
    alone = {name.split(",")[0].split(" ")[0] for name in CASES}
    assert alone | {"head_linear"} == set(reference.__all__)  # within latent_attention's case
    missing = [name for name in reference.__all__ if not inspect.isfunction(getattr(Fast, name))]
    assert not missing


@pytest.mark.parametrize("window", [0, 20])
def test_documents_of_any_length_are_attended(window: int) -> None:
    """Lengths at, below and above those that documents are filled up to."""
    batch = packed([[15, 16, 17, 31, 32, 33, 63, 64, 65, 1, 1], [97, 95, 96, 50]], vocabulary=16)
    step, count = step_of(batch), batch.tokens.numel()
    generator = torch.Generator().manual_seed(8)
    shapes = ((count, 16), (count, 8), (count, 8))
    inputs = {
        name: torch.randn(shape, generator=generator, requires_grad=True)
        for name, shape in zip("qkv", shapes, strict=True)
    }
    settings = {"heads": 2, "kv_heads": 1, "scale": 0.3, "window": window}
    expected = reference.attention(*inputs.values(), step, LayerCache(), **settings)
    got = Fast(batch).attention(*inputs.values(), step, None, **settings)
    assert_close(got, expected)
    back = gradients(got, inputs)
    for name, gradient in gradients(expected, inputs).items():
        assert_close(back[name], gradient)


def test_the_choice_of_experts_is_the_references() -> None:
    for name, case in CASES.items():
        if not name.startswith("route"):
            continue
        ids = []
        for reading in (reference, Fast(BATCH)):
            case.call(Noting(reading, ids), case.inputs(torch.float32), None)
        torch.testing.assert_close(ids[1], ids[0], atol=0, rtol=0, msg=name)


class Noting:
    def __init__(self, reading: object, ids: list[torch.Tensor]) -> None:
        self.reading, self.ids = reading, ids

    def route(self, *given: object) -> Routed:
        routed: Routed = self.reading.route(*given)
        self.ids.append(routed.ids)
        return routed


def test_loads_count_every_pair_of_a_token_and_an_expert() -> None:
    fast, case = Fast(BATCH), CASES["route, sigmoid"]
    inputs = case.inputs(torch.float32)
    ids: list[torch.Tensor] = []
    case.call(Noting(fast, ids), inputs, None)
    (load,) = fast.loads.values()
    assert load.tolist() == [int((ids[0] == e).sum()) for e in range(6)]
    assert int(load.sum()) == T * 2


def test_an_expert_can_take_every_token() -> None:
    """None is dropped, whatever the load: each token's answer is its own experts', by a loop."""
    case = CASES["experts"]
    inputs = case.inputs(torch.float64)
    x, weights, gate, up, down = (inputs[n] for n in ("x", "weights", "gate", "up", "down"))
    ids = torch.tensor([[0, 3]]).expand(T, 2).contiguous()
    got = Fast(BATCH).experts(x, Routed(ids, weights), Bank(gate=gate, up=up, down=down))
    for token in range(T):
        expected = torch.zeros(16, dtype=torch.float64)
        for place, expert in enumerate((0, 3)):
            middle = torch.nn.functional.silu(gate[expert] @ x[token]) * (up[expert] @ x[token])
            expected = expected + weights[token, place] * (down[expert] @ middle)
        torch.testing.assert_close(got[token], expected)


def test_what_fast_does_not_know_is_refused() -> None:
    fast, x = Fast(BATCH), torch.zeros(T, 8)
    with pytest.raises(InputError, match="sinks"):
        fast.attention(x, x, x, STEP, None, heads=1, kv_heads=1, scale=1.0, sinks=torch.zeros(1))
    stack, routed = torch.zeros(6, 8, 8), Routed(chosen(), torch.zeros(T, 2))
    plain = Bank(gate=stack, up=stack, down=stack)
    biased = Bank(gate=stack, up=stack, down=stack, gate_bias=torch.zeros(6, 8))
    with pytest.raises(InputError, match="biases or clipped"):
        fast.experts(x, routed, plain, activation=Activation(limit=7.0))
    with pytest.raises(InputError, match="biases or clipped"):
        fast.experts(x, routed, biased)
