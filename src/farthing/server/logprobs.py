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


def completion_logprobs(
    tokens: Sequence[Token], tokenizer: Tokenizer, offset: int
) -> dict[str, Any]:
    """`offset`: characters of text before these tokens."""
    texts = [tokenizer.token_text(token.id) for token in tokens]
    offsets = []
    for text in texts:
        offsets.append(offset)
        offset += len(text)
    tops = [
        {tokenizer.token_text(id): _floor(p) for id, p in [*(t.top or ()), (t.id, t.logprob)]}
        for t in tokens
    ]
    return {
        "text_offset": offsets,
        "token_logprobs": [_floor(token.logprob) for token in tokens],
        "tokens": texts,
        "top_logprobs": tops if any(token.top for token in tokens) else None,
    }
