"""What can't come to good is refused by name before anything is done."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from farthing.errors import FormatError, InputError
from farthing.quantize import source as sources
from farthing.quantize.run import Progress, quantize
from farthing.quantize.source import Source
from farthing.quantize.types import Choice
from farthing.weight import BF16, E2M1, Form
from quantize import walk_toys as toys

SAMPLES = toys.some_samples(9, 9)
DOWN = "model.layers.1.mlp.down_proj.weight"
NORM = "model.layers.1.input_layernorm.weight"
GPTQ = Choice(method="gptq", form=toys.INT4)
RTN = Choice(method="rtn", form=toys.INT4)


def silent(progress: Progress) -> None:
    """Nobody waits."""


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return toys.dense(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return toys.mixed(tmp_path_factory.mktemp("mixture") / "model", "qwen2_moe")


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    broken(tmp_path / "model", DOWN, np.nan)
    source = sources.open(tmp_path / "model")
    with pytest.raises(FormatError, match=DOWN):
        quantize(source, [], toys.Same("rtn"), tmp_path / "work", silent)
    assert not list((tmp_path / "work").glob("section*"))


def test_activations_that_are_no_numbers(tmp_path: Path) -> None:
    broken(tmp_path / "model", NORM, 3e38)
    source = sources.open(tmp_path / "model")
    with pytest.raises(FormatError, match=r"model\.layers\.1\S*: its activations are not finite"):
        quantize(source, SAMPLES, toys.Same("gptq"), tmp_path / "work", silent)


def test_weights_that_no_scale_reaches(tmp_path: Path) -> None:
    broken(tmp_path / "model", DOWN, 1e30)
    source = sources.open(tmp_path / "model")
    with pytest.raises(InputError, match=f"^{DOWN}: "):
        quantize(source, [], toys.Same("rtn"), tmp_path / "work", silent)


def broken(folder: Path, name: str, value: float) -> None:
    toys.dense(folder)
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors[name][3] = value
    save_file(tensors, path)


ZERO32 = Form(bits=4, group=32, scale="f32", offset="zero")
CHOICES = {
    "model.norm.weight": (RTN, "vector"),
    "embed_tokens.weight": (GPTQ, "an embedding"),
    DOWN: (Choice(method="gptq", form=None), "in the form None"),
    "layers.0.mlp.down_proj.weight": (Choice(method="rtn", form=BF16), "4 or 8 bits"),
    "0.self_attn.q_proj.weight": (Choice(method="rtn", form=E2M1), "4 or 8 bits"),
    "1.self_attn.q_proj.weight": (Choice(method="rtn", form=ZERO32), "4 or 8 bits"),
}


@pytest.mark.parametrize("end", CHOICES)
def test_choices_that_cannot_be(end: str, llama: Source, tmp_path: Path) -> None:
    choice, why = CHOICES[end]
    with pytest.raises(InputError, match=f"{end}: .*{why}"):
        recipe = toys.Same(others=((end, choice),))
        quantize(llama, SAMPLES, recipe, tmp_path / "work", silent)
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("end", "why"),
    [
        ("0.mlp.gate.weight", "keep it"),
        ("1.mlp.shared_expert_gate.weight", "keep it"),
        ("0.mlp.experts.up_proj.weight", "run together"),
        ("0.mlp.shared_expert.gate_proj.weight", "run together"),
    ],
)
def test_choices_that_a_mixture_has_no_place_for(
    end: str, why: str, mixture: Source, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=f"{end}.*{why}"):
        quantize(mixture, SAMPLES, toys.Same(others=((end, GPTQ),)), tmp_path, silent)


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        ([], "needs samples"),
        (toys.some_samples(9, 1), "sample 1 has shape .1.; expected 2 to"),
        (toys.some_samples(5000), "sample 0 has shape .5000.; expected 2 to"),
        ([np.array([[1, 2]], np.int32)], "sample 0 has shape .1, 2."),
        ([np.array([5, 259], np.int32)], "tokens from 5 to 259; the model knows 0 to 258"),
        ([np.array([5, -1], np.int32)], "tokens from -1 to 5"),
    ],
)
def test_samples_that_say_nothing(samples: Any, why: str, llama: Source, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=why):
        quantize(llama, samples, toys.Same("gptq"), tmp_path, silent)


def test_a_folder_that_holds_something_else(llama: Source, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(InputError, match=r"letters\.txt"):
        quantize(llama, [], toys.Same("rtn"), tmp_path, silent)
    assert [p.name for p in tmp_path.iterdir()] == ["letters.txt"]


def test_a_folder_of_another_quantization(llama: Source, tmp_path: Path) -> None:
    quantize(llama, SAMPLES, toys.Same("rtn"), tmp_path, silent)
    for samples, recipe in ((SAMPLES[:1], toys.Same("rtn")), (SAMPLES, toys.Same("gptq"))):
        with pytest.raises(InputError, match="another quantization"):
            quantize(llama, samples, recipe, tmp_path, silent)
    quantize(llama, SAMPLES, toys.Same("rtn"), tmp_path, silent)
