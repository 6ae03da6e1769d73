"""A recipe in TOML.

    [default]                                 # of every matrix that no rule names
    method = "gptq"                           # keep, rtn, awq or gptq
    bits = 4                                  # 4 or 8
    group = 32                                # inputs that share a scale: 32, 64 or 128
    minimum = false                           # true: a minimum beside each scale; "whole": one that
                                              # is a whole number of scales, as other formats want

    [[rule]]
    match = "model.layers.*.mlp.experts.*"    # * any text, ? one character, [ab] one of them
    method = "rtn"
    bits = 8
    group = 32

The last rule that matches wins, so write general ones first. Vectors and tables (norms, biases)
are always kept. A recipe is complete: beside it there are no rules.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, get_args

from farthing.errors import InputError, NotFound
from farthing.quantize.types import Choice, Method
from farthing.weight import Form, Offset

Bits = Literal[4, 8]
Group = Literal[32, 64, 128]
Minimum = Literal[False, True, "whole"]
KEYS = ("method", "bits", "group", "minimum")
OFFSETS: dict[Minimum, Offset] = {False: "none", True: "min", "whole": "zero"}
LARGEST = 1 << 20
KEEP = Choice(method="keep", form=None)


@dataclass(frozen=True, slots=True)
class Rule:
    match: str
    choice: Choice

    def names(self, name: str) -> bool:
        return fnmatchcase(name, self.match)


def read(path: Path) -> tuple[Choice, tuple[Rule, ...]]:
    """The default and the rules. NotFound, or InputError naming the file and what is wrong."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise NotFound(f"{path}: no such recipe") from None
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from None
    if len(raw) > LARGEST:
        raise InputError(f"{path} is over {LARGEST >> 20} MiB; that is no recipe")
    try:
        return parse(raw.decode())
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text at byte {error.start}") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def parse(text: str) -> tuple[Choice, tuple[Rule, ...]]:
    try:
        found = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"not TOML: {error}") from None
    _only(found, ("default", "rule"), "the recipe")
    if "default" not in found:
        raise InputError("no [default]; it says what becomes of the matrices no rule names")
    rules = found.get("rule", [])
    if not isinstance(rules, list):
        raise InputError("rule is one table; write [[rule]]")
    return (
        _choice(found["default"], "[default]", KEYS),
        tuple(_rule(rule, number) for number, rule in enumerate(rules, 1)),
    )


def text(default: Choice, rules: Sequence[Rule]) -> str:
    """A file that `parse` gives the same from."""
    parts = ["[default]\n" + _told(default)]
    parts += [f"[[rule]]\nmatch = {_string(rule.match)}\n" + _told(rule.choice) for rule in rules]
    return "\n".join(parts)


def form(bits: Bits, group: Group, minimum: Minimum) -> Form:
    return Form(bits=bits, group=group, scale="f16", offset=OFFSETS[minimum])


def _only(found: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in found:
        if key not in known:
            raise InputError(f"{where} has {key[:60]!r}; known are {', '.join(known)}")


def _rule(found: Any, number: int) -> Rule:
    where = f"rule {number}"
    match = found.get("match") if isinstance(found, dict) else None
    if not isinstance(match, str) or not match:
        raise InputError(f'{where} has no match = "..."; it says which tensors are meant')
    where += f" ({match[:80]!r})"
    return Rule(match, _choice(found, where, ("match", *KEYS)))


def _choice(found: Any, where: str, known: Sequence[str]) -> Choice:
    if not isinstance(found, dict):
        raise InputError(f"{where} is {found!r:.60}; a table was expected")
    _only(found, known, where)
    method: Method = _one(found, "method", get_args(Method), where)
    if method == "keep":
        _only(found, [key for key in known if key not in KEYS[1:]], f"{where} keeps, and")
        return KEEP
    bits: Bits = _one(found, "bits", get_args(Bits), where)
    group: Group = _one(found, "group", get_args(Group), where)
    minimum: Minimum = _one({"minimum": False, **found}, "minimum", get_args(Minimum), where)
    return Choice(method=method, form=form(bits, group, minimum))


def _one(found: Mapping[str, Any], key: str, allowed: Sequence[Any], where: str) -> Any:
    """One of these values, and of their type: True is no 1 here."""
    told = " or ".join(_value(value) for value in allowed)
    if key not in found:
        raise InputError(f"{where} has no {key}; it is one of {told}")
    value = found[key]
    for one in allowed:
        if type(value) is type(one) and value == one:
            return one
    raise InputError(f"{where}: {key} is {value!r:.60}; it is one of {told}")


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _told(choice: Choice) -> str:
    if choice.form is None:
        return f'method = "{choice.method}"\n'
    minimum = {"none": "false", "min": "true", "zero": '"whole"'}[choice.form.offset]
    return (
        f'method = "{choice.method}"\nbits = {choice.form.bits}\ngroup = {choice.form.group}\n'
        f"minimum = {minimum}\n"
    )


def _string(text: str) -> str:
    """A TOML string: quotes, backslashes and control characters escaped."""
    plain = "".join(
        f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 else {'"': '\\"', "\\": "\\\\"}.get(c, c)
        for c in text
    )
    return f'"{plain}"'
