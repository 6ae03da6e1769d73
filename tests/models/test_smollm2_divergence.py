"""What the engine's arithmetic costs SmolLM2, beside what bf16 costs it, over 2,000 tokens.

The judge is transformers in fp32 on the file's dequantized weights.
"""

import copy
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from smollm2 import GGUF, text_tokens, their_logits, theirs

from farthing import formats, models
from farthing.evaluate.divergence import Divergence, divergence
from farthing.ops.reference_cache import Cache, Step
from farthing.ops.reference_linear import bind

pytestmark = pytest.mark.slow

Logits = NDArray[np.float32]
TOKENS = 2000
CHUNK = 250


def numpy_logits(tokens: list[int]) -> Logits:
    """[T, V]: the NumPy reading with int8 inputs and a bf16 cache."""
    checkpoint = formats.open(GGUF)
    tensors = {name: checkpoint.tensor(name) for name in checkpoint.names()}
    model = models.load(checkpoint.config, bind(tensors, "int8"))
    cache = Cache.empty(model.shape.layers, "native")
    steps = [Step.of([(0, at, tokens[at : at + CHUNK])]) for at in range(0, len(tokens), CHUNK)]
    return np.concatenate([model.forward(step, cache) for step in steps])


@cache
def judge() -> Logits:
    return their_logits(theirs(), text_tokens(TOKENS))


@cache
def bf16() -> Divergence:
    model = copy.deepcopy(theirs()).to(torch.bfloat16)
    return divergence(judge(), their_logits(model, text_tokens(TOKENS)))


def check(measured: Callable[[list[int]], Logits]) -> Divergence:
    loss = divergence(judge(), measured(text_tokens(TOKENS)))
    assert loss.mean < 0.005, f"{loss} against bf16's {bf16()}"
    assert loss.same_top > bf16().same_top - 0.01, f"{loss} against bf16's {bf16()}"
    return loss


def test_the_numpy_reading_is_as_good_as_bf16() -> None:
    check(numpy_logits)
