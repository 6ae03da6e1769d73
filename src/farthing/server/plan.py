"""A parsed request -> what the engine is asked: lengths, sampling, stops. Refuses what cannot be.

Fields that are absent take the model's generation_config, as vLLM does; what that leaves open
keeps the model's own distribution (temperature 1, everything else off).
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farthing.engine.types import Sampling
from farthing.errors import FormatError
from farthing.server.parse import FieldError
from farthing.server.refuse import DoesNotFit, PromptTooLong
from farthing.server.wire import ChatRequest, Common, CompletionRequest, StreamOptions

SAFE_SEEDS = 1 << 53
"""Seeds of our own choosing survive a round trip through any JSON reader's doubles."""
DEFAULTED = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
COMPLETION_TOKENS = 16
"""What OpenAI's completions endpoint writes when max_tokens is not given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """What a request is measured against."""

    vocabulary: int
    limit: int
    """Prompt and answer together, in tokens."""
    stop_ids: tuple[int, ...]
    defaults: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All that is the same for every answer of one request. `sampling` lacks only its choice."""

    sampling: Sampling
    max_tokens: int | None
    """None: what the context leaves."""
    min_tokens: int
    stop_ids: list[int]
    stops: list[str]
    n: int
    stream: bool
    include_usage: bool
    running_usage: bool


def read_defaults(folder: Path) -> dict[str, float]:
    """The sampling fields of generation_config.json; the others there are not about sampling."""
    path = folder / "generation_config.json"
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise FormatError(f"{path} is not JSON: {error}; pull the model again") from None
    if not isinstance(found, dict):
        raise FormatError(f"{path} holds no JSON object; pull the model again")
    return {name: _number(found[name], path) for name in DEFAULTED if found.get(name) is not None}


def _number(value: Any, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormatError(f"{path}: expected a number, found {value!r}")
    return value


def make_plan(ask: Common, model: Model) -> Plan:
    options = ask.stream_options or StreamOptions()
    stop_ids = [] if ask.ignore_eos else list(model.stop_ids)
    plan = Plan(
        sampling=_sampling(ask, model),
        max_tokens=_max_tokens(ask),
        min_tokens=ask.min_tokens or 0,
        stop_ids=stop_ids + check_ids(ask.stop_token_ids or [], "stop_token_ids", model),
        stops=ask.stops(),
        n=ask.n or 1,
        stream=ask.stream or False,
        include_usage=options.include_usage,
        running_usage=options.continuous_usage_stats,
    )
    if ask.stream_options is not None and not plan.stream:
        raise FieldError("stream_options: only with stream: true", "stream_options")
    if plan.min_tokens and plan.stops:
        raise FieldError("min_tokens: not together with stop strings; use stop_token_ids", "stop")
    if plan.max_tokens is not None and plan.min_tokens > plan.max_tokens:
        raise FieldError(
            f"min_tokens: {plan.min_tokens} is more than max_tokens, {plan.max_tokens}",
            "min_tokens",
        )
    return plan


def _max_tokens(ask: Common) -> int | None:
    if isinstance(ask, ChatRequest):
        newer, older = ask.max_completion_tokens, ask.max_tokens
        if newer is not None and older is not None and newer != older:
            raise FieldError(
                f"max_tokens: {older} differs from max_completion_tokens, {newer}; send one",
                "max_tokens",
            )
        return older if newer is None else newer
    return COMPLETION_TOKENS if ask.max_tokens is None else ask.max_tokens


def _sampling(ask: Common, model: Model) -> Sampling:
    given = {name: getattr(ask, name) for name in DEFAULTED if getattr(ask, name) is not None}
    chosen: dict[str, float] = {**model.defaults, **given}
    seed = secrets.randbelow(SAFE_SEEDS) if ask.seed is None else ask.seed
    bias = ask.logit_bias or {}
    check_ids(list(bias), "logit_bias", model)
    return Sampling(
        temperature=float(chosen.get("temperature", 1.0)),
        top_k=max(0, int(chosen.get("top_k", 0))),
        # No token at all is nobody's wish: 0 keeps the likeliest, as OpenAI does.
        top_p=max(1e-6, float(chosen.get("top_p", 1.0))),
        min_p=float(chosen.get("min_p", 0.0)),
        repetition_penalty=float(chosen.get("repetition_penalty", 1.0)),
        presence_penalty=ask.presence_penalty or 0.0,
        frequency_penalty=ask.frequency_penalty or 0.0,
        seed=seed % (1 << 64),
        logit_bias=bias,
        logprobs=_logprobs(ask),
    )


def _logprobs(ask: Common) -> int | None:
    if isinstance(ask, CompletionRequest):
        if ask.echo and ask.logprobs is not None:
            raise FieldError("echo: not together with logprobs; the prompt's are not kept", "echo")
        return ask.logprobs
    assert isinstance(ask, ChatRequest)
    if ask.top_logprobs and not ask.logprobs:
        raise FieldError("top_logprobs: only with logprobs: true", "top_logprobs")
    return (ask.top_logprobs or 0) if ask.logprobs else None


def check_ids(ids: list[int], field: str, model: Model) -> list[int]:
    for id in ids:
        if id >= model.vocabulary:
            raise FieldError(
                f"{field}: token {id} does not exist; ids go from 0 to {model.vocabulary - 1}",
                field,
            )
    return ids


def check_prompt(prompt: list[int], field: str, model: Model) -> list[int]:
    """A prompt has tokens, all of the vocabulary, and leaves room for one more."""
    if not prompt:
        raise FieldError(f"{field}: it has no tokens; at least one is needed", field)
    check_ids([max(prompt)], field, model)
    if len(prompt) >= model.limit:
        raise PromptTooLong(len(prompt), model.limit - 1, field)
    return prompt


def answer_tokens(plan: Plan, prompt_tokens: int, limit: int) -> int:
    """How many tokens this prompt's answer may have; what does not fit is refused, never cut."""
    left = limit - prompt_tokens
    wanted = max(plan.max_tokens or 0, plan.min_tokens)
    if wanted > left:
        raise DoesNotFit(
            f"the context holds {limit} tokens; the prompt has {prompt_tokens} and {wanted} are"
            f" asked for, {prompt_tokens + wanted} together: ask for at most {left}"
        )
    return left if plan.max_tokens is None else plan.max_tokens
