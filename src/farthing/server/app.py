"""Routes to handlers, errors to statuses: the whole surface of the server in one place."""

import logging
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from starlette.exceptions import HTTPException

from farthing import __version__
from farthing.errors import FarthingError, InputError, NotFound
from farthing.server import openapi
from farthing.server.body import Gone
from farthing.server.chat import chat
from farthing.server.completions import completions
from farthing.server.guard import App, Guard
from farthing.server.keys import Keys
from farthing.server.models import model, models
from farthing.server.refuse import error_bytes, error_headers
from farthing.server.state import State
from farthing.server.tokens import detokenize, tokenize
from farthing.server.watch import Page, health, metrics

log = logging.getLogger("farthing.server")


def make_app(
    state: State,
    *,
    host: str = "127.0.0.1",
    keys: Keys | None = None,
    origins: tuple[str, ...] = (),
) -> App:
    app = FastAPI(title="farthing", version=__version__, openapi_url=None)
    app.state.farthing = state
    raw: dict[str, Any] = {"response_class": Response, "responses": openapi.responses()}
    app.post("/v1/chat/completions", **raw)(chat)
    app.post("/v1/completions", **raw)(completions)
    app.post("/tokenize", responses=openapi.responses())(tokenize)
    app.post("/detokenize", responses=openapi.responses())(detokenize)
    app.get("/v1/models", responses=openapi.responses())(models)
    app.get("/v1/models/{id:path}", responses=openapi.responses())(model)
    app.get("/health", **raw)(health)
    app.get("/metrics", **raw)(metrics)
    app.get("/", include_in_schema=False)(Page().__call__)
    for error in (FarthingError, HTTPException, RequestValidationError, Gone, Exception):
        app.add_exception_handler(error, show_error)
    described = openapi.describe(app)
    app.get("/openapi.json", include_in_schema=False)(lambda: described)
    if origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["*"]
        )
    return Guard(app, host=host, keys=keys or Keys({}), origins=origins)


class NoSuchPath(NotFound):
    code = "unknown_url"


class WrongMethod(InputError):
    http_status = 405
    code = "method_not_allowed"


async def show_error(request: Request, error: Exception) -> Response:
    if isinstance(error, Gone):
        return Response(status_code=400)
    told = _told(request, error)
    headers = error_headers(told)
    if isinstance(error, HTTPException):
        headers |= error.headers or {}
    return Response(error_bytes(told), told.http_status, headers)


def _told(request: Request, error: Exception) -> FarthingError:
    if isinstance(error, FarthingError):
        return error
    if isinstance(error, RequestValidationError):
        return InputError(str(error.errors()))
    if isinstance(error, HTTPException):
        return _http(request, error.status_code)
    log.error("a bug of ours", exc_info=error)
    return FarthingError("the server failed on this request; its log says why")


def _http(request: Request, status: int) -> FarthingError:
    place = f"{request.method} {request.url.path}"
    if status == 404:
        return NoSuchPath(f"nothing at {place}; the API is under /v1, see /openapi.json")
    if status == 405:
        return WrongMethod(f"{place}: the path exists, the method does not")
    return InputError(f"{place}: the request was refused ({status})")
