"""What a walk gathers of the inputs of linears is what the model's page feeds them."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray

from farthing.ops import reference
from farthing.quantize import desk as desks
from farthing.quantize.result import Quantized
from farthing.quantize.run import Progress, quantize
from farthing.quantize.source import Source
from farthing.quantize.types import Choice, Moments, Weights
from farthing.weight import Matrix
from quantize import walk_toys as toys

SAMPLES = toys.some_samples(17, 30, 9, 17)


def inputs_of(source: Source | Quantized) -> dict[int, NDArray[np.float32]]:
    """By the place of a linear in the page: all that came into it, over all samples."""
    found: dict[int, list[Any]] = {}
    real = reference.linear
    count = 0

    def linear(x: Any, weight: Any, bias: Any = None, *, precise: bool = False) -> Any:
        nonlocal count
        found.setdefault(count, []).append(x)
        count += 1
        return real(x, weight, bias, precise=precise)

    with patch.object(reference, "linear", linear):
        for sample in SAMPLES:
            count = 0
            toys.page_logits(source.config, source, [sample])
    return {place: np.concatenate(parts) for place, parts in found.items()}


@pytest.mark.parametrize(("widest", "block"), [(20, 2048), (100, 24)])
def test_moments_are_those_of_the_page(
    widest: int, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = toys.dense(tmp_path / "model", attention_bias=True)
    given: list[Moments] = []

    def exact(weight: Weights, choice: Choice, moments: Moments, factor: Any) -> Matrix:
        given.append(moments)
        return Unrounded(weight)

    monkeypatch.setattr("farthing.quantize.stream.CHUNK", widest)
    monkeypatch.setattr("farthing.quantize.moments.BLOCK", block)
    monkeypatch.setattr(desks, "rounded", exact)
    monkeypatch.setattr("farthing.quantize.work.pack", lambda matrix: np.zeros(64, np.uint8))
    asks = Choice(method="awq", form=toys.INT4)  # for magnitudes too
    kept = ("embed_tokens.weight", toys.KEEP)
    recipe = toys.Same("gptq", others=(kept, ("lm_head.weight", asks)))
    quantize(source, SAMPLES, recipe, tmp_path / "work", silent)

    theirs = inputs_of(source)
    assert len(given) == len(theirs) + 1  # and the head, whose input is no linear's
    for ours, x in zip(given, theirs.values(), strict=False):
        assert ours.count == len(x) == 73
        np.testing.assert_allclose(ours.hessian, x.T @ x, atol=1e-4 * np.abs(x.T @ x).max())
        assert ours.magnitude is not None
        np.testing.assert_allclose(ours.magnitude, np.abs(x).sum(0), rtol=1e-3)


def test_inputs_are_made_by_what_is_quantized_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = toys.dense(tmp_path / "model")
    given: list[Moments] = []
    real = desks.rounded

    def heard(weight: Weights, choice: Choice, moments: Any, factor: Any) -> Matrix:
        given.append(moments)
        return real(weight, choice, moments, factor)

    monkeypatch.setattr(desks, "rounded", heard)
    recipe = toys.Same("gptq", others=(("embed_tokens.weight", toys.KEEP),))
    out = quantize(source, SAMPLES, recipe, tmp_path / "work", silent)
    for ours, x in zip(given, inputs_of(out).values(), strict=False):
        np.testing.assert_allclose(ours.hessian, x.T @ x, atol=1e-4 * np.abs(x.T @ x).max())


class Unrounded:
    """In the place of a Matrix: numbers as they are."""

    form = toys.INT4

    def __init__(self, weight: Weights) -> None:
        self.weight = weight

    def dequantize(self) -> Weights:
        return self.weight


def silent(progress: Progress) -> None:
    """Nobody waits."""
