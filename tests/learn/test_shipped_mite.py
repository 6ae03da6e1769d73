"""The trained model inside the package: its answers, torch's reading of it, its routes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoModelForCausalLM

from farthing import store
from farthing.cli import main
from farthing.config import EngineConfig
from farthing.engine.runner import NativeRunner
from farthing.evaluate import routing
from farthing.evaluate.routing_record import record
from farthing.learn import agreement, pretrained
from farthing.learn.tasks import LANGUAGES, Sample, check, samples
from farthing.store import shipped
from farthing.tokenizer import Tokenizer
from models.oracle import their_logits

LEARNED = ("units", "translate", "recall")
"""What docs/mite.md says it does best."""
LEAST_RIGHT = 0.8
TOKENS = 2000


@pytest.fixture(scope="module")
def mite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FARTHING_HOME", str(tmp_path_factory.mktemp("packed")))
        yield store.pull("mite").model.folder


@pytest.fixture(scope="module")
def tokenizer(mite: Path) -> Tokenizer:
    return Tokenizer.open(mite)


def asked(
    tokenizer: Tokenizer,
    count: int,
    kinds: tuple[str, ...],
    languages: tuple[str, ...] = LANGUAGES,
) -> list[tuple[Sample, list[int]]]:
    """Tasks of templates that training never saw, and their prompts' tokens."""
    return [
        (one, tokenizer.chat([{"role": "user", "content": one.prompt}]))
        for one in samples(kinds, languages, count, seed=23, split="test")
    ]


def test_it_does_what_it_was_taught_and_says_what_torch_would(
    mite: Path, tokenizer: Tokenizer
) -> None:
    tasks = asked(tokenizer, 60, LEARNED, ("en",))
    prompts = [ids for _, ids in tasks]
    answers = agreement.serve(mite, prompts, max_tokens=48, stop_ids=tokenizer.stop_ids)

    said = [tokenizer.decode(ids) for ids in answers]
    right = sum(check(one, text) for (one, _), text in zip(tasks, said, strict=True))
    assert right >= LEAST_RIGHT * len(tasks), said

    read = pretrained.read(mite)
    found = agreement.agreement(read.config, read.weights, prompts, answers)
    assert found.tokens >= 2 * len(tasks)
    # experts that are all but equal change places by what is rounded: once a logit was 0.11 off
    assert not found.far(0.2), found.far()
    assert len(found.differences) <= 0.02 * found.tokens, found.differences


def test_transformers_reads_the_shipped_folder_as_torch_reads_the_packed_one(
    mite: Path, tokenizer: Tokenizer
) -> None:
    theirs: Any = AutoModelForCausalLM.from_pretrained(shipped.models()["mite"], dtype="float32")
    read = pretrained.read(mite)
    (_, prompt), *_ = asked(tokenizer, 1, ("extract",), ("zh",))
    ours = agreement.logits(read.config, read.weights, prompt).numpy()
    np.testing.assert_allclose(ours, their_logits(theirs.eval(), prompt), atol=1e-3)


def test_its_routes_are_of_all_experts_and_follow_what_is_said(
    mite: Path, tokenizer: Tokenizer
) -> None:
    counts = {}
    for kind in ("arithmetic", "translate"):
        prompts = [
            ids + tokenizer.encode(one.answer) for one, ids in asked(tokenizer, 150, (kind,))
        ]
        runner = NativeRunner(mite, EngineConfig(prefix_cache=False), trace=True)
        trace = record(runner, prompts, experts=64, layers=(1, 2, 3, 4), tokens=TOKENS)
        assert trace.tokens == TOKENS
        counts[kind] = routing.usage(trace)
        sixteen = routing.figures(trace).distinct[4]
        assert sixteen.tokens == 16
        assert np.mean(sixteen.measured) < 0.85 * sixteen.uniform
    both = counts["arithmetic"] + counts["translate"]
    assert both.min() > 0
    apart = abs(counts["arithmetic"] - counts["translate"]).sum(1) / both.sum(1)
    assert apart.min() > 0.25, apart  # 0: the same experts as often; 1: none in common


def test_in_eight_bits_it_loses_little(mite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quantize", str(mite), "-o", "mite-8", "--method", "rtn", "--bits", "8"]) == 0
    capsys.readouterr()
    words = ["eval", "mite-8", "--against", str(mite), "--tokens", "512", "--json"]
    assert main(words) == 0
    weights, activations = json.loads(capsys.readouterr().out)["rows"]
    assert 0 < weights["loss"]["kl"]["mean"] < 0.005
    assert 0 < activations["loss"]["kl"]["mean"] < 0.01
