"""API keys: read from a file or a variable, compared in constant time, never shown.

Knows nothing of HTTP beyond the text of an Authorization header.
"""

import hmac
import ipaddress
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from farthing.errors import Denied, InputError

VARIABLE = "FARTHING_API_KEY"
LOCAL = "local"
"""The name on the bill when no key is needed."""
LEAST = 16
MOST_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,64}")


class Keys:
    """Named keys, kept as digests. An empty set lets everybody in, as LOCAL."""

    def __init__(self, named: Mapping[str, str]) -> None:
        self._digests = [(name, _digest(key)) for name, key in named.items()]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def owner(self, authorization: str | None) -> str:
        """Whose key it is. Every known key is compared, so that time tells nothing."""
        if not self._digests:
            return LOCAL
        scheme, _, given = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not given:
            raise Denied("no API key; send the header `Authorization: Bearer KEY`")
        digest = _digest(given.strip())
        found = [name for name, known in self._digests if hmac.compare_digest(known, digest)]
        if not found:
            raise Denied("this API key is not known here; ask the server's owner for one")
        return found[0]


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogateescape")).digest()


def read_keys(file: Path | None, environment: Mapping[str, str]) -> Keys:
    """Keys of the file (`name:key` lines, # comments) and of FARTHING_API_KEY (named default)."""
    named = _read_file(file) if file else {}
    if key := environment.get(VARIABLE, "").strip():
        _check(key, VARIABLE)
        named.setdefault("default", key)
    return Keys(named)


def _read_file(file: Path) -> dict[str, str]:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise InputError(f"{file} has over {MOST_BYTES} bytes; it holds one name:key a line")
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the API keys in {file}: {error}") from None
    named: dict[str, str] = {}
    for number, line in enumerate(map(str.strip, lines), start=1):
        if line and not line.startswith("#"):
            name, key = _read_line(line, f"{file}, line {number}")
            if name in named:
                raise InputError(f"{file}, line {number}: a second key named {name!r}")
            named[name] = key
    if not named:
        raise InputError(f"{file} holds no key; write one name:key a line")
    return named


def _read_line(line: str, place: str) -> tuple[str, str]:
    name, colon, key = (part.strip() for part in line.partition(":"))
    if not colon or not _NAME.fullmatch(name):
        raise InputError(f"{place}: expected name:key, the name of letters, digits and _.@-")
    _check(key, place)
    return name, key


def _check(key: str, place: str) -> None:
    if len(key) < LEAST or not key.isascii() or any(c.isspace() for c in key):
        raise InputError(
            f"{place}: a key has at least {LEAST} ASCII characters and no spaces;"
            " `openssl rand -hex 24` makes one"
        )


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def need_keys(host: str, keys: Keys) -> None:
    """Refuse to be reachable from elsewhere without a key."""
    if not keys and not is_loopback(host):
        raise InputError(
            f"{host} can be reached from other machines, so an API key is needed: set {VARIABLE}"
            " or give --api-key-file (one name:key a line), or bind to 127.0.0.1"
        )
