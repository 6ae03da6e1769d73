"""An OpenAI-compatible endpoint as a teacher: one question, its answers, and what they cost.

Nothing here tries again: an answer comes, or Gone (try later), or Refused (this question never),
or an error that ends the work.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from farthing.errors import Denied, FarthingError, InputError, NotFound
from farthing.learn.documents import Message
from farthing.meter.prices import Price
from farthing.meter.rate import NANO

LARGEST = 16 << 20
"""Bytes of an answer."""
READ_SECONDS = 900.0
"""Many streams on a small machine: an answer may be long in coming."""
LATER = {408, 409, 425, 429, 500, 502, 503, 504, 529}
LONGEST_PAUSE = 3600.0

Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
T = TypeVar("T")


class Gone(Exception):
    """Not now: the endpoint is away, or has no room. `pause` is what it asked for, in seconds."""

    def __init__(self, why: str, *, pause: float = 0.0) -> None:
        super().__init__(why)
        self.pause = pause


class Failed(Gone):
    """It was there, and did not answer this question as it should: HTTP 500, or no JSON."""


class Refused(Exception):
    """The endpoint does not take this question."""


class Said(msgspec.Struct):
    content: str | None = None


class Choice(msgspec.Struct):
    message: Said
    finish_reason: str | None = None


class PromptDetails(msgspec.Struct):
    cached_tokens: Count | None = None


class Usage(msgspec.Struct):
    prompt_tokens: Count
    completion_tokens: Count
    prompt_tokens_details: PromptDetails | None = None
    cost: float | None = None
    """Dollars: farthing's server says it, and some resellers."""

    @property
    def cached_tokens(self) -> int:
        details = self.prompt_tokens_details
        return min(details.cached_tokens or 0, self.prompt_tokens) if details else 0


class Answer(msgspec.Struct):
    choices: list[Choice]
    usage: Usage
    model: str | None = None


class Listed(msgspec.Struct):
    id: str


class Models(msgspec.Struct):
    data: list[Listed]


class Endpoint:
    """A connection pool of so many streams; to be used in `async with`."""

    def __init__(self, url: str, *, key: str | None, streams: int) -> None:
        self.url = base(url)
        if key is not None and not (key.isascii() and key.isprintable()):
            raise InputError("the API key holds characters that no header can carry")
        self._http = httpx.AsyncClient(
            # Unpacked, a small answer could fill the memory: none is taken packed.
            headers={"accept-encoding": "identity"}
            | ({"authorization": f"Bearer {key}"} if key else {}),
            timeout=httpx.Timeout(READ_SECONDS, connect=20.0),
            limits=httpx.Limits(max_connections=streams, max_keepalive_connections=streams),
            follow_redirects=False,
        )

    async def __aenter__(self) -> "Endpoint":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def only_model(self) -> str:
        """The one model that is served there. Raises InputError if there are several."""
        names = [one.id for one in _decoded(await self._send("GET", "/models"), Models).data]
        if len(names) != 1:
            listed = ", ".join(names[:8]) or "none"
            raise InputError(f"{self.url} serves {len(names)} models ({listed}); name one")
        return names[0]

    async def ask(self, messages: Sequence[Message], settings: dict[str, Any]) -> Answer:
        """Raises Gone, Refused, or a FarthingError that ends the work."""
        body = msgspec.json.encode({"messages": messages} | settings)
        answer = _decoded(await self._send("POST", "/chat/completions", body), Answer)
        if len(answer.choices) != settings.get("n", 1):
            raise Failed(f"{len(answer.choices)} choices came; n is {settings.get('n', 1)}")
        return answer

    async def _send(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {"content-type": "application/json"} if body else {}
        try:
            async with self._http.stream(
                method, self.url + path, content=body, headers=headers
            ) as response:
                content = bytearray()
                async for block in response.aiter_raw():
                    content += block
                    if len(content) > LARGEST:
                        raise InputError(f"{self.url} answered with over {LARGEST >> 20} MiB")
        except httpx.RequestError as error:
            raise Gone(f"{type(error).__name__}: {error}".removesuffix(": ")) from None
        if response.status_code != 200:
            raise _refusal(self.url, response, bytes(content))
        return bytes(content)


def base(url: str) -> str:
    """As http://127.0.0.1:8000/v1; the /v1 may be left out where there is no path."""
    split = urlsplit(url)
    if split.scheme not in ("http", "https") or not split.hostname or split.username:
        raise InputError(
            f"{url!r:.100}: expected http://HOST:PORT or https://HOST/v1, without a key"
        )
    return url.rstrip("/") if split.path.strip("/") else url.rstrip("/") + "/v1"


def cost(usage: Usage, price: Price | None) -> int | None:
    """Whole nano-dollars: what the endpoint says, else by a price; None if neither is known."""
    if usage.cost is not None:
        if not (isfinite(usage.cost) and usage.cost >= 0):
            raise InputError(f"the endpoint says an answer cost {usage.cost} dollars")
        return round(usage.cost * NANO)
    if price is None:
        return None
    fresh = usage.prompt_tokens - usage.cached_tokens
    return price.of(fresh, usage.cached_tokens, usage.completion_tokens)


def _refusal(url: str, response: httpx.Response, content: bytes) -> Exception:
    status, says = response.status_code, content[:300].decode(errors="replace").strip()
    if status in LATER:
        pause = response.headers.get("retry-after", "")
        seconds = min(float(pause), LONGEST_PAUSE) if pause.isdecimal() else 0.0
        return (Failed if status == 500 else Gone)(f"HTTP {status}: {says}", pause=seconds)
    if status in (400, 413, 422):
        return Refused(f"HTTP {status}: {says}")
    kind: type[FarthingError] = {401: Denied, 403: Denied, 404: NotFound}.get(status, InputError)
    return kind(f"{url} answered with HTTP {status}: {says}")


def _decoded(content: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        start = content[:80].decode(errors="replace")
        raise Failed(f"no answer as OpenAI's API has it ({error}): {start!r}") from None
