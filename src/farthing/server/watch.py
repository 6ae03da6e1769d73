"""GET /health, /metrics and the page at /: for those who watch the server."""

import base64
import re
from hashlib import sha256
from importlib.resources import files

from fastapi import Request, Response

from farthing.server.body import state_of
from farthing.server.clock import counters

PROMETHEUS = "text/plain; version=1.0.0; charset=utf-8"
_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


async def health(request: Request) -> Response:
    """200 when a request would be taken now."""
    state = state_of(request)
    if state.limits.stopping:
        return Response(b'{"status":"stopping"}', 503, media_type="application/json")
    if not state.engine.alive:
        return Response(b'{"status":"engine starting"}', 503, media_type="application/json")
    return Response(b'{"status":"ok"}', media_type="application/json")


async def metrics(request: Request) -> Response:
    state = state_of(request)
    text = state.metrics.text(await counters(state.engine))
    return Response(text, headers={"content-type": PROMETHEUS})


class Page:
    """The chat page with a policy that lets nothing run but its own two inline blocks."""

    def __init__(self) -> None:
        html = files("farthing.server").joinpath("web/index.html").read_text("utf-8")
        self.body = html.encode()
        sources = {kind: _digest(text) for kind, text in _INLINE.findall(html)}
        self.headers = {
            "content-security-policy": "default-src 'none'; connect-src 'self'; img-src data:;"
            f" script-src '{sources['script']}'; style-src '{sources['style']}';"
            " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cache-control": "no-cache",
        }

    async def __call__(self, request: Request) -> Response:
        return Response(self.body, media_type="text/html", headers=self.headers)


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(sha256(text.encode()).digest()).decode()
