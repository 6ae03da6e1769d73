"""A model appears whole or not at all: two pulls at once, a pull killed, a disk that fills."""

import json
import os
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
import sys, time
from farthing import store
from farthing.errors import FarthingError

def tell(doing, done, total):
    print(doing, flush=True)
    if doing == sys.argv[2]:
        time.sleep(float(sys.argv[3]))

try:
    print("fetched", store.pull(sys.argv[1], progress=tell).fetched)
except FarthingError as error:
    print(type(error).__name__, error)
"""


def pull_elsewhere(path: Path, stop_at: str = "", seconds: float = 0, **options):
    """Pull in another process, which pauses whenever it reports `stop_at`."""
    command = [sys.executable, "-c", PULL, str(path), stop_at, str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


def wait_for(process: subprocess.Popen, line: str) -> None:
    assert process.stdout is not None
    for said in process.stdout:
        if said.strip() == line:
            return
    raise AssertionError(f"ended before {line!r}")


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


def test_two_pulls_at_once_make_one_model(tmp_path, home):
    path = toy.toy_gguf(tmp_path / "toy.gguf")
    first = pull_elsewhere(path, "packing", 0.05)
    wait_for(first, "packing")
    second = pull_elsewhere(path)
    wait_for(second, "waiting: another process works on toy")
    said = [process.communicate(timeout=60)[0].splitlines()[-1] for process in (first, second)]
    assert said == ["fetched True", "fetched False"]
    assert left(home) == ["toy"]


def test_a_killed_pull_leaves_no_model_and_no_lock(tmp_path, home):
    path = toy.toy_gguf(tmp_path / "toy.gguf")
    process = pull_elsewhere(path, "packing", 60)
    wait_for(process, "packing")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert store.models() == []
    assert store.pull(str(path)).fetched
    assert left(home) == ["toy"]


def test_an_interrupted_pull_cleans_up(tmp_path, home):
    process = pull_elsewhere(
        toy.toy_gguf(tmp_path / "toy.gguf"), "packing", 60, stderr=subprocess.DEVNULL
    )
    wait_for(process, "packing")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert [name for name in left(home) if "download" not in name] == []


def small_files() -> None:
    """The system refuses to let any file grow past 1 MB, as a full disk would."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))


def test_a_disk_that_fills_while_packing_leaves_nothing(tmp_path, home):
    path, rows = tmp_path / "toy.gguf", 1 << 15
    tensors = toy.toy_tensors() | {
        "token_embd.weight": ((rows, 32), "F16", np.ones((rows, 32), "<f2").tobytes())
    }
    path.write_bytes(toy.gguf_bytes(toy.toy_settings() + toy.vocabulary(), tensors))
    said, _ = pull_elsewhere(path, preexec_fn=small_files).communicate(timeout=60)
    assert said.splitlines()[-1].startswith("DiskFull")
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


def test_waiting_ends_when_the_other_dies(tmp_path, home):
    """The lock is the system's: a process that was killed holds nothing."""
    path = toy.toy_gguf(tmp_path / "toy.gguf")
    holder = pull_elsewhere(path, "packing", 60)
    wait_for(holder, "packing")
    waiter = pull_elsewhere(path)
    wait_for(waiter, "waiting: another process works on toy")
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate(timeout=60)
    assert waiter.communicate(timeout=60)[0].splitlines()[-1] == "fetched True"
