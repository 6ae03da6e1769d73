"""Products with weights of every form, with fp32, bf16 and int8 inputs."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from farthing import weight
from farthing.ops.reference_linear import Weight, bind, block_sums, linear, quantize
from farthing.weight import Form, Matrix

RNG = np.random.default_rng(2)
FORMS = [
    Form(bits=4, group=32, scale="f16", offset="min"),
    Form(bits=4, group=32, scale="f16", offset="none"),
    Form(bits=8, group=32, scale="f16", offset="none"),
    Form(bits=4, group=128, scale="f32", offset="min"),
    Form(bits=8, group=64, scale="f32", offset="none"),
    Form(bits=4, group=32, scale="two_level", offset="min"),
    Form(bits=8, group=16, scale="two_level", offset="none"),
    Form(bits=4, group=32, scale="e8m0", offset="none", lookup="e2m1"),
]


def random_matrix(form: Form, n: int, k: int) -> Matrix:
    groups, supers = -(-k // form.group), -(-k // weight.SUPER)
    fields: dict[str, Any] = {}
    for name in ("scale", "minimum") if form.offset == "min" else ("scale",):
        sign = -0.05 if name == "minimum" else 0.01
        if form.scale == "two_level":
            whole = RNG.integers(1, 64, (n, groups))
            fields[name] = whole.astype(np.uint8 if form.offset == "min" else np.int8)
            fields[f"super_{name}"] = RNG.uniform(0, 0.001, (n, supers)).astype(np.float16)
        elif form.scale == "e8m0":
            fields[name] = RNG.integers(118, 124, (n, groups)).astype(np.uint8)
        else:
            kind = {"f16": np.float16, "f32": np.float32}[form.scale]
            fields[name] = (sign * RNG.uniform(0.1, 1, (n, groups))).astype(kind)
    codes = RNG.integers(0, 1 << form.bits, (n, k)).astype(np.uint8)
    return Matrix(form=form, codes=codes, **fields)


def normal(*shape: int) -> NDArray[np.float32]:
    return RNG.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("k", [32, 80, 576, 20])
def test_int8_inputs_give_the_product_of_the_rounded_input(form: Form, k: int) -> None:
    matrix, x, bias = random_matrix(form, 7, k), normal(3, k), normal(7)
    codes, scales = quantize(x)
    rounded = codes * np.repeat(scales.astype(np.float64), 32, 1)[:, :k]
    expected = rounded @ matrix.dequantize().astype(np.float64).T + bias
    got = linear(x, Weight(matrix, "int8"), bias)
    # each of some 2 K / 16 fp32 additions errs by 2^-24 of the terms so far
    scale, minimum = (np.repeat(np.abs(a), form.group, 1)[:, :k] for a in matrix.groups())
    terms = np.abs(rounded) @ (scale * np.abs(matrix.whole()) + minimum).T + np.abs(bias)
    assert (np.abs(got - expected) <= (k / 8 + 4) * 2.0**-24 * terms).all()


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_fp32_inputs_meet_the_dequantized_weights(form: Form) -> None:
    matrix, x = random_matrix(form, 7, 80), normal(3, 80)
    expected = x.astype(np.float64) @ matrix.dequantize().astype(np.float64).T
    np.testing.assert_allclose(linear(x, Weight(matrix)), expected, rtol=1e-4, atol=1e-4)


def test_bf16_matrices_meet_bf16_inputs() -> None:
    matrix = weight.dense(normal(5, 40))
    bound = bind({"a": matrix, "b": normal(5)}, "int8")
    assert isinstance(bound["a"], Weight) and bound["a"].activations == "bf16"
    x = normal(2, 40)
    rounded = weight.bf16_to_f32(weight.f32_to_bf16(x))
    np.testing.assert_array_equal(linear(x, bound["a"]), rounded @ matrix.dequantize().T)
    assert isinstance(bound["b"], np.ndarray)


def test_block_sums_are_whole_numbers_exactly() -> None:
    """Against int64 NumPy, at the widest codes: nothing is lost in fp32."""
    matrix = random_matrix(FORMS[4], 6, 80)
    matrix.codes[:3] = 0
    codes = np.full((2, 80), -127, np.int8)
    seen = 0
    for part, products, sums in block_sums(codes, matrix):
        wide = codes[:, part].astype(np.int64) @ (matrix.codes[:, part].astype(np.int64) - 128).T
        np.testing.assert_array_equal(products, wide)
        np.testing.assert_array_equal(sums[:, 0], codes[:, part].sum(1, dtype=np.int64))
        seen += part.stop - part.start
    assert seen == 80


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=70))
def test_quantize_errs_by_half_a_step_at_most(values: list[float]) -> None:
    x = np.array([values], np.float32)
    codes, scales = quantize(x)
    assert np.abs(codes.astype(int)).max() <= 127
    step = np.repeat(scales.astype(np.float64), 32, 1)[:, : x.shape[1]]
    # a block below 2^-120 is zero, and the error is the value itself
    assert (np.abs(codes * step - x) <= step * 0.5001 + 2.0**-120).all()


def test_a_block_of_zeros_is_zero_and_does_not_divide() -> None:
    x = np.zeros((1, 64), np.float32)
    x[0, 40] = 3.0
    with np.errstate(all="raise"):
        codes, scales = quantize(x)
    assert scales[0, 0] == 0 and codes[0, 40] == 127 and np.count_nonzero(codes) == 1


def test_the_largest_of_a_block_is_127_and_ties_go_to_even() -> None:
    x = np.array([[127, 0.5, 1.5, 2.5, -127, -0.5]], np.float32)
    assert quantize(x)[0].tolist() == [[127, 0, 2, 2, -127, 0]]
