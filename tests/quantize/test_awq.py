"""AWQ: the function stays, and loud columns lose less."""

import numpy as np
import pytest

from farthing.errors import InputError
from farthing.quantize.awq import scales
from farthing.quantize.rtn import rtn
from farthing.quantize.types import Moments
from farthing.weight import Form
from quantize.layers import layer

INT4 = Form(bits=4, group=128, scale="f16", offset="none")


def moments(x):
    return Moments(count=len(x), hessian=x.T @ x, magnitude=np.abs(x).sum(0))


def loud(seed):
    """A layer of which two columns meet inputs thirty times as large as the others'."""
    weight, x = layer(seed, columns=256)
    x /= np.abs(x).mean(0)
    x[:, [17, 200]] *= 30
    return weight, x


@pytest.mark.parametrize("seed", range(6))
def test_folded_factors_leave_the_outputs_as_they_were(seed):
    weight, x = loud(seed)
    factor = scales([weight], INT4, moments(x))
    assert factor.dtype == np.float32 and factor.shape == (256,) and (factor > 0).all()
    exact, folded = x @ weight.T, (x / factor) @ (weight * factor).T
    assert np.abs(exact - folded).max() < 1e-5 * np.abs(exact).max()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("offset", ["none", "min"])
def test_loud_columns_lose_less(seed, offset):
    """Two matrices on one input; measured on inputs that the factors were not made from."""
    form = Form(bits=4, group=128, scale="f16", offset=offset)
    weight, x = loud(seed)
    seen, unseen = x[:768], x[768:]
    parts, held = [weight[:20], weight[20:]], moments(seen)
    factor = scales(parts, form, held)
    exact = unseen @ weight.T
    plain = np.concatenate([rtn(part, form).dequantize() for part in parts])
    energy = np.ascontiguousarray(np.diag(held.hessian)) / factor**2
    made = np.concatenate([rtn(part * factor, form, energy).dequantize() for part in parts])
    lost = ((exact - (unseen / factor) @ made.T) ** 2).sum()
    assert lost < 0.5 * ((exact - unseen @ plain.T) ** 2).sum()


def test_a_silent_column_gets_a_factor_that_can_be_folded():
    weight, x = loud(1)
    x[:, 5] = 0
    factor = scales([weight], INT4, moments(x))
    assert np.isfinite(factor).all() and np.isfinite(1 / factor).all() and (factor > 0).all()


def test_no_data_is_refused():
    weight, x = loud(2)
    with pytest.raises(InputError, match="no calibration data"):
        scales([weight], INT4, moments(x[:0]))


def test_moments_that_are_no_numbers_are_refused():
    weight, x = loud(3)
    x[4, 9] = np.nan
    with pytest.raises(InputError, match="hessian"):
        scales([weight], INT4, moments(x))
