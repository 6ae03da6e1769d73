"""Ops on one token's row: quantization to the bit, the rest within a few roundings of the
reference, on every instruction set."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from one_op import OneOp, up
from toy_native import FORMS, matrix

from farthing.ops import reference
from farthing.ops.reference_linear import quantize, quantize16
from farthing.ops.rotation import Rotation
from farthing.weight import bf16_to_f32, f32_to_bf16

EPS = 2.0**-24
WIDTHS = [1, 7, 16, 24, 31, 32, 33, 64, 96, 100, 128, 250]


def rows(width: int, size: float = 1.0, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((5, width)) * size).astype(np.float32)


def extremes(width: int) -> NDArray[np.float32]:
    """Rows of zeros, negatives, the largest and the least: exact in bf16."""
    x = rows(width)
    x[0] = 0
    x[1] = -1
    x[2] *= np.float32(2.0**120)
    x[3] *= np.float32(2.0**-119)
    x[4, ::2], x[4, 1::2] = 2.0**-122, -(2.0**-121)
    return bf16_to_f32(f32_to_bf16(x))


def parts(raw: NDArray[np.uint8], width: int) -> tuple[NDArray[Any], ...]:
    """codes, scale, scaled sum, negated sum, negated half sums of a quantized row."""
    k = up(width, 32)
    groups = k // 32
    floats = raw[:, k : k + 8 * groups].view(np.float32)
    ints = raw[:, k + 8 * groups : k + 20 * groups].view(np.int32)
    return (
        raw[:, :k].view(np.int8),
        floats[:, :groups],
        floats[:, groups:],
        ints[:, :groups],
        ints[:, groups:],
    )


def one(isa: str, x: NDArray[np.float32]) -> tuple[OneOp, int, int]:
    op = OneOp(isa)
    return op, op.input(x), op.floats(x.shape[1])


@pytest.mark.parametrize("make", [rows, extremes])
def test_quantized_codes_are_the_references(isa: str, make: Any) -> None:
    for width in WIDTHS:
        x, op = make(width), OneOp(isa)
        out = op.quantized(x)
        op.run(range(5))
        codes, scale, scaled, negated, halves = parts(op.raw(out), width)
        expected, scales = quantize(x)
        np.testing.assert_array_equal(codes[:, :width], expected)
        np.testing.assert_array_equal(scale, scales)
        assert not codes[:, width:].any() and codes.min() >= -127
        by_half = codes.astype(np.int32).reshape(5, -1, 16).sum(-1)
        np.testing.assert_array_equal(halves, -by_half)
        np.testing.assert_array_equal(negated, -by_half.reshape(5, -1, 2).sum(-1))
        np.testing.assert_array_equal(scaled, scale * -negated.astype(np.float32))


@pytest.mark.parametrize("make", [rows, extremes])
def test_codes_of_16_bits_are_the_references(isa: str, make: Any) -> None:
    for width in WIDTHS:
        x, op = make(width), OneOp(isa)
        k = up(width, 32)
        out = op.slot(up(k // 32 * 84, 64))
        op.native.quantize(op.input(x), 1, width, "int16", out)
        op.run(range(5))
        raw = op.raw(out)
        expected, scales = quantize16(x)
        low, scale, scaled, negated, halves = parts(np.ascontiguousarray(raw[:, k:]), width)
        codes = 256 * raw[:, :k].view(np.int8).astype(np.int32) + low
        np.testing.assert_array_equal(codes[:, :width], expected)
        np.testing.assert_array_equal(scale, scales)
        assert not codes[:, width:].any()
        by_half = codes.reshape(5, -1, 16).sum(-1)
        np.testing.assert_array_equal(halves, -by_half)
        np.testing.assert_array_equal(negated, -by_half.reshape(5, -1, 2).sum(-1))
        np.testing.assert_array_equal(scaled, scale * -negated.astype(np.float32))


def test_halves_are_rounded_to_even(isa: str) -> None:
    x = np.arange(-32, 32, dtype=np.float32).reshape(2, 32) + np.float32(0.5)
    x[:, 0] = 127
    op = OneOp(isa)
    out = op.quantized(x)
    op.run(range(2))
    np.testing.assert_array_equal(parts(op.raw(out), 32)[0], np.rint(x))


def test_bf16_rounds_to_even(isa: str) -> None:
    for width in WIDTHS:
        x, op = rows(width, 100.0), OneOp(isa)
        x[0] = bf16_to_f32(f32_to_bf16(x[0])) * np.float32(1 + 2.0**-8)  # many exact halves
        out = op.quantized(x, bf16=True)
        op.run(range(5))
        held = op.raw(out).view(np.uint16)
        np.testing.assert_array_equal(held[:, :width], f32_to_bf16(x))
        assert not held[:, width : up(width, 32)].any()


@pytest.mark.parametrize("heads", [1, 2, 3, 5])
def test_rms_norm_normalises_each_head(isa: str, heads: int) -> None:
    for width in WIDTHS:
        x, weight = rows(width * heads, 3.0), rows(width, seed=1)[0]
        op, source, out = one(isa, x)
        op.native.norm(source, weight, heads, 1e-6, out)
        op.run(range(5))
        expected = reference.rms_norm(x.astype(np.float64), weight, eps=1e-6, heads=heads)
        allowed = (width / 16 + 12) * EPS * np.abs(expected)
        assert (np.abs(op.read(out, width * heads) - expected) <= allowed).all()


def turned(
    isa: str, x: NDArray[np.float32], rotation: Rotation, heads: int, positions: list[int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The native rope of x, and its cosines and sines. Every token is a segment of its own."""
    op = OneOp(isa, max_context=1 << 21)
    source, out = op.input(x), op.floats(x.shape[1])
    half = len(rotation.frequencies)
    angles = op.floats(2 * half)
    op.native.angles(rotation.frequencies, rotation.magnitude, angles)
    op.native.rope(
        source,
        angles,
        heads,
        rotation.width,
        2 * half,
        rotation.layout == "interleaved",
        out,
    )
    op.tables = np.zeros((len(x), 0), np.int32)
    op.run(range(len(x)), starts=range(len(x) + 1), positions=positions)
    return op.read(out, x.shape[1]), op.read(angles, 2 * half)


POSITIONS = [0, 1, 17, 4095, 999_999]


@pytest.mark.parametrize("layout", ["half", "interleaved"])
@pytest.mark.parametrize("magnitude", [1.0, 1.3])
def test_rope_turns_pairs_by_their_angles(isa: str, layout: Any, magnitude: float) -> None:
    for width, half, heads in ((16, 8, 1), (24, 12, 3), (64, 32, 2), (64, 16, 2), (80, 5, 1)):
        frequencies = (10000.0 ** -(np.arange(half) / half)).astype(np.float32)
        rotation = Rotation(
            frequencies=frequencies, magnitude=magnitude, width=width, layout=layout
        )
        x = rows(width * heads)
        y, angles = turned(isa, x, rotation, heads, POSITIONS)
        cos, sin = reference.cos_sin(rotation, np.array(POSITIONS))
        # fp32's own rounding, twice where a magnitude is multiplied in
        np.testing.assert_allclose(angles[:, :half], cos, rtol=3 * EPS, atol=2.0**-40)
        np.testing.assert_allclose(angles[:, half:], sin, rtol=3 * EPS, atol=2.0**-40)
        expected = reference.rope(x, np.array(POSITIONS), rotation, heads=heads)
        largest = np.abs(x).max() * magnitude
        np.testing.assert_allclose(y, expected, rtol=0, atol=8 * EPS * largest)
        kept = y.reshape(5, heads, width)[..., 2 * half :]
        np.testing.assert_array_equal(kept, x.reshape(5, heads, width)[..., 2 * half :])


def test_angles_hold_to_a_million_positions(isa: str) -> None:
    positions = [int(p) for p in np.random.default_rng(8).integers(0, 1_000_000, 60)]
    rotation = Rotation(frequencies=np.float32([1.0, 0.7310586, 0.1]), magnitude=1.0, width=6)
    _, angles = turned(isa, np.ones((60, 6), np.float32), rotation, 1, positions)
    exact = np.float32(positions)[:, None] * rotation.frequencies
    expected = np.concatenate([np.cos(np.float64(exact)), np.sin(np.float64(exact))], 1)
    np.testing.assert_allclose(angles, expected, rtol=EPS * 1.01, atol=2.0**-40)


def test_silu_mul_from_end_to_end(isa: str) -> None:
    special = [0.0, -0.0, 1.0, -1.0, 20.0, -20.0, 87.0, -87.0, 104.0, -104.0, 1e38, -1e38, 1e-38]
    gate = np.concatenate([np.float32(special), np.linspace(-90, 90, 187, dtype=np.float32)])
    gate = bf16_to_f32(f32_to_bf16(gate))[None]
    up_ = np.full_like(gate, 1.5)
    op, source, out = one(isa, gate)
    op.native.silu_mul(source, op.input(up_), gate.shape[1], out)
    op.run([0])
    expected = reference.silu_mul(gate.astype(np.float64), up_)
    # Exponentials below 2^-126 may be cut to zero, and exp's own argument is rounded.
    allowed = (16 + np.minimum(np.abs(gate), 110)) * EPS * np.abs(expected) + 1e-35
    assert (np.abs(op.read(out, gate.shape[1]) - expected) <= allowed).all()


def test_add_is_one_rounding(isa: str) -> None:
    for width in WIDTHS:
        x, y = rows(width), rows(width, 100.0, seed=1)
        op, source, out = one(isa, x)
        op.native.add(source, op.input(y), width, out)
        op.run(range(5))
        np.testing.assert_array_equal(op.read(out, width), x + y)


@pytest.mark.parametrize("name", FORMS)
def test_embedding_is_the_row_of_numbers(isa: str, name: str) -> None:
    rng = np.random.default_rng(9)
    for n, k in ((50, 40), (17, 250), (16, 288), (1, 16)):
        m, op = matrix(rng, FORMS[name], n, k), OneOp(isa)
        out = op.floats(k)
        op.native.embed(op.weight(m), out)
        op.run(range(n))
        np.testing.assert_array_equal(op.read(out, k), m.dequantize())
