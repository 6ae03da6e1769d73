"""What a client may send, as strict structs: types, ranges and the list of known fields.

Fields a client may set without effect here (`user`, `store`, ...) are taken and ignored. Fields
that ask for something this server cannot do are typed so that only their inert value passes.
The JSON schemas of /openapi.json come from these structs. Nothing here knows the model.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Nothing = Annotated[list[Any], Meta(max_length=0)]
Text = Annotated[str, Meta(min_length=1, max_length=256)]
TokenId = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Bias = Annotated[float, Meta(ge=-100, le=100)]
Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
MOST_CHOICES = 32
MOST_LOGPROBS = 20


class StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    include_usage: bool = False
    continuous_usage_stats: bool = False
    """vLLM's: every chunk says what was used so far, and here what it cost."""
    include_obfuscation: bool = False


class TextFormat(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["text"]


class Part(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["text"]
    text: str


class Message(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The last five fields come back from clients that repeat our own answers to us."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part] | None = None
    name: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    annotations: Nothing | None = None
    tool_calls: Nothing | None = None
    audio: None = None
    function_call: None = None


class Common(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What chat and plain completions share. None means: not given."""

    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    min_tokens: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    ignore_eos: bool | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=-1, le=2**31 - 1)] | None = None
    min_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Meta(ge=0.01, le=10)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    logit_bias: Annotated[dict[TokenId, Bias], Meta(max_length=1024)] | None = None
    stop: Text | Annotated[list[Text], Meta(max_length=16)] | None = None
    stop_token_ids: Annotated[list[TokenId], Meta(max_length=64)] | None = None
    n: Annotated[int, Meta(ge=1, le=MOST_CHOICES)] | None = None
    user: str | None = None
    store: bool | None = None
    metadata: dict[str, str] | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None

    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop or []


class ChatRequest(Common, kw_only=True, forbid_unknown_fields=True):
    messages: Annotated[list[Message], Meta(min_length=1)]
    max_completion_tokens: Count | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=MOST_LOGPROBS)] | None = None
    response_format: TextFormat | None = None
    modalities: list[Literal["text"]] | None = None
    parallel_tool_calls: bool | None = None
    tool_choice: Literal["none", "auto"] | None = None
    chat_template_kwargs: dict[str, bool | int | float | str | None] | None = None
    tools: Nothing | None = None
    functions: Nothing | None = None
    function_call: Literal["none", "auto"] | None = None
    audio: None = None
    prediction: None = None
    reasoning_effort: Literal["none"] | None = None
    verbosity: None = None
    web_search_options: None = None


class CompletionRequest(Common, kw_only=True, forbid_unknown_fields=True):
    prompt: str | Annotated[list[str | TokenId | list[TokenId]], Meta(min_length=1)]
    echo: bool | None = None
    logprobs: Annotated[int, Meta(ge=0, le=MOST_LOGPROBS)] | None = None
    best_of: Literal[1] | None = None
    suffix: None = None


class TokenizeRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Either `prompt` or `messages`, as vLLM has it."""

    model: str | None = None
    prompt: str | None = None
    messages: Annotated[list[Message], Meta(min_length=1)] | None = None
    add_special_tokens: bool = True
    add_generation_prompt: bool = True
    return_token_strs: bool = False


class DetokenizeRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    model: str | None = None
    tokens: list[TokenId]


UNSUPPORTED = {
    "tools": "tool calls are not supported yet",
    "tool_choice": "tool calls are not supported yet",
    "functions": "tool calls are not supported yet",
    "function_call": "tool calls are not supported yet",
    "response_format": 'the only response_format supported is {"type": "text"}',
    "modalities": "only text goes in and comes out",
    "audio": "only text goes in and comes out",
    "prediction": "predicted outputs are not supported",
    "reasoning_effort": "the model has no reasoning levels to choose from",
    "verbosity": "the model has no verbosity levels to choose from",
    "web_search_options": "this server has no web search",
    "best_of": "best_of is not supported; ask for n answers and choose",
    "suffix": "filling in the middle is not supported",
}
"""Why a known field of OpenAI's is refused when it asks for more than its inert value."""
