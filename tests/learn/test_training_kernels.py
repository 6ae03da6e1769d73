"""The native kernels of a training step stand in for torch's ops, and are nearer the truth."""

from collections.abc import Callable

import pytest
import torch
from op_cases import CASES, by_fast, by_reference, gradients
from torch import Tensor

from farthing.engine.isa import runnable
from farthing.learn import cross_entropy, native
from farthing.learn.fast import largest

SETS = [isa for isa in runnable() if isa != "portable"]
OPS = [name for name in CASES if name.startswith(("rms_norm", "rope", "silu_mul", "experts"))]
every_set = pytest.mark.parametrize("isa", SETS)

BY_CHANCE = 1.02
"""How much further from the truth one of two equally good roundings may be."""


Take = Callable[[str], None]


@pytest.fixture
def take(monkeypatch: pytest.MonkeyPatch) -> Take:
    """An instruction set. Where only plain C++ runs, torch's own ops are taken."""
    return lambda isa: monkeypatch.setenv("FARTHING_ISA", isa)


EXACT = 1e-6
"""Of what both sum in fp32, in orders of their own."""


def off(got: Tensor, truth: Tensor) -> float:
    got, truth = got.detach().double(), truth.detach()
    return float((got - truth).norm() / truth.norm())


@every_set
def test_torch_stays_for_all_else(isa: str, take: Take) -> None:
    take(isa)
    x = torch.ones(2, 2)
    assert native.instructions(x.bfloat16()) == isa
    assert native.instructions(x.bfloat16(), x) is native.instructions(x.double()) is None
    take("portable")
    assert native.instructions(x.bfloat16()) is None


@every_set
@pytest.mark.parametrize("name", OPS)
def test_ops_are_no_further_from_float64_than_torchs(name: str, isa: str, take: Take) -> None:
    case, errors = CASES[name], []
    exact = case.inputs(torch.float64)
    truth = by_reference(case, exact)
    slopes = gradients(truth, exact)
    for ran in ("portable", isa):
        take(ran)
        inputs = case.inputs(torch.bfloat16)
        got = by_fast(case, inputs)
        back = gradients(got, inputs)
        errors.append([off(got, truth), *(off(back[key], slopes[key]) for key in slopes)])
    torchs, mine = map(sum, errors)
    assert mine <= BY_CHANCE * torchs + EXACT


@every_set
def test_losses_and_their_gradients_are_no_further_from_float64(isa: str, take: Take) -> None:
    generator = torch.Generator().manual_seed(5)
    logits = (4 * torch.randn(300, 1000, generator=generator)).bfloat16()
    targets = torch.randint(1000, (300,), generator=generator)
    counts = torch.ones(300)
    exact = logits.double().requires_grad_()
    losses = torch.nn.functional.cross_entropy(exact, targets, reduction="none")
    (slopes,) = torch.autograd.grad(losses.sum(), exact)
    errors = []
    for ran in ("portable", isa):
        take(ran)
        mine = logits.clone()
        told = cross_entropy.slopes(mine, targets, counts)
        errors.append((off(told, losses), off(mine, slopes)))
    assert errors[1][0] < EXACT < errors[0][0]
    assert errors[1][1] <= BY_CHANCE * errors[0][1]


@every_set
def test_bf16_is_added_to_fp32_as_torch_adds_it(isa: str, take: Take) -> None:
    generator = torch.Generator().manual_seed(6)
    for shape in ((7,), (3, 5), (2, 40, 33)):
        sums = torch.randn(shape, generator=generator)
        more = torch.randn(shape, generator=generator)
        take(isa)
        for x in (more.bfloat16(), more):
            expected = sums + x
            native.add(sums, x)
            assert torch.equal(sums, expected)


@every_set
@pytest.mark.parametrize("width", [1, 5, 16, 64, 70])
def test_the_largest_are_chosen_once_each(width: int, isa: str, take: Take) -> None:
    take(isa)
    x = torch.randn(50, width, generator=torch.Generator().manual_seed(width))
    x[1], x[2], x[3, ::2] = 0, -torch.inf, -torch.inf
    count = min(width, 6)
    ids = largest(x, count)
    torch.testing.assert_close(x.gather(1, ids), x.topk(count).values, atol=0, rtol=0)
    assert all(len(set(row)) == count for row in ids.tolist())
    x[4, width // 2 :] = torch.nan
    assert all(len(set(row)) == count for row in largest(x, count).tolist())
