"""Which sizes of model fit, by arithmetic that a person can redo."""

import pytest

from farthing.cli.fits import KEPT, MIXTURES, SIZES, fits, largest


def test_a_form_fits_up_to_its_bytes():
    assert largest(KEPT + 5 * 10**9, "int4") == pytest.approx(8.0)
    assert largest(KEPT + 16 * 10**9, "bf16") == pytest.approx(8.0)
    assert largest(KEPT // 2, "int4") == 0


def test_the_widest_form_that_fits_is_named():
    found = {fit.parameters: fit.widest for fit in fits(KEPT + 9 * 10**9, 1e9)}
    assert (found[4.0], found[8.0], found[14.0], found[32.0]) == ("bf16", "int8", "int4", None)
    assert list(found) == [*SIZES, *(size for size, _ in MIXTURES)]


def test_nothing_decodes_faster_than_its_bytes_are_read():
    fit = fits(1 << 40, 40e9)[SIZES.index(8.0)]
    assert fit.int4_bytes == 5 * 10**9
    assert fit.decode_limit == 8.0


def test_a_mixture_fits_by_all_its_weights_and_decodes_by_those_awake():
    found = {fit.parameters: fit for fit in fits(KEPT + 20 * 10**9, 40e9)}
    assert (found[30.5].widest, found[32.0].widest) == ("int4", "int4")
    assert found[30.5].int4_bytes == pytest.approx(30.5 * 5 / 8 * 1e9)
    assert found[30.5].decode_limit == pytest.approx(40e9 / (3.3e9 * 5 / 8), abs=0.1)
