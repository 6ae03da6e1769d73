"""A model appears whole or not at all: two pulls at once, a pull killed, a disk that fills."""

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import checkpoints as toy
from farthing import store
from farthing.errors import FormatError, InputError, NotFound
from farthing.store import pulling

PULL = """
import sys
from farthing import store
from farthing.errors import FarthingError

def tell(doing, done, total):
    print(doing, flush=True)
    if doing == sys.argv[2] and done < total:
        sys.stdin.readline()

try:
    print("fetched", store.pull(sys.argv[1], progress=tell).fetched)
except FarthingError as error:
    print(type(error).__name__, error)
"""


class Elsewhere:
    """A pull in another process, which stops when it first reports `stop_at`."""

    def __init__(self, path: Path, stop_at: str = "", **options) -> None:
        command = [sys.executable, "-c", PULL, str(path), stop_at]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, **options)

    def says(self, line: str) -> None:
        """Wait until it prints this line."""
        assert line in (said.strip() for said in self.process.stdout)

    def last(self) -> str:
        """Let it go on to its end; the last line it prints."""
        self.process.stdin.close()
        said = [line.strip() for line in self.process.stdout]
        self.process.wait(60)
        return said[-1] if said else ""

    def send(self, signal: int) -> None:
        self.process.send_signal(signal)
        self.process.wait(60)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(60)
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def elsewhere():
    made: list[Elsewhere] = []

    def start(*words, **options) -> Elsewhere:
        made.append(Elsewhere(*words, **options))
        return made[-1]

    yield start
    for one in made:
        one.close()


def left(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "models").glob("*") if path.name != ".locks")


def test_a_file_from_disk_is_packed_with_its_vocabulary(tmp_path, home):
    pulled = store.pull(str(toy.toy_gguf(tmp_path / "My Toy.gguf")))
    assert (pulled.model.name, pulled.fetched) == ("my-toy", True)
    names = {path.name for path in pulled.model.folder.iterdir()}
    assert names >= {"weights.farthing", "config.json", "tokenizer.json", "tokenizer_config.json"}
    assert left(home) == ["my-toy"]


def test_a_folder_from_disk_is_packed_and_kept(tmp_path, home):
    folder = toy.toy_folder(tmp_path / "Toy", shards=2)
    before = sorted(folder.iterdir())
    assert store.pull(str(folder)).model.name == "toy"
    assert not store.pull(f"{folder}/").fetched
    assert sorted(folder.iterdir()) == before


def test_another_model_of_that_name_is_never_overwritten(tmp_path, home):
    store.pull(str(toy.toy_gguf(tmp_path / "toy.gguf")))
    other = toy.toy_gguf(tmp_path / "other.gguf", seed=1)
    with pytest.raises(InputError, match=r"another model 'toy' already, from toy\.gguf"):
        store.pull(str(other), name="toy")
    assert store.pull(str(other)).model.name == "other"


def test_a_damaged_model_is_replaced(tmp_path, home):
    path = toy.toy_gguf(tmp_path / "toy.gguf")
    weights = store.pull(str(path)).model.folder / "weights.farthing"
    weights.write_bytes(weights.read_bytes()[:5000])
    assert store.models()[0].problem
    assert store.pull(str(path)).fetched
    assert store.models()[0].problem is None
    assert left(home) == ["toy"]


def test_a_folder_without_a_tokenizer_is_refused(tmp_path, home):
    folder = toy.toy_folder(tmp_path / "toy")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(FormatError, match=r"tokenizer\.json is missing"):
        store.pull(str(folder))
    assert left(home) == []


def test_a_vocabulary_we_cannot_build_is_taken_from_beside(tmp_path, home):
    path = tmp_path / "toy.gguf"
    settings = [*toy.toy_settings(), toy.pair("tokenizer.ggml.model", "string", "llama")]
    path.write_bytes(toy.gguf_bytes(settings, toy.toy_tensors()))
    with pytest.raises(FormatError, match=r"tokenizer\.ggml\.model"):
        store.pull(str(path))
    (tmp_path / "tokenizer.json").write_text('{"model": {}}')
    folder = store.pull(str(path)).model.folder
    assert json.loads((folder / "tokenizer.json").read_text()) == {"model": {}}


def test_two_pulls_at_once_make_one_model(tmp_path, home, elsewhere):
    path = toy.toy_gguf(tmp_path / "toy.gguf")
    first = elsewhere(path, "packing")
    first.says("packing")
    second = elsewhere(path)
    second.says("waiting: another process works on toy")
    assert (first.last(), second.last()) == ("fetched True", "fetched False")
    assert left(home) == ["toy"]


def test_a_killed_pull_leaves_no_model_and_no_lock(tmp_path, home, elsewhere):
    path = toy.toy_gguf(tmp_path / "toy.gguf")
    process = elsewhere(path, "packing")
    process.says("packing")
    process.send(signal.SIGKILL)
    assert store.models() == []
    assert store.pull(str(path)).fetched
    assert left(home) == ["toy"]


def test_an_interrupted_pull_cleans_up(tmp_path, home, elsewhere):
    path = toy.toy_gguf(tmp_path / "toy.gguf")
    process = elsewhere(path, "packing", stderr=subprocess.DEVNULL)
    process.says("packing")
    process.send(signal.SIGINT)
    assert left(home) == []


def test_waiting_ends_when_the_other_dies(tmp_path, home, elsewhere):
    """The lock is the system's: a process that was killed holds nothing."""
    path = toy.toy_gguf(tmp_path / "toy.gguf")
    holder = elsewhere(path, "packing")
    holder.says("packing")
    waiter = elsewhere(path)
    waiter.says("waiting: another process works on toy")
    holder.send(signal.SIGKILL)
    assert waiter.last() == "fetched True"


def small_files() -> None:
    """The system refuses to let any file grow past 1 MB, as a full disk would."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))


def test_a_disk_that_fills_while_packing_leaves_nothing(tmp_path, home, elsewhere):
    path, rows = tmp_path / "toy.gguf", 1 << 15
    tensors = toy.toy_tensors() | {
        "token_embd.weight": ((rows, 32), "F16", np.ones((rows, 32), "<f2").tobytes())
    }
    path.write_bytes(toy.gguf_bytes(toy.toy_settings() + toy.vocabulary(), tensors))
    said = elsewhere(path, preexec_fn=small_files).last()
    assert said.startswith("DiskFull")
    assert "nothing was kept" in said
    assert left(home) == []


def test_a_disk_too_small_is_told_with_the_counts(tmp_path, home, monkeypatch):
    path = toy.toy_gguf(tmp_path / "toy.gguf")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("U", (), {"free": 1 << 25})())
    with pytest.raises(Exception, match="takes 0 MB and 0 MB are free"):
        store.pull(str(path))
    assert left(home) == []


def test_progress_tells_every_stage(tmp_path, home):
    heard = {}
    store.pull(
        str(toy.toy_gguf(tmp_path / "toy.gguf")),
        progress=lambda doing, done, total: heard.setdefault(doing, []).append((done, total)),
    )
    assert list(heard) == ["hashing", "packing"]
    for counts in heard.values():
        assert counts[-1][0] == counts[-1][1]


@pytest.mark.parametrize("what", ["smollm3", "", "a" * 500])
def test_what_is_neither_path_nor_name_is_refused(what, home):
    with pytest.raises(InputError, match="smollm2-135m"):
        pulling.resolve(what)


@pytest.mark.parametrize("what", ["./none", "/none/there.gguf", "~/none/there"])
def test_a_path_that_is_not_there_is_named(what, home):
    with pytest.raises(NotFound, match="none"):
        store.pull(what)


@pytest.mark.parametrize("name", ["../x", "a/b", "A", ".hidden", "", "x" * 97])
def test_a_name_that_cant_be_a_folder_is_refused(name, tmp_path, home):
    path = toy.toy_gguf(tmp_path / "toy.gguf")
    if name:
        with pytest.raises(InputError, match="can't be a model's name"):
            store.pull(str(path), name=name)
    assert left(home) == []
