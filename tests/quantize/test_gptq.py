"""GPTQ: against its definition written out, against rounding to nearest, and on bad moments."""

import numpy as np
import pytest

from farthing.errors import InputError
from farthing.quantize.gptq import DAMP, Factor, gptq
from farthing.quantize.grid import Grid, search
from farthing.quantize.moments import Gathering
from farthing.quantize.refine import refined
from farthing.quantize.rtn import rtn
from farthing.quantize.types import Drift
from farthing.weight import Form, pack, unpack
from quantize.layers import FORMS, NAMES, layer, loss

INT4 = Form(bits=4, group=32, scale="f16", offset="none")


def by_definition(weight, form, hessian):
    """The paper's steps in fp64, the inverse of what is left made anew for every column."""
    k = weight.shape[1]
    h = hessian.astype(np.float64)
    h = h / np.diag(h).mean() + DAMP * np.eye(k)
    left, order = weight.astype(np.float64), list(np.argsort(-np.diag(hessian), kind="stable"))
    cost = np.empty(k)
    for at, j in enumerate(order):
        cost[j] = 1 / np.linalg.inv(h[np.ix_(order[at:], order[at:])])[0, 0]
    grid = search(weight, form, cost.astype(np.float32))
    scale, low = grid.spread(k)
    codes = np.zeros(weight.shape, np.uint8)
    while order:
        inverse, j = np.linalg.inv(h[np.ix_(order, order)]), order[0]
        steps = np.rint((left[:, j] - low[:, j]) / scale[:, j])
        codes[:, j] = np.clip(steps, 0, 2**form.bits - 1)
        error = left[:, j] - (codes[:, j] * scale[:, j] + low[:, j])
        left[:, order] -= np.outer(error / inverse[0, 0], inverse[0])
        order = order[1:]
    # test_refine.py holds this to its own properties
    return Grid.matrix(*refined(weight, grid, codes, h.astype(np.float32)))


@pytest.mark.parametrize("form", FORMS, ids=NAMES)
def test_it_is_its_definition(form):
    """160 columns: short last groups, and blocks whose errors are pushed on lazily.

    A weight between two codes may go either way in fp32, and takes those behind it along: few do.
    """
    weight, x = layer(7, rows=24, columns=160)
    hessian = x.T @ x
    made, expected = gptq(weight, form, hessian), by_definition(weight, form, hessian)
    assert (made.codes != expected.codes).mean() < (0.02 if form.bits == 4 else 0.2)
    assert loss(weight, made, x) == pytest.approx(loss(weight, expected, x), rel=0.02)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("offset", ["none", "min"])
def test_it_loses_much_less_than_rounding_to_nearest(seed, offset):
    weight, x = layer(seed)
    seen, unseen = x[:768], x[768:]
    form = Form(bits=4, group=64, scale="f16", offset=offset)
    hessian = seen.T @ seen
    nearest = min(
        loss(weight, rtn(weight, form, importance), unseen)
        for importance in (None, np.ascontiguousarray(np.diag(hessian)))
    )
    assert loss(weight, gptq(weight, form, hessian), unseen) < 0.7 * nearest


@pytest.mark.parametrize("form", FORMS, ids=NAMES)
def test_packed_and_unpacked_it_is_the_same(form):
    weight, x = layer(8, columns=160)
    made = gptq(weight, form, x.T @ x)
    back = unpack(pack(made), form, *weight.shape)
    np.testing.assert_array_equal(back.codes, made.codes)
    np.testing.assert_array_equal(back.dequantize(), made.dequantize())


def test_the_size_of_the_hessian_does_not_matter():
    """A power of two: sums and means of 4096 rows give the same to the bit."""
    weight, x = layer(9)
    hessian = x.T @ x
    a, b = gptq(weight, INT4, hessian), gptq(weight, INT4, hessian / 4096)
    np.testing.assert_array_equal(a.dequantize(), b.dequantize())


def test_the_order_of_columns_inside_a_group_hardly_matters():
    """Groups stay where they lie; only the last pass over the codes goes as columns lie."""
    weight, x = layer(10)
    mixed = np.concatenate([32 * g + np.random.default_rng(g).permutation(32) for g in range(6)])
    plain, made = (
        gptq(weight, INT4, x.T @ x),
        gptq(weight[:, mixed], INT4, x[:, mixed].T @ x[:, mixed]),
    )
    assert loss(weight[:, mixed], made, x[:, mixed]) == pytest.approx(
        loss(weight, plain, x), rel=0.03
    )


@pytest.mark.parametrize("seed", range(5))
def test_what_was_lost_before_is_made_up_for_where_the_input_tells_it(seed):
    """Inputs that came through a rounded layer; the aim is what the exact ones would have given."""
    first, x = layer(seed, rows=192)
    weight, _ = layer(seed + 50)
    coarse = Form(bits=4, group=128, scale="f16", offset="none")
    before, now = x @ first.T, x @ rtn(first, coarse).dequantize().T
    seen, unseen = slice(0, 768), slice(768, None)
    hessian = now[seen].T @ now[seen]
    drift = Drift(count=1 << 30, moved=(before - now)[seen].T @ now[seen], hessian=hessian)
    aimed = Factor.of(hessian, drift)
    exact = before[unseen] @ weight.T
    plain, made = (
        ((exact - now[unseen] @ gptq(weight, INT4, f).dequantize().T) ** 2).sum()
        for f in (Factor.of(hessian), aimed)
    )
    assert made < 0.9 * plain


def test_no_drift_is_as_none_was_told():
    weight, x = layer(13)
    hessian = x.T @ x
    told = Factor.of(hessian, Drift(count=1 << 30, moved=np.zeros_like(hessian), hessian=hessian))
    np.testing.assert_array_equal(
        gptq(weight, INT4, told).dequantize(), gptq(weight, INT4, hessian).dequantize()
    )


def test_the_drift_is_a_regression_on_the_input():
    """W' x is W x' exactly where x' = A x, but for the damping."""
    weight, x = layer(14)
    turn = np.eye(192, dtype=np.float32) + 0.1 * layer(15, rows=192)[0] / 14
    hessian = x.T @ x
    factor = Factor.of(hessian, Drift(count=1 << 30, moved=(x @ turn.T - x).T @ x, hessian=hessian))
    exact, plain, aimed = (
        x @ turn.T @ weight.T,
        x @ weight.T,
        x @ (weight + weight @ factor.drift).T,
    )
    assert ((exact - aimed) ** 2).sum() < 0.01 * ((exact - plain) ** 2).sum()


def test_a_few_large_rows_among_those_compared_are_not_taken_for_more():
    """A quarter of the rows was compared, and a direction of its own is in that quarter alone."""
    weight, x = layer(16, tokens=16384)
    few = x[: len(x) // 4].copy()
    few[3] += 300 * np.eye(192, dtype=np.float32)[7]
    turned = few @ (np.eye(192, dtype=np.float32) + 0.1 * layer(17, rows=192)[0] / 14).T
    gathered = Gathering(192)
    gathered.add(few)
    gathered.compare(turned, few)
    gathered.add(x[len(few) :])
    moments = gathered.done()
    aimed = Factor.of(moments.hessian, moments.drift).aim(weight)
    exact, plain = turned @ weight.T, few @ weight.T
    assert ((exact - few @ aimed.T) ** 2).sum() < 0.02 * ((exact - plain) ** 2).sum()


def test_one_factor_serves_all_that_read_the_input_and_rows_in_pieces():
    weight, x = layer(11, rows=1200)
    hessian = x.T @ x
    factor, whole = Factor.of(hessian), gptq(weight, INT4, hessian).codes
    np.testing.assert_array_equal(gptq(weight, INT4, factor).codes, whole)
    piece = gptq(weight[500:900], INT4, factor).codes
    # BLAS may add in another order where fewer rows are in hand
    assert (piece != whole[500:900]).mean() < 0.01


def test_columns_without_data_are_rounded_and_trouble_nobody():
    weight, x = layer(12)
    x[:, [3, 70, 71]] = 0
    x[:, 128:] = 0
    made = gptq(weight, INT4, x.T @ x)
    assert loss(weight, made, x) < loss(weight, rtn(weight, INT4), x)
    lost = np.abs(weight - made.dequantize())[:, 128:]
    assert lost.max() < 0.5 * np.abs(weight).max()


def test_a_hessian_without_data_is_refused():
    with pytest.raises(InputError, match="no calibration data"):
        Factor.of(np.zeros((32, 32), np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_hessian_that_is_no_number_is_refused(value):
    hessian = np.eye(32, dtype=np.float32)
    hessian[4, 5] = hessian[5, 4] = value
    with pytest.raises(InputError, match=r"hessian\[4, 5\] is (nan|inf)"):
        Factor.of(hessian)


def test_a_hessian_of_nothing_is_refused():
    hessian = np.eye(32, dtype=np.float32)
    hessian[0, 1] = hessian[1, 0] = 5
    with pytest.raises(InputError, match="not positive"):
        Factor.of(hessian)


def test_weights_that_are_no_numbers_are_refused():
    weight = np.ones((2, 32), np.float32)
    weight[1, 2] = np.inf
    with pytest.raises(InputError, match=r"weight\[1, 2\] is inf"):
        gptq(weight, INT4, np.eye(32, dtype=np.float32))


def test_weights_that_drift_drives_beyond_fp16_are_refused():
    weight, x = layer(3)
    hessian = x.T @ x
    factor = Factor.of(hessian, Drift(count=1 << 30, moved=1e5 * hessian, hessian=hessian))
    with pytest.raises(InputError, match="keep this tensor as it is"):
        gptq(weight, INT4, factor)
