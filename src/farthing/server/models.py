"""GET /v1/models and /v1/models/{id}: the one model this server has, by each of its names."""

from typing import Any

import msgspec
from fastapi import Request

from farthing.server.about import Model, Models
from farthing.server.body import state_of
from farthing.server.state import State


async def models(request: Request) -> Any:
    state = state_of(request)
    return msgspec.to_builtins(Models([describe(state, name) for name in state.names]))


async def model(request: Request, id: str) -> Any:
    state = state_of(request)
    state.check_name(id)
    return msgspec.to_builtins(describe(state, id))


def describe(state: State, name: str) -> Model:
    return Model(
        id=name,
        created=state.created,
        root=state.names[0],
        max_model_len=state.model.limit,
        farthing=state.about,
    )
