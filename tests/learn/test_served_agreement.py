"""What is served is what torch would say, but for near-ties: and a difference is seen."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from farthing import store
from farthing.cli import main
from farthing.learn import agreement, pretrained, publish
from farthing.learn import tokenizer as learn
from learn.toy_models import FAMILIES, leaves
from learn_texts import chat, data_set, texts
from models.oracle import checkpoint, some_tokens, their_logits

VOCABULARY = 320
V3 = FAMILIES["V3, tied, scaled"][1] | {"vocab_size": VOCABULARY, "v_head_dim": 16}


@pytest.fixture
def toy(tmp_path: Path) -> tuple[Path, dict[str, Any], Any]:
    """A random model, published and packed as `toy`; its config and transformers' own."""
    made = learn.train(texts(60), size=VOCABULARY)
    tokenizer = learn.write(made, tmp_path / "tok", context=128, about={})
    config, theirs = checkpoint("deepseek_v3", **V3)
    weights = leaves(theirs.state_dict(), config)
    folder = publish.folder(config, weights, tokenizer, tmp_path / "toy")
    return store.pull(str(folder)).model.folder, config, theirs


def test_the_torch_reading_is_what_transformers_computes(
    toy: tuple[Path, dict[str, Any], Any],
) -> None:
    read, tokens = pretrained.read(toy[0]), some_tokens(30)
    found = agreement.logits(read.config, read.weights, tokens)
    torch.testing.assert_close(
        found, torch.from_numpy(their_logits(toy[2], tokens)), atol=1e-4, rtol=0
    )


def test_served_tokens_are_torch_s_but_for_near_ties(
    toy: tuple[Path, dict[str, Any], Any],
) -> None:
    folder, read = toy[0], pretrained.read(toy[0])
    prompts = [some_tokens(9)[at:] for at in range(6)]

    served = agreement.serve(folder, prompts, max_tokens=20, stop_ids=[])
    found = agreement.agreement(read.config, read.weights, prompts, served)

    assert [len(one) for one in served] == [20] * 6
    assert found.tokens == 120
    assert not found.far(0.2), found.far(0.2)
    assert len(found.differences) < 12


def test_a_token_that_torch_would_not_say_is_told(toy: tuple[Path, dict[str, Any], Any]) -> None:
    folder, read = toy[0], pretrained.read(toy[0])
    prompt = some_tokens(9)
    (served,) = agreement.serve(folder, [prompt], max_tokens=6, stop_ids=[])
    scores = agreement.logits(read.config, read.weights, [*prompt, *served[:2]])[-1]
    planted, best = int(scores.argmin()), int(scores.argmax())

    found = agreement.agreement(
        read.config, read.weights, [prompt], [[*served[:2], planted, *served[3:]]]
    )

    one = next(one for one in found.differences if one.place == 2)
    assert (one.prompt, one.served, one.torch) == (0, planted, best)
    assert one.behind == pytest.approx(float(scores.max() - scores.min()))
    assert one in found.far()


def test_weights_that_are_no_numbers_agree_with_nothing(
    toy: tuple[Path, dict[str, Any], Any],
) -> None:
    """No comparison with them holds, so that nothing once differed."""
    read, prompt = pretrained.read(toy[0]), some_tokens(9)
    broken = read.weights | {
        "model.norm.weight": torch.full_like(read.weights["model.norm.weight"], float("nan"))
    }

    assert len(agreement.agreement(read.config, broken, [prompt], [[1, 2, 3]]).far()) == 3


def test_the_verb_asks_chats_and_texts(
    toy: tuple[Path, dict[str, Any], Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = data_set(tmp_path / "asked", [chat(1), {"text": next(texts())}])

    code = main(["learn", "check", "toy", str(data), "--max-tokens", "8", "--near", "1", "--json"])

    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert 2 <= told["tokens"] <= 16
