"""`farthing experts`: what it runs, shows, draws, keeps and refuses."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel
from tokenizers.models import BPE

import checkpoints as toy
from farthing import cli, models
from farthing.bench import random_packed, skeleton
from farthing.cli import experts, heat_map, prompts
from farthing.errors import InputError, NotFound
from farthing.evaluate import routing, routing_file
from farthing.evaluate.routing import Trace
from farthing.formats import packed
from farthing.formats.types import Layout
from farthing.weight import BF16, dense
from hand_router import HandRouter

LAYERS = (1, 2, 3)


MIXTURE = {
    "model_type": "qwen3_moe",
    "vocab_size": 8,
    "hidden_size": 32,
    "intermediate_size": 64,
    "moe_intermediate_size": 32,
    "num_hidden_layers": 2,
    "mlp_only_layers": [0],
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 64,
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "norm_topk_prob": True,
}


def letters() -> str:
    """A tokenizer.json whose tokens 2 to 7 are the letters a to f."""
    made = Tokenizer(BPE({word: id for id, word in enumerate(["<s>", "</s>", *"abcdef"])}, []))
    made.decoder = ByteLevel()
    return str(made.to_str())


class Routers:
    """formats.types.Tensors: a router of 8 experts in each of LAYERS, and nothing else."""

    def names(self):
        return [f"model.layers.{i}.mlp.gate.weight" for i in LAYERS]

    def layout(self, name):
        return Layout((8, 32), BF16)

    def tensor(self, name, rows=slice(None), index=None):
        return dense(np.ones((8, 32), np.float32)[rows])


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A mixture of hand-made routing."""
    folder = tmp_path / "toy"
    folder.mkdir()
    source = packed.Source(file="toy", sha256="0" * 64, kind="toy")
    files = {"tokenizer.json": letters()}
    packed.write(folder, toy.CONFIG, Routers(), source=source, files=files)
    monkeypatch.setattr(experts, "open_runner", lambda folder, config: HandRouter())
    return str(folder)


@pytest.fixture
def lines(tmp_path):
    def write(*held: str, name: str = "prompts.txt") -> str:
        (tmp_path / name).write_text("\n".join(held))
        return str(tmp_path / name)

    return write


def told(capsys, *words: str):
    assert cli.main(["experts", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_every_token_of_every_prompt_is_counted_at_its_experts(model, lines, capsys):
    found = told(capsys, model, "--prompts", lines("abc", "", "ff"))
    assert (found["tokens"], found["experts"], found["experts_a_token"]) == (5, 8, 2)
    first = found["layers"][0]
    # token t goes to t and t + 1: a, b, c are 2, 3, 4 and f is 7
    assert (first["layer"], first["counts"]) == (1, [2, 0, 1, 2, 2, 1, 0, 2])
    assert first["imbalance"] == pytest.approx(2 / (10 / 8))
    assert [one["tokens"] for one in found["distinct"]] == [1, 2, 4]
    assert {len(curve) for curve in found["cache"].values()} == {8}


def test_a_real_mixture_sends_every_token_to_as_many_experts(lines, capsys, tmp_path):
    """A small Qwen3 mixture of random weights, on the native side, in steps of any size."""
    shape = skeleton.Skeleton("toy", MIXTURE, models.tensors_of(MIXTURE))
    folder = tmp_path / "mixture"
    folder.mkdir()
    random_packed.write(folder, shape)
    (folder / "tokenizer.json").write_text(letters())
    found = told(capsys, str(folder), "--prompts", lines("abcdefaabb" * 5, "fff"))
    assert (found["tokens"], found["experts"], found["experts_a_token"]) == (53, 8, 2)
    assert [layer["layer"] for layer in found["layers"]] == [1]
    assert [sum(layer["counts"]) for layer in found["layers"]] == [53 * 2]


def test_jsonl_says_the_same_as_lines(model, lines, capsys):
    plain = told(capsys, model, "--prompts", lines("ab", "cd"))
    held = [json.dumps({"text": text, "id": 1}) for text in ("ab", "cd")]
    assert told(capsys, model, "--prompts", lines(*held, name="a.jsonl")) == plain


def test_it_ends_at_the_tokens_asked_for(model, lines, capsys):
    words = [model, "--prompts", lines("abcdef", "abc", "f"), "--json", "--tokens"]
    assert cli.main(["experts", *words, "7"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["tokens"] == 7
    assert err == "farthing: ended at 7 tokens, in prompt 2 of 3; --tokens takes more\n"
    assert cli.main(["experts", *words, "10"]) == 0
    assert capsys.readouterr().err == ""


def test_what_is_kept_is_what_was_run(model, lines, capsys, tmp_path):
    kept = tmp_path / "a.npz"
    told(capsys, model, "--prompts", lines("ab"), "--save", str(kept))
    assert routing_file.load(kept).ids[0].tolist() == [[2, 3], [3, 4]]


def test_the_page_has_a_line_a_layer_and_both_tables(model, lines, capsys):
    assert cli.main(["experts", model, "--prompts", lines("abcdefabc")]) == 0
    shown = capsys.readouterr().out
    assert "toy: 3 layers of 8 experts, 2 a token; 9 tokens" in shown
    assert [line.split()[0] for line in shown.splitlines()[3:6]] == ["1", "2", "3"]
    assert "if routing were even" in shown and "best possible" in shown and "4 of 8" in shown


def test_the_picture_is_a_png(model, lines, capsys, tmp_path):
    picture = tmp_path / "a.png"
    told(capsys, model, "--prompts", lines("abcdef"), "--png", str(picture))
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_picture_without_matplotlib_says_what_to_install(
    model, lines, capsys, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    words = ["experts", model, "--prompts", lines("abc"), "--png", str(tmp_path / "a.png")]
    assert cli.main(words) == 2
    assert "pip install 'farthing[plot]'" in capsys.readouterr().err


def test_a_dense_model_is_refused(smollm2_home, lines, capsys):
    assert cli.main(["experts", "smollm2-135m", "--prompts", lines("abc")]) == 2
    assert "smollm2-135m is a dense model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--tokens", "1"], "tokens is 1"),
        (["--tokens", "9999999"], "from 2 to 65536"),
        (["--save", "/nowhere/a.npz"], "can't be written"),
        (["--png", "/nowhere/a.png"], "can't be written"),
    ],
)
def test_a_flag_that_cannot_be_kept_is_named(model, lines, capsys, words, says):
    assert cli.main(["experts", model, "--prompts", lines("abc"), *words]) == 2
    assert says in capsys.readouterr().err


def test_a_prompt_longer_than_the_context_is_refused_unless_cut_before(model, lines, capsys):
    words = ["experts", model, "--prompts", lines("a" * 300)]
    assert cli.main(words) == 2
    assert "the prompt has 300 tokens and at most 256 fit" in capsys.readouterr().err
    assert cli.main([*words, "--tokens", "200"]) == 0


def test_one_token_in_all_is_too_few(model, lines, capsys):
    assert cli.main(["experts", model, "--prompts", lines("a")]) == 2
    assert "1 token in all" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.txt", b"\n \n", "holds no prompt"),
        ("a.txt", b"ab\xff", "not UTF-8 text at byte 2"),
        ("a.jsonl", b'{"text": "a"}\n[', "line 2: not JSON"),
        ("a.jsonl", b'{"txt": "a"}', 'line 1: .* has no "text"'),
        ("a.jsonl", b'{"text": 3}', 'has no "text"'),
        ("a.jsonl", b'"text"', 'has no "text"'),
        ("a.jsonl", b"[" * 100_000, "not JSON"),
    ],
)
def test_a_damaged_file_of_prompts_is_refused_by_line(tmp_path, name, data, says):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=says):
        prompts.read(tmp_path / name)


def test_a_file_of_prompts_that_is_absent_or_too_large_is_refused(tmp_path, monkeypatch):
    with pytest.raises(NotFound):
        prompts.read(tmp_path / "none.txt")
    monkeypatch.setattr(prompts, "LARGEST", 1)
    (tmp_path / "a.txt").write_text("ab")
    with pytest.raises(InputError, match="split it"):
        prompts.read(tmp_path / "a.txt")


def figures(experts: int, layers: int = 2):
    ids = np.arange(experts * layers).reshape(layers, -1, 1) % experts
    trace = Trace(ids=ids.astype(np.int32), experts=experts, layers=tuple(range(layers)))
    return routing.figures(trace)


@pytest.mark.parametrize("colours", [True, False])
@pytest.mark.parametrize(("experts", "width"), [(8, 80), (64, 80), (128, 80), (384, 100), (64, 9)])
def test_a_heat_map_folds_to_the_terminal(experts, width, colours):
    lines = list(heat_map.heat_map(figures(experts), width, colours=colours))
    found = [line.plain for line in lines]
    widest = max(width, heat_map.NARROWEST + heat_map.LEFT + heat_map.RIGHT)
    assert max(len(line) for line in found[1:-1]) <= widest
    upper = sum(line.count("█") + line.count("▀") for line in found[1:-1])
    lower = sum(bool(span.style.bgcolor) for line in lines[1:-1] for span in line.spans)
    assert upper + lower == (2 * experts if colours else 0)


def test_colours_and_shades_go_from_cold_to_hot():
    assert [heat_map.level(r) for r in (0, 1 / 100, 1 / 8, 1, 8, 100)] == [0, 0, 0, 0.5, 1, 1]
    assert heat_map.colour(0).name == heat_map.PALETTE[0]
    assert heat_map.colour(1).name == heat_map.PALETTE[-1]
    skewed = SimpleNamespace(
        counts=np.array([[0, 100, 1]]),
        trace=Trace(ids=np.zeros((1, 1, 1)), experts=3, layers=(4,)),
        imbalance=np.array([3.0]),
    )
    line = list(heat_map.heat_map(skewed, 80, colours=False))[1].plain
    assert line == "    4   * " + "      3.0"


def test_the_page_is_plain_where_there_are_no_colours(capsys):
    assert Console().color_system is None
    experts.show("toy", figures(128))
    assert "▀" not in capsys.readouterr().out
