"""`farthing eval` on checkpoints as published: GGUF files and Hugging Face folders."""

import json
from pathlib import Path

import pytest

import checkpoints
from farthing import cli, store

SMALL = ("--tokens", "128", "--length", "16", "--json")


@pytest.fixture(params=["gguf", "huggingface"])
def published(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The toy in F16 or F32."""
    if request.param == "gguf":
        return checkpoints.toy_gguf(tmp_path / "toy.gguf")
    folder = checkpoints.toy_folder(tmp_path / "toy")
    (folder / "config.json").write_text(json.dumps(checkpoints.CONFIG | {"bos_token_id": 0}))
    return folder


def rows(capsys: pytest.CaptureFixture[str], *words: object) -> list[dict]:
    assert cli.main(["eval", *map(str, words), *SMALL]) == 0
    return json.loads(capsys.readouterr().out)["rows"]


def test_what_packing_rounds_is_seen(published: Path, capsys) -> None:
    """Matrices of F16 and F32 become bf16, and that is a loss: small, and told."""
    store.pull(str(published), name="packed")
    weights, engine = rows(capsys, "packed", "--against", published)
    assert weights["levers"] == {"weights": "bf16"}
    assert 1e-9 < weights["loss"]["kl"]["mean"] < 1e-2
    assert weights["against"]["name"] == published.name
    assert weights["against"]["sha256"] == store.find("packed").source.sha256
    assert engine["levers"]["activations"] == "bf16"


def test_weights_alone_are_compared_without_packing(published: Path, capsys) -> None:
    (row,) = rows(capsys, published, "--against", published, "--weights-only")
    assert row["loss"]["kl"] == {"mean": 0, "low": 0, "high": 0}
    assert row["loss"]["same_top"]["mean"] == 1


def test_the_engine_runs_packed_models_alone(published: Path, capsys) -> None:
    assert cli.main(["eval", str(published)]) == 2
    told = capsys.readouterr().err
    assert f"`farthing pull {published}` packs it" in told and "--weights-only" in told


def test_the_users_text_is_cut_by_the_references_tokenizer(published: Path, capsys) -> None:
    text = published.parent / "text.txt"
    text.write_text("abcdef" * 30)
    words = (published, "--against", published, "--weights-only", "--text", text)
    if published.is_dir():
        (published / "tokenizer.json").unlink()
        assert cli.main(["eval", *map(str, words), *SMALL]) == 2
        assert "tokenizer.json is missing" in capsys.readouterr().err
    else:
        assert rows(capsys, *words)[0]["text"]["tokens"] == 128
