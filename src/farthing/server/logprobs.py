"""Logprobs in OpenAI's two shapes: one for chat, an older one for completions."""

from collections.abc import Sequence
from typing import Any

from farthing.engine.types import Token
from farthing.tokenizer import Tokenizer

LEAST = -9999.0
"""Instead of minus infinity, which JSON cannot say; vLLM's number."""


def _floor(logprob: float | None) -> float:
    return LEAST if logprob is None else max(logprob, LEAST)


def chat_logprobs(tokens: Sequence[Token], tokenizer: Tokenizer) -> dict[str, Any]:
    def entry(id: int, logprob: float | None) -> dict[str, Any]:
        return {
            "token": tokenizer.token_text(id),
            "logprob": _floor(logprob),
            "bytes": list(tokenizer.token_bytes(id)),
        }

    content = [
        entry(t.id, t.logprob) | {"top_logprobs": [entry(*top) for top in t.top or ()]}
        for t in tokens
    ]
    return {"content": content, "refusal": None}


def _name(id: int, tokenizer: Tokenizer) -> str:
    """A token's text; parts of a character, which as text would all look alike, as OpenAI does."""
    raw = tokenizer.token_bytes(id)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


def completion_logprobs(
    tokens: Sequence[Token], tokenizer: Tokenizer, offset: int
) -> dict[str, Any]:
    """`offset`: characters of text before these tokens."""
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(tokenizer.token_text(token.id))
    tops = [
        {_name(id, tokenizer): _floor(p) for id, p in [*(t.top or ()), (t.id, t.logprob)]}
        for t in tokens
    ]
    return {
        "text_offset": offsets,
        "token_logprobs": [_floor(token.logprob) for token in tokens],
        "tokens": [_name(token.id, tokenizer) for token in tokens],
        "top_logprobs": tops if any(token.top for token in tokens) else None,
    }
