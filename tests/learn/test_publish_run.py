"""A run published: the weights are the checkpoint's, and the card tells what was measured."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from farthing.cli import main
from farthing.errors import FormatError, InputError, NotFound
from farthing.formats.quality import Against, Interval, Loss, Row, Text
from farthing.learn import checkpoint, evaluations, journal, pretrained
from farthing.learn.release import Release
from learn_texts import chat, data_set

RECIPE = """
name = "toy"
tokens = 3_072
dtype = "fp32"
[model]
model_type = "deepseek_v3"
hidden_size = 32
intermediate_size = 48
num_hidden_layers = 2
num_attention_heads = 2
num_key_value_heads = 2
vocab_size = 400
max_position_embeddings = 128
tie_word_embeddings = true
kv_lora_rank = 16
qk_nope_head_dim = 8
qk_rope_head_dim = 8
v_head_dim = 16
n_routed_experts = 8
num_experts_per_tok = 2
n_shared_experts = 1
moe_intermediate_size = 16
first_k_dense_replace = 1
n_group = 1
topk_group = 1
routed_scaling_factor = 2.5
rope_theta = 10000.0
[data]
tokenizer = "tok"
length = 64
train = [{ path = "packed" }]
held_out = [{ path = "held" }]
[batch]
tokens = 512
together = 512
[schedule]
warmup = 2
[next_token]
[evaluate]
steps = 3
tokens = 512
[save]
minutes = 0.0
keep = 9
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A recipe, its data, and the run, each made by its own verb."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FARTHING_HOME", str(tmp_path_factory.mktemp("home")))
        patch.chdir(folder)
        data_set(Path("data"), [chat(seed) for seed in range(200)])
        data_set(Path("other"), [chat(seed) for seed in range(300, 340)])
        Path("toy.toml").write_text(RECIPE)
        for command in (
            "data tasks -o tasks --count 100 --kinds sort",
            "tokenizer data tasks -o tok --size 400",
            "data pack data tasks -o packed --tokenizer tok --answers-only",
            "data pack other -o held --tokenizer tok",
            "pretrain toy.toml -o run --threads 1",
        ):
            assert main(["learn", *command.split()]) == 0, command
        yield folder


def publish(place: Path, words: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["learn", "publish", "run", *words.split(), "--json"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_the_last_checkpoint_is_what_is_published(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = publish(place, "-o last --recipe toy.toml", capsys)

    assert (told["step"], told["notes"]) == (6, [])
    weights = checkpoint.load(checkpoint.newest(place / "run")).weights()
    for name, tensor in pretrained.read(place / "last").weights.items():
        kept = weights[name]
        assert torch.equal(tensor, kept if kept.ndim == 1 else kept.bfloat16().float()), name


def test_the_card_tells_what_the_run_measured(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(place, "-o told --recipe toy.toml --licence apache-2.0", capsys)
    card = (place / "told" / "README.md").read_text("utf-8")
    last = list(journal.lines(place / "run" / "log.jsonl"))[-1]
    facts = json.loads((place / "run" / "facts.json").read_bytes())
    corpus = json.loads((place / "packed" / "corpus.json").read_bytes())
    found = last["held_out"]["held"]

    for said in (
        "license: apache-2.0",
        "- en\n- zh\n",
        f"{facts['parameters'] / 1e6:.2f} M parameters, {facts['active'] / 1e6:.2f} M of them",
        f"| held | {found['tokens']:,} | {found['loss']:.4f} (",
        f"{found['accepted']:.1%} |",
        f"6 steps of 6, {last['elapsed'] / 3600:.2f} hours on 1 thread of",
        f"| packed | 100.0% | 300 | {corpus['tokens']:,} |",
        corpus["data"][0]["sha256"],
        "- tasks: 100 documents, `",
        "; kinds sort; seed 0; split train",
        "| held | held out | 40 |",
        facts["recipe"],
        facts["data"][0],
        RECIPE.strip(),
    ):
        assert said in card, said


def test_the_commands_of_the_card_make_the_same_weights_again(
    place: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(place, "-o once --recipe toy.toml", capsys)
    card = (place / "once" / "README.md").read_text("utf-8")
    commands = card.split("```sh\n")[1].split("\n```")[0].splitlines()
    assert len(commands) == 6
    for name in ("data", "other", "toy.toml"):
        (tmp_path / name).symlink_to(place / name)
    monkeypatch.chdir(tmp_path)

    for command in commands:
        assert main(command.split()[1:]) == 0, command

    weights = Path("once") / "model.safetensors"
    assert weights.read_bytes() == (place / weights).read_bytes()


def test_an_earlier_checkpoint_can_be_chosen(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = publish(place, "-o earlier --recipe toy.toml --step 3", capsys)

    assert told["step"] == 3
    assert "3 steps of 6" in (place / "earlier" / "README.md").read_text("utf-8")
    with pytest.raises(NotFound, match="no checkpoint of step 99; it has 1, 2, 3"):
        Release(place / "run", recipe=place / "toy.toml", step=99)


def test_what_eval_printed_stands_in_the_card(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    share = {"mean": 0.61, "low": 0.52, "high": 0.7}
    score = {"task": "sums", "metric": "exact match", "share": share, "chance": 0.0, "count": 90}
    more = {"items": [1.0], "tokens_in": 3, "kept": None}
    loss = Loss(
        kl=Interval(1.8e-5, 3.6e-6, 3.7e-5),
        kl_median=1e-6,
        kl_p99=1e-4,
        kl_max=1e-3,
        same_top=Interval(0.991, 0.98, 1.0),
        perplexity=Interval(9.5, 9.0, 10.0),
        reference_perplexity=Interval(9.5, 9.0, 10.0),
    )
    row = Row(
        levers={"activations": "bf16"},
        against=Against("toy", "0" * 64, "fp32"),
        text=Text("user: held.txt", "1" * 64, 4096),
        loss=loss,
        arithmetic="native",
        isa="avx2",
        numerics=1,
        farthing="0.1.0",
        measured="2026-11-22",
    )
    told = {"model": "toy", "tasks": [score | more], "rows": [msgspec.to_builtins(row)]}
    (place / "eval.json").write_text(json.dumps(told))

    publish(place, "-o scored --recipe toy.toml --eval eval.json", capsys)

    card = (place / "scored" / "README.md").read_text("utf-8")
    assert "| sums | exact match | 61.0 (52.0 to 70.0) % | 0% | 90 |" in card
    assert (
        "| activations bf16 | 1.8e-05 (3.6e-06 to 3.7e-05) | 99.10 (98.00 to 100.00) %"
        " | 9.50 (9.00 to 10.00) | 4,096 tokens (user: held.txt) |"
    ) in card


def test_what_is_no_evaluation_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.json").write_text('{"model": 3}')
    with pytest.raises(FormatError, match=r"no\.json is not what `farthing eval --json` prints"):
        evaluations.read(tmp_path / "no.json")


def test_a_corpus_that_is_gone_is_said_to_be(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "packed").rename(place / "away")
    try:
        told = publish(place, "-o poorer --recipe toy.toml", capsys)
    finally:
        (place / "away").rename(place / "packed")
    assert "packed is not there" in told["notes"][0]
    assert "| packed | 100.0% | not at hand" in (place / "poorer" / "README.md").read_text("utf-8")


def test_another_recipe_is_refused(place: Path, tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_text(RECIPE.replace("3_072", "4_096"))
    with pytest.raises(InputError, match="not the recipe of this run"):
        Release(place / "run", recipe=tmp_path / "toy.toml")


def test_a_tokenizer_that_the_data_was_not_packed_with_is_refused(
    place: Path, tmp_path: Path
) -> None:
    assert main(["learn", "tokenizer", "other", "-o", str(tmp_path / "tok"), "--size", "390"]) == 0
    release = Release(place / "run", recipe=place / "toy.toml", tokenizer=tmp_path / "tok")
    with pytest.raises(InputError, match="packed with another tokenizer"):
        release.write(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_that_is_not_there_says_how_to_name_it(place: Path) -> None:
    with pytest.raises(NotFound, match="--recipe PATH"):
        Release(place / "run")
    assert Release(place / "run", tokenizer=place / "tok").step == 6
