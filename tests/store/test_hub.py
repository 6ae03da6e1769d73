"""Pulling from the hub: the library's real code against a hub on this machine."""

import json
from pathlib import Path

import pytest

import checkpoints as toy
import hub as fake
from farthing import store
from farthing.cli.pull import Runs
from farthing.errors import DiskFull, FarthingError, FormatError, InputError, NotFound
from farthing.formats import packed
from farthing.store import pulling
from farthing.store.hub import choose


def aim(monkeypatch, url: str) -> None:
    """What HF_ENDPOINT does, for a library that is already imported."""
    from huggingface_hub import constants

    old = constants.ENDPOINT
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(old, url)
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


@pytest.fixture
def hub(monkeypatch):
    with fake.running() as running:
        aim(monkeypatch, running.url)
        yield running


@pytest.fixture
def folder(hub, tmp_path):
    made = toy.toy_folder(tmp_path / "made", shards=2)
    hub.files["Org/Toy-1B"] = {path.name: path.read_bytes() for path in made.iterdir()}
    hub.files["Org/Toy-1B"] |= {"modeling.py": b"raise SystemExit", "README.md": b"hello"}
    return made


@pytest.fixture
def ggufs(hub, tmp_path):
    one, two = (toy.toy_gguf(tmp_path / name, seed) for seed, name in enumerate("ab"))
    hub.files["Org/Toy-GGUF"] = {"Toy-Q4.gguf": one.read_bytes(), "Toy-Q8.gguf": two.read_bytes()}


def left(home: Path) -> list[str]:
    """What lies among the models besides models."""
    return sorted(path.name for path in (home / "models").glob(".*") if path.name != ".locks")


def test_a_repository_of_safetensors_is_packed(hub, folder, home):
    pulled = store.pull("Org/Toy-1B")
    assert (pulled.model.name, pulled.fetched) == ("toy-1b", True)
    found = packed.open(pulled.model.folder)
    assert found.header.source.file == f"Org/Toy-1B@{fake.REVISION[:12]}"
    assert set(found.tensors) == set(toy.toy_arrays())
    settings = json.loads((pulled.model.folder / "tokenizer_config.json").read_text())
    assert settings == {"eos_token": "</s>"}
    assert not [name for name in hub.asked if name.endswith((".py", ".md"))]
    assert left(home) == []


def test_one_gguf_file_of_several_is_chosen_by_name(hub, ggufs, home):
    with pytest.raises(InputError, match=r"which file.*Toy-Q4\.gguf, Toy-Q8\.gguf"):
        store.pull("Org/Toy-GGUF")
    with pytest.raises(NotFound, match=r"Toy-Q4\.gguf"):
        store.pull("Org/Toy-GGUF:Toy-Q2.gguf")
    assert hub.asked == []
    assert store.pull("Org/Toy-GGUF:Toy-Q8.gguf").model.name == "toy-q8"
    assert hub.asked == ["Toy-Q8.gguf"]


def test_a_second_pull_fetches_nothing(hub, ggufs, folder, home):
    for what in ("Org/Toy-GGUF:Toy-Q8.gguf", "Org/Toy-1B"):
        assert store.pull(what).fetched
        asked = list(hub.asked)
        assert not store.pull(what).fetched
        assert hub.asked == asked


@pytest.fixture
def impatient(monkeypatch):
    """Small chunks, and no waiting between tries."""
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1024)
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def test_weights_the_hub_states_no_hash_of_are_known_by_their_revision(hub, folder, home):
    hub.hashless = True
    assert store.pull("Org/Toy-1B").fetched
    assert not store.pull("Org/Toy-1B").fetched


def test_a_connection_that_breaks_is_taken_up_where_it_broke(hub, ggufs, home, impatient):
    hub.cuts["Toy-Q8.gguf"] = [3000]
    assert store.pull("Org/Toy-GGUF:Toy-Q8.gguf").fetched
    assert hub.asked == ["Toy-Q8.gguf", "Toy-Q8.gguf from 2048"]


def test_a_pull_that_failed_keeps_the_files_it_has(hub, folder, home, impatient):
    hub.cuts["model-00002.safetensors"] = [2000] * 20
    with pytest.raises(FarthingError, match="what has arrived is kept"):
        store.pull("Org/Toy-1B")
    assert store.models() == []
    hub.cuts.clear()
    hub.asked.clear()
    assert store.pull("Org/Toy-1B").fetched
    assert hub.asked == ["model-00002.safetensors"]
    assert left(home) == []


def test_a_removed_name_forgets_what_was_fetched_for_it(hub, folder, home, impatient):
    hub.cuts["model-00002.safetensors"] = [2000] * 20
    with pytest.raises(FarthingError):
        store.pull("Org/Toy-1B")
    with pytest.raises(NotFound):
        store.remove("toy-1b")
    assert left(home) == []


def test_a_hub_that_is_not_there_is_named(monkeypatch, home):
    aim(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(FarthingError, match=r"could not be reached.*network"):
        store.pull("Org/Toy-1B")


def test_an_unknown_repository_is_not_found(hub, home):
    with pytest.raises(NotFound, match="no repository Org/None"):
        store.pull("Org/None")


def test_a_gated_repository_says_what_to_do(hub, ggufs, home):
    hub.gated.add("Org/Toy-GGUF")
    with pytest.raises(FarthingError, match="accept its terms"):
        store.pull("Org/Toy-GGUF:Toy-Q4.gguf")


def test_a_disk_too_small_is_told_before_anything_is_fetched(hub, ggufs, home, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("U", (), {"free": 33 << 20})())
    hub.files["Org/Toy-GGUF"]["Toy-Q4.gguf"] += bytes(1 << 20)
    with pytest.raises(DiskFull, match=r"2 MB and 1 MB are free"):
        store.pull("Org/Toy-GGUF:Toy-Q4.gguf")
    assert hub.asked == []
    assert left(home) == []


def test_a_damaged_file_leaves_nothing(hub, ggufs, home):
    hub.files["Org/Toy-GGUF"]["Toy-Q4.gguf"] = b"GGUF" + bytes(100)
    with pytest.raises(FormatError, match=r"Toy-Q4\.gguf"):
        store.pull("Org/Toy-GGUF:Toy-Q4.gguf")
    assert left(home) == []


def test_what_is_no_model_is_refused_before_anything_is_packed(hub, folder, home):
    class Refuse(pulling.Anything):
        def checkpoint(self, checkpoint):
            raise FormatError(f"{checkpoint.config['model_type']} is not known")

    with pytest.raises(FormatError, match="llama is not known"):
        store.pull("Org/Toy-1B", check=Refuse())
    assert store.models() == []
    assert left(home) == []


def test_a_config_we_dont_run_is_refused_before_its_weights_are_fetched(hub, folder, home):
    config = {"model_type": "mamba", "quantization_config": {"quant_method": "bitsandbytes"}}
    hub.files["Org/Toy-1B"]["config.json"] = json.dumps(config).encode()
    with pytest.raises(FormatError, match="'bitsandbytes'"):
        store.pull("Org/Toy-1B")
    assert hub.asked == ["config.json"]
    assert left(home) == []
    del config["quantization_config"]
    hub.files["Org/Toy-1B"]["config.json"] = json.dumps(config).encode()
    with pytest.raises(FormatError, match=r"'mamba'.*it runs: .*llama"):
        store.pull("Org/Toy-1B", check=Runs())
    assert not [name for name in hub.asked if name.endswith(".safetensors")]


@pytest.mark.parametrize("name", ["a/b/c", "a/../b", "-a/b", "a b/c", "a/" + "b" * 200])
def test_what_is_no_repository_is_never_asked(name, hub, home):
    with pytest.raises(InputError, match="no repository"):
        pulling.resolve(name)


def test_pickles_are_not_chosen():
    with pytest.raises(FormatError, match="pickles"):
        choose("o/n", ["config.json", "pytorch_model.bin"], None)


def test_weights_that_are_there_twice_are_fetched_once():
    parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = "model.safetensors.index.json"
    assert choose("o/n", ["config.json", index, "consolidated.safetensors", *parts], None) == [
        "config.json",
        index,
        *parts,
    ]
    both = ["config.json", "model.safetensors", "consolidated.safetensors"]
    assert choose("o/n", both, None) == ["config.json", "model.safetensors"]


def test_a_model_file_in_a_folder_of_the_repository_can_be_named():
    assert choose("o/n", ["q4/a.gguf", "q8/a.gguf"], "q8/a.gguf") == ["q8/a.gguf"]
