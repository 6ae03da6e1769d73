"""Models that lie inside the package: found by name, packed without a network, run at once."""

import json
import socket
from pathlib import Path

import pytest

import checkpoints as toy
from farthing import store
from farthing.cli import main
from farthing.errors import InputError
from farthing.formats import packed
from farthing.store import shipped
from farthing.store.digest import sha256_of


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that ships one toy, on a machine without a network."""
    shelf = tmp_path / "shipped"
    shelf.mkdir()
    (shelf / "README.md").write_text("not a model")
    (shelf / "empty").mkdir()
    monkeypatch.setattr(shipped, "SHELF", shelf)

    def refused(*given: object, **named: object) -> None:
        raise AssertionError("a network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refused)
    return toy.toy_folder(shelf / "tiny")


def test_it_is_packed_from_where_it_lies(tiny: Path) -> None:
    assert list(shipped.models()) == ["tiny"]

    pulled = store.pull("tiny")

    assert pulled.fetched and not store.pull("tiny").fetched
    source = packed.open(pulled.model.folder).header.source
    assert (source.file, source.sha256) == ("tiny", sha256_of([tiny / "model.safetensors"]))


def test_running_it_packs_it_once(
    tiny: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spelled = json.loads((tiny / "tokenizer.json").read_bytes())
    options = {"add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    spelled["decoder"] = {"type": "ByteLevel", **options}
    (tiny / "tokenizer.json").write_text(json.dumps(spelled))
    words = ["run", "tiny", "a", "--raw", "--max-tokens", "2", "--floor", "0"]

    assert main(words) == 0
    assert "tiny comes with farthing; packing it, once" in capsys.readouterr().err
    assert main(words) == 0
    assert "packing" not in capsys.readouterr().err
    assert (home / "models" / "tiny").is_dir()


def test_it_is_listed_until_it_is_packed(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls"]) == 0
    assert "tiny comes with farthing: `farthing run tiny` packs it" in capsys.readouterr().out
    store.pull("tiny")
    assert main(["ls"]) == 0
    assert "comes with" not in capsys.readouterr().out


def test_another_name_may_be_given_and_a_path_stays_a_path(tiny: Path) -> None:
    assert store.pull("tiny", name="mine").model.name == "mine"
    with pytest.raises(InputError, match=r"known by name \(smollm2-135m, tiny\)"):
        store.pull("other")


def test_a_package_without_models_ships_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "SHELF", tmp_path / "nowhere")
    assert shipped.models() == {}
