"""Each op by its definition, on NumPy arrays and, the same text, on torch tensors."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from farthing.ops import reference
from farthing.ops.reference_cache import LayerCache, Step
from farthing.ops.rotation import Rotation, rotation_from_hf

RNG = np.random.default_rng(11)
KINDS = pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])


def normal(*shape: int) -> NDArray[np.float32]:
    return RNG.normal(size=shape).astype(np.float32)


@KINDS
def test_rms_norm_is_each_parts_own(kind: Any) -> None:
    x, weight = normal(5, 24), normal(8)
    parts = x.reshape(5, 3, 8).astype(np.float64)
    expected = parts / np.sqrt((parts**2).mean(-1, keepdims=True) + 1e-2) * weight
    got = reference.rms_norm(kind(x), kind(weight), eps=1e-2, heads=3)
    assert isinstance(got, type(kind(x)))
    np.testing.assert_allclose(got, expected.reshape(5, 24), rtol=1e-5)


@KINDS
def test_silu_mul_has_no_overflow(kind: Any) -> None:
    gate = np.array([[-1e4, -100, -1, 0, 1, 100, 1e4]], np.float32)
    up = np.full_like(gate, 2)
    with np.errstate(over="raise", invalid="raise"):
        got = np.asarray(reference.silu_mul(kind(gate), kind(up)))
    expected = [0, 0, -2 / (1 + np.e), 0, 2 / (1 + 1 / np.e), 200, 2e4]
    np.testing.assert_allclose(got[0], expected, rtol=1e-6, atol=1e-30)


@KINDS
def test_embedding_rows_and_add_pick_and_sum(kind: Any) -> None:
    table, tokens = normal(9, 4), np.array([8, 0, 8])
    x = reference.embedding(kind(table), kind(tokens))
    np.testing.assert_array_equal(x, table[tokens])
    xp = np if kind is np.asarray else torch
    step = Step.of([(0, 0, [8, 0, 8])], rows=[2, 1], xp=xp)
    np.testing.assert_array_equal(reference.rows(x, step), table[[8, 0]])
    np.testing.assert_array_equal(reference.add(x, x), 2 * table[tokens])


@KINDS
@pytest.mark.parametrize("layout", ["half", "interleaved"])
@pytest.mark.parametrize("turned", [16, 8])
def test_rope_turns_each_pair_as_a_complex_number(kind: Any, layout: Any, turned: int) -> None:
    """Dimensions past the turned ones are left as they are."""
    frequencies = rotation_from_hf({}, turned).frequencies
    rotation = Rotation(frequencies=frequencies, magnitude=1.5, width=16, layout=layout)
    x, positions = normal(4, 3 * 16), np.array([0, 1, 7, 300])
    first, second = (
        (slice(0, turned // 2), slice(turned // 2, turned))
        if layout == "half"
        else (slice(0, turned, 2), slice(1, turned, 2))
    )
    expected = x.reshape(4, 3, 16).copy()
    pairs = expected[..., first] + 1j * expected[..., second]
    pairs = pairs * 1.5 * np.exp(1j * positions[:, None] * frequencies.astype(np.float64))[:, None]
    expected[..., first], expected[..., second] = pairs.real, pairs.imag
    got = reference.rope(kind(x), kind(positions), rotation, heads=3)
    np.testing.assert_allclose(got, expected.reshape(4, 48), atol=2e-5)


def slow_attention(
    q: Any, k: Any, v: Any, position: int, scale: float, window: int
) -> NDArray[np.float64]:
    """One head, one query at a time, over the keys it sees."""
    out = []
    for i, query in enumerate(q.astype(np.float64)):
        here = position + i
        part = slice(max(0, here - window + 1) if window else 0, here + 1)
        weights = np.exp(k[part] @ query * scale)
        out.append(weights / weights.sum() @ v[part])
    return np.array(out)


@KINDS
@pytest.mark.parametrize("window", [0, 1, 3, 100])
@pytest.mark.parametrize(("heads", "kv_heads", "d"), [(3, 1, 8), (6, 2, 16), (5, 5, 40)])
def test_attention_by_its_definition(
    kind: Any, window: int, heads: int, kv_heads: int, d: int
) -> None:
    """A long past, then 3 new tokens; beside them another sequence that begins."""
    xp = np if kind is np.asarray else torch
    old, new, other = 9, 3, 4
    lengths = old + new + other
    q, k, v = (
        normal(lengths, heads * d),
        normal(lengths, kv_heads * d),
        normal(lengths, kv_heads * d),
    )
    settings: Any = {"heads": heads, "kv_heads": kv_heads, "scale": 0.3, "window": window}
    layer = LayerCache()

    def run(part: slice, pieces: Any) -> Any:
        step = Step.of(pieces, xp=xp)
        arrays = (kind(a[part]) for a in (q, k, v))
        return np.asarray(reference.attention(*arrays, step, layer, **settings))

    run(slice(0, old), [(7, 0, [0] * old)])
    got = run(slice(old, lengths), [(7, old, [0] * new), (2, 0, [0] * other)])
    for head in range(heads):
        mine, theirs = slice(head * d, head * d + d), head // (heads // kv_heads)
        keys, values = (a[:, theirs * d : theirs * d + d] for a in (k, v))
        first = slow_attention(
            q[old : old + new, mine], keys[: old + new], values[: old + new], old, 0.3, window
        )
        second = slow_attention(
            q[old + new :, mine], keys[old + new :], values[old + new :], 0, 0.3, window
        )
        np.testing.assert_allclose(got[:new, mine], first, atol=1e-5)
        np.testing.assert_allclose(got[new:, mine], second, atol=1e-5)


def test_the_native_cache_keeps_bf16() -> None:
    """What is read back is what was kept, the new tokens included."""
    layer = LayerCache("native")
    k, v = normal(3, 8), normal(3, 8)
    step = Step.of([(0, 0, [1, 2, 3])])
    kept_k, kept_v = layer.extend(step.segments[0], k, v)
    for kept, given in ((kept_k, k), (kept_v, v)):
        assert (kept.view(np.uint32) & 0xFFFF == 0).all()
        np.testing.assert_array_equal(kept, torch.from_numpy(given).bfloat16().float())


def test_a_hole_in_the_cache_is_a_broken_invariant() -> None:
    with pytest.raises(AssertionError, match="hole"):
        LayerCache().extend(Step.of([(0, 5, [1])]).segments[0], normal(1, 8), normal(1, 8))
