"""Round to nearest: every form, packed and back, the same every time."""

import numpy as np
import pytest

from farthing.errors import InputError
from farthing.quantize.rtn import rtn
from farthing.weight import Form, pack, unpack
from quantize.layers import FORMS, NAMES, layer, loss

INT4 = Form(bits=4, group=32, scale="f16", offset="none")


@pytest.mark.parametrize("form", FORMS, ids=NAMES)
def test_packed_and_unpacked_it_is_the_same(form):
    """160 columns: the last group of 64 and 128 is short."""
    weight, _ = layer(3, columns=160)
    made = rtn(weight, form)
    back = unpack(pack(made), form, *weight.shape)
    np.testing.assert_array_equal(back.codes, made.codes)
    np.testing.assert_array_equal(back.dequantize(), made.dequantize())


@pytest.mark.parametrize("form", FORMS, ids=NAMES)
def test_no_weight_is_off_by_more_than_a_step_of_its_range(form):
    weight, _ = layer(4)
    lost = np.abs(weight - rtn(weight, form).dequantize())
    span = np.repeat(np.abs(weight).reshape(48, -1, 32).max(-1), 32, 1) if form.group == 32 else 8
    assert (lost <= 2 * span / ((1 << form.bits) - 1) * 1.5).all()


def test_more_bits_and_smaller_groups_lose_less():
    weight, x = layer(5)
    by = {f: loss(weight, rtn(weight, f), x) for f in FORMS if f.offset != "zero"}
    for form, lost in by.items():
        if form.bits == 4:
            eight = Form(bits=8, group=form.group, scale="f16", offset=form.offset)
            assert by[eight] < lost / 100
        if form.offset == "min":
            plain = Form(bits=form.bits, group=form.group, scale="f16", offset="none")
            assert lost < by[plain]


def test_rounding_is_the_same_every_time_and_row_by_row():
    """A matrix cut into rows gives what it gives whole: large ones are quantized in pieces."""
    weight, _ = layer(6, rows=300)
    whole = rtn(weight, INT4).dequantize()
    np.testing.assert_array_equal(rtn(weight, INT4).dequantize(), whole)
    np.testing.assert_array_equal(rtn(weight[100:217], INT4).dequantize(), whole[100:217])


def test_weights_that_are_no_numbers_are_refused():
    with pytest.raises(InputError, match=r"weight\[0, 3\] is nan"):
        rtn(np.where(np.arange(32) == 3, np.nan, 1).astype(np.float32)[None], INT4)
