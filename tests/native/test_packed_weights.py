"""Packed bytes: the same size on both sides, and back to the same numbers."""

import numpy as np
import pytest
from one_op import aligned
from toy_native import FORMS, matrix

from farthing import _native, weight
from farthing.errors import FormatError
from farthing.weight import Matrix

SHAPES = [(1, 1), (1, 16), (15, 40), (16, 32), (17, 250), (48, 256), (33, 300), (100, 576)]
FIELDS = ("codes", "scale", "minimum", "super_scale", "super_minimum")


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_unpack_gives_back_what_was_packed(name: str, shape: tuple[int, int]) -> None:
    m = matrix(np.random.default_rng(0), FORMS[name], *shape)
    back: Matrix = weight.unpack(weight.pack(m), m.form, *shape)
    for field in FIELDS:
        mine, theirs = getattr(m, field), getattr(back, field)
        assert (mine is None) == (theirs is None)
        if mine is not None:
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(theirs, mine)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_both_sides_agree_on_the_size(name: str, shape: tuple[int, int]) -> None:
    m = matrix(np.random.default_rng(0), FORMS[name], *shape)
    program = _native.Program("portable", 1, 8, 64)
    data = weight.pack(m)
    assert data.size == m.form.bytes(*shape)
    program.weight(m.form.name, m.form.group, 0, *shape, aligned(data))
    for wrong in (data[:-64], np.concatenate([data, data[:64]])):
        with pytest.raises(ValueError, match="wrong size"):
            program.weight(m.form.name, m.form.group, 0, *shape, aligned(wrong))
        with pytest.raises(FormatError, match="bytes for a"):
            weight.unpack(wrong, m.form, *shape)
