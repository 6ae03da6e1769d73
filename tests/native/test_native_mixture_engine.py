"""Mixtures and latent attention under the whole engine: however work is arranged, the same tokens.

Latents are cached, shared and taken back by the page as keys and values are; a token's experts do
not depend on who else is in the step.
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_mixture import config, tensors
from toy_native import FORMS, folder

from farthing.config import EngineConfig
from farthing.engine.engine import Engine
from farthing.engine.runner import NativeRunner
from farthing.engine.types import Request, Sampling

WAYS: list[dict[str, Any]] = [
    {"temperature": 0.0},
    {"temperature": 0.9, "seed": 77, "top_p": 0.95, "min_p": 0.01},
    {"temperature": 1.0, "seed": 2, "repetition_penalty": 1.2, "top_k": 50},
]
FAMILIES = ["qwen3_moe", "deepseek_v2", "deepseek_v3", "gpt_oss"]
Tokens = dict[str, list[int]]


@pytest.fixture(scope="module", params=FAMILIES)
def toy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    c = config(request.param)
    at = tmp_path_factory.mktemp("engine") / request.param
    return folder(at, c, tensors(c, FORMS["int4-min"]))


def make(at: Path, **changes: Any) -> Engine:
    given = {"threads": 2, "cache_bytes": 1 << 25, "max_context": 512, "max_step_tokens": 256}
    settings = EngineConfig(**given | changes)
    return Engine(NativeRunner(at, settings), settings)


def asks(lengths: Iterable[int], answer: int) -> list[Request]:
    """Greedy, seeded and penalised ones in turn; each begins as the longer ones do."""
    text = np.random.default_rng(5).integers(0, 211, 300).tolist()
    return [
        Request(
            id=f"r{n}",
            tokens=text[:length],
            max_tokens=answer,
            sampling=Sampling(**WAYS[n % 3]),
        )
        for n, length in enumerate(lengths)
    ]


def answers(engine: Engine, requests: Iterable[Request]) -> tuple[Tokens, int]:
    """All tokens by request, and how many of the prompts were in the prefix cache."""
    tokens, cached = defaultdict(list), 0
    for each in requests:
        engine.submit(each)
    while not engine.idle:
        events = engine.step()
        engine.check()
        cached += sum(started.cached_tokens for started in events.started)
        for token in events.tokens:
            tokens[token.request].append(token.id)
    return dict(tokens), cached


def alone(at: Path, requests: Iterable[Request]) -> Tokens:
    """Each by itself, on one thread and with nothing kept."""
    engine, tokens = make(at, threads=1, prefix_cache=False), {}
    for ask in requests:
        tokens |= answers(engine, [ask])[0]
    return tokens


def test_company_chunks_threads_and_caches_change_no_token(toy: Path) -> None:
    requests = asks([1, 33, 64, 65, 130, 200], answer=12)
    expected, engine = alone(toy, requests), make(toy)
    assert len({tuple(tokens) for tokens in expected.values()}) == len(requests)
    assert answers(engine, requests)[0] == expected, "cold, together, on two threads"
    warm, cached = answers(engine, requests)
    assert warm == expected and cached >= 64 * (1 + 2 + 3), "from the prefix cache"
    assert answers(make(toy, max_step_tokens=37), requests)[0] == expected, "in chunks"


def test_preemption_changes_no_token(toy: Path) -> None:
    requests = asks([54 + n % 9 for n in range(32)], answer=120)
    engine = make(toy, cache_bytes=1 << 20)
    assert engine.runner.pages < 3 * len(requests)
    got, _ = answers(engine, requests)
    assert engine.scheduler.preemptions > 0
    assert got == alone(toy, requests)
