"""A cache of 8 and 4 bits through the whole engine: however the work is arranged, the same tokens.

What is quantized into a page must be what everybody reads: who began it, who found it again, and
who made it a second time after a preemption.
"""

import random
from pathlib import Path

import numpy as np
import pytest
from driver import Answers, request, run

from farthing.config import EngineConfig
from farthing.engine import key_fits
from farthing.engine.engine import Engine
from farthing.engine.runner import NativeRunner
from farthing.engine.types import Request
from native.toy_mixture import config as mixture
from native.toy_mixture import tensors
from native.toy_native import FORMS, config, folder

VOCABULARY = 211
FAMILIES = {
    "llama": config(head_dim=64),
    "mistral": config("mistral", sliding_window=100, head_dim=64),
    "deepseek_v3": mixture("deepseek_v3", qk_rope_head_dim=16),
}
BITS = [8, 4]
WAYS = [{}, {"temperature": 1.0, "seed": 77}]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    at = tmp_path_factory.mktemp("coded")
    made = {n: folder(at / n, c, tensors(c, FORMS["int4-min"])) for n, c in FAMILIES.items()}
    text = np.random.default_rng(7).integers(0, VOCABULARY, 200, np.int32)
    for path in made.values():
        key_fits.write(path, key_fits.fits_of(path, text))
    return made


def make(path: Path, bits: int, *, pages: int | None = None, **more: int | bool) -> Engine:
    """With `pages`, that few: less than the least cache holds of so small a model."""
    given = {"threads": 2, "cache_bytes": 1 << 24, "max_context": 512, "kv_bits": bits, **more}
    settings = EngineConfig(**given)
    runner = NativeRunner(path, settings)
    runner.pages = runner.pages if pages is None else pages
    return Engine(runner, settings)


def asks(prompts: list[list[int]], answer: int) -> list[Request]:
    return [request(f"r{n}", ids, answer, **WAYS[n % 2]) for n, ids in enumerate(prompts)]


def prompts(*lengths: int) -> list[list[int]]:
    dice = random.Random(4)
    return [[dice.randrange(VOCABULARY) for _ in range(length)] for length in lengths]


def alone(path: Path, bits: int, requests: list[Request]) -> dict[str, list[int]]:
    """Each by itself, on one thread and with nothing kept."""
    engine, answers = make(path, bits, threads=1, prefix_cache=False), Answers()
    for ask in requests:
        run(engine, [ask], answers)
    return answers.tokens


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("family", FAMILIES)
def test_preemption_changes_no_token(models, family, bits):
    requests = asks(prompts(60, 58, 56, 54), answer=30)
    engine = make(models[family], bits, pages=7)
    answers = run(engine, requests)
    assert engine.scheduler.preemptions > 0
    assert answers.tokens == alone(models[family], bits, requests)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_prefix_found_again_changes_no_token(models, family, bits):
    """One's answer is the next one's prompt: pages written in decode are found in prefill."""
    path = models[family]
    engine = make(path, bits)
    (first,) = asks(prompts(70), answer=80)
    said = [*first.tokens, *run(engine, [first]).tokens["r0"]]
    assert len(said) == 150
    again = asks([[*said[:140], 5, 6, 7], said[:130], said], answer=20)
    found = run(engine, again)
    assert sum(found.cached.values()) == 3 * 128
    assert found.tokens == alone(path, bits, again)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("family", FAMILIES)
def test_company_chunks_and_threads_change_no_token(models, family, bits):
    requests = asks(prompts(1, 33, 63, 64, 65, 130, 200), answer=12)
    expected = alone(models[family], bits, requests)
    assert run(make(models[family], bits), requests).tokens == expected, "together"
    chunked = make(models[family], bits, max_step_tokens=37)
    assert run(chunked, requests).tokens == expected, "in chunks"


def test_the_bits_are_heeded(models):
    """Else the tests above compare the same with the same."""
    requests = asks(prompts(200, 130, 60), answer=40)
    said = [alone(models["llama"], bits, requests) for bits in (16, 8, 4)]
    assert said[0] != said[2]
    assert said[1] != said[2]
