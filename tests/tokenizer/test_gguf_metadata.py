"""A GGUF's vocabulary made from tokenizer.json gives llama.cpp the ids that we have."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from test_gguf_vocabulary import TEXTS

import llama_cpp_says
from farthing.errors import FormatError
from farthing.tokenizer import Tokenizer, gguf, gguf_metadata

Metadata = dict[str, Any]
KEY = "tokenizer.ggml."
GPT2_CUT = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def said(metadata: Metadata) -> Metadata:
    """Of a file's metadata what its vocabulary is, defaults filled in."""
    silent = {f"{KEY}add_eos_token": False, f"{KEY}add_bos_token": False}
    told = {key: value for key, value in metadata.items() if key.startswith("tokenizer.")}
    told.pop(f"{KEY}add_space_prefix", None)  # of SentencePiece alone
    return silent | told


def changed(files: dict[str, str], name: str = "tokenizer.json", **keys: Any) -> dict[str, str]:
    return files | {name: json.dumps(json.loads(files[name]) | keys)}


@pytest.fixture(scope="module")
def files(smol_metadata: Metadata) -> dict[str, str]:
    return gguf.files(smol_metadata)


@pytest.mark.parametrize("model", ["smol_metadata", "qwen_metadata"])
def test_there_and_back_is_the_same(model: str, request: pytest.FixtureRequest) -> None:
    metadata = request.getfixturevalue(model)
    back = gguf_metadata.metadata(gguf.files(metadata))
    assert back.keys() == said(metadata).keys()
    for key, value in said(metadata).items():
        assert back[key] == value, key


def written(folder: Path, metadata: Metadata) -> Path:
    """A small model with that vocabulary."""
    import numpy as np

    from farthing.formats import gguf_write
    from farthing.formats.types import ALL, Layout
    from farthing.models import tensors_of
    from farthing.weight import BF16, dense

    rows = len(metadata[f"{KEY}tokens"])
    config: Metadata = {"model_type": "llama", "vocab_size": rows, "hidden_size": 32}
    config |= {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config |= {"max_position_embeddings": 64, "rms_norm_eps": 1e-5, "tie_word_embeddings": True}

    class Zeros:
        shapes = tensors_of(config)

        def names(self) -> list[str]:
            return list(self.shapes)

        def layout(self, name: str) -> Layout:
            return Layout(self.shapes[name], BF16 if len(self.shapes[name]) > 1 else None)

        def tensor(self, name: str, rows: slice = ALL, index: int | None = None) -> Any:
            made = np.zeros(self.shapes[name], np.float32)[rows]
            return dense(made) if made.ndim > 1 else made

    path = folder / "m.gguf"
    gguf_write.write(path, config, Zeros(), vocabulary=metadata)
    return path


@pytest.mark.needs("llama_cpp")
@pytest.mark.parametrize("model", ["smol", "qwen"])
def test_llama_cpp_reads_text_as_we_do(
    model: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    ours: Tokenizer = request.getfixturevalue(model)
    made = gguf_metadata.metadata(gguf.files(request.getfixturevalue(f"{model}_metadata")))
    path = written(tmp_path, made)
    # Qwen brings text to that form; llama.cpp does not, whatever the file
    texts = [text for text in TEXTS if unicodedata.is_normalized("NFC", text)]
    for text, ids in zip(texts, llama_cpp_says.tokens(path, texts), strict=True):
        assert ids == ours.encode(text), text


@pytest.mark.parametrize(
    ("cuts", "name"),
    [
        ([GPT2_CUT], "gpt-2"),
        ([{"type": "Digits", "individual_digits": True}, GPT2_CUT], "smollm"),
    ],
)
def test_a_split_is_known_by_what_it_does(
    cuts: list[Any], name: str, files: dict[str, str]
) -> None:
    """As GPT-2 and SmolLM2 publish theirs: digits and the library's own pattern."""
    pre = {"type": "Sequence", "pretokenizers": cuts}
    for form in [pre, cuts[0]] if len(cuts) == 1 else [pre]:
        made = gguf_metadata.metadata(changed(files, pre_tokenizer=form))
        assert made[f"{KEY}pre"] == name


def test_llamas_bos_stands_before_every_text(files: dict[str, str]) -> None:
    """As Llama 3 publishes it: a template within a sequence."""
    bos = {"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}
    single = [bos, {"Sequence": {"id": "A", "type_id": 0}}]
    ends = {"type": "Sequence", "processors": [{"type": "ByteLevel"}, {"single": single}]}
    made = gguf_metadata.metadata(changed(files, post_processor=ends))
    assert made[f"{KEY}add_bos_token"] is True
    assert made[f"{KEY}add_eos_token"] is False


def test_merges_may_be_texts_and_ids_may_have_gaps(files: dict[str, str]) -> None:
    whole = json.loads(files["tokenizer.json"])
    model = whole["model"] | {"merges": ["h e", "l l"]}
    last = {"id": 49155, "content": "<last>", "special": False}
    added = [*whole["added_tokens"], last]
    made = gguf_metadata.metadata(changed(files, model=model, added_tokens=added))
    assert made[f"{KEY}merges"] == ["h e", "l l"]
    assert made[f"{KEY}tokens"][49152:] == ["[PAD49152]", "[PAD49153]", "[PAD49154]", "<last>"]
    assert made[f"{KEY}token_type"][49152:] == [5, 5, 5, 4]


def test_every_token_that_ends_an_answer_has_its_place(files: dict[str, str]) -> None:
    stops = changed(files, "generation_config.json", eos_token_id=[2, 0, 7])
    made = gguf_metadata.metadata(stops)
    assert [made[f"{KEY}{role}_token_id"] for role in ("eos", "eot", "eom")] == [2, 0, 7]
    with pytest.raises(FormatError, match="places for 3 such tokens"):
        gguf_metadata.metadata(changed(files, "generation_config.json", eos_token_id=[2, 0, 7, 8]))
    with pytest.raises(FormatError, match="end at any of"):
        gguf_metadata.metadata(changed(files, "generation_config.json", eos_token_id=1 << 20))


def test_templates_with_names_keep_them(files: dict[str, str]) -> None:
    several = [{"name": "default", "template": "a"}, {"name": "tool_use", "template": "b"}]
    made = gguf_metadata.metadata(changed(files, "tokenizer_config.json", chat_template=several))
    assert made["tokenizer.chat_template"] == "a"
    assert made["tokenizer.chat_template.tool_use"] == "b"
    back = json.loads(gguf.files(made)["tokenizer_config.json"])
    assert back["chat_template"] == several


CUT = {"type": "Split", "pattern": {"Regex": "x+"}, "behavior": "Isolated", "invert": False}
LAST = GPT2_CUT | {"use_regex": False}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"model": {"type": "Unigram", "vocab": []}}, "not byte-level BPE"),
        ({"model": {"type": "BPE", "byte_fallback": True}}, "not byte-level BPE"),
        ({"model": {"type": "BPE"}}, "no vocab"),
        ({"normalizer": {"type": "Lowercase"}}, "normalizes text by"),
        ({"pre_tokenizer": {"type": "Metaspace"}}, "Metaspace"),
        ({"pre_tokenizer": None}, "splits text by None"),
        ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [CUT, LAST]}}, "x+"),
        (
            {"pre_tokenizer": {"pretokenizers": [CUT | {"behavior": "Removed"}, LAST]}},
            "Removed",
        ),
        ({"post_processor": {"type": "RobertaProcessing"}}, "it ends with"),
        ({"post_processor": {"single": [{"SpecialToken": {"id": "</s>"}}]}}, "around every text"),
        ({"added_tokens": [{"content": "<|im_end|>", "id": 9}]}, "<|im_end|>"),
        ({"added_tokens": [{"content": "<x>", "id": 9}]}, "two tokens have one id"),
        ({"added_tokens": [{"content": "<x>", "id": 1 << 23}]}, "ids up to 8388608"),
        ({"added_tokens": [{"content": "<x>", "id": -1}]}, "no whole number"),
        ({"added_tokens": ["<x>"]}, "it is damaged"),
    ],
)
def test_what_llama_cpp_has_no_name_for_is_refused(
    keys: dict[str, Any], said: str, files: dict[str, str]
) -> None:
    with pytest.raises(FormatError) as raised:
        gguf_metadata.metadata(changed(files, **keys))
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "tokenizer.json is missing"),
        ({"tokenizer.json": "{"}, "not JSON"),
        ({"tokenizer.json": "[1]"}, "a JSON list"),
    ],
)
def test_damaged_files_are_named(given: dict[str, str], said: str) -> None:
    with pytest.raises(FormatError, match=said):
        gguf_metadata.metadata(given)


def test_a_special_token_that_is_none_is_named(files: dict[str, str]) -> None:
    with pytest.raises(FormatError, match="eos_token '<nope>' is no token"):
        gguf_metadata.metadata(changed(files, "tokenizer_config.json", eos_token="<nope>"))
