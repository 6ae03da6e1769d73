"""The bits themselves: a hash of some toy logits and choices, for each instruction set.

They change only together with NUMERICS (native/numerics.h), for caches and measured losses are
keyed by that. After a change that is meant, raise NUMERICS and print the new hashes:

    PYTHONPATH=src:tests/native python tests/native/test_native_golden.py

fp32 is the same everywhere, so these hashes hold on every x86 processor. Only the bf16 instruction
(`avx512bf16`) has a rounding of its own, which vendors need not share: its hash is asserted on the
processors where it was taken.
"""

import hashlib
import os
import platform
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_mixture as mixture
from toy_native import FORMS, config, folder, greedy, runner, step, tensors

from farthing import _native
from farthing.engine.isa import runnable
from farthing.weight import E2M1, Form

GOLDEN: dict[int, dict[str, str | dict[str, str]]] = {
    3: {
        "avx512bf16": {"AuthenticAMD 26": "813f181fc217e87e5f3b66eba97389d7"},
        "avx512vnni": "cf3ae5f7974eb5b393f01d5ab5a8399a",
        "avx2vnni": "cf3ae5f7974eb5b393f01d5ab5a8399a",
        "avx2": "cf3ae5f7974eb5b393f01d5ab5a8399a",
        "portable": "1ee29b083ac9f1e69268f42ce78a9414",
    }
}
"""By NUMERICS; of avx512bf16 by vendor and family."""

MIXTURES: dict[int, dict[str, str | dict[str, str]]] = {
    3: {
        "avx512bf16": {"AuthenticAMD 26": "4156c7a256399073a931cc7a2c12827b"},
        "avx512vnni": "d320106de2dad715f3a66ed220cff68f",
        "avx2vnni": "d320106de2dad715f3a66ed220cff68f",
        "avx2": "d320106de2dad715f3a66ed220cff68f",
        "portable": "e85b6096c6430e18d316b9b2cc3f1e3f",
    }
}
"""The same of models with experts and latents."""

MODELS = {
    "int4-min": config(),
    "q4_k": config("qwen2", tie_word_embeddings=True),
    "q6_k": config("qwen3", head_dim=32),
    "bf16": config("mistral", sliding_window=100, head_dim=24),
}


MIXED: dict[str, tuple[Form, dict[str, Any]]] = {
    "qwen3_moe": (FORMS["int4"], mixture.config("qwen3_moe")),
    "deepseek_v3": (FORMS["int4-min"], mixture.config("deepseek_v3")),
    "gpt_oss": (E2M1, mixture.config("gpt_oss")),
}


NORM = "f8a387f0"
"""Of a norm's random weights: the toys must be the ones that the hashes were taken of."""


def processor() -> str:
    """Vendor and family, as Linux tells them."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    found = [re.search(rf"^{name}\s*: (.*)$", text, re.M) for name in ("vendor_id", "cpu family")]
    return " ".join(match[1] for match in found if match)


def digest(at: Path) -> str:
    """Of 150 tokens' logits in two chunks, and of 8 drawn tokens, by four models. In `at`."""
    whole = hashlib.blake2b(digest_size=16)
    for name, c in MODELS.items():
        held = tensors(c, FORMS[name])
        norm = hashlib.blake2b(held["model.norm.weight"].tobytes(), digest_size=4).hexdigest()
        assert norm == NORM, "NumPy draws other numbers than it did: take all hashes anew"
        _add(whole, at / name, c, held)
    return whole.hexdigest()


def mixed(at: Path) -> str:
    whole = hashlib.blake2b(digest_size=16)
    for name, (form, c) in MIXED.items():
        _add(whole, at / name, c, mixture.tensors(c, form))
    return whole.hexdigest()


def _add(whole: Any, at: Path, c: dict[str, Any], held: dict[str, Any]) -> None:
    tokens = np.random.default_rng(5).integers(0, 211, 150).tolist()
    r = runner(folder(at, c, held))
    for start, stop in ((0, 140), (140, 150)):
        whole.update(r.logits(step([(0, start, tokens[start:stop])])).tobytes())
    how = greedy(8, temperature=0.9, top_p=0.95, seed=np.arange(8), logprobs=2)
    drawn = r.run(step([(1, 0, tokens[:8])], sampling=how))
    for array in (drawn.ids, drawn.logprobs, drawn.top_ids, drawn.top_logprobs):
        whole.update(array.tobytes())


@pytest.mark.parametrize(("hashes", "of"), [(GOLDEN, digest), (MIXTURES, mixed)])
def test_bits_change_only_with_numerics(
    hashes: Any, of: Callable[[Path], str], isa: str, tmp_path: Path
) -> None:
    expected = hashes[_native.NUMERICS][isa]
    if isinstance(expected, dict):
        if processor() not in expected:
            pytest.skip(f"no hash was taken of {isa} on {processor()}")
        expected = expected[processor()]
    assert of(tmp_path) == expected


if __name__ == "__main__":
    print(f"NUMERICS {_native.NUMERICS}, {processor()}")
    for each in runnable():
        os.environ["FARTHING_ISA"] = each
        with tempfile.TemporaryDirectory() as folder_of_toys:
            place = Path(folder_of_toys)
            print(each, digest(place), mixed(place))
