"""Fields of a file that is read into a msgspec Struct: an unknown one is told with those known."""

import re
from typing import Any, get_args

import msgspec

UNKNOWN = re.compile(r"Object contains unknown field `(.+?)`(?: - at `\$\.?(.*)`)?")


def explained(error: msgspec.ValidationError, root: type[msgspec.Struct]) -> str:
    """What msgspec found wrong with what should become a `root`."""
    match = UNKNOWN.fullmatch(str(error))
    if match is None:
        return str(error)
    field, where = match[1], match[2] or ""
    table = root
    for name in re.sub(r"\[.*?\]", "", where).split(".") if where else ():
        kinds = {one.name: one.type for one in msgspec.structs.fields(table)}
        table = _table(kinds[name]) or root
    known = ", ".join(table.__struct_fields__)
    return f"unknown field {field!r} in {f'[{where}]' if where else 'the recipe'}; known: {known}"


def _table(kind: Any) -> type[msgspec.Struct] | None:
    """The Struct within Annotated[tuple[Struct, ...]], Struct | None and the like."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return next((found for part in get_args(kind) if (found := _table(part))), None)
