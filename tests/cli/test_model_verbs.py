"""pull, ls, show and rm as a user types them, and their JSON as a program reads it."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import checkpoints as toy
from farthing.cli import main


@pytest.fixture
def run(capsys):
    def run(*words: str) -> tuple[int, str, str]:
        code = main(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def path(tmp_path) -> str:
    return str(toy.toy_gguf(tmp_path / "toy.gguf"))


def test_a_model_comes_is_shown_and_goes(run, path, home):
    code, out, _ = run("pull", path)
    assert code == 0
    assert "toy packed" in out
    assert "farthing run toy" in out
    assert "is here already" in run("pull", path)[1]
    assert "toy" in run("ls")[1]
    shown = run("show", "toy")[1]
    assert "toy.gguf (gguf)" in shown
    assert "bf16" in shown
    assert "removed toy" in run("rm", "toy")[1]
    assert "farthing pull smollm2-135m" in run("ls")[1]


def test_json_is_one_value_on_stdout(run, path, home):
    pulled = json.loads(run("pull", path, "--name", "mine", "--json")[1])
    assert (pulled["name"], pulled["fetched"]) == ("mine", True)
    listed = json.loads(run("ls", "--json")[1])
    assert [model["name"] for model in listed] == ["mine"]
    shown = json.loads(run("show", "mine", "--json")[1])
    assert shown["parameters"] == sum(form["parameters"] for form in shown["forms"].values())
    assert len(shown["source"]["sha256"]) == 64
    assert json.loads(run("rm", "mine", "--json")[1])["freed_bytes"] == listed[0]["disk_bytes"]


def test_a_tensor_that_is_not_used_has_a_line(run, tmp_path, home):
    folder = toy.toy_folder(tmp_path / "toy")
    arrays = load_file(folder / "model.safetensors")
    arrays["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.ones(8, np.float32)
    save_file(arrays, folder / "model.safetensors")
    lines = [line for line in run("pull", str(folder))[1].splitlines() if "not used" in line]
    assert len(lines) == 1
    assert "rotary_emb.inv_freq" in lines[0]
    again = json.loads(run("pull", str(folder), "--json", "--name", "again")[1])
    assert [f"not used: {line}" for line in again["unused"]] == lines


def test_a_damaged_model_is_listed_as_such(run, path, home):
    run("pull", path)
    (home / "models" / "toy" / "config.json").write_text("[")
    _, out, _ = run("ls")
    assert "damaged" in out
    assert "config.json" in out
    code, _, err = run("show", "toy")
    assert code == 3
    assert err.startswith("farthing: ")


def test_a_model_no_page_takes_is_refused_before_it_is_packed(run, tmp_path, home):
    tensors = toy.toy_tensors()
    del tensors["blk.0.ffn_up.weight"]
    path = tmp_path / "part.gguf"
    path.write_bytes(toy.gguf_bytes(toy.toy_settings() + toy.vocabulary(), tensors))
    code, _, err = run("pull", str(path))
    assert code == 3
    assert "model.layers.0.mlp.up_proj.weight" in err
    assert "part.gguf" in err
    assert json.loads(run("ls", "--json")[1]) == []


@pytest.mark.parametrize("verb", ["show", "rm"])
def test_a_missing_model_is_named(verb, run, home):
    code, _, err = run(verb, "none")
    assert code == 2
    assert "'none'" in err


@pytest.mark.parametrize("verb", ["pull", "ls", "show", "rm"])
def test_help_teaches(verb, run):
    code, out, _ = run(verb, "--help")
    assert code == 0
    assert "--json" in out
