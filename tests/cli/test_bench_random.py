"""`farthing bench --random`: what it takes, what it refuses, and where its weights go."""

import json
import sys

import gguf
import pytest

from farthing import cli
from farthing.bench import random_packed, skeleton


@pytest.fixture
def olmoe(tmp_path):
    """A folder with a small config."""
    sizes = {
        "vocab_size": 512,
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "num_experts": 4,
        "num_experts_per_tok": 2,
    }
    folder = tmp_path / "little"
    folder.mkdir()
    config = skeleton.read("olmoe-1b-7b").config | sizes
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--random"], "--config and --random go together"),
        (["--config", "olmoe-1b-7b"], "--config and --random go together"),
        (["--layers", "2"], "add --config NAME"),
        (["--gguf", "a.gguf"], "add --config NAME"),
        (["--routing", "a.npz"], "add --config NAME"),
        (["--config", "nobody", "--random"], "these ship with farthing: deepseek-v2-lite"),
        (["--config", "olmoe-1b-7b", "--random", "--layers", "17"], "ask for 1 to 16"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_does(words, said, capsys):
    assert cli.main(["bench", *words]) == 2
    assert said in capsys.readouterr().err
    assert not random_packed.root().exists()


def test_a_shape_is_written_for_others_and_not_measured(olmoe, tmp_path, capsys):
    path = tmp_path / "made.gguf"
    assert (
        cli.main(["bench", "--config", olmoe, "--random", "--layers", "2", "--gguf", str(path)])
        == 0
    )
    file = gguf.GGUFReader(path)
    assert file.get_field("olmoe.block_count").contents() == 2
    assert len(file.get_field("tokenizer.ggml.tokens").contents()) == 512
    assert capsys.readouterr().out.startswith(f"{path}: 0.0 GB")
    assert not random_packed.root().exists()


def test_without_the_gguf_package_one_line_says_what_to_install(olmoe, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gguf", None)
    assert cli.main(["bench", "--config", olmoe, "--random", "--gguf", "a.gguf"]) == 2
    assert "pip install 'farthing[gguf]'" in capsys.readouterr().err
