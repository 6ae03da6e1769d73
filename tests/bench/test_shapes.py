"""Configs that ship are those of the models they name, and can be cut to fewer layers."""

import json
from math import prod

import pytest

from farthing.bench import skeleton
from farthing.errors import InputError, NotFound

PARAMETERS = {
    "deepseek-v2-lite": 15.706e9,
    "gpt-oss-20b": 20.915e9,
    "olmoe-1b-7b": 6.919e9,
    "qwen3-30b-a3b": 30.532e9,
}
"""As their makers give them."""


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_shipped_shape_has_as_many_parameters_as_the_model(name):
    count = sum(prod(shape) for shape in skeleton.read(name).tensors.values())
    assert count == pytest.approx(PARAMETERS[name], rel=5e-4)


def test_all_that_ship_are_listed():
    assert skeleton.names() == sorted(PARAMETERS)


def test_a_cut_model_has_the_first_layers_alone():
    whole, cut = skeleton.read("gpt-oss-20b"), skeleton.read("gpt-oss-20b", 3)
    expected = {
        name: shape
        for name, shape in whole.tensors.items()
        if not name.startswith("model.layers.") or int(name.split(".")[2]) < 3
    }
    assert cut.tensors == expected
    assert cut.layers == 3 and cut.name == "gpt-oss-20b-3-layers"


@pytest.mark.parametrize("layers", [0, -1, 49])
def test_more_layers_than_there_are_is_refused_with_both_counts(layers):
    with pytest.raises(InputError, match=rf"^{layers} layers of a model that has 48"):
        skeleton.read("qwen3-30b-a3b", layers)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(NotFound, match=r"no config is called 'qwen4'.*olmoe-1b-7b"):
        skeleton.read("qwen4")


def test_a_folder_is_called_by_its_name(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    config = skeleton.read("olmoe-1b-7b").config
    (folder / "config.json").write_text(json.dumps(config))
    for path in (folder, folder / "config.json"):
        read = skeleton.read(str(path))
        assert (read.name, read.config) == ("mine", config)
    with pytest.raises(NotFound, match="no such file"):
        skeleton.read(str(tmp_path / "other"))


def test_what_is_made_of_a_config_is_named_by_all_of_it():
    shape = skeleton.read("olmoe-1b-7b")
    other = skeleton.Skeleton(shape.name, shape.config | {"rope_theta": 5.0}, shape.tensors)
    assert shape.digest(1) != other.digest(1) != other.digest(2)
    assert shape.digest(1) == skeleton.read("olmoe-1b-7b").digest(1)
