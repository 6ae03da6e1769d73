"""The published configs at full size, without a weight: what their pages call for and keep."""

from math import prod
from typing import Any

import pytest

from farthing import models
from farthing.models.tensors import Tensors
from farthing.ops.record import Recording
from models.published import PUBLISHED, V2_LITE, V3

BF16 = 2


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_page_calls_for_as_many_parameters_as_were_published(name: str) -> None:
    config, billions = PUBLISHED[name]
    shapes = models.tensors_of(config).values()
    assert sum(map(prod, shapes)) / 1e9 == pytest.approx(billions, abs=0.05)


@pytest.mark.parametrize(
    ("config", "bytes_a_token", "share"), [(V2_LITE, 31_104, 0.1125), (V3, 70_272, 0.0140625)]
)
def test_a_latent_is_this_share_of_plain_heads(
    config: dict[str, Any], bytes_a_token: int, share: float
) -> None:
    """Of keys of 128 + 64 numbers and values of 128, for every head."""
    page = models.TABLE[config["model_type"]](config, Tensors(None))
    recording = Recording(page.shape.layers)
    page.forward(recording, recording)
    kept = [note.inputs[1].width for note in recording.notes if note.name == "latent_attention"]
    assert sum(kept) * BF16 == bytes_a_token
    plain = config["num_hidden_layers"] * config["num_attention_heads"] * (128 + 64 + 128)
    assert sum(kept) / plain == share
