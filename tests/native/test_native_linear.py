"""Linears of every form on every instruction set: whole-number sums exact, the rest within a bound
worked out from the length, and no row changed by its company."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from one_op import OneOp, up
from toy_native import FORMS, matrix

from farthing import weight
from farthing.ops.reference_linear import Weight, block_sums, linear, quantize
from farthing.weight import Form, Matrix

WIDTHS = [16, 32, 40, 64, 96, 250, 256, 288, 576]
ROWS = [1, 15, 16, 17, 48, 50, 100]
QUANTIZED = [name for name in FORMS if name != "bf16"]
EPS = 2.0**-24


def marked(form: Form, codes: NDArray[np.uint8], *, minimum: bool) -> Matrix:
    """Row n has a scale (or a minimum) of one in group n modulo G, and zero everywhere else."""
    n, k = codes.shape
    groups, supers = -(-k // form.group), -(-k // weight.SUPER)
    one = np.arange(n)[:, None] % groups == np.arange(groups)
    kinds: dict[str, Any] = {"f16": np.float16, "f32": np.float32}
    kind = kinds.get(form.scale, np.uint8 if form.offset == "min" else np.int8)
    fields: dict[str, Any] = {"scale": (one & (not minimum)).astype(kind)}
    if form.offset == "min":
        fields["minimum"] = (one & minimum).astype(kind)
    if form.scale == "two_level":
        fields["super_scale"] = np.ones((n, supers), np.float16)
        if form.offset == "min":
            fields["super_minimum"] = np.ones((n, supers), np.float16)
    return Matrix(form=form, codes=codes, **fields)


def whole_inputs(rng: np.random.Generator, k: int) -> NDArray[np.float32]:
    """Rows of whole numbers whose scale is one: every group of 32 holds a 127."""
    x = rng.integers(-127, 128, (9, k)).astype(np.float32)
    x[0], x[1], x[2] = 127, -127, np.where(np.arange(k) % 2, 127, -127)
    x[:, ::32] = np.where(x[:, ::32] < 0, -127, 127)
    return x


def group_sums(x: NDArray[Any], w: NDArray[Any], group: int) -> NDArray[np.int64]:
    """[T, N]: the sum that row n is marked for."""
    n, k = w.shape
    groups = -(-k // group)
    at = (np.arange(n)[:, None] % groups == np.arange(k) // group).astype(np.int64)
    return x.astype(np.int64) @ (w.astype(np.int64) * at).T


@pytest.mark.parametrize("name", QUANTIZED)
@pytest.mark.parametrize("codes", ["largest", "random"])
def test_sums_of_a_group_are_exact(isa: str, name: str, codes: str) -> None:
    form, rng = FORMS[name], np.random.default_rng(1)
    assert np.float32(127) * np.float32(1 / 127) == 1
    for k in WIDTHS:
        x = whole_inputs(rng, k)
        held = rng.integers(0, 1 << form.bits, (50, k)).astype(np.uint8)
        if codes == "largest":
            held[:] = (1 << form.bits) - 1
        op = OneOp(isa)
        out = op.linear(x, marked(form, held, minimum=False))
        op.run(range(9))
        expected = group_sums(x, held.astype(np.int64) - form.bias, form.group)
        np.testing.assert_array_equal(op.read(out, 50), expected, err_msg=f"K {k}")


@pytest.mark.parametrize("name", [name for name in QUANTIZED if FORMS[name].offset == "min"])
def test_a_minimum_meets_the_sum_of_its_inputs(isa: str, name: str) -> None:
    form, rng = FORMS[name], np.random.default_rng(2)
    for k in WIDTHS:
        x, codes = whole_inputs(rng, k), np.full((50, k), (1 << form.bits) - 1, np.uint8)
        op = OneOp(isa)
        out = op.linear(x, marked(form, codes, minimum=True))
        op.run(range(9))
        sign = -1 if form.scale == "two_level" else 1
        expected = sign * group_sums(x, np.ones_like(codes), form.group)
        np.testing.assert_array_equal(op.read(out, 50), expected, err_msg=f"K {k}")


def bound(x: NDArray[np.float32], m: Matrix) -> NDArray[np.float64]:
    """[T, N]: how far two fp32 sums of the same terms may lie apart, by their number and size."""
    if m.form.bits == 16:
        return (
            4 * (m.shape[1] + 2) * EPS * (np.abs(x).astype(np.float64) @ np.abs(m.dequantize().T))
        )
    codes, scales = quantize(x)
    scale, offset = (v.astype(np.float64) for v in m.groups())
    total = np.zeros((len(x), m.shape[0]))
    for part, products, sums in block_sums(codes, m):
        mine, group = scales[:, part.start // 32, None], part.start // m.form.group
        total += np.abs(scale[:, group] * mine * products)
        if m.form.offset != "none":
            total += np.abs(offset[:, group] * mine * sums)
    terms = up(m.shape[1], 32) // min(m.form.group, 32) * (2 if m.form.offset != "none" else 1)
    return 2 * (terms + 4) * EPS * total


@pytest.mark.parametrize("name", FORMS)
def test_linear_is_the_references_within_rounding(isa: str, name: str) -> None:
    rng = np.random.default_rng(3)
    for at, k in enumerate(WIDTHS):
        for n in (ROWS[at % 7], ROWS[(at + 3) % 7]):
            m = matrix(rng, FORMS[name], n, k)
            x = rng.standard_normal((9, k)).astype(np.float32)
            bias = rng.standard_normal(n).astype(np.float32)
            expected = linear(x, Weight(m, "bf16" if m.form.bits == 16 else "int8"), bias)
            op = OneOp(isa)
            out = op.linear(x, m, bias)
            op.run(range(9))
            y = op.read(out, n)
            far = np.abs(y.astype(np.float64) - expected)
            allowed = bound(x, m) + 2 * EPS * (np.abs(expected) + np.abs(bias))
            assert (far <= allowed).all(), f"K {k}, N {n}: {(far / allowed).max()}"


@pytest.mark.parametrize("name", FORMS)
def test_a_row_is_the_same_in_any_company(isa: str, name: str) -> None:
    """Every tile of tokens and of blocks, against the batch of all."""
    rng = np.random.default_rng(4)
    for k, n in ((40, 100), (288, 50), (64, 17), (250, 1)):
        m, x = matrix(rng, FORMS[name], n, k), rng.standard_normal((33, k)).astype(np.float32)
        op = OneOp(isa)
        out = op.linear(x, m)
        op.run(range(33))
        whole = op.read(out, n)
        for count in range(1, 10):
            start = int(rng.integers(0, 33 - count))
            op.run(range(start, start + count))
            np.testing.assert_array_equal(op.read(out, n), whole[start : start + count])


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_share_a_linear_without_a_trace(isa: str, threads: int) -> None:
    rng = np.random.default_rng(5)
    m, x = matrix(rng, FORMS["q4_k"], 600, 64), rng.standard_normal((60, 64)).astype(np.float32)
    one, many = OneOp(isa), OneOp(isa, threads=threads)
    outs = [op.linear(x, m) for op in (one, many)]
    for count in (1, 8, 9, 31, 60):
        for op in (one, many):
            op.run(range(count))
        np.testing.assert_array_equal(many.read(outs[1], 600), one.read(outs[0], 600))


def test_a_residual_is_added_last(isa: str) -> None:
    rng = np.random.default_rng(6)
    m, x = matrix(rng, FORMS["int4"], 50, 64), rng.standard_normal((9, 64)).astype(np.float32)
    old, bias = (rng.standard_normal(s).astype(np.float32) for s in ((9, 50), (50,)))
    op = OneOp(isa)
    plain = op.linear(x, m, bias)
    source, out = op.quantized(x), op.floats(50)
    op.native.linear(source, False, [op.weight(m)], [out], [bias], [op.input(old)])
    op.run(range(9))
    np.testing.assert_array_equal(op.read(out, 50), old + op.read(plain, 50))
