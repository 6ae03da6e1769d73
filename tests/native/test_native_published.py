"""No published model with experts or latents is refused: at full size, over weights that nobody
reads. And of what the native side does refuse, a sentence says so.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from toy_mixture import ROUTERS, config, tensors
from toy_native import FORMS, folder, runner

from farthing import _native, models
from farthing.errors import FormatError
from farthing.ops.lower import lower
from farthing.ops.record import Recording
from farthing.weight import BF16, E2M1, Form
from models.published import PUBLISHED

PAGE = 4096
LARGEST = 1 << 34
"""Bytes of the largest stack of them all, Kimi's, and more."""


@dataclass(eq=False)
class Bare:
    """A `record.Packed` whose bytes are any bytes."""

    name: str
    shape: tuple[int, ...]
    form: Form | None
    data: NDArray[np.uint8]

    def vector(self) -> NDArray[np.float32]:
        return np.ones(self.shape, np.float32)


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.uint8]:
    """A file that is one hole: its pages would be there only if something read them."""
    path = tmp_path_factory.mktemp("hole") / "weights"
    path.touch()
    os.truncate(path, LARGEST)
    return np.memmap(path, np.uint8, mode="r")


def bare(name: str, shape: tuple[int, ...], form: Form, nothing: NDArray[np.uint8]) -> Bare:
    if len(shape) == 1 or name.endswith(".bias"):
        return Bare(name, shape, None, nothing[:0])
    if name.endswith(ROUTERS):
        form = BF16
    size = form.bytes(*shape[-2:])
    if len(shape) == 3:
        size = shape[0] * (-(-size // PAGE) * PAGE)
    return Bare(name, shape, form, nothing[:size])


@pytest.mark.parametrize("form", ["int4", "q6_k", "bf16"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_no_published_model_is_refused(name: str, form: str, nothing: NDArray[np.uint8]) -> None:
    published, plain = PUBLISHED[name][0], FORMS[form]
    stack = E2M1 if published["model_type"] == "gpt_oss" else plain
    weights = {
        tensor: bare(tensor, shape, stack if len(shape) == 3 else plain, nothing)
        for tensor, shape in models.tensors_of(published).items()
    }
    model = models.load(published, weights)
    recording = Recording(model.shape.layers)
    model.forward(recording, recording)
    program = _native.Program("portable", 1, 16, model.shape.max_context)
    lower(recording, program)
    program.finish(1 << 28)
    assert program.pages > 0


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "heads of 12": (config("qwen3_moe", head_dim=12), "heads are 12 wide"),
    "heads of 520": (config("gpt_oss", head_dim=520), "multiple of 8 and at most 512"),
    "values of 24": (config("deepseek_v2", v_head_dim=24), r"v_b_proj.*24, .*multiple of 16"),
    "latents of 40": (config("deepseek_v3", kv_lora_rank=40), r"k_b_proj.*40, .*multiple of 16"),
    "latents of 4096": (config("deepseek_v2", kv_lora_rank=4096), "at most 4096"),
    "queries of 12": (config("deepseek_v2", qk_nope_head_dim=12), "qk_nope_head_dim is 12"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_width_that_no_kernel_has_is_refused_by_a_sentence(case: str, tmp_path: Path) -> None:
    c, sentence = REFUSED[case]
    with pytest.raises(FormatError, match=sentence):
        runner(folder(tmp_path / "model", c, tensors(c, FORMS["int8"])))
