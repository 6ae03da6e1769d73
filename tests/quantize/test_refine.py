"""Refining: the scales are the best there are for the codes, and no step loses more than before."""

import numpy as np
import pytest

from farthing.quantize import refine
from farthing.quantize.gptq import Factor
from farthing.quantize.grid import search
from farthing.weight import Form
from quantize.layers import FORMS, NAMES, layer

INT4 = [form for form in FORMS if form.bits == 4]


def start(seed, form, columns=160):
    weight, x = layer(seed, rows=12, columns=columns)
    grid = search(weight, form)
    return weight, grid, grid.codes(weight), Factor.of(x.T @ x).hessian


def lost(weight, grid, codes, hessian):
    """Each row's error, in fp64."""
    gone = (weight - grid.matrix(codes).dequantize()).astype(np.float64)
    return np.einsum("nk,kl,nl->n", gone, hessian.astype(np.float64), gone)


@pytest.mark.parametrize("form", INT4, ids=[n for n in NAMES if n.startswith("4")])
def test_no_step_loses_more_than_was_lost_before(form):
    """160 columns: groups of 64 and 128 end short."""
    weight, grid, codes, hessian = start(21, form)
    before = lost(weight, grid, codes, hessian)
    fitted = refine.refitted(weight, grid, codes, hessian)
    between = lost(weight, fitted, codes, hessian)
    moved = refine.descended(weight, fitted, codes, hessian)
    after = lost(weight, fitted, moved, hessian)
    assert (between <= before * 1.001).all() and between.sum() < 0.97 * before.sum()
    assert (after <= between * 1.001).all() and after.sum() < 0.8 * between.sum()


@pytest.mark.parametrize("offset", ["none", "min", "zero"])
def test_no_scale_or_minimum_beside_a_refitted_one_is_better(offset):
    """The error has no slope there: a small move either way, or of two groups at once, loses."""
    form = Form(bits=4, group=32, scale="f32", offset=offset)
    weight, grid, codes, hessian = start(22, form)
    fitted = refine.refitted(weight, grid, codes, hessian)
    for _ in range(3):
        # what holds the numbers where they were fades as they settle
        fitted = refine.refitted(weight, fitted, codes, hessian)
    best = lost(weight, fitted, codes, hessian)
    random = np.random.default_rng(0)
    for _ in range(20):
        scale = fitted.scale * (1 + 0.01 * random.standard_normal(fitted.scale.shape))
        low = fitted.low * (scale / fitted.scale)
        if offset == "min":
            low = fitted.low * (1 + 0.01 * random.standard_normal(fitted.low.shape))
        scale, low = scale.astype(np.float32), low.astype(np.float32)
        other = type(grid)(form=form, scale=scale, low=low)
        assert (lost(weight, other, codes, hessian) > best).all()


def test_codes_settle_where_no_single_step_is_better():
    form = Form(bits=4, group=32, scale="f16", offset="none")
    weight, grid, codes, hessian = start(23, form, columns=64)
    for _ in range(100):
        codes = refine.descended(weight, grid, codes, hessian)
    best = lost(weight, grid, codes, hessian)
    for column in range(64):
        for step in (-1, 1):
            other = codes.astype(np.int16)
            other[:, column] = np.clip(other[:, column] + step, 0, 15)
            assert (lost(weight, grid, other.astype(np.uint8), hessian) >= best * 0.99999).all()


@pytest.mark.parametrize("form", FORMS, ids=NAMES)
def test_rows_in_pieces_are_as_rows_together(form, monkeypatch):
    weight, grid, codes, hessian = start(24, form)
    together, whole = refine.refined(weight, grid, codes, hessian)
    monkeypatch.setattr(refine, "ROWS", 5)
    pieces, parts = refine.refined(weight, grid, codes, hessian)
    assert (whole != parts).mean() < 0.02
    error = lost(weight, together, whole, hessian)
    np.testing.assert_allclose(lost(weight, pieces, parts, hessian), error, rtol=0.05)


@pytest.mark.parametrize("form", FORMS, ids=NAMES)
def test_groups_of_zeros_stay(form):
    weight, _, _, hessian = start(25, form)
    weight[:, :128] = 0
    weight[3] = 0
    grid = search(weight, form)
    better, codes = refine.refined(weight, grid, grid.codes(weight), hessian)
    made = better.matrix(codes).dequantize()
    assert np.isfinite(made).all()
    assert not made[3].any()
