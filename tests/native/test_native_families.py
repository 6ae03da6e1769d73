"""Every family with experts or latents from a checkpoint of transformers to the native side's
tokens: saved, pulled, packed, run, and held to NumPy's reading and to transformers.

As in test_native_models.py a code next to an edge may be rounded to the other side of it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from by_numpy import read_by_numpy
from numpy.typing import NDArray
from toy_native import greedy, runner, step

from farthing.formats import packed
from farthing.weight import E2M1
from models.oracle import their_logits
from small_mixtures import CASES, FP4, VOCABULARY, Pulled, pulled

LENGTH = 40
TOKENS = np.random.default_rng(17).integers(0, VOCABULARY, LENGTH).tolist()
DICE = np.random.default_rng(19)
PROMPTS = [DICE.integers(0, VOCABULARY, length).tolist() for length in (1, 5, 8, 13, 20, 30)]
ANSWER = 6
CLEAR = 0.08
"""Of the logits' spread; rounding inputs to bf16 moves them by half as much."""
Logits = NDArray[np.float32]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Of torch: with models this small others only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def all_pulled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pulled]:
    with pytest.MonkeyPatch.context() as patch:
        at = tmp_path_factory.mktemp("families")
        patch.setenv("FARTHING_HOME", str(at / "home"))
        return {case: pulled(at / f"family-{i}", case) for i, case in enumerate(CASES)}


@pytest.fixture(scope="module")
def by_numpy(all_pulled: dict[str, Pulled]) -> dict[str, Logits]:
    return {case: read_by_numpy(one.folder, TOKENS) for case, one in all_pulled.items()}


def natively(folder: Path, threads: int = 1, size: int = LENGTH) -> Logits:
    """Logits of TOKENS, `size` of them a step."""
    r, chunks = runner(folder, threads=threads), range(0, LENGTH, size)
    return np.concatenate([r.logits(step([(0, at, TOKENS[at : at + size])])) for at in chunks])


@pytest.fixture
def far(isa: str, all_pulled: dict[str, Pulled], by_numpy: dict[str, Logits]) -> Any:
    """Of a case, [T]: how far the native logits are from NumPy's, in parts of their spread."""

    def of(case: str) -> Logits:
        expected = by_numpy[case]
        return np.abs(natively(all_pulled[case].folder) - expected).max(1) / expected.std()

    return of


@pytest.mark.parametrize("case", CASES)
def test_native_logits_are_numpys(far: Any, case: str) -> None:
    assert np.median(far(case)) < 0.02 and far(case).max() < 0.1


def test_most_families_differ_by_rounding_alone(far: Any) -> None:
    medians = [np.median(far(case)) for case in CASES]
    assert np.median(medians) < 2e-6 and max(medians) < 0.02


@pytest.mark.parametrize("case", CASES)
def test_prefill_and_decode_are_one_pass_to_the_bit(
    isa: str, all_pulled: dict[str, Pulled], case: str
) -> None:
    folder = all_pulled[case].folder
    r = runner(folder, threads=2)
    prefill = r.logits(step([(0, 0, TOKENS[:29])]))
    decode = [r.logits(step([(0, at, TOKENS[at : at + 1])])) for at in range(29, LENGTH)]
    np.testing.assert_array_equal(np.concatenate([prefill, *decode]), natively(folder))


@pytest.mark.parametrize("case", CASES)
def test_greedy_tokens_are_those_of_transformers(
    isa: str, all_pulled: dict[str, Pulled], case: str
) -> None:
    """Wherever its best is clearly the best: it rounds no inputs to bf16, as we do."""
    answers, told = answered(all_pulled[case].folder), []
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        logits = their_logits(all_pulled[case].theirs, prompt + answer)[len(prompt) - 1 : -1]
        best = np.sort(logits, axis=1)
        clear = best[:, -1] - best[:, -2] > CLEAR * logits.std()
        np.testing.assert_array_equal(np.array(answer)[clear], logits.argmax(1)[clear])
        told.append(clear)
    assert np.mean(told) > 0.8, "the checkpoint is not clear enough to tell"
    assert len({token for answer in answers for token in answer}) > 8, "nor does it say much"


def answered(folder: Path) -> list[list[int]]:
    """Greedy answers to all prompts, in one batch."""
    r, texts = runner(folder), [list(prompt) for prompt in PROMPTS]
    done = [0] * len(texts)
    for _ in range(ANSWER):
        pieces = [(i, at, text[at:]) for i, (at, text) in enumerate(zip(done, texts, strict=True))]
        done = [len(text) for text in texts]
        rows = np.cumsum([len(new) for _, _, new in pieces]) - 1
        how = greedy(len(texts), position=np.array(done, np.int32))
        chosen = r.run(step(pieces, rows=rows.tolist(), sampling=how)).ids
        for text, token in zip(texts, chosen, strict=True):
            text.append(int(token))
    return [text[len(prompt) :] for text, prompt in zip(texts, PROMPTS, strict=True)]


def test_mxfp4_experts_are_run_as_they_came(all_pulled: dict[str, Pulled]) -> None:
    """Else the case would only be gpt-oss in bf16 again."""
    tensors = packed.open(all_pulled[FP4].folder).tensors
    assert tensors["model.layers.1.mlp.experts.up_proj.weight"].form == E2M1
