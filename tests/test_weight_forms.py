"""Packed forms: every number comes back, and FP4 is its definition to the bit."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.weight import BF16, E2M1, SUPER, Form, Matrix, pack, unpack

FORMS = [
    BF16,
    E2M1,
    Form(bits=4, group=32, scale="f16", offset="none"),
    Form(bits=4, group=128, scale="f32", offset="min"),
    Form(bits=8, group=64, scale="f16", offset="min"),
    Form(bits=4, group=32, scale="two_level", offset="min"),
    Form(bits=8, group=16, scale="two_level", offset="none"),
]
FIELDS = ("codes", "scale", "minimum", "super_scale", "super_minimum")
VALUES = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6]


def matrix(form: Form, rows: int, columns: int, seed: int = 0) -> Matrix:
    """Random codes and scales, all of them finite."""
    random = np.random.default_rng(seed)
    if form == BF16:
        return Matrix(form=form, codes=random.integers(0, 0x7F80, (rows, columns)).astype("u2"))
    codes = random.integers(0, 1 << form.bits, (rows, columns)).astype(np.uint8)
    groups, supers = -(-columns // form.group), -(-columns // SUPER)
    fields: dict[str, Any] = {}
    for name in ("scale", "minimum") if form.offset == "min" else ("scale",):
        if form.scale in ("f16", "f32"):
            kind = np.float16 if form.scale == "f16" else np.float32
            fields[name] = random.standard_normal((rows, groups)).astype(kind)
            continue
        top = 253 if form.scale == "e8m0" else 64
        signed = form.scale == "two_level" and form.offset == "none"
        whole = random.integers(0, top, (rows, groups))
        fields[name] = whole.astype(np.int8 if signed else np.uint8)
        if form.scale == "two_level":
            fields[f"super_{name}"] = random.random((rows, supers)).astype(np.float16)
    return Matrix(form=form, codes=codes, **fields)


def fp4(codes: Any, exponents: Any) -> Matrix:
    return Matrix(form=E2M1, codes=np.array(codes, np.uint8), scale=np.array(exponents, np.uint8))


def test_fp4_is_its_definition_at_every_nibble_and_exponent():
    """A power of two from 2^-127 on times 0, .5, 1, 1.5, 2, 3, 4 or 6; fp64 as the judge."""
    exponents = np.arange(253)
    found = fp4(np.tile(np.arange(16), (253, 2)), exponents[:, None]).dequantize()
    expected = np.ldexp(np.array(VALUES * 2), exponents[:, None] - 127)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.astype(np.float64), expected)
    assert found[0, 1] == 2.0**-128


def test_the_last_fp4_scales_hold_what_fp32_holds():
    found = fp4([[1, 9, 2, 3]] * 2, [[253], [254]]).dequantize()
    one = np.float64(2) ** 126
    assert found.tolist() == [[one / 2, -one / 2, one, 1.5 * one], [one, -one, 2 * one, 3 * one]]


def test_the_fp4_scale_255_is_not_a_number():
    found = fp4([[0, 1, 7]], [[255]])
    assert np.isnan(found.dequantize()).all()
    assert np.isnan(found.groups()[0]).all()


@pytest.mark.parametrize("form", FORMS[1:], ids=str)
def test_a_weight_is_its_scale_times_a_whole_number_plus_the_minimum(form):
    m = matrix(form, 5, 300)
    scale, minimum = (np.repeat(x, form.group, 1)[:, :300] for x in m.groups())
    assert m.whole().dtype == np.int16
    np.testing.assert_array_equal(m.dequantize(), scale * m.whole().astype(np.float32) + minimum)
    assert form.offset == "min" or not minimum.any()


def test_whole_numbers_are_codes_less_their_bias_and_of_fp4_twice_the_value():
    assert matrix(FORMS[2], 1, 1).whole().tolist() == (matrix(FORMS[2], 1, 1).codes - 8.0).tolist()
    m = fp4([range(16)], [[127]])
    assert m.whole().tolist() == [[0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]]
    assert m.groups()[0].tolist() == [[0.5]]


def test_a_form_has_the_name_that_the_native_side_knows():
    names = ["16-none", "4-e8m0-e2m1", "4-f16", "4-f32-min", "8-f16-min", "4-two_level-min"]
    assert [form.name for form in FORMS] == [*names, "8-two_level"]


def test_fp4_takes_four_bits_and_a_byte_for_each_32():
    assert E2M1.bytes(16, 128) == 16 * (128 // 2 + 4)
    assert E2M1.bytes(17, 97) == 2 * 16 * (128 // 2 + 4)


def test_fp4_scales_lie_after_the_codes_by_group_then_row():
    m = fp4(np.full((16, 128), 5), np.arange(64).reshape(16, 4))
    raw = pack(m)
    assert (raw[: 16 * 64] == 0x55).all()
    np.testing.assert_array_equal(raw[16 * 64 :].reshape(4, 16), m.scale.T)


@settings(max_examples=150, deadline=None)
@given(
    form=st.sampled_from(FORMS),
    rows=st.integers(1, 50),
    columns=st.integers(1, 600),
    seed=st.integers(0, 1 << 16),
)
def test_packed_and_unpacked_is_the_same_at_any_shape(form, rows, columns, seed):
    m = matrix(form, rows, columns, seed)
    raw = pack(m)
    assert raw.size == form.bytes(rows, columns) and raw.size % 64 == 0
    again = unpack(raw, form, rows, columns)
    for field in FIELDS:
        mine, theirs = getattr(m, field), getattr(again, field)
        assert (mine is None) == (theirs is None)
        if mine is not None:
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(theirs, mine)
