"""Grids: codes and offsets as stored, and the search finds better ones than the plain range."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.errors import InputError
from farthing.quantize.grid import Grid, check, search
from farthing.weight import BF16, E2M1, Form
from quantize.layers import FORMS, NAMES, layer

SYMMETRIC = Form(bits=4, group=32, scale="f16", offset="none")
MINIMUM = Form(bits=4, group=32, scale="f16", offset="min")


def total(weight, grid, importance=1.0):
    lost = weight - grid.matrix(grid.codes(weight)).dequantize()
    return float((lost.astype(np.float64) ** 2 * importance).sum())


def plain(weight, form):
    """llama.cpp's Q4_0 and Q4_1: the farthest weight gets the code 0, or both ends get one."""
    x = weight.reshape(len(weight), -1, form.group)
    low, high = x.min(-1), x.max(-1)
    if form.offset == "none":
        scale = (np.where(-low > high, low, high) / -8).astype(np.float16).astype(np.float32)
        return Grid(form=form, scale=scale, low=-8 * scale)
    scale, low = (v.astype(np.float16).astype(np.float32) for v in ((high - low) / 15, low))
    return Grid(form=form, scale=scale, low=low)


@pytest.mark.parametrize("form", FORMS, ids=NAMES)
def test_what_the_grid_says_is_what_the_matrix_holds(form):
    weight, _ = layer(1, columns=160)
    grid = search(weight, form)
    codes = grid.codes(weight)
    scale, low = grid.spread(160)
    np.testing.assert_array_equal(grid.matrix(codes).dequantize(), found(scale, low, codes, form))


def found(scale, low, codes, form):
    """Symmetric and zero: one product, which low's rounding can't reach."""
    if form.offset == "min":
        return scale * codes.astype(np.float32) + low
    origin = np.rint(np.divide(-low, scale, out=np.zeros_like(low), where=scale != 0))
    return scale * (codes - origin.astype(np.float32))


@pytest.mark.parametrize("form", [SYMMETRIC, MINIMUM])
@pytest.mark.parametrize("seed", range(5))
def test_searched_grids_lose_less_than_plain_ranges(form, seed):
    weight = np.random.default_rng(seed).standard_t(5, (32, 128)).astype(np.float32)
    assert total(weight, search(weight, form)) < 0.97 * total(weight, plain(weight, form))


@pytest.mark.parametrize("form", [SYMMETRIC, MINIMUM])
def test_importance_moves_the_error_to_columns_that_count_less(form):
    weight, _ = layer(2)
    importance = np.where(np.arange(192) % 8, 0.01, 1).astype(np.float32)
    told, untold = search(weight, form, importance), search(weight, form)
    assert total(weight, told, importance) < 0.6 * total(weight, untold, importance)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(FORMS))
def test_points_of_a_grid_are_found_again(seed, form):
    """Weights that lie on a grid which uses its whole range lose nothing to speak of."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, 1 << form.bits, (3, form.group)).astype(np.float32)
    codes[:, :2] = 0, (1 << form.bits) - 1
    scale = random.uniform(0.5, 2, (3, 1)).astype(np.float16).astype(np.float32)
    zero = np.float32(form.bias if form.offset == "none" else random.integers(1 << form.bits))
    weight = scale * (codes - zero)
    lost = np.abs(
        weight - search(weight, form).matrix(search(weight, form).codes(weight)).dequantize()
    )
    assert lost.max() <= 1e-3 * np.abs(weight).max()


@pytest.mark.parametrize("form", FORMS, ids=NAMES)
@pytest.mark.parametrize("value", [0, 1, -3, 1e-9])
def test_a_group_of_one_value_keeps_it(form, value):
    weight = np.full((4, 160), value, np.float32)
    lost = weight - search(weight, form).matrix(search(weight, form).codes(weight)).dequantize()
    # 2^-24 is fp16's smallest number
    assert np.abs(lost).max() <= max(abs(value) / 1000, 2.0**-24)


def test_forms_that_nothing_rounds_to_are_named():
    weight = np.ones((2, 32), np.float32)
    two_level = Form(bits=4, group=32, scale="two_level", offset="min")
    for form in (BF16, E2M1, two_level):
        with pytest.raises(InputError, match=form.name):
            check(weight, form)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_named(value):
    weight = np.ones((2, 32), np.float32)
    weight[1, 7] = value
    with pytest.raises(InputError, match=r"weight\[1, 7\] is -?(nan|inf)"):
        check(weight, SYMMETRIC)


@pytest.mark.parametrize("form", [SYMMETRIC, MINIMUM])
def test_weights_too_large_for_the_scale_are_refused(form):
    """fp16 ends at 65,504: an infinite scale would make the whole group NaN."""
    weight = np.ones((2, 64), np.float32)
    weight[1, 40] = 1e7
    with pytest.raises(InputError, match=r"weight\[1, 40\] is 1e\+07"):
        check(weight, form)


@pytest.mark.parametrize("importance", [0.0, 1e-42, 1e-12])
@pytest.mark.parametrize("form", FORMS, ids=NAMES)
def test_groups_that_calibration_never_met_keep_their_weights(form, importance):
    weight, _ = layer(2, columns=320)
    seen = np.where(np.arange(320) < 256, importance, 1).astype(np.float32)
    unmet = (np.arange(320) < 256).astype(np.float64)
    told, untold = search(weight, form, seen), search(weight, form)
    assert total(weight, told, unmet) < 1.1 * total(weight, untold, unmet)
    nothing = search(weight, form, np.zeros(320, np.float32))
    np.testing.assert_array_equal(nothing.codes(weight), untold.codes(weight))
