"""Round to nearest: each weight to the closest point of its group's grid, without any data."""

from farthing.quantize.grid import check, search
from farthing.quantize.types import Weights
from farthing.weight import Form, Matrix


def rtn(weight: Weights, form: Form, importance: Weights | None = None) -> Matrix:
    """Weight [N, K] in `form`; the squared error is weighted by importance [K] if given.

    Raises InputError for weights that are NaN or infinite, and for forms nothing rounds to.
    """
    check(weight, form)
    grid = search(weight, form, importance)
    return grid.matrix(grid.codes(weight))
