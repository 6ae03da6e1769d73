"""POST /v1/chat/completions."""

from typing import Any

from fastapi import Request, Response

from farthing.server.answer import answer
from farthing.server.body import read, state_of
from farthing.server.guard import KEY
from farthing.server.job import Job
from farthing.server.parse import FieldError, parse
from farthing.server.plan import check_prompt, make_plan
from farthing.server.shapes import ChatShape
from farthing.server.wire import ChatRequest, Message, Part

RESERVED = ("messages", "tools", "add_generation_prompt")


async def chat(request: Request) -> Response:
    state = state_of(request)
    ask = parse(await read(request), ChatRequest)
    state.check_name(ask.model)
    job = Job(state, "chatcmpl", request.scope[KEY], make_plan(ask, state.model))
    messages, variables = flatten(ask.messages), template_variables(ask)
    prompt = await state.work(
        sum(len(m["content"]) for m in messages),
        lambda: state.tokenizer.chat(messages, **variables),
    )
    job.ask(check_prompt(prompt, "messages", state.model))
    return await answer(request, ChatShape(job))


def flatten(messages: list[Message]) -> list[dict[str, Any]]:
    """As chat templates know them: role, content as one string, and what else was given."""
    return [_flat(message, place) for place, message in enumerate(messages)]


def _flat(message: Message, place: int) -> dict[str, Any]:
    if message.content is None and message.role != "assistant":
        field = f"messages[{place}].content"
        raise FieldError(f"{field} is missing; only an assistant's may be", field)
    # `developer` is OpenAI's newer word; the templates of open models know `system`.
    role = "system" if message.role == "developer" else message.role
    flat = {"role": role, "content": _text(message.content)}
    more = {"name": message.name, "reasoning_content": message.reasoning_content}
    return flat | {name: value for name, value in more.items() if value is not None}


def _text(content: str | list[Part] | None) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content or ())


def template_variables(ask: ChatRequest) -> dict[str, Any]:
    variables = ask.chat_template_kwargs or {}
    for name in RESERVED:
        if name in variables:
            field = f"chat_template_kwargs.{name}"
            raise FieldError(f"{field}: the server sets this itself; leave it out", field)
    return variables
