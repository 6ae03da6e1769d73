"""Listing, finding and removing: sizes are right, a damaged model shows, a removed one is gone."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

import checkpoints as toy
from farthing import store
from farthing.errors import FormatError, InputError, NotFound
from farthing.formats import packed
from farthing.formats.types import ALL, Layout
from farthing.store import shelf
from farthing.store.names import suggested
from farthing.weight import E2M1, Matrix


@pytest.fixture
def model(tmp_path, home) -> store.Model:
    return store.pull(str(toy.toy_gguf(tmp_path / "toy.gguf"))).model


def test_every_parameter_is_counted_once(model):
    counted = {name: array.size for name, array in toy.toy_arrays().items()}
    assert model.parameters == sum(counted.values())
    assert model.forms["fp32"].parameters == 3 * 32
    assert model.forms["bf16"].tensors == 8
    assert (model.architecture, model.context) == ("llama", 64)
    assert model.bits == pytest.approx(
        8 * sum(s.bytes for s in model.forms.values()) / model.parameters
    )


class Stacks:
    """`formats.types.Tensors`: a stack in FP4, a matrix of the same form, a table."""

    layouts: ClassVar = {
        "stack": Layout((7, 33, 96), E2M1),
        "matrix": Layout((33, 96), E2M1),
        "table": Layout((7, 33), None),
    }

    def names(self):
        return list(self.layouts)

    def layout(self, name):
        return self.layouts[name]

    def tensor(self, name, rows=ALL, index=None):
        if name == "table":
            return np.zeros((7, 33), np.float32)
        one = Matrix(form=E2M1, codes=np.zeros((33, 96), "u1"), scale=np.zeros((33, 3), "u1"))
        return replace(one, codes=one.codes[rows], scale=one.scale[rows])


def test_every_matrix_of_a_stack_counts(home):
    folder = home / "models" / "stacks"
    folder.mkdir(parents=True)
    source = packed.Source("stacks", "0" * 64, "gguf")
    packed.write(folder, {}, Stacks(), source=source, files={})
    found = store.find("stacks")
    fp4 = found.forms["fp4 g32 e8m0"]
    assert (fp4.tensors, fp4.parameters) == (2, 8 * 33 * 96)
    assert fp4.bytes == 7 * 4096 + E2M1.bytes(33, 96)
    assert found.forms["fp32"].parameters == 7 * 33
    assert found.parameters == 8 * 33 * 96 + 7 * 33


def test_disk_bytes_are_what_the_folder_takes(model):
    least = sum(path.stat().st_size for path in model.folder.iterdir())
    assert least <= model.disk_bytes <= least + 4096 * len(list(model.folder.iterdir()))


def test_an_empty_home_has_no_models(home):
    assert store.models() == []
    with pytest.raises(NotFound, match="known: none"):
        store.find("toy")
    with pytest.raises(NotFound):
        store.remove("toy")


def test_a_missing_model_names_the_known(model):
    with pytest.raises(NotFound, match=r"'smollm2'.*known: toy"):
        store.find("smollm2")
    with pytest.raises(InputError, match="can't be a model's name"):
        store.find("..")


def test_a_model_is_found_by_its_folder(model):
    assert store.find(str(model.folder)).parameters == model.parameters


def test_a_damaged_model_is_listed_with_its_problem_and_not_found(model):
    (model.folder / "weights.farthing").write_bytes(b"farthing")
    listed = store.models()
    assert [m.name for m in listed] == ["toy"]
    assert "too short" in (listed[0].problem or "")
    with pytest.raises(FormatError, match="too short"):
        store.find("toy")


def test_a_removed_model_is_gone_and_its_bytes_are_told(model, home):
    assert store.remove("toy") == model.disk_bytes
    assert [path.name for path in (home / "models").iterdir()] == [".locks"]


def test_a_removal_that_was_interrupted_is_never_a_half_model(model, home, monkeypatch):
    def killed(path, **options):
        if path.name.startswith(".removed"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            shelf.remove("toy")
    assert store.models() == []
    (home / "models" / "toy").mkdir()
    store.remove("toy")
    assert [path.name for path in (home / "models").iterdir()] == [".locks"]


def test_a_link_is_removed_and_what_it_points_at_stays(model, home):
    (home / "models" / "alias").symlink_to(model.folder)
    assert [m.name for m in store.models()] == ["alias", "toy"]
    store.remove("alias")
    assert [m.name for m in store.models()] == ["toy"]


def test_names_begin_alike_and_stay_apart(model, tmp_path, home):
    """Sweeping "toy" must not touch what a pull of "toy-2" is writing."""
    busy = home / "models" / ".partial-toy-2-77"
    busy.mkdir()
    store.remove("toy")
    assert busy.exists()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("SmolLM2 135M.Q4_1", "smollm2-135m.q4_1"),
        ("Qwen3-0.6B", "qwen3-0.6b"),
        ("..hidden", "hidden"),
        ("模型 v2", "v2"),
    ],
)
def test_names_are_made_from_files(text, name):
    assert suggested(text) == name


def test_a_name_of_nothing_is_refused():
    with pytest.raises(InputError):
        suggested("模型")
