"""Matrices of each head, products without rounding, and values cut, joined and scaled."""

import numpy as np
import pytest
from numpy.typing import NDArray
from one_op import OneOp, up
from test_native_linear import EPS, bound
from toy_mixture import matrix
from toy_native import FORMS

from farthing import weight
from farthing.ops import reference
from farthing.ops.reference_linear import Weight, bind
from farthing.weight import E2M1

Floats = NDArray[np.float32]
ALL_FORMS = FORMS | {"e2m1": E2M1}


def normal(seed: int, *shape: int) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def head_linear(op: OneOp, x: Floats, matrices: list[weight.Matrix]) -> int:
    rows, columns = matrices[0].shape
    heads, bf16 = len(matrices), matrices[0].form.bits == 16
    k = up(columns, 32)
    one = 2 * k if bf16 else up(k + k // 32 * 20, 64)
    rounded, out = op.slot(heads * one), op.shared(heads * rows)
    op.native.quantize(op.input(x), heads, columns, "bf16" if bf16 else "int8", rounded)
    op.native.head_linear(rounded, op.stack(matrices), out)
    return out


@pytest.mark.parametrize("form", ALL_FORMS)
@pytest.mark.parametrize(("heads", "rows", "columns"), [(1, 16, 8), (3, 48, 24), (16, 32, 128)])
def test_each_head_meets_its_own_matrix(
    isa: str, form: str, heads: int, rows: int, columns: int
) -> None:
    rng, x = np.random.default_rng(heads), normal(2, 40, heads * columns)
    held = [matrix(rng, ALL_FORMS[form], rows, columns) for _ in range(heads)]
    expected = reference.head_linear(x, bind({"w": held}, "int8")["w"])
    op = OneOp(isa)
    out = head_linear(op, x, held)
    op.run(range(40))
    got = op.read(out, heads * rows)
    parts = np.split(x, heads, axis=1)
    allowed = np.concatenate([bound(p, m) for p, m in zip(parts, held, strict=True)], axis=1)
    far = np.abs(got.astype(np.float64) - expected)
    assert (far <= allowed + 2 * EPS * np.abs(expected)).all()
    for tokens in ([3], [9, 0], list(range(30, 13, -1))):
        op.run(tokens)
        np.testing.assert_array_equal(op.read(out, heads * rows), got[tokens])


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_share_heads_without_a_trace(isa: str, threads: int) -> None:
    rng, x = np.random.default_rng(0), normal(1, 60, 10 * 24)
    held = [matrix(rng, FORMS["int4"], 48, 24) for _ in range(10)]
    ops = OneOp(isa), OneOp(isa, threads=threads)
    outs = [head_linear(op, x, held) for op in ops]
    for count in (1, 8, 9, 33, 60):
        for op in ops:
            op.run(range(count))
        one, many = (op.read(out, 480) for op, out in zip(ops, outs, strict=True))
        np.testing.assert_array_equal(many, one)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize(("rows", "columns"), [(1, 96), (5, 8), (17, 40), (64, 300), (130, 72)])
def test_a_precise_product_rounds_nothing(isa: str, rows: int, columns: int, biased: bool) -> None:
    """Inputs that bf16 would not hold, and a token that is the same in any company."""
    m = weight.dense(normal(rows, rows, columns))
    x, bias = normal(4, 40, columns) + 100, normal(5, rows) if biased else None
    op = OneOp(isa)
    out = op.linear(x, m, bias, precise=True)
    op.run(range(40))
    got = op.read(out, rows)
    exact = x.astype(np.float64) @ m.dequantize().astype(np.float64).T
    exact = exact if bias is None else exact + bias
    size = np.abs(x).astype(np.float64) @ np.abs(m.dequantize()).T
    assert (np.abs(got - exact) <= (columns + 4) * EPS * size + 4 * EPS * np.abs(exact)).all()
    near = np.median(np.abs(got - exact)) / np.median(size)
    assert near < 1e-6, "something was rounded"
    judge = reference.linear(x, Weight(m, "bf16"), bias, precise=True)
    assert (np.abs(judge - exact) <= (columns + 4) * EPS * size + 4 * EPS * np.abs(exact)).all()
    for tokens in ([3], [9, 0], list(range(30, 13, -1))):
        op.run(tokens)
        np.testing.assert_array_equal(op.read(out, rows), got[tokens])


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_share_a_precise_product_without_a_trace(isa: str, threads: int) -> None:
    m, x = weight.dense(normal(0, 130, 72)), normal(1, 60, 72)
    ops = OneOp(isa), OneOp(isa, threads=threads)
    outs = [op.linear(x, m, precise=True) for op in ops]
    for count in (1, 8, 9, 33, 60):
        for op in ops:
            op.run(range(count))
        one, many = (op.read(out, 130) for op, out in zip(ops, outs, strict=True))
        np.testing.assert_array_equal(many, one)


@pytest.mark.parametrize(("heads", "width"), [(1, 72), (3, 40), (16, 24), (5, 8)])
def test_parts_of_heads_come_apart_and_together(isa: str, heads: int, width: int) -> None:
    x, op, cut = normal(6, 9, heads * width), OneOp(isa), width - 8
    whole = op.input(x)
    outs = [op.floats(heads * n) for n in (max(cut, 1), 8, width)]
    if cut:
        op.native.slice(whole, heads, width, 0, cut, outs[0])
    op.native.slice(whole, heads, width, cut, width, outs[1])
    if cut:
        op.native.join(outs[1], outs[0], heads, 8, cut, outs[2])
    op.run(range(9))
    late = reference.part(x, heads=heads, begin=cut, end=width)
    np.testing.assert_array_equal(op.read(outs[1], heads * 8), late)
    if cut:
        early = reference.part(x, heads=heads, begin=0, end=cut)
        np.testing.assert_array_equal(op.read(outs[0], heads * cut), early)
        turned = reference.join(late, early, heads=heads)
        np.testing.assert_array_equal(op.read(outs[2], heads * width), turned)


@pytest.mark.parametrize("factor", [12.0, 0.22, 1 / 16, -3.0])
def test_scaling_is_one_product(isa: str, factor: float) -> None:
    x, op = normal(7, 9, 50), OneOp(isa)
    out = op.floats(50)
    op.native.scale(op.input(x), factor, 50, out)
    op.run(range(9))
    np.testing.assert_array_equal(op.read(out, 50), x * np.float32(factor))
