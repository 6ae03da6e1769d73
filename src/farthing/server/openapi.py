"""Bodies for /openapi.json that FastAPI does not know, from the structs that they are."""

from typing import Any

import msgspec
from fastapi import FastAPI

from farthing.server.about import Model, Models
from farthing.server.wire import (
    ChatRequest,
    CompletionRequest,
    DetokenizeRequest,
    TokenizeRequest,
)

BODIES = {
    "/v1/chat/completions": ChatRequest,
    "/v1/completions": CompletionRequest,
    "/tokenize": TokenizeRequest,
    "/detokenize": DetokenizeRequest,
}
ANSWERS = {"/v1/models": Models, "/v1/models/{id}": Model}
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}


def responses() -> dict[int | str, dict[str, Any]]:
    """What any endpoint may answer besides 200."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    told = {
        400: "The request is wrong; `param` names the field.",
        401: "No API key, or an unknown one.",
        403: "A foreign origin or host name.",
        404: "No such model.",
        408: "The body came too slowly.",
        413: "The body is too large.",
        415: "The body is not JSON.",
        429: "This key has too much in flight.",
        500: "Our fault.",
        503: "No room now; see Retry-After.",
    }
    return {status: {"description": text, "content": content} for status, text in told.items()}


def describe(app: FastAPI) -> dict[str, Any]:
    """FastAPI's own description, with the bodies it has not been told of."""
    whole = FastAPI.openapi(app)
    found, components = msgspec.json.schema_components(
        [*BODIES.values(), *ANSWERS.values()], ref_template="#/components/schemas/{name}"
    )
    bodies, answers = found[: len(BODIES)], found[len(BODIES) :]
    schemas = whole.setdefault("components", {}).setdefault("schemas", {})
    schemas |= components | {"Error": ERROR}
    for path, body in zip(BODIES, bodies, strict=True):
        whole["paths"][path]["post"]["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": body}},
        }
    for path, answer in zip(ANSWERS, answers, strict=True):
        good = whole["paths"][path]["get"]["responses"]["200"]
        good["content"]["application/json"]["schema"] = answer
    return whole
