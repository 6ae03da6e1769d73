"""A model as a source says the same wherever it lies, and names what it came from."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from checkpoints import toy_gguf
from farthing import formats, store
from farthing.errors import FormatError, NotFound
from farthing.quantize import source as sources
from farthing.tokenizer import Tokenizer
from farthing.weight import Matrix
from quantize import walk_toys as toys
from shipped import shipped_gguf
from small_mixtures import FP4


@pytest.mark.parametrize("case", ["qwen2_moe", "deepseek_v2", FP4])
def test_a_packed_folder_holds_what_it_was_packed_from(case: str, tmp_path: Path) -> None:
    at = tmp_path / "model"
    theirs = toys.mixed(at, case)
    ours = sources.open(store.pull(str(at)).model.folder)
    assert ours.config == theirs.config
    assert ours.sha256 == theirs.sha256
    assert ours.files() == theirs.files()
    assert set(ours.names()) == set(theirs.names())
    for name in ours.names():
        layout = theirs.layout(name)
        assert ours.layout(name) == layout
        stacked = layout.form is not None and len(layout.shape) == 3
        begin = min(3, (layout.shape[1] if stacked else layout.shape[0]) - 1)
        for index in (0, layout.shape[0] - 1) if stacked else (None,):
            for rows in (slice(None), slice(0, 16), slice(begin, begin + 15), slice(begin, 9999)):
                same(ours.tensor(name, rows, index), theirs.tensor(name, rows, index))


def same(a: object, b: object) -> None:
    if isinstance(a, Matrix) and isinstance(b, Matrix):
        assert a.form == b.form
        np.testing.assert_array_equal(a.dequantize(), b.dequantize())
    else:
        np.testing.assert_array_equal(a, b)


def test_a_gguf_file_is_a_source(tmp_path: Path) -> None:
    path = toy_gguf(tmp_path / "toy.gguf")
    source = sources.open(path)
    assert source.sha256 == sha256(path.read_bytes()).hexdigest()
    assert source.name == "toy.gguf"
    assert source.config == formats.open(path).config
    (tmp_path / "carried").mkdir()
    for name, text in source.files().items():
        (tmp_path / "carried" / name).write_text(text)
    assert Tokenizer.open(tmp_path / "carried").encode("ab") == [2, 3]


def test_nothing_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        sources.open(tmp_path / "nothing")
    with pytest.raises(FormatError):
        sources.open(tmp_path)


def test_the_real_models_vocabulary_is_carried_along(smollm2: Path) -> None:
    packed, gguf = sources.open(smollm2), sources.open(shipped_gguf())
    assert packed.files() == gguf.files()
    assert packed.sha256 == gguf.sha256
