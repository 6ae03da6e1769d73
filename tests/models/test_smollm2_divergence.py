"""What the engine's arithmetic costs SmolLM2, beside what bf16 costs it, over 2,000 tokens.

The judge is transformers in fp32 on the file's dequantized weights.
"""

import copy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from smollm2 import text_tokens, their_logits, theirs

from farthing.config import EngineConfig
from farthing.engine.runner import NativeRunner
from farthing.engine.types import RowSampling, Step
from farthing.evaluate.divergence import Divergence, divergence

pytestmark = pytest.mark.slow

Logits = NDArray[np.float32]
TOKENS = 2000
CHUNK = 250
PAGE = 64


def native_logits(folder: Path, tokens: list[int]) -> Logits:
    """[T, V]: the program the server runs, CHUNK tokens a step."""
    runner = NativeRunner(folder, EngineConfig(max_step_tokens=CHUNK))
    pages = np.arange(-(-len(tokens) // PAGE), dtype=np.int32)
    out = []
    for at in range(0, len(tokens), CHUNK):
        new = np.array(tokens[at : at + CHUNK], np.int32)
        step = Step(
            tokens=new,
            starts=np.array([0, len(new)], np.int32),
            positions=np.array([at], np.int32),
            tables=pages[None],
            fresh=pages if at == 0 else pages[:0],
            rows=np.arange(len(new), dtype=np.int32),
            sampling=NOTHING,
        )
        out.append(runner.logits(step))
    return np.concatenate(out)


@cache
def judge() -> Logits:
    return their_logits(theirs(), text_tokens(TOKENS))


@cache
def bf16() -> Divergence:
    model = copy.deepcopy(theirs()).to(torch.bfloat16)
    return divergence(judge(), their_logits(model, text_tokens(TOKENS)))


NOTHING = RowSampling(**dict.fromkeys(RowSampling.__struct_fields__, np.array([])))
"""Logits are read as they are: nothing is chosen."""


def test_the_native_reading_is_as_good_as_bf16(smollm2: Path) -> None:
    loss = divergence(judge(), native_logits(smollm2, text_tokens(TOKENS)))
    assert loss.mean < 0.005, f"{loss} against bf16's {bf16()}"
    assert loss.same_top > bf16().same_top - 0.01, f"{loss} against bf16's {bf16()}"
