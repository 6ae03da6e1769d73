"""POST /tokenize and /detokenize, in vLLM's shapes."""

from typing import Any

from fastapi import Request

from farthing.server.body import read, state_of
from farthing.server.chat import flatten
from farthing.server.parse import FieldError, parse
from farthing.server.plan import check_ids
from farthing.server.state import State
from farthing.server.wire import DetokenizeRequest, TokenizeRequest


async def tokenize(request: Request) -> dict[str, Any]:
    state = state_of(request)
    ask = parse(await read(request), TokenizeRequest)
    state.check_name(ask.model)
    tokens = await _ids(state, ask)
    texts = [state.tokenizer.token_text(id) for id in tokens] if ask.return_token_strs else None
    return {
        "count": len(tokens),
        "max_model_len": state.model.limit,
        "tokens": tokens,
        "token_strs": texts,
    }


async def _ids(state: State, ask: TokenizeRequest) -> list[int]:
    prompt, tokenizer = ask.prompt, state.tokenizer
    if (prompt is None) == (ask.messages is None):
        raise FieldError("prompt: send either prompt or messages", "prompt")
    if prompt is not None:
        special = ask.add_special_tokens
        return await state.work(len(prompt), lambda: tokenizer.encode(prompt, add_special=special))
    messages = flatten(ask.messages or [])
    return await state.work(
        sum(len(message["content"]) for message in messages),
        lambda: tokenizer.chat(messages, add_generation_prompt=ask.add_generation_prompt),
    )


async def detokenize(request: Request) -> dict[str, str]:
    state = state_of(request)
    ask = parse(await read(request), DetokenizeRequest)
    state.check_name(ask.model)
    ids = check_ids(ask.tokens, "tokens", state.model)
    return {"prompt": await state.work(len(ids), lambda: state.tokenizer.decode(ids))}
