"""A cache of 8 or 4 bits: held to NumPy's reading of the same codes, and exact all the same."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from one_op import OneOp
from toy_mixture import config as mixture
from toy_mixture import tensors
from toy_native import FORMS, config, folder, step

from farthing import EngineConfig, NativeRunner
from farthing.engine import key_fits
from farthing.ops import reference
from farthing.ops.cache_grids import grids
from farthing.ops.key_fit import Fit, fit
from farthing.ops.reference_cache import LayerCache, Step
from farthing.ops.reference_codes import Codes, rounded

Floats = NDArray[np.float32]
ROWS = 150


def random(seed: int, *shape: int) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def attended(
    isa: str, q: Floats, k: Floats, v: Floats, *, kv_heads: int, bits: int, found: Fit | None
) -> Floats:
    rows, width = len(q), k.shape[1] // kv_heads
    heads = q.shape[1] // width
    op = OneOp(isa, max_tokens=rows, max_context=1024)
    out, slots = op.shared(q.shape[1]), [op.input(x) for x in (q, k, v)]
    names = ("shift", "feedback")
    parts = {} if found is None else {name: getattr(found, name).reshape(-1) for name in names}
    op.native.attend(
        *slots,
        *(0, heads, kv_heads, width, width**-0.5, 0, None, out),
        **parts,
    )
    op.native.finish(1 << 24, kv_bits=bits)
    op.finished = True
    op.tables = np.arange(16, dtype=np.int32)[None]
    pages = list(range(-(-rows // 64)))
    op.run(list(range(rows)), starts=[0, rows], positions=[0], fresh=pages)
    return op.read(out, q.shape[1])


def codes(bits: int, width: int, found: Fit | None) -> Codes:
    """Of the one layer of a program."""
    key, value = grids(bits, 0, 1)
    return Codes(key=key, value=value, width=width, fit=found)


def expected(q: Floats, k: Floats, v: Floats, kv_heads: int, of: Codes | None) -> Floats:
    width = k.shape[1] // kv_heads
    return np.asarray(
        reference.attention(
            *(q, k, v),
            Step.of([(0, 0, [0] * len(q))]),
            LayerCache("native", of),
            heads=q.shape[1] // width,
            kv_heads=kv_heads,
            scale=width**-0.5,
        )
    )


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize(("width", "kv_heads", "group"), [(64, 2, 3), (32, 1, 2), (96, 1, 1)])
def test_the_cache_holds_what_numpy_rounds_to(isa, bits, fitted, width, kv_heads, group):
    q, v = random(0, ROWS, kv_heads * group * width), random(1, ROWS, kv_heads * width)
    k = random(2, ROWS, kv_heads * width) + 2 * random(3, 1, kv_heads * width)
    found = fit(k, q, width=width) if fitted else None
    got = attended(isa, q, k, v, kv_heads=kv_heads, bits=bits, found=found)
    want = expected(q, k, v, kv_heads, codes(bits, width, found))
    lost = np.abs(want - expected(q, k, v, kv_heads, None))
    # A sum in another order may round a number to the next code, here and there.
    assert np.sqrt(np.mean((got - want) ** 2)) < 0.02 * np.sqrt(np.mean(lost**2))
    assert np.abs(got - want).max() < 0.2 * lost.max()


def test_a_fit_makes_up_for_most_of_what_rounding_loses():
    """Queries that lean one way, and keys that share a part: what text gives."""
    width, lean = 64, np.diag(np.linspace(0.1, 2, 64).astype(np.float32))
    q = random(0, ROWS, width) @ lean
    k = random(2, ROWS, width) + 5 * random(3, 1, width)
    exact = q @ k.T

    def lost(found: Fit | None) -> float:
        of = codes(4, width, found)
        scores = of.queries(q) @ of.keys(k).T
        off = scores - exact
        return float(np.var(off - off.mean(1, keepdims=True)))  # softmax sees no more

    assert lost(fit(k, q, width=width)) < 0.3 * lost(None)


def test_a_value_with_numbers_that_stand_out_loses_less_turned():
    v = random(1, ROWS, 64)
    v[:, 5] *= 20
    of = codes(4, 64, None)
    plain = rounded(v.reshape(ROWS, 1, 64), of.value).reshape(ROWS, 64)
    assert np.mean((of.attended(of.values(v)) - v) ** 2) < 0.5 * np.mean((plain - v) ** 2)


FAMILIES = {
    "llama": config(head_dim=64),
    "mistral": config("mistral", sliding_window=100, head_dim=64),
    "deepseek_v3": mixture("deepseek_v3", qk_rope_head_dim=16),
    "gpt_oss": mixture("gpt_oss", head_dim=64),
}
TOKENS = [int(t) for t in np.random.default_rng(7).integers(0, 211, 600)]


@pytest.fixture(scope="session")
def coded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    at = tmp_path_factory.mktemp("coded")
    made = {n: folder(at / n, c, tensors(c, FORMS["int4-min"])) for n, c in FAMILIES.items()}
    for path in made.values():
        key_fits.write(path, key_fits.fits_of(path, np.array(TOKENS[:200], np.int32)))
    return made


def runner(path: Path, bits: int, threads: int = 1) -> NativeRunner:
    settings = EngineConfig(threads=threads, cache_bytes=1 << 26, max_step_tokens=700, kv_bits=bits)
    return NativeRunner(path, settings)


def in_chunks(r: NativeRunner, size: int, tokens: list[int], sequence: int = 0) -> Floats:
    steps = [(at, tokens[at : at + size]) for at in range(0, len(tokens), size)]
    return np.concatenate([r.logits(step([(sequence, at, new)])) for at, new in steps])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("bits", [8, 4])
def test_chunks_and_threads_change_no_bit_of_coded_caches(isa, coded, family, bits):
    tokens = TOKENS[: 600 if family == "llama" else 130]
    one, many = runner(coded[family], bits), runner(coded[family], bits, threads=3)
    whole = in_chunks(one, 700, tokens)
    for r, size in ((one, 64), (many, 700), (many, 37), (many, 5)):
        np.testing.assert_array_equal(in_chunks(r, size, tokens, 1), whole, err_msg=str(size))


def test_company_changes_no_bit_of_a_coded_cache(isa, coded):
    r = runner(coded["llama"], 4, threads=2)
    alone = in_chunks(r, 700, TOKENS[:100])
    together = r.logits(step([(1, 0, TOKENS[50:170]), (2, 0, TOKENS[:100])]))
    np.testing.assert_array_equal(together[-100:], alone)


@pytest.mark.parametrize("family", FAMILIES)
def test_fewer_bits_take_less_memory_and_are_near(coded, family):
    tokens = TOKENS[:120]
    plain = runner(coded[family], 16)
    want = in_chunks(plain, 700, tokens)
    for bits, share, off in ((8, 0.54, 0.1), (4, 0.33, 1.0)):
        r = runner(coded[family], bits)
        assert r.page_bytes <= share * plain.page_bytes
        got = in_chunks(r, 700, tokens)
        assert 0 < np.sqrt(np.mean((got - want) ** 2)) < off * np.std(want)


def test_heads_that_no_code_fits_are_refused(tmp_path):
    c = config(head_dim=24)
    path = folder(tmp_path / "odd", c, tensors(c, FORMS["int4"]))
    with pytest.raises(Exception, match="a head of 24 numbers"):
        runner(path, 8)
