"""tokenizer.json and its company from a GGUF's vocabulary. Knows the metadata, not the file."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from farthing.errors import FormatError
from farthing.tokenizer import splits

CONTROL, USER_DEFINED = 3, 4
UNKNOWN = 2
_ROLES = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
_STOPS = ("eos", "eot", "eom")
_Json = dict[str, Any]


def files(metadata: Mapping[str, Any]) -> dict[str, str]:
    """tokenizer.json, tokenizer_config.json and generation_config.json (bos and stop ids), as text.

    `metadata` is the GGUF's own keys and values. FormatError where a key is missing, of another
    type, or names something we do not know.
    """
    kind = _text(metadata, "model")
    if kind != "gpt2":
        raise FormatError(
            f"tokenizer.ggml.model is {kind!r}; only byte-level BPE ('gpt2') is rebuilt from a"
            " GGUF. Put the model's own tokenizer.json and tokenizer_config.json beside it"
        )
    split = splits.by_name(_text(metadata, "pre", "default"))
    tokens = _strings(metadata, "tokens")
    texts = {
        "tokenizer.json": _tokenizer(metadata, split, tokens),
        "tokenizer_config.json": _config(metadata, split, tokens),
        "generation_config.json": _generation(metadata, len(tokens)),
    }
    return {name: json.dumps(value, ensure_ascii=False) for name, value in texts.items()}


def _tokenizer(metadata: Mapping[str, Any], split: splits.Split, tokens: list[str]) -> _Json:
    vocabulary = _vocabulary(tokens)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _added(metadata, tokens),
        "normalizer": {"type": "NFC"} if split.nfc else None,
        "pre_tokenizer": _pre_tokenizer(split),
        "post_processor": _post_processor(metadata, split, tokens),
        "decoder": _byte_level(),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": split.ignore_merges,
            "vocab": vocabulary,
            "merges": _merges(_strings(metadata, "merges"), vocabulary),
        },
    }


def _vocabulary(tokens: list[str]) -> dict[str, int]:
    vocabulary = {token: id for id, token in enumerate(tokens)}
    if len(vocabulary) != len(tokens):
        id = next(id for id, token in enumerate(tokens) if vocabulary[token] != id)
        raise FormatError(
            f"tokenizer.ggml.tokens holds {tokens[id]!r} twice, as {id} and"
            f" {vocabulary[tokens[id]]}; every token must be there once"
        )
    return vocabulary


def _merges(merges: list[str], vocabulary: dict[str, int]) -> list[list[str]]:
    # A token may itself begin with a space, hence the search from the second character.
    pairs = [[merge[: (at := merge.find(" ", 1))], merge[at + 1 :]] for merge in merges]
    for merge, (left, right) in zip(merges, pairs, strict=True):
        if not {left, right, left + right} <= vocabulary.keys() or " " not in merge[1:]:
            raise FormatError(
                f"tokenizer.ggml.merges holds {merge!r}: both parts and the whole must be tokens"
            )
    return pairs


def _added(metadata: Mapping[str, Any], tokens: list[str]) -> list[_Json]:
    types = _value(metadata, "token_type", Collection, [1] * len(tokens))
    if len(types) != len(tokens):
        raise FormatError(
            f"tokenizer.ggml.token_type has {len(types)} entries for {len(tokens)} tokens"
        )
    return [
        {
            "id": id,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": int(type) != USER_DEFINED,
        }
        for id, (token, type) in enumerate(zip(tokens, types, strict=True))
        if token and int(type) in (UNKNOWN, CONTROL, USER_DEFINED)
    ]


def _pre_tokenizer(split: splits.Split) -> _Json:
    cuts: list[_Json] = [
        {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}
        for regex in split.patterns
    ]
    return {"type": "Sequence", "pretokenizers": [*cuts, _byte_level()]}


def _byte_level() -> _Json:
    flags = {"add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {"type": "ByteLevel", **flags}


def _post_processor(
    metadata: Mapping[str, Any], split: splits.Split, tokens: list[str]
) -> _Json | None:
    before = _ends(metadata, "bos", split.add_bos, tokens)
    after = _ends(metadata, "eos", False, tokens)
    if not before and not after:
        return None
    return {
        "type": "TemplateProcessing",
        "single": [*_template(before), {"Sequence": {"id": "A", "type_id": 0}}, *_template(after)],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {
            token: {"id": token, "ids": [id], "tokens": [token]}
            for token, id in {**before, **after}.items()
        },
    }


def _template(ends: dict[str, int]) -> list[_Json]:
    return [{"SpecialToken": {"id": token, "type_id": 0}} for token in ends]


def _ends(
    metadata: Mapping[str, Any], role: str, default: bool, tokens: list[str]
) -> dict[str, int]:
    """The token that is put at that end of every text, if the file asks for one."""
    id = _id(metadata, role, len(tokens))
    if id is None or not _value(metadata, f"add_{role}_token", bool, default):
        return {}
    return {tokens[id]: id}


def _config(metadata: Mapping[str, Any], split: splits.Split, tokens: list[str]) -> _Json:
    config: _Json = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "add_bos_token": _value(metadata, "add_bos_token", bool, split.add_bos),
        "add_eos_token": _value(metadata, "add_eos_token", bool, False),
    }
    for role, name in _ROLES.items():
        id = _id(metadata, name, len(tokens))
        if id is not None:
            config[f"{role}_token"] = tokens[id]
    return config | _templates(metadata)


def _templates(metadata: Mapping[str, Any]) -> _Json:
    """One template as a string, several as a list of named ones."""
    key = "tokenizer.chat_template"
    found = {"default": metadata[key]} if key in metadata else {}
    found |= {
        name.removeprefix(f"{key}."): text
        for name, text in metadata.items()
        if name.startswith(f"{key}.")
    }
    for name, text in found.items():
        if not isinstance(text, str):
            raise FormatError(f"{key} ({name}) is a {type(text).__name__}, expected a string")
    if set(found) <= {"default"}:
        return {"chat_template": found["default"]} if found else {}
    return {"chat_template": [{"name": name, "template": text} for name, text in found.items()]}


def _generation(metadata: Mapping[str, Any], vocabulary: int) -> _Json:
    stops = [_id(metadata, name, vocabulary) for name in _STOPS]
    found: _Json = {"eos_token_id": sorted({id for id in stops if id is not None})}
    bos = _id(metadata, "bos", vocabulary)
    return found if bos is None else found | {"bos_token_id": bos}


def _id(metadata: Mapping[str, Any], role: str, vocabulary: int) -> int | None:
    if f"tokenizer.ggml.{role}_token_id" not in metadata:
        return None
    id = int(_value(metadata, f"{role}_token_id", int, 0))
    if not 0 <= id < vocabulary:
        raise FormatError(
            f"tokenizer.ggml.{role}_token_id is {id}, but the vocabulary has {vocabulary} tokens"
        )
    return id


def _strings(metadata: Mapping[str, Any], key: str) -> list[str]:
    found = list(_value(metadata, key, Collection, None))
    for at, text in enumerate(found):
        if not isinstance(text, str):
            raise FormatError(
                f"tokenizer.ggml.{key}[{at}] is a {type(text).__name__}, expected a string"
            )
    return found


def _text(metadata: Mapping[str, Any], key: str, default: str | None = None) -> str:
    return str(_value(metadata, key, str, default))


def _value(metadata: Mapping[str, Any], key: str, kind: type, default: Any) -> Any:
    """The value of `tokenizer.ggml.<key>`, checked; None as default means it must be there."""
    value = metadata.get(f"tokenizer.ggml.{key}", default)
    if value is None:
        raise FormatError(f"tokenizer.ggml.{key} is missing; the tokenizer cannot be built")
    if not isinstance(value, kind) or (kind is Collection and isinstance(value, str | bytes)):
        raise FormatError(
            f"tokenizer.ggml.{key} is a {type(value).__name__}, expected a {kind.__name__}"
        )
    return value
