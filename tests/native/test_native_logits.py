"""The logits' product, whose inputs keep 16 bits, in every form and on every instruction set."""

import numpy as np
import pytest
from numpy.typing import NDArray
from one_op import OneOp, up
from toy_native import FORMS, matrix

from farthing.ops.reference_linear import Weight, linear, logits
from farthing.weight import COLUMNS, Matrix

EPS = 2.0**-24


def native(isa: str, x: NDArray[np.float32], head: Matrix) -> NDArray[np.float32]:
    """[R, V], every row wanted."""
    width, op = x.shape[1], OneOp(isa, max_tokens=len(x))
    wanted = op.native.slot(4 * up(width, 16), True, False, True)
    op.native.rows(op.input(x), width, wanted)
    bf16, k = head.form.bits == 16, up(width, COLUMNS)
    rounded = op.native.slot(up(2 * k if bf16 else k // COLUMNS * 84, 64), True, False, True)
    op.native.quantize(wanted, 1, width, "bf16" if bf16 else "int16", rounded)
    op.native.logits(rounded, op.weight(head))
    op.native.finish(0)
    out = np.empty((len(x), head.shape[0]), np.float32)
    every = np.arange(len(x), dtype=np.int32)
    starts, none = np.array([0, len(x)], np.int32), np.zeros(0, np.int32)
    first = np.zeros(1, np.int32)
    op.native.logits_of(every, starts, first, op.tables, none, every, 1 << 30, out)
    return out


@pytest.mark.parametrize("name", FORMS)
def test_logits_are_the_references_within_rounding(isa: str, name: str) -> None:
    rng = np.random.default_rng(4)
    for width, vocabulary in ((40, 17), (96, 100), (288, 50)):
        head = matrix(rng, FORMS[name], vocabulary, width)
        x = rng.standard_normal((35, width)).astype(np.float32)
        expected = logits(x, Weight(head, "bf16" if head.form.bits == 16 else "int8"))
        sizes = np.abs(x).astype(np.float64) @ np.abs(head.dequantize()).T.astype(np.float64)
        # a minimum nearly cancels its codes: the terms are larger than what they add up to
        far = np.abs(native(isa, x, head) - expected)
        assert (far <= 40 * (width + 2) * EPS * sizes).all()


def test_sixteen_bits_come_a_hundred_times_nearer_than_eight(isa: str) -> None:
    rng = np.random.default_rng(5)
    head = matrix(rng, FORMS["int8"], 64, 96)
    x = rng.standard_normal((8, 96)).astype(np.float32)
    exact = x.astype(np.float64) @ head.dequantize().T.astype(np.float64)
    eight = np.abs(linear(x, Weight(head, "int8")) - exact).max()
    assert np.abs(native(isa, x, head) - exact).max() * 100 < eight


def test_a_row_alone_is_the_row_among_others(isa: str) -> None:
    rng = np.random.default_rng(6)
    head = matrix(rng, FORMS["int4-min"], 50, 96)
    x = rng.standard_normal((35, 96)).astype(np.float32)
    together = native(isa, x, head)
    for r in (0, 1, 17, 34):
        np.testing.assert_array_equal(native(isa, x[r : r + 1], head)[0], together[r])
