"""Every block format gives the numbers that the official `gguf` package gives, to the bit."""

import gguf
import numpy as np
import pytest
import torch

from farthing.formats.blocks import BLOCKS, Block
from farthing.weight import pack, unpack

QUANTIZED = [kind for kind, block in BLOCKS.items() if block.form.bits < 16]
FLOATS = [kind for kind, block in BLOCKS.items() if block.form.bits == 16]
SCALES = {"Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,), "Q4_1": (0, 2), "Q5_1": (0, 2)}


def blocks_of(block: Block, rows: int, count: int, seed: int) -> np.ndarray:
    """Random bytes, with scales that are finite."""
    random = np.random.default_rng(seed)
    raw = random.integers(0, 256, (rows, count, block.bytes), np.uint8)
    if block.name == "MXFP4":  # at 252 no weight is past what fp32 holds
        raw[..., 0] = random.integers(0, 253, (rows, count))
        return raw
    for at in SCALES.get(block.name, (0,)):
        scales = random.standard_normal((rows, count)).astype(np.float16)
        raw[..., at : at + 2] = scales[..., None].view(np.uint8)
    return raw


def named(kind: int) -> str:
    return BLOCKS[kind].name


@pytest.mark.parametrize("kind", QUANTIZED, ids=named)
def test_random_blocks_equal_the_official_dequantizer(kind):
    block = BLOCKS[kind]
    raw = blocks_of(block, 7, 3, kind)
    expected = gguf.dequantize(raw.reshape(7, -1), gguf.GGMLQuantizationType(kind))
    found = block.matrix(raw).dequantize()
    np.testing.assert_array_equal(found, expected.reshape(found.shape))


@pytest.mark.parametrize("kind", QUANTIZED, ids=named)
def test_packed_and_unpacked_is_the_same_matrix(kind):
    block = BLOCKS[kind]
    matrix = block.matrix(blocks_of(block, 19, 2, kind))
    again = unpack(pack(matrix), block.form, *matrix.shape)
    for field in ("codes", "scale", "minimum", "super_scale", "super_minimum"):
        np.testing.assert_array_equal(getattr(again, field), getattr(matrix, field))


@pytest.mark.parametrize("kind", BLOCKS, ids=named)
def test_sizes_are_the_official_ones(kind):
    block = BLOCKS[kind]
    assert gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind)] == (block.values, block.bytes)
    assert gguf.GGMLQuantizationType(kind).name == block.name


@pytest.mark.parametrize("kind", FLOATS, ids=named)
def test_float_matrices_round_to_bf16_as_torch_does(kind):
    block = BLOCKS[kind]
    numbers = np.random.default_rng(0).standard_normal((5, 40)).astype(np.float32)
    stored = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[block.name]
    tensor = torch.from_numpy(numbers).to(stored)
    raw = tensor.view(torch.uint8).numpy().reshape(5, 40, block.bytes)
    expected = tensor.to(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(block.matrix(raw).dequantize(), expected)


@pytest.mark.parametrize("kind", FLOATS, ids=named)
def test_float_vectors_keep_every_bit(kind):
    block = BLOCKS[kind]
    numbers = np.random.default_rng(0).standard_normal(40).astype(np.float32)
    stored = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[block.name]
    tensor = torch.from_numpy(numbers).to(stored)
    raw = tensor.view(torch.uint8).numpy().reshape(1, 40, block.bytes)
    np.testing.assert_array_equal(block.vector(raw), tensor.float().numpy())


def half(*numbers: float) -> bytes:
    return np.array(numbers, "<f2").tobytes()


def one(name: str, raw: bytes) -> np.ndarray:
    block = next(block for block in BLOCKS.values() if block.name == name)
    assert len(raw) == block.bytes
    return block.matrix(np.frombuffer(raw, np.uint8).reshape(1, 1, -1)).dequantize()[0]


def test_q4_0_by_hand():
    found = one("Q4_0", half(0.5) + bytes([0x2F] + [0x88] * 15))
    assert (found[0], found[1], found[16]) == (3.5, 0, -3)


def test_q4_1_by_hand():
    found = one("Q4_1", half(0.5, -2) + bytes([0x2F] + [0] * 15))
    assert (found[0], found[1], found[16]) == (5.5, -2, -1)


def test_q5_0_by_hand():
    high = (1 << 0 | 1 << 17).to_bytes(4, "little")  # the fifth bits of weights 0 and 17
    found = one("Q5_0", half(2) + high + bytes([0x03, 0x40] + [0] * 14))
    assert (found[0], found[1], found[16], found[17]) == (6, -32, -32, 8)


def test_q5_1_by_hand():
    high = (1 << 31).to_bytes(4, "little")
    found = one("Q5_1", half(1, 100) + high + bytes([0] * 15 + [0xF0]))
    assert (found[0], found[31]) == (100, 131)


def test_q8_0_by_hand():
    found = one("Q8_0", half(0.25) + np.array([-128, 127] + [0] * 30, np.int8).tobytes())
    assert (found[0], found[1], found[2]) == (-32, 31.75, 0)


def test_mxfp4_by_hand():
    found = one("MXFP4", bytes([128, 0xF7] + [0x19] * 15))
    assert (found[0], found[1], found[16], found[17]) == (12, -1, -12, 1)
    assert one("MXFP4", bytes([0, 0x61] + [0] * 15))[[0, 16]].tolist() == [2.0**-128, 2.0**-125]


def test_mxfp4_at_every_scale_is_the_official_one():
    raw = np.tile(np.arange(16, dtype=np.uint8) * 17, (253, 1, 1))
    raw = np.concatenate([np.arange(253, dtype=np.uint8)[:, None, None], raw], -1)
    expected = gguf.dequantize(raw.reshape(253, -1), gguf.GGMLQuantizationType.MXFP4)
    found = BLOCKS[39].matrix(raw).dequantize()
    np.testing.assert_array_equal(found, expected.reshape(found.shape))


def test_q4_k_by_hand():
    scales = bytearray(12)
    scales[0], scales[4] = 63, 5  # sub-block 0: scale 63, minimum 5
    scales[1] = 0b01 << 6  # the high bits of sub-block 5's scale
    scales[5] = 0b10 << 6  # and of its minimum
    scales[9] = 0x21  # its low bits: scale 1, minimum 2
    codes = bytearray(128)
    codes[0] = 7  # weight 0, in sub-block 0
    codes[64] = 9 << 4  # weight 160, the first of sub-block 5
    found = one("Q4_K", half(0.5, 0.25) + bytes(scales) + bytes(codes))
    assert found[0] == 0.5 * 63 * 7 - 0.25 * 5
    assert found[160] == 0.5 * 17 * 9 - 0.25 * 34
    assert found[32] == 0


def test_q5_k_by_hand():
    scales = bytes([2, 3] + [0] * 10)
    high = bytes([0b10] + [0] * 31)  # the fifth bit of weight 32, the first of sub-block 1
    codes = bytes([0x51] + [0] * 127)
    found = one("Q5_K", half(1, 0) + scales + high + codes)
    assert (found[0], found[32]) == (2 * 1, 3 * 21)


def test_q6_k_by_hand():
    low = bytearray(128)
    low[0], low[64] = 0x4F, 0x01
    high = bytearray(64)
    high[0] = 0b01_00_00_10  # weight 0 gets 2, weight 96 gets 1
    scales = np.array([-3] + [1] * 15, np.int8).tobytes()
    found = one("Q6_K", bytes(low) + bytes(high) + scales + half(0.5))
    assert found[0] == 0.5 * -3 * (0x2F - 32)
    assert found[64] == 0.5 * (4 - 32)
    assert found[96] == 0.5 * (16 - 32)
    assert found[128] == 0.5 * (1 - 32)
