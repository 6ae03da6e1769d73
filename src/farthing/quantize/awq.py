"""AWQ: columns that meet large inputs are made larger before rounding, and their input smaller.

Lin et al., 2306.00978. Whoever makes the input takes the inverse factors; the function is the same.
Shapes: N outputs, K inputs.
"""

from collections.abc import Sequence

import numpy as np

from farthing.errors import InputError
from farthing.quantize.grid import finite
from farthing.quantize.rtn import rtn
from farthing.quantize.types import Moments, Weights
from farthing.weight import Form

POWERS = np.linspace(0, 1, 11)


def scales(weights: Sequence[Weights], form: Form, moments: Moments) -> Weights:
    """Factors [K] for the columns of all weights [N_i, K] that read one input.

    Each is the mean |x| of its column to a power, the one of least output error after rounding.
    Raises InputError where calibration saw nothing, or no finite numbers.
    """
    finite(moments.hessian, "hessian")
    magnitude = moments.magnitude
    assert magnitude is not None, "gathered without magnitudes"
    finite(magnitude, "magnitude")
    if not moments.count or not magnitude.max() > 0:
        raise InputError("no calibration data for this input; give this layer tokens")
    size = np.maximum(magnitude / magnitude.mean(), np.float32(1e-4))
    tried: list[Weights] = [(size**power).astype(np.float32) for power in POWERS]
    errors = [sum(_error(w, form, s, moments.hessian) for w in weights) for s in tried]
    return tried[int(np.argmin(errors))]


def _error(weight: Weights, form: Form, factor: Weights, hessian: Weights) -> float:
    """Squared error of the outputs when rounded with these factors."""
    energy = np.diag(hessian) / factor**2
    lost = weight - rtn(weight * factor, form, energy).dequantize() / factor
    return float(((lost @ hessian) * lost).sum())
