"""The price of an hour as the user set it: flag, then environment, then TOML, then the default.

Knows neither where the file lies nor what a flag is called on which command line.
"""

import os
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Any

import tomlkit
import tomlkit.exceptions

from farthing.errors import FormatError, InputError
from farthing.meter.rate import MachinePrice

NAMES = tuple(field.name for field in fields(MachinePrice))
PREFIX = "FARTHING_MACHINE_"
LARGEST_FILE = 1 << 20
CHANGE = "farthing cost --capital 900 --watts 65 --save"


def machine_price(
    path: Path, environ: Mapping[str, str], flags: Mapping[str, Any] | None = None
) -> MachinePrice:
    """The price of an hour from all three sources. Flags that are None were not given.

    `hour` and the five figures it replaces exclude one another: within one source that is an
    error, between sources the stronger one wins.
    """
    settings: dict[str, Fraction] = {}
    for where, found in (
        (f"[machine] in {path}", _read_toml(path)),
        ("the environment", _from_environment(environ)),
        ("the flags", flags or {}),
    ):
        given = _amounts(found, where)
        settings = _over(settings, given, where)
    return MachinePrice(**settings)


def assumption(price: MachinePrice, path: Path) -> str:
    """What an hour is taken to cost, and how to change that: to be printed beside every bill."""
    origin = "assumed" if price == MachinePrice() else "as set"
    return (
        f"Price of this machine, {origin}: {price.describe()}.\n"
        f"Change it: `{CHANGE}` (or --hour for a flat price), {PREFIX}WATTS=65,"
        f" or [machine] in {path}"
    )


def save(path: Path, flags: Mapping[str, Any]) -> None:
    """Write the given figures under [machine], leaving the rest of the file as it stands."""
    given = _amounts(flags, "the flags")
    if not given:
        raise InputError(f"nothing to save; give one of {_known(dashes=True)}")
    _over({}, given, "the flags")
    document = _parse(path)
    table = document.setdefault("machine", tomlkit.table())
    for name in [n for n in table if _kind(n) != _kind(next(iter(given)))]:
        del table[name]
    for name, value in given.items():
        table[name] = float(value) if value.denominator != 1 else int(value)
    machine_price_of(table)
    _replace(path, tomlkit.dumps(document))


def machine_price_of(table: Mapping[str, Any]) -> MachinePrice:
    """The price a [machine] table states by itself; raises InputError where it makes none."""
    return MachinePrice(**_amounts(table, "[machine]"))


def _over(
    below: dict[str, Fraction], given: dict[str, Fraction], where: str
) -> dict[str, Fraction]:
    kinds = {_kind(name) for name in given}
    if len(kinds) == 2:
        raise InputError(
            f"{where}: both a flat `hour` and {', '.join(n for n in given if n != 'hour')};"
            " give one or the other"
        )
    return {n: v for n, v in below.items() if not kinds or _kind(n) in kinds} | given


def _kind(name: str) -> str:
    return "flat" if name == "hour" else "parts"


def _amounts(found: Mapping[str, Any], where: str) -> dict[str, Fraction]:
    for name in found:
        if name not in NAMES:
            raise InputError(f"unknown setting {name!r} in {where}; known: {_known()}")
    return {name: _amount(name, v, where) for name, v in found.items() if v is not None}


def _known(*, dashes: bool = False) -> str:
    return ", ".join(f"--{name}" if dashes else name for name in NAMES)


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(PREFIX) and value
    }


def _amount(name: str, value: Any, where: str) -> Fraction:
    """An exact fraction from what a person wrote. 0.15 means fifteen hundredths, not a double."""
    problem = InputError(f"{name} is {str(value)[:40]!r} in {where}; a number was expected")
    if isinstance(value, Fraction):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise problem
    try:
        exact = Decimal(str(value)[:40])
    except InvalidOperation:
        raise problem from None
    if not exact.is_finite() or (exact and abs(exact.adjusted()) > 18):
        raise problem
    return Fraction(exact)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        text = _text(path)
        table = tomllib.loads(text, parse_float=Decimal).get("machine", {})
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FormatError(f"{path} is not TOML: {error}; mend it or move it away") from None
    if not isinstance(table, dict):
        raise FormatError(f"{path}: `machine` is {table!r}; a table [machine] was expected")
    return table


def _parse(path: Path) -> tomlkit.TOMLDocument:
    _read_toml(path)
    try:
        return tomlkit.parse(_text(path))
    except tomlkit.exceptions.ParseError as error:
        raise FormatError(f"{path} is not TOML: {error}; mend it or move it away") from None


def _text(path: Path) -> str:
    """The file's text; an absent file is an empty one."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            raise FormatError(f"{path} is larger than {LARGEST_FILE} bytes; settings are small")
        return data.decode()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is not UTF-8: {error}; mend it or move it away") from None
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}") from None


def _replace(path: Path, text: str) -> None:
    """Beside and renamed: the file is the old one or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=path.name, delete=False, encoding="utf-8"
    ) as file:
        try:
            file.write(text)
            file.flush()
            os.replace(file.name, path)
        finally:
            Path(file.name).unlink(missing_ok=True)
