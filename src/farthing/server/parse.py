"""Bytes of a request body -> a struct, or an error that names the field and what it held."""

import re
from typing import Any, TypeVar

import msgspec

from farthing.errors import InputError
from farthing.server.wire import UNSUPPORTED

T = TypeVar("T", bound=msgspec.Struct)

_PLACE = re.compile(r"^(?P<what>.*?)(?: - at (?:`key` in )?`\$(?P<path>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<name>.*)`$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<name>.*)`$", re.DOTALL)
_KNOWN = {
    "role": "known: system, developer, user, assistant; tool calls are not supported yet",
    "type": "known: text",
    "tool_choice": "known: none, auto",
}
"""What a field of named values takes, where the decoder only says that it got another."""


class FieldError(InputError):
    """`param` is the field's name as OpenAI's error shape wants it."""

    def __init__(self, message: str, param: str | None) -> None:
        super().__init__(message)
        self.param = param


def parse(body: bytes, into: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=into)
    except msgspec.ValidationError as error:
        raise _field_error(str(error), body, into) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FieldError(f"the body is not valid JSON: {error}", None) from None
    except RecursionError:
        raise FieldError("the body is nested too deeply", None) from None


def _field_error(message: str, body: bytes, into: type[msgspec.Struct]) -> FieldError:
    match = _PLACE.match(message)
    assert match is not None
    what, path = match["what"], (match["path"] or "").lstrip(".").removesuffix("[...]")
    if missing := _MISSING.match(what):
        return FieldError(
            f"{_join(path, missing['name'])} is missing", _join(path, missing["name"])
        )
    if unknown := _UNKNOWN.match(what):
        return _unknown_field(path, unknown["name"], into)
    top = re.split(r"[.\[]", path, maxsplit=1)[0]
    if top in UNSUPPORTED:
        return FieldError(f"{top}: {UNSUPPORTED[top]}; leave it out", top)
    if not path:
        return FieldError(f"the body must be a JSON object: {what}", None)
    known = _KNOWN.get(path.rpartition(".")[2])
    return FieldError(f"{path}: {known or _plain(what)}{_found(body, path)}", path)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _plain(what: str) -> str:
    return what[:1].lower() + what[1:].replace("`", "")


def _unknown_field(path: str, name: str, into: type[msgspec.Struct]) -> FieldError:
    field = _join(path, name)[:200]
    known = "" if path else f"; known: {', '.join(into.__struct_fields__)}"
    return FieldError(f"unknown field {field!r}; leave it out{known}", field)


def _found(body: bytes, path: str) -> str:
    """`, got 5`: what stands at the path, shortened; nothing if the path cannot be followed."""
    try:
        value: Any = msgspec.json.decode(body)
        for step in re.findall(r"\[(\d+)\]|([^.\[\]]+)", path):
            value = value[int(step[0])] if step[0] else value[step[1]]
    except (msgspec.DecodeError, RecursionError, LookupError, TypeError, ValueError):
        return ""
    shown = msgspec.json.encode(value).decode()
    return f", got {shown if len(shown) <= 60 else shown[:57] + '...'}"
