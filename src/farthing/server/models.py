"""GET /v1/models and /v1/models/{id}: the one model this server has, by each of its names."""

from typing import Any

from fastapi import Request

from farthing.server.body import state_of
from farthing.server.state import State


async def models(request: Request) -> dict[str, Any]:
    state = state_of(request)
    return {"object": "list", "data": [describe(state, name) for name in state.names]}


async def model(request: Request, id: str) -> dict[str, Any]:
    state = state_of(request)
    state.check_name(id)
    return describe(state, id)


def describe(state: State, name: str) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": state.created,
        "owned_by": "farthing",
        "root": state.names[0],
        "max_model_len": state.model.limit,
        "farthing": state.about,
    }
