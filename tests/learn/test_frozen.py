"""Weights of a few bits beside low-rank parts: the numbers that are served, forward and back."""

import numpy as np
import pytest
import torch
from tuned_models import loss, source, trained

from farthing import store
from farthing.errors import InputError
from farthing.formats import packed
from farthing.learn import frozen
from farthing.learn.base import read
from farthing.learn.frozen import Codes
from farthing.weight import E2M1, Form, Matrix

FORMS = {
    "4 bits": Form(bits=4, group=32, scale="f16", offset="none"),
    "4 bits, minimum": Form(bits=4, group=32, scale="f16", offset="min"),
    "4 bits, zero": Form(bits=4, group=64, scale="f16", offset="zero"),
    "4 bits, two levels": Form(bits=4, group=32, scale="two_level", offset="min"),
    "E2M1": E2M1,
    "8 bits": Form(bits=8, group=32, scale="f32", offset="none"),
}
COLUMNS = {"4 bits": 71, "8 bits": 50}


def matrix(case, seed=0):
    rng, form = np.random.default_rng(seed), FORMS[case]
    columns = COLUMNS.get(case, 256)
    shape = 7, -(-columns // form.group)
    parts = {"scale": rng.uniform(0.01, 1, shape).astype("f4" if form.scale == "f32" else "f2")}
    if form.scale == "e8m0":
        parts["scale"] = rng.integers(120, 130, shape, np.uint8)
    if form.scale == "two_level":
        parts = {name: rng.integers(0, 63, shape, np.uint8) for name in ("scale", "minimum")}
        parts |= {f"super_{n}": rng.random((7, 1), np.float32).astype("f2") for n in tuple(parts)}
    elif form.offset == "min":
        parts["minimum"] = -rng.random(shape, np.float32).astype("f2")
    elif form.offset == "zero":
        parts["zero"] = rng.integers(0, 15, shape).astype("f2")
    codes = rng.integers(0, 1 << form.bits, (7, columns), np.uint8)
    return Matrix(form=form, codes=codes, **parts)


@pytest.mark.parametrize("case", FORMS)
def test_numbers_are_those_that_are_served_to_the_bit(case):
    matrices = [matrix(case, seed) for seed in range(3)]
    stack, one = Codes.of(matrices, stack=True), Codes.of(matrices[:1], stack=False)
    served = np.stack([m.dequantize() for m in matrices])

    assert one.shape == served.shape[1:] and stack.shape == served.shape
    np.testing.assert_array_equal(one.dense(torch.float32), served[0])
    np.testing.assert_array_equal(stack.dense(torch.float32), served)
    np.testing.assert_array_equal(stack.dense(torch.float32, 1), served[1])


def test_four_bits_take_four_bits():
    found = Codes.of([matrix("4 bits, minimum")], stack=False)

    assert found.bytes == 7 * 256 // 2 + 7 * 8 * 2 * 2


@pytest.mark.parametrize("stack", [False, True])
def test_products_and_gradients_are_those_of_the_numbers(stack):
    codes = Codes.of(
        [matrix("4 bits, zero", seed) for seed in range(3)][: 3 if stack else 1], stack=stack
    )
    numbers, ends = codes.dense(torch.float64), [4, 4, 9]
    x = torch.randn(9, 256, dtype=torch.float64, requires_grad=True)
    if stack:
        y = frozen.grouped(x, codes, ends)
        expected = torch.cat([x[:4] @ numbers[0].T, x[4:] @ numbers[2].T])
    else:
        y, expected = frozen.linear(x, codes), x @ numbers.T
    weight = torch.randn_like(expected)
    (mine,) = torch.autograd.grad((y * weight).sum(), x)
    (theirs,) = torch.autograd.grad((expected * weight).sum(), x)

    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(mine, theirs)


def test_a_stack_that_learns_gets_its_gradient():
    x = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    stack = torch.randn(3, 4, 5, dtype=torch.float64, requires_grad=True)

    assert torch.autograd.gradcheck(lambda x, s: frozen.grouped(x, s, [2, 2, 6]), (x, stack))


@pytest.fixture(params=["llama", "qwen3_moe", "deepseek_v3"])
def four_bits(request, tmp_path, monkeypatch):
    """A packed folder whose linears have 4 bits, as `farthing quantize` leaves them."""
    monkeypatch.setenv("FARTHING_HOME", str(tmp_path / "home"))
    from farthing.cli import main

    source(tmp_path / "model", request.param)
    arguments = ["quantize", str(tmp_path / "model"), "-o", f"{tmp_path}/small", "--method", "rtn"]
    assert main(arguments) == 0
    return tmp_path / "small"


def test_codes_beside_parts_are_their_numbers_beside_parts(four_bits):
    codes = read(four_bits, torch.float32, quantized=True)
    numbers = read(four_bits, torch.float32)
    assert sum(isinstance(w, Codes) for w in codes.weights.values()) > 8
    assert codes.bytes < numbers.bytes / 2

    for adapter in (trained(codes), trained(codes, "o_proj")):
        found = [
            loss(base.config, adapter.beside(base.weights, torch.float32))
            for base in (codes, numbers)
        ]
        torch.testing.assert_close(*found, rtol=1e-5, atol=1e-4)
        grads = [torch.autograd.grad(one, dict(adapter.named()).values()) for one in found]
        for mine, theirs in zip(*grads, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3)
        merged = [loss(b.config, adapter.merged(b.weights)) for b in (codes, numbers)]
        torch.testing.assert_close(*merged)


def test_a_model_that_is_not_quantized_is_said_so(tmp_path, monkeypatch):
    monkeypatch.setenv("FARTHING_HOME", str(tmp_path / "home"))
    source(tmp_path / "model", "llama")
    folder = store.pull(str(tmp_path / "model")).model.folder
    assert (folder / packed.WEIGHTS).is_file()

    with pytest.raises(InputError, match="farthing quantize"):
        read(folder, torch.float32, quantized=True)
