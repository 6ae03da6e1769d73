"""Mixtures from quantized GGUF files to the native side's logits: pulled, packed, run, and held to
NumPy's reading. As in test_native_mixtures.py codes next to an edge may fall to either side.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from by_numpy import read_by_numpy
from numpy.typing import NDArray
from toy_native import runner, step

import gguf_cases
import gguf_models
from farthing import store
from farthing.formats import packed
from farthing.weight import E2M1
from server.toy_model import write_toy

CASES = {
    "mixtral": "Q4_0",
    "qwen3moe": "Q8_0",
    "qwen2moe": "Q4_1",
    "olmoe": "Q5_0",
    "v2": "Q5_1",
    "v2 lite": "Q4_0",
    "v3": "Q8_0",
    "glm4moe": "Q4_1",
    "gpt-oss": "MXFP4",
    "granitemoe": "Q4_0",
}
"""How the experts, and what heads have of their latents, are quantized; all else is in Q8_0."""
LENGTH = 24
TOKENS = np.random.default_rng(13).integers(0, gguf_cases.COMMON["vocab_size"], LENGTH).tolist()


def quantized(at: Path, case: str) -> Path:
    """The packed folder of a case's file, with a tokenizer beside it."""
    config = gguf_cases.config_of(case)
    tensors = gguf_models.tensors_of(config, gguf_cases.arrays_of(config))
    types = {}
    for name, array in tensors.items():
        stem = name.split(".", 2)[-1] if name.startswith("blk.") else name
        if array.ndim > 1 and stem.endswith("weight") and "gate_inp" not in stem:
            types[stem] = CASES[case] if array.ndim == 3 else "Q8_0"
    write_toy(at)
    family = gguf_models.ARCHITECTURES[config["model_type"]]
    gguf_models.write(at / "model.gguf", family, gguf_models.keys_of(config), tensors, types)
    return store.pull(str(at / "model.gguf"), name=f"gguf-{at.name}").model.folder


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, NDArray[np.float32]]]:
    """Each case's folder, and its logits by NumPy."""
    with pytest.MonkeyPatch.context() as patch:
        at = tmp_path_factory.mktemp("files")
        patch.setenv("FARTHING_HOME", str(at / "home"))
        folders = {case: quantized(at / str(i), case) for i, case in enumerate(CASES)}
    return {case: (folder, read_by_numpy(folder, TOKENS)) for case, folder in folders.items()}


def error(read: Any, case: str) -> NDArray[np.float32]:
    """[T], in parts of the logits' spread; the text in two chunks."""
    folder, expected = read[case]
    r = runner(folder, threads=2)
    got = [r.logits(step([(0, a, TOKENS[a:b])])) for a, b in ((0, 20), (20, LENGTH))]
    far: NDArray[np.float32] = np.abs(np.concatenate(got) - expected).max(1) / expected.std()
    return far


@pytest.mark.parametrize("case", CASES)
def test_logits_of_a_quantized_mixture_are_numpys(isa: str, read: Any, case: str) -> None:
    far = error(read, case)
    assert np.median(far) < 0.02 and far.max() < 0.25


def test_most_files_differ_by_rounding_alone(isa: str, read: Any) -> None:
    assert np.median([error(read, case).max() for case in CASES]) < 1e-3


def test_experts_are_run_in_the_forms_of_the_file(read: Any) -> None:
    name = "model.layers.1.mlp.experts.down_proj.weight"
    forms = {case: packed.open(folder).tensors[name].form for case, (folder, _) in read.items()}
    assert forms["gpt-oss"] == E2M1
    assert {forms[case].bits for case in ("mixtral", "qwen2moe", "granitemoe")} == {4}
