"""Mixtures and latents through the whole engine: however the work is arranged, the same tokens.

Every family, from a checkpoint of transformers; greedy, seeded and penalised requests in turn.
"""

from pathlib import Path

import numpy as np
import pytest
from driver import request, run

from farthing.config import EngineConfig
from farthing.engine.engine import Engine
from farthing.engine.runner import NativeRunner
from farthing.engine.types import Request
from small_mixtures import CASES, VOCABULARY, pulled

WAYS = [
    {},
    {"temperature": 0.9, "seed": 77, "top_p": 0.95, "min_p": 0.01},
    {"temperature": 1.0, "seed": 2, "repetition_penalty": 1.2, "top_k": 50},
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    with pytest.MonkeyPatch.context() as patch:
        at = tmp_path_factory.mktemp("families")
        patch.setenv("FARTHING_HOME", str(at / "home"))
        return {case: pulled(at / f"family-{i}", case).folder for i, case in enumerate(CASES)}


def make(folder: Path, **config) -> Engine:
    settings = EngineConfig(**{"threads": 2, "cache_bytes": 1 << 24, "max_context": 512, **config})
    return Engine(NativeRunner(folder, settings), settings)


def asks(lengths: list[int], answer: int) -> list[Request]:
    dice = np.random.default_rng(4)
    return [
        request(f"r{n}", dice.integers(0, VOCABULARY, length).tolist(), answer, **WAYS[n % 3])
        for n, length in enumerate(lengths)
    ]


def alone(folder: Path, requests: list[Request]) -> dict[str, list[int]]:
    """Each by itself, on one thread and with nothing kept."""
    engine, tokens = make(folder, threads=1, prefix_cache=False), {}
    for ask in requests:
        tokens |= run(engine, [ask]).tokens
    return tokens


@pytest.mark.parametrize("case", CASES)
def test_company_chunks_and_kept_prefixes_change_no_token(folders, case):
    requests = asks([1, 33, 64, 65, 130], answer=8)
    expected, engine = alone(folders[case], requests), make(folders[case])
    assert run(engine, requests).tokens == expected, "cold, together, on two threads"
    warm = run(engine, requests)
    assert warm.tokens == expected and sum(warm.cached.values()) == 64 * (1 + 2)
    assert run(make(folders[case], max_step_tokens=37), requests).tokens == expected, "in chunks"
    assert len({token for tokens in expected.values() for token in tokens}) > 8


@pytest.mark.parametrize("case", CASES)
def test_preemption_changes_no_token(folders, case):
    """As many begin as there are pairs of pages for; each comes to want a third one."""
    engine = make(folders[case], cache_bytes=1 << 20)
    requests = asks([60 - n % 7 for n in range(engine.runner.pages // 2)], answer=80)
    answers = run(engine, requests)
    assert engine.scheduler.preemptions > 0
    assert answers.tokens == alone(folders[case], requests)
