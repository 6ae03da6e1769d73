"""A checkpoint's chat template: foreign code, run in a sandbox. Knows no vocabulary."""

from collections.abc import Mapping
from typing import Any

from farthing.errors import FormatError
from farthing.tokenizer.sandbox import Program


class ChatTemplate:
    """One template, compiled at once."""

    def __init__(self, source: str, *, tools: str | None = None) -> None:
        """`tools` is the template to use instead when tools are given."""
        self.source = source
        self._plain = Program(source)
        self._tools = self._plain if tools is None else Program(tools)

    def render(self, told: Mapping[str, Any]) -> str:
        """The conversation as text. InputError where the template refuses the messages,
        FormatError where it is not fit to run."""
        return (self._tools if told.get("tools") else self._plain).render(told)


def from_config(config: Mapping[str, Any], file: str | None) -> ChatTemplate | None:
    """chat_template.jinja's text if there is one, else what tokenizer_config.json says: a string,
    or a list of named templates of which `default` and `tool_use` are used."""
    given = config.get("chat_template") if file is None else file
    if given is None:
        return None
    if isinstance(given, str):
        return ChatTemplate(given)
    named = _named(given)
    if "default" not in named:
        raise FormatError(f"chat_template has the names {sorted(named)}, expected `default`")
    return ChatTemplate(named["default"], tools=named.get("tool_use"))


def _named(given: Any) -> dict[str, str]:
    pairs = list(given.items()) if isinstance(given, Mapping) else []
    if isinstance(given, list) and all(isinstance(entry, Mapping) for entry in given):
        pairs = [(entry.get("name"), entry.get("template")) for entry in given]
    if not pairs or any(not isinstance(part, str) for pair in pairs for part in pair):
        raise FormatError(
            "chat_template in tokenizer_config.json must be a string or a list of objects with"
            " `name` and `template`"
        )
    return dict(pairs)
