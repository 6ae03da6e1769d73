"""POST /v1/completions: plain text, or token ids, to be continued."""

from fastapi import Request, Response

from farthing.server.answer import answer
from farthing.server.body import read, state_of
from farthing.server.guard import KEY
from farthing.server.job import Job
from farthing.server.parse import FieldError, parse
from farthing.server.plan import check_prompt, make_plan
from farthing.server.shapes import CompletionShape
from farthing.server.state import State
from farthing.server.wire import MOST_CHOICES, CompletionRequest

Prompt = str | list[int]


async def completions(request: Request) -> Response:
    state = state_of(request)
    ask = parse(await read(request), CompletionRequest)
    state.check_name(ask.model)
    given = prompts(ask)
    job = Job(state, "cmpl", request.scope[KEY], make_plan(ask, state.model))
    if len(given) * job.plan.n > MOST_CHOICES:
        raise FieldError(
            f"prompt: {len(given)} prompts with n = {job.plan.n} make {len(given) * job.plan.n}"
            f" answers; at most {MOST_CHOICES} in one request",
            "prompt",
        )
    for prompt in given:
        ids = check_prompt(await encode(state, prompt), "prompt", state.model)
        job.ask(ids, _echo(state, ask, prompt))
    return await answer(request, CompletionShape(job))


def prompts(ask: CompletionRequest) -> list[Prompt]:
    """A string, strings, token ids, or lists of token ids: as a list of prompts."""
    given = ask.prompt
    if isinstance(given, str):
        return [given]
    texts = [each for each in given if isinstance(each, str)]
    ids = [each for each in given if isinstance(each, int)]
    lists = [each for each in given if isinstance(each, list)]
    if len(ids) == len(given):
        return [ids]
    if len(texts) == len(given):
        return [*texts]
    if len(lists) == len(given):
        return [*lists]
    raise FieldError(
        "prompt: strings and token ids are mixed; send a string, strings, token ids,"
        " or lists of token ids",
        "prompt",
    )


async def encode(state: State, prompt: Prompt) -> list[int]:
    if not isinstance(prompt, str):
        return prompt
    return await state.work(len(prompt), lambda: state.tokenizer.encode(prompt, add_special=True))


def _echo(state: State, ask: CompletionRequest, prompt: Prompt) -> str:
    if not ask.echo:
        return ""
    return prompt if isinstance(prompt, str) else state.tokenizer.decode(prompt)
