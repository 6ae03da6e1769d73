"""The `tokenizer.*` pairs of a GGUF file from tokenizer.json and its company: gguf.py backwards.

GGUF holds a name where tokenizer.json holds how text is split, so only splits are written whose
name llama.cpp knows. What it does without asking (byte-level pieces, no normalizing) is checked.
"""

import json
from collections.abc import Mapping
from typing import Any

from farthing.errors import FormatError
from farthing.tokenizer.splits import GPT2, SPLITS

NAMES = ("gpt-2", "smollm", "qwen2", "llama-bpe")
"""Of splits, those that are written. The ids of smollm and qwen2 were held to llama.cpp's own; the
others are told by their patterns, which must be the same to the letter."""
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
_ROLES = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
_STOPS = ("eos", "eot", "eom")
_Json = dict[str, Any]


def metadata(files: Mapping[str, str]) -> dict[str, Any]:
    """`files`: texts by file name: tokenizer.json, tokenizer_config.json, generation_config.json.

    Raises FormatError for a tokenizer that llama.cpp has no name for, and for damaged files.
    """
    whole = _object(files, "tokenizer.json")
    if not whole:
        raise FormatError("tokenizer.json is missing; a GGUF's vocabulary is made from it")
    config = _object(files, "tokenizer_config.json")
    model, added = whole.get("model"), whole.get("added_tokens") or []
    if not isinstance(model, dict) or model.get("type") != "BPE" or model.get("byte_fallback"):
        raise _refused("its model is not byte-level BPE")
    ids = _ids(model, added)
    tokens, types = _tokens(ids, added)
    made: _Json = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": _split(whole, model),
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": [_merge(merge) for merge in model.get("merges") or []],
    }
    made |= _special(config, _object(files, "generation_config.json"), ids)
    return made | _ends(whole, config, ids) | _templates(config)


def _object(files: Mapping[str, str], name: str) -> _Json:
    try:
        found = json.loads(files.get(name, "{}"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{name}: not JSON we can read: {str(error)[:200]}") from error
    if not isinstance(found, dict):
        raise FormatError(f"{name}: a JSON {type(found).__name__}, where an object is expected")
    return found


def _refused(why: str) -> FormatError:
    return FormatError(
        f"tokenizer.json: {why}; written as GGUF are byte-level BPE with the splits"
        f" {', '.join(NAMES)}. Write the model packed, or as a Hugging Face folder"
    )


def _split(whole: _Json, model: _Json) -> str:
    """The name of how text is split. FormatError for what llama.cpp would do otherwise."""
    normalizer = whole.get("normalizer")
    if normalizer not in (None, {"type": "NFC"}):
        raise _refused(f"it normalizes text by {normalizer!r:.80}")
    patterns = _patterns(whole.get("pre_tokenizer"))
    ignore = bool(model.get("ignore_merges"))
    for name in NAMES:
        if SPLITS[name].patterns == patterns and SPLITS[name].ignore_merges == ignore:
            return name
    raise _refused(f"it splits text by {patterns!r:.200}")


def _patterns(pre: Any) -> tuple[str, ...]:
    """What cuts the text, one after the other, before its bytes become letters."""
    steps = pre.get("pretokenizers", [pre]) if isinstance(pre, dict) else None
    if not isinstance(steps, list) or not steps or not all(isinstance(one, dict) for one in steps):
        raise _refused(f"it splits text by {pre!r:.80}")
    *cuts, last = steps
    found = [_cut(step) for step in cuts]
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space", True):
        raise _refused(f"the last that splits its text is {last!r:.80}")
    return (*found, GPT2) if last.get("use_regex", True) else tuple(found)


def _cut(step: _Json) -> str:
    """The pattern whose matches a step makes pieces of their own."""
    pattern = step.get("pattern")
    isolated = step.get("behavior") == "Isolated" and not step.get("invert")
    if step.get("type") == "Split" and isinstance(pattern, dict) and isolated:
        return str(pattern.get("Regex"))
    if step.get("type") == "Digits" and step.get("individual_digits"):
        return r"\p{N}"
    raise _refused(f"it splits text by {step!r:.80}")


def _ids(model: _Json, added: Any) -> dict[str, int]:
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict) or not isinstance(added, list):
        raise FormatError("tokenizer.json: no vocab, or added_tokens is no list; it is damaged")
    found = dict(vocabulary)
    for token in added:
        content, id = (token.get("content"), token.get("id")) if isinstance(token, dict) else (0, 0)
        if not isinstance(content, str) or found.setdefault(content, id) != id:
            raise FormatError(f"tokenizer.json: added token {token!r:.80}; it is damaged")
    if any(type(id) is not int or not 0 <= id < 1 << 24 for id in found.values()):
        raise FormatError("tokenizer.json: a token's id is no whole number below 16 million")
    return found


def _tokens(ids: dict[str, int], added: list[_Json]) -> tuple[list[str], list[int]]:
    """Tokens in order of their ids, and their types; ids that none has are called [PAD..]."""
    count = max(ids.values(), default=-1) + 1
    if len(set(ids.values())) != len(ids):
        raise FormatError("tokenizer.json: two tokens have one id; it is damaged")
    if count > 2 * len(ids) + 1000:
        raise FormatError(f"tokenizer.json: ids up to {count - 1} for {len(ids)} tokens")
    tokens, types = [f"[PAD{id}]" for id in range(count)], [UNUSED] * count
    for token, id in ids.items():
        tokens[id], types[id] = token, NORMAL
    for one in added:
        types[one["id"]] = CONTROL if one.get("special") else USER_DEFINED
    return tokens, types


def _merge(merge: Any) -> str:
    parts = merge if isinstance(merge, list) else [merge]
    if not all(isinstance(part, str) for part in parts) or len(parts) not in (1, 2):
        raise FormatError(f"tokenizer.json: merge {merge!r:.80}; two tokens expected")
    return " ".join(parts)


def _special(config: _Json, generation: _Json, ids: dict[str, int]) -> _Json:
    made: _Json = {}
    for role, name in _ROLES.items():
        token = config.get(f"{role}_token")
        text = token.get("content") if isinstance(token, dict) else token
        if text is None:
            continue
        if text not in ids:
            raise FormatError(f"tokenizer_config.json: {role}_token {text!r:.80} is no token")
        made[f"tokenizer.ggml.{name}_token_id"] = ids[text]
    stops = generation.get("eos_token_id")
    stops = stops if isinstance(stops, list) else [stops]
    eos = made.get("tokenizer.ggml.eos_token_id")
    others = [id for id in dict.fromkeys(stops) if id is not None and id != eos]
    names = [name for name in _STOPS if eos is None or name != "eos"]
    if len(others) > len(names) or any(id not in ids.values() for id in others):
        raise FormatError(
            f"generation_config.json: answers end at any of {stops!r:.80}; GGUF has places for"
            f" {len(_STOPS)} such tokens"
        )
    return made | {
        f"tokenizer.ggml.{name}_token_id": id for name, id in zip(names, others, strict=False)
    }


def _ends(whole: _Json, config: _Json, ids: dict[str, int]) -> _Json:
    """Whether bos and eos are put around every text."""
    made: _Json = {}
    before, after = _around(whole.get("post_processor"))
    for role, put in (("bos", before), ("eos", after)):
        text = config.get(f"{role}_token")
        text = text.get("content") if isinstance(text, dict) else text
        if put not in ([], [text]):
            raise _refused(f"it puts {put!r:.80} around every text")
        asked = bool(put) or config.get(f"add_{role}_token") is True
        made[f"tokenizer.ggml.add_{role}_token"] = asked and text in ids
    return made


def _around(processor: Any) -> tuple[list[str], list[str]]:
    """The special tokens that a post-processor puts before and after a text."""
    if processor is None or (isinstance(processor, dict) and processor.get("type") == "ByteLevel"):
        return [], []
    if isinstance(processor, dict) and processor.get("type") == "Sequence":
        found = [_around(one) for one in processor.get("processors") or []]
        return [one for before, _ in found for one in before], [
            one for _, after in found for one in after
        ]
    single = processor.get("single") if isinstance(processor, dict) else None
    if not isinstance(single, list) or not all(isinstance(one, dict) for one in single):
        raise _refused(f"it ends with {processor!r:.80}")
    ends: tuple[list[str], list[str]] = [], []
    text = False
    for one in single:
        text = text or "Sequence" in one
        if "SpecialToken" in one:
            ends[text].append(str(one["SpecialToken"].get("id")))
    return ends


def _templates(config: _Json) -> _Json:
    """A template, or several of which each has a name."""
    found = config.get("chat_template")
    if found is None:
        return {}
    if isinstance(found, str):
        return {"tokenizer.chat_template": found}
    if not isinstance(found, list) or not all(_is_template(one) for one in found):
        raise FormatError(f"tokenizer_config.json: chat_template is {found!r:.80}")
    named = {one["name"]: one["template"] for one in found}
    others = {f"tokenizer.chat_template.{name}": text for name, text in named.items()}
    made: _Json = {key: text for key, text in others.items() if not key.endswith(".default")}
    if made:
        made["tokenizer.chat_templates"] = [name for name in named if name != "default"]
    return made | ({"tokenizer.chat_template": named["default"]} if "default" in named else {})


def _is_template(one: Any) -> bool:
    return (
        isinstance(one, dict)
        and isinstance(one.get("name"), str)
        and isinstance(one.get("template"), str)
    )
