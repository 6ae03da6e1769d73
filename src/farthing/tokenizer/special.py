"""Special tokens: their names, which end an answer, and keeping users' text from posing as one."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from farthing.errors import FormatError, InputError
from farthing.tokenizer import files
from farthing.tokenizer.budget import DEEPEST, TooMuch, measure

NAMES = ("bos_token", "eos_token", "unk_token", "pad_token")
# Unicode keeps these code points for a program's own use; no text should hold one.
_MARKS = [chr(code) for code in range(0xFDD0, 0xFDF0)]


def names(config: Mapping[str, Any]) -> dict[str, str]:
    """bos_token and its like, as text: a file gives a string or an object with `content`."""
    found = {name: config.get(name) for name in NAMES}
    texts = {
        name: token.get("content") if isinstance(token, Mapping) else token
        for name, token in found.items()
    }
    return {name: text for name, text in texts.items() if isinstance(text, str)}


def stop_ids(
    folder: Path, config: Mapping[str, Any], id_of: Callable[[str], int | None]
) -> list[int]:
    """Ids that end an answer: generation_config.json's and the tokenizer's own eos_token."""
    path = folder / "generation_config.json"
    given = files.object(path).get("eos_token_id")
    stops = [] if given is None else given if isinstance(given, list) else [given]
    if any(not isinstance(id, int) or isinstance(id, bool) for id in stops):
        raise FormatError(f"{path}: eos_token_id is {given!r}, expected an integer or a list")
    eos = id_of(names(config).get("eos_token", ""))
    return stops if eos is None else [*stops, eos]


def flat(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages whose content is a string: OpenAI's lists of text parts are joined by newlines."""
    return [
        {**message, "content": _joined(message["content"])}
        if isinstance(message.get("content"), list)
        else dict(message)
        for message in messages
    ]


def _joined(parts: list[Any]) -> str:
    for part in parts:
        kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
        if kind != "text" or not isinstance(part.get("text"), str):
            raise InputError(f"a message holds a part of type {kind!r}; only 'text' is understood")
    return "\n".join(part["text"] for part in parts)


def guard(told: dict[str, Any], tokens: Collection[str]) -> tuple[dict[str, Any], str]:
    """The same values with every special token in a string broken by a mark, and the mark.

    The mark is empty if there was nothing to break, as nearly always. A template that splits or
    trims strings does no harm: a mark alone is dropped by `cut`.
    """
    try:
        measure(told, 1 << 62)
    except TooMuch:
        raise InputError(f"the messages or tools nest more than {DEEPEST} deep") from None
    texts = list(_texts(told))
    breakable = [token for token in tokens if len(token) > 1]
    together = "\0".join(texts)
    if not any(token in together for token in breakable):
        return told, ""
    mark = next((mark for mark in _MARKS if mark not in together), None)
    if mark is None:
        raise InputError("the messages hold all of Unicode's noncharacters U+FDD0 to U+FDEF")
    # A token may overlap another or itself, so all are tried, not only those found.
    return _mapped(told, lambda text: _broken(text, breakable, mark)), mark


def split(text: str, tokens: Collection[str]) -> list[str]:
    """The text in parts of which none holds a special token."""
    told, mark = guard({"text": text}, tokens)
    return cut(told["text"], mark)


def cut(text: str, mark: str) -> list[str]:
    return text.split(mark) if mark else [text]


def _broken(text: str, tokens: Collection[str], mark: str) -> str:
    for token in tokens:
        while token in text:
            text = text.replace(token, token[0] + mark + token[1:])
    return text


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _mapped(part, change) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(part, change) for part in value]
    return value
