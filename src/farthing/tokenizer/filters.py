"""What a template may call: filters, methods and operators, each of a cost known before it runs.

jinja2's sandbox keeps a template from the outside, not from filling memory. So only names listed
here exist, and those whose result may be much longer than what they are given ask for room first.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import wraps
from typing import Any

import jinja2
from jinja2 import filters as theirs

from farthing.tokenizer.budget import CURRENT, NODE, TooMuch, measure


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PLAIN = _words(
    "abs attr capitalize count d default dictsort e escape first float forceescape groupby int"
    " items last length list lower map max min reject rejectattr reverse safe select selectattr"
    " sort string title unique upper wordcount"
)
METHODS: Mapping[type, frozenset[str]] = {
    str: _words(
        "capitalize casefold count endswith find format index isalnum isalpha isascii isdecimal"
        " isdigit islower isnumeric isspace istitle isupper join lower lstrip partition"
        " removeprefix removesuffix replace rfind rindex rpartition rsplit rstrip split splitlines"
        " startswith strip swapcase title upper"
    ),
    dict: _words("copy get items keys values"),
    list: _words("copy count index"),
    tuple: _words("count index"),
}
_SHORT = 1000
_BITS = 4096
# A width or precision of four digits, or one that is an argument itself.
_WIDE = re.compile(r"\d{4}|\*")
_WIDE_FIELD = re.compile(r"\{[^{}]*(\d{4}|\{)")
Function = Callable[..., Any]


class Refused(jinja2.TemplateError):
    """raise_exception was called: the template does not take these messages."""


def raise_exception(message: object) -> None:
    raise Refused(str(message)[:_SHORT])


def strftime_now(format: str) -> str:
    if re.search(r"%[^a-zA-Z%]", format) or len(format) > _SHORT:
        raise TooMuch(f"strftime_now is given {format[:40]!r}; widths are not known")
    return datetime.now().strftime(format)


def size(value: Any) -> int:
    return measure(value, 1 << 62)[0]


def need(characters: int) -> None:
    CURRENT.get().need(characters)


def tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """As transformers has it: nothing is escaped for HTML."""
    total, depth = measure(value, 1 << 62)
    width = len(indent) if isinstance(indent, str) else indent or 0
    need(total * (width * depth + size(separators)) // NODE)
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def trim(value: Any, chars: str | None = None) -> str:
    _short(chars)
    return str(value).strip(chars)


def sum_of(values: Any, attribute: str | int | None = None, start: float = 0) -> Any:
    if not isinstance(start, int | float):
        raise TooMuch("sum is given a start that is no number")
    return sum(values if attribute is None else (value[attribute] for value in values), start)


def round_to(value: float, precision: int = 0, method: str = "common") -> Any:
    if abs(precision) > _SHORT:
        raise TooMuch("it rounds to a very large precision")
    return theirs.FILTERS["round"](value, precision, method)


def replace(text: Any, old: Any, new: Any, count: int = -1) -> str:
    whole, left, right = str(text), str(old), str(new)
    need(len(whole) + whole.count(left) * len(right))
    return whole.replace(left, right, count)


def join(values: Any, d: Any = "", attribute: str | int | None = None) -> str:
    separator, parts = str(d), []
    for value in values:
        part = value if attribute is None else value[attribute]
        need(size(part) + len(separator))
        parts.append(str(part))
    return separator.join(parts)


def concat(values: tuple[Any, ...]) -> str:
    return join(values)


def indent(text: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    each = len(width) if isinstance(width, str) else width
    need(len(text) + (text.count("\n") + 1) * each)
    return str(theirs.FILTERS["indent"](text, width, first, blank))


def percent(text: str, *args: Any, **named: Any) -> Any:
    if args and named:
        raise TypeError("format takes either positional or named values")
    return binop("%", text, named or args)


def _short(text: Any) -> None:
    if isinstance(text, str) and len(text) > _SHORT:
        raise TooMuch(f"it gives an argument of more than {_SHORT} characters")


def method(function: Function, args: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    """Asks for the room that a string's own method will take."""
    text = getattr(function, "__self__", None)
    if not isinstance(text, str):
        return
    name = getattr(function, "__name__", "")
    if name == "replace" and len(args) > 1:
        need(len(text) + text.count(str(args[0])) * len(str(args[1])))
    elif name == "join" and args:
        need(size(args[0]) + len(text) * (len(args[0]) if hasattr(args[0], "__len__") else _SHORT))
    elif name.endswith("strip"):
        _short(args[0] if args else None)
    elif name.startswith("format"):
        if _WIDE_FIELD.search(text):
            raise TooMuch("it formats with a very large width")
        need(len(text) + text.count("{") * (size(list(args)) + size(dict(named)) + _SHORT))


def binop(operator: str, left: Any, right: Any) -> Any:
    """+ * % ** with the room asked for first."""
    if operator == "+":
        if not isinstance(left, int | float):
            need(_length(left) + _length(right))
        return left + right
    if operator == "%":
        if isinstance(left, str):
            if _WIDE.search(left):
                raise TooMuch("it formats with a very large width")
            need(len(left) + left.count("%") * (size(right) + _SHORT))
        return left % right
    if operator == "**":
        if isinstance(left, int) and isinstance(right, int):
            _bits(left.bit_length() * abs(right))
        return left**right
    return _times(left, right)


def _times(left: Any, right: Any) -> Any:
    many, times = (right, left) if isinstance(left, int) else (left, right)
    if isinstance(many, int):
        _bits(many.bit_length() + (times.bit_length() if isinstance(times, int) else 0))
    elif not isinstance(many, float) and isinstance(times, int):
        need(size(many) * max(times, 0))
    return left * right


def _length(value: Any) -> int:
    return len(value) * (1 if isinstance(value, str) else NODE) if hasattr(value, "__len__") else 0


def _bits(bits: int) -> None:
    if bits > _BITS:
        raise TooMuch(f"it makes a number of more than {_BITS} bits")


def _bounded(function: Function) -> Function:
    """The same filter, counted. Names and attributes given to it are short; its result is fit."""

    @wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        for value in [*args[2:], *named.values()]:
            _short(value)
        return CURRENT.get().made(function(*args, **named))

    return call


def _counted(function: Function) -> Function:
    @wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        return CURRENT.get().made(function(*args, **named))

    return call


def allowed() -> dict[str, Function]:
    """Every filter a template may use."""
    ours: dict[str, Function] = {
        "format": percent,
        "indent": indent,
        "join": join,
        "replace": replace,
        "round": round_to,
        "sum": sum_of,
        "tojson": tojson,
        "trim": trim,
    }
    plain = {name: _bounded(theirs.FILTERS[name]) for name in _PLAIN}
    return plain | {name: _counted(function) for name, function in ours.items()}
