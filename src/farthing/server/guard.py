"""The outermost layer: which host names, origins and keys may come in at all.

Plain ASGI and once a request: what happens in the answer passes through untouched.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from farthing.errors import FarthingError
from farthing.server.keys import Keys, is_loopback
from farthing.server.refuse import Forbidden, error_bytes, error_headers

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

KEY = "farthing.key"
"""Where in the scope the name of the key stands."""
OPEN = {"/", "/health"}
"""Paths that need no key: the page asks for one itself."""


class Guard:
    def __init__(self, app: App, *, host: str, keys: Keys, origins: tuple[str, ...] = ()) -> None:
        self.app = app
        self.keys = keys
        self.origins = origins
        self.local = is_loopback(host)
        self.host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                self.admit(scope)
            except FarthingError as error:
                return await refuse(error, send)
        await self.app(scope, receive, send)

    def admit(self, scope: Scope) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        self.check_host(host)
        self.check_origin(headers.get(b"origin", b"").decode("latin-1"), host)
        preflight = scope["method"] == "OPTIONS" and self.origins
        if scope["path"] not in OPEN and not preflight:
            scope[KEY] = self.keys.owner(headers.get(b"authorization", b"").decode("latin-1"))

    def check_host(self, host: str) -> None:
        """A page of another site may point its own name at 127.0.0.1: names must be ours."""
        name = host_name(host)
        if self.local and host and not (is_loopback(name) or name == self.host):
            raise Forbidden(
                f"the Host header names {name!r}, but this server listens on {self.host} only"
            )

    def check_origin(self, origin: str, host: str) -> None:
        if not origin or origin in self.origins or origin.partition("://")[2] == host:
            return
        raise Forbidden(
            f"requests from pages of {origin!r} are not allowed;"
            " start the server with --allow-origin to allow them"
        )


def host_name(host: str) -> str:
    """`127.0.0.1:8000` -> `127.0.0.1`; `[::1]:8000` -> `::1`."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


async def refuse(error: FarthingError, send: Send) -> None:
    body = error_bytes(error)
    headers = error_headers(error) | {"content-length": str(len(body))}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.http_status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
