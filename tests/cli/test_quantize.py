"""`farthing quantize` as a user types it: what appears, what it says, what it refuses."""

import fcntl
import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import checkpoints
from farthing import __version__, store
from farthing.cli import main, quantize_job, quantize_report
from farthing.formats import packed
from farthing.quantize import source as sources
from farthing.quantize import text
from farthing.quantize.recipe import Recipe
from farthing.quantize.types import Choice, Outcome
from farthing.weight import BF16
from quantize import walk_toys as toys

FEW = ("--samples", "4", "--length", "96")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A small Llama with a chat template, in a Hugging Face folder. No test changes it."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    toys.dense(folder)
    return folder


@pytest.fixture
def run(capsys):
    def run(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_a_model_appears_on_the_shelf_and_runs(run, model, home):
    code, out, err = run("quantize", model, "-o", "small", *FEW)
    assert code == 0, err
    assert f"farthing eval small --against {model}" in out
    assert "lost most" in out and "gptq 4 g32" in out
    assert "4.53 in linear layers" in err  # rows of 96 are padded
    shown = json.loads(run("show", "small", "--json")[1])
    assert shown["source"]["kind"] == "quantized" and shown["source"]["file"] == "tiny"
    assert {"int4 g32 f16", "int8 g32 f16", "fp32"} == set(shown["forms"])
    assert run("run", "small", "abc", "--max-tokens", "2")[0] == 0
    assert sorted(path.name for path in (home / "models").glob(".*")) in ([], [".locks"])


def test_what_is_packed_says_what_its_numbers_come_from(run, model, tmp_path):
    out = tmp_path / "out"
    given = ("--method", "awq", "--group", "64", "--minimum")
    assert run("quantize", model, "-o", out, *given, *FEW, "--seed", "5")[0] == 0
    recipe = (out / "recipe.toml").read_text()
    assert recipe == run("quantize", model, "--plan", *given)[1]
    written = tmp_path / "packed"
    assert run("quantize", model, "-o", written, "--method", "keep")[0] == 0
    samples = text.written_by(written, samples=4, length=96, seed=5)
    source = store.find(f"{written}").source
    digest = sha256((model / "model.safetensors").read_bytes()).hexdigest()
    parts = (digest, recipe, text.digest(samples), __version__)
    expected = sha256("\n".join(parts).encode()).hexdigest()
    assert packed.open(out).header.source == packed.Source("tiny", expected, "quantized")
    assert source is not None and source.sha256 != expected


def test_keeping_all_gives_the_very_weights(run, model, tmp_path):
    assert run("quantize", model, "-o", tmp_path / "out", "--method", "keep")[0] == 0
    found = packed.open(tmp_path / "out").tensors
    kept = {name for name, one in found.items() if one.form == BF16}
    assert len(kept) == 2 * 7 + 2 and len(found) == len(kept) + 5
    arrays = load_file(model / "model.safetensors")
    for name in kept:
        exact = arrays[name].astype(np.float32)
        np.testing.assert_allclose(found[name].matrix().dequantize(), exact, rtol=2**-8)


def test_a_recipe_is_followed_tensor_by_tensor_and_carried(run, model, tmp_path):
    plain = run("quantize", model, "--plan", "--method", "rtn")[1]
    rule = '\n[[rule]]\nmatch = "model.layers.1.mlp.*"\nmethod = "keep"\n'
    (tmp_path / "mine.toml").write_text(plain + rule)
    out = tmp_path / "out"
    assert run("quantize", model, "-o", out, "--recipe", tmp_path / "mine.toml")[0] == 0
    found = packed.open(out).tensors
    assert found["model.layers.1.mlp.up_proj.weight"].form == BF16
    assert found["model.layers.0.mlp.up_proj.weight"].form.bits == 4
    assert Recipe.read(out / "recipe.toml") == Recipe.read(tmp_path / "mine.toml")


def test_gguf_and_packed_models_are_quantized_too(run, tmp_path, home):
    gguf = checkpoints.toy_gguf(tmp_path / "toy.gguf")
    assert run("pull", gguf, "--name", "here")[0] == 0
    made = []
    for number, what in enumerate((gguf, "here", f"{home}/models/here")):
        out = tmp_path / f"out{number}"
        assert run("quantize", what, "-o", out, "--method", "rtn")[0] == 0
        made.append((out / "weights.farthing").read_bytes()[4096:])
    assert made[0] == made[1] == made[2]


def test_a_users_text_is_what_it_is_calibrated_on(run, model, tmp_path):
    (tmp_path / "mine.txt").write_text("abcdefgh" * 64)
    told = ("--text", tmp_path / "mine.txt", "--length", "128", "--json")
    code, out, _ = run("quantize", model, "-o", tmp_path / "out", *told)
    assert code == 0
    found = json.loads(out)
    assert (found["samples"]["count"], found["samples"]["tokens"]) == (4, 512)
    assert {one["seen"] for one in found["matrices"] if one["method"] == "gptq"} == {512}


def test_json_adds_up(run, model, tmp_path):
    out = run("quantize", model, "-o", tmp_path / "out", "--method", "rtn", "--json")[1]
    found = json.loads(out)
    shown = json.loads(run("show", f"{tmp_path}/out", "--json")[1])
    assert found["bytes"] == sum(form["bytes"] for form in shown["forms"].values())
    assert found["written_bytes"] == (tmp_path / "out" / "weights.farthing").stat().st_size
    assert found["bits"] == pytest.approx(8 * found["bytes"] / found["parameters"], abs=1e-3)
    assert found["bits"] < found["bits_before"] and found["linear_bits"] == 4.5333
    assert found["samples"]["count"] == 0
    assert {one["form"] for one in found["matrices"]} == {"4-f16 g32", "8-f16 g32"}
    assert all(0 < one["error"] < 0.05 for one in found["matrices"])


def test_a_plan_reads_no_weight_and_writes_nothing(run, model, tmp_path, home):
    shape = tmp_path / "shape"
    shape.mkdir()
    for path in model.iterdir():
        (shape / path.name).write_bytes(path.read_bytes())
    damage(shape, "model.layers.0.mlp.up_proj.weight")
    code, out, err = run("quantize", shape, "--plan")
    assert code == 0 and Recipe.parse(out).default.method == "gptq"
    assert "16.33 bits a weight; to become" in err
    assert json.loads(run("quantize", shape, "--plan", "--json")[1])["linear_bits"] == 4.5333
    assert not (home / "models").exists()


def test_rounding_what_was_rounded_is_said(run, model, tmp_path):
    run("quantize", model, "-o", tmp_path / "once", "--method", "rtn", "--bits", "8")
    err = run("quantize", f"{tmp_path}/once", "--plan", "--method", "rtn")[2]
    assert "14 of these were rounded before, such as model.layers.0" in err


def test_what_would_become_no_smaller_is_not_rounded_for_nothing(run, model, tmp_path):
    run("quantize", model, "-o", tmp_path / "once", "--method", "rtn")
    code, _, err = run("quantize", f"{tmp_path}/once", "-o", tmp_path / "again", *FEW)
    assert code == 2 and "nothing of it would become smaller; --method keep" in err
    assert not (tmp_path / "again").exists()


@pytest.fixture
def idle(monkeypatch):
    """Fails if any work begins."""

    def work(*_: object, **__: object) -> None:
        raise AssertionError("work began")

    monkeypatch.setattr(quantize_job.run, "quantize", work)
    monkeypatch.setattr(quantize_job.text, "written_by", work)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "-o is missing"),
        (("-o", "{tmp}/none/out"), "none: no such folder"),
        (("-o", "Big Name"), "can't be a model's name"),
        (("-o", "{tmp}/out.gguf"), "a GGUF file's name ends in .gguf"),
        (("-o", "{tmp}/out.gguf", "--format", "hf"), "a GGUF file's name ends in .gguf"),
        (("-o", "{tmp}/taken"), "taken exists already; remove it"),
        (("-o", "taken"), "exists already; `farthing rm taken`"),
        (("-o", "x", "--samples", "0"), "--samples is 0"),
        (("-o", "x", "--length", "1"), "--length is 1"),
        (("-o", "x", "--seed", "-1"), "--seed is -1"),
        (("-o", "x", "--length", "129"), "--length is 129; {model} reads 128 at most"),
        (("-o", "x", "--recipe", "r.toml", "--bits", "4"), "leave out --bits"),
        (("-o", "x", "--recipe", "{tmp}/r.toml"), "r.toml: no such recipe"),
        (("-o", "x", "--method", "keep", "--group", "64"), "leave out --group"),
        (("-o", "x", "--method", "rtn", "--text", "a.txt"), "nothing in this recipe reads text"),
        (("-o", "x", "--length", "128", "--text", "{tmp}/none.txt"), "none.txt: no such file"),
        (
            ("-o", "x", "--length", "128", "--text", "{tmp}/short.txt"),
            "has 9 tokens, and one sample takes 128",
        ),
        (("-o", "x", "--bits", "3"), "3"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(words, told, run, model, tmp_path, home, idle):
    (tmp_path / "taken").mkdir()
    (home / "models" / "taken").mkdir(parents=True)
    (tmp_path / "short.txt").write_text("too short")
    code, out, err = run("quantize", model, *(word.format(tmp=tmp_path) for word in words))
    assert code == 2 and told.format(model=model) in err and not out
    assert not list(tmp_path.glob(".*")) and not list((home / "models").glob(".*"))


def test_a_recipe_that_names_no_tensor_is_refused_before_any_work(run, model, tmp_path, idle):
    plain = run("quantize", model, "--plan")[1]
    rule = '\n[[rule]]\nmatch = "model.layers.7.*"\nmethod = "keep"\n'
    (tmp_path / "mine.toml").write_text(plain + rule)
    code, _, err = run("quantize", model, "-o", "x", "--recipe", tmp_path / "mine.toml")
    assert code == 2
    assert "'model.layers.7.*') names no tensor of this model" in err


def damage(folder: Path, name: str) -> None:
    arrays = load_file(folder / "model.safetensors")
    arrays[name] = arrays[name].copy()
    arrays[name][3, 5] = np.nan
    save_file(arrays, folder / "model.safetensors")


@pytest.mark.parametrize("method", ["gptq", "rtn"])
def test_a_weight_that_is_no_number_is_named_before_any_text_is_written(
    method, run, tmp_path, monkeypatch, home
):
    toys.dense(tmp_path / "bad")
    damage(tmp_path / "bad", "model.layers.1.mlp.down_proj.weight")
    monkeypatch.setattr(quantize_job.text, "written_by", None)
    code, _, err = run("quantize", tmp_path / "bad", "-o", "x", "--method", method, *FEW)
    assert code == 3
    assert "'model.layers.1.mlp.down_proj.weight' holds NaN or infinity" in err
    assert json.loads(run("ls", "--json")[1]) == []
    assert not list((home / "models").iterdir())


def test_a_packed_weight_that_is_no_number_is_named_before_any_text_is_written(
    run, model, tmp_path, monkeypatch
):
    run("quantize", model, "-o", tmp_path / "bad", "--method", "keep")
    found = packed.open(tmp_path / "bad")
    place = found.header.tensors["model.layers.1.mlp.down_proj.weight"]
    weights = tmp_path / "bad" / "weights.farthing"
    start = weights.stat().st_size - packed.data_bytes(found.header)
    with weights.open("r+b") as file:
        file.seek(start + place.offset)
        file.write(b"\xff\x7f")
    monkeypatch.setattr(quantize_job.text, "written_by", None)
    code, _, err = run("quantize", f"{tmp_path}/bad", "-o", "x", *FEW)
    assert code == 3
    assert "'model.layers.1.mlp.down_proj.weight' holds NaN or infinity" in err


def test_two_at_once_do_not_mix(run, model, tmp_path):
    (tmp_path / ".out.partial").mkdir()
    handle = os.open(tmp_path / ".out.partial", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    code, _, err = run("quantize", model, "-o", tmp_path / "out", "--method", "rtn")
    os.close(handle)
    assert code == 4 and "another process is at work" in err
    assert run("quantize", model, "-o", tmp_path / "out", "--method", "rtn")[0] == 0


def test_experts_that_were_lent_tokens_are_reported():
    def of(name: str, seen: int, borrowed: int) -> Outcome:
        choice = Choice(method="gptq", form=None)
        return Outcome(name=name, choice=choice, error=0.1, seen=seen, borrowed=borrowed)

    assert quantize_report.starved([of("a", 100, 0)]) == []
    (line,) = quantize_report.starved([of("a[0]", 100, 40), of("a[1]", 100, 98), of("b", 9, 0)])
    assert line.startswith("2 matrices of experts") and "a[1], 2 of 100" in line


def test_numpy_comes_after_the_number_of_threads():
    code = "import sys, farthing.cli.quantize; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_threads_hold_for_products_and_engine(run, model, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
        monkeypatch.setenv(name, "7")
    heard = {}
    real = text.written_by
    monkeypatch.setattr(
        quantize_job.text, "written_by", lambda *a, **b: (heard.update(b), real(*a, **b))[1]
    )
    assert run("quantize", model, "-o", tmp_path / "out", *FEW, "--threads", "1")[0] == 0
    assert heard["threads"] == 1 and os.environ["OPENBLAS_NUM_THREADS"] == "1"


def dequantized(path: Path) -> dict[str, np.ndarray]:
    opened = sources.open(path)
    matrices = (name for name in opened.names() if opened.layout(name).form)
    return {name: opened.tensor(name).dequantize() for name in matrices}


@pytest.fixture
def toy(tmp_path) -> Path:
    """With a vocabulary that llama.cpp has a name for."""
    return checkpoints.toy_gguf(tmp_path / "toy.gguf")


def test_a_vocabulary_that_a_format_has_no_name_for_is_refused_before_any_work(
    run, model, tmp_path, idle
):
    code, _, err = run("quantize", model, "-o", tmp_path / "m.gguf", "--format", "gguf")
    assert code == 3 and "tokenizer.json: it splits text by" in err


def test_other_formats_hold_the_same_numbers(run, toy, tmp_path):
    given = ("--method", "rtn")
    for out, format in (("packed", "packed"), ("hf", "hf"), ("m.gguf", "gguf")):
        code, said, err = run("quantize", toy, "-o", tmp_path / out, "--format", format, *given)
        assert code == 0, err
        assert ("farthing eval" in said) == (format == "packed")
    ours = dequantized(tmp_path / "packed")
    for other in ("hf", "m.gguf"):
        theirs = dequantized(tmp_path / other)
        assert set(theirs) == set(ours)
        for name, matrix in ours.items():
            if name != "model.embed_tokens.weight":  # bf16 in a Hugging Face folder
                np.testing.assert_array_equal(theirs[name], matrix)


def test_minima_for_a_format_of_whole_steps_are_whole(run, model, tmp_path):
    given = ("--method", "rtn", "--minimum")
    err = run("quantize", model, "-o", tmp_path / "hf", "--format", "hf", *given)[2]
    assert "with minima in whole steps" in err and "as those who load it expect" in err
    name = "model.layers.0.mlp.up_proj.weight"
    form = sources.open(tmp_path / "hf").layout(name).form
    assert form is not None and form.offset == "zero"


def test_a_recipe_that_a_format_cannot_hold_is_refused_before_any_work(run, toy, tmp_path, idle):
    plain = run("quantize", toy, "--plan", "--minimum", "--group", "64")[1]
    (tmp_path / "mine.toml").write_text(plain)
    given = ("--recipe", tmp_path / "mine.toml", "--format", "hf")
    code, _, err = run("quantize", toy, "-o", tmp_path / "out", *given)
    assert code == 3 and "model.layers.0." in err and "no whole number of scales" in err
    assert not (tmp_path / "out").exists()
