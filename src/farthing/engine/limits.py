"""What a request may ask: checked before it takes any room, by whoever meets it first."""

from collections.abc import Iterator
from math import inf

from farthing.engine.types import Request, Sampling
from farthing.errors import ContextTooLong, InputError

MAX_LOGPROBS = 20
MAX_BIASES = 1024
MAX_BIAS = 1e6
MOST = 2**31 - 1
"""Numbers travel to another process and into arrays: nothing may be larger than fits there."""
MAX_WAITING = 4096
"""Requests that may wait for room. More are told to try again."""


def check_request(request: Request, *, vocabulary: int, max_context: int) -> None:
    """Raises InputError or ContextTooLong. `max_context` is prompt plus answer, in tokens."""
    if not request.tokens:
        raise InputError("the prompt is empty; send at least one token")
    if len(request.tokens) >= max_context:
        raise ContextTooLong(len(request.tokens), max_context - 1)
    for what, ids in (
        ("prompt", request.tokens),
        ("stop_ids", request.stop_ids),
        ("logit_bias", request.sampling.logit_bias),
    ):
        if ids and not 0 <= min(ids) <= max(ids) < vocabulary:
            raise InputError(
                f"{what} names token {min(ids) if min(ids) < 0 else max(ids)};"
                f" the vocabulary has tokens 0 to {vocabulary - 1}"
            )
    for name, least in (("max_tokens", 1), ("min_tokens", 0)):
        if not least <= (value := getattr(request, name)) <= MOST:
            raise InputError(f"{name} is {value}; it must be {least} to {MOST}")
    for fault in _faults(request.sampling):
        raise InputError(fault)


def _faults(sampling: Sampling) -> Iterator[str]:
    for name, least, most in (
        ("temperature", 0.0, 100.0),
        ("top_k", 0, MOST),
        ("top_p", 0.0, 1.0),
        ("min_p", 0.0, 1.0),
        ("repetition_penalty", 0.01, 100.0),
        ("presence_penalty", -100.0, 100.0),
        ("frequency_penalty", -100.0, 100.0),
        ("choice", 0, 2**32 - 1),
        ("seed", -(2**63), 2**64 - 1),
    ):
        value = getattr(sampling, name)
        if not least <= value <= most:
            yield f"{name} is {value}; it must be {least} to {most}"
    if not 0 <= (sampling.logprobs or 0) <= MAX_LOGPROBS:
        yield f"logprobs is {sampling.logprobs}; it must be 0 to {MAX_LOGPROBS}"
    if len(sampling.logit_bias) > MAX_BIASES:
        yield f"logit_bias has {len(sampling.logit_bias)} tokens; at most {MAX_BIASES} fit"
    for token, bias in sampling.logit_bias.items():
        if not (abs(bias) <= MAX_BIAS or bias == -inf):
            yield f"logit_bias of {token} is {bias}; it must be within {MAX_BIAS:g}, or -inf"
