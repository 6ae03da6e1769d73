"""`farthing learn data sample`: text from a teacher, by any OpenAI-compatible endpoint."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from farthing.cli import command
from farthing.cli.sample_shown import Shown
from farthing.errors import InputError

if TYPE_CHECKING:
    from farthing.learn.card import Card
    from farthing.learn.sample import Sampler
    from farthing.learn.sample_job import Job
    from farthing.learn.seeds import Prompts
    from farthing.meter.prices import Price

KEY = "FARTHING_TEACHER_KEY"
NONE = "none"


def sample(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    url: str = "http://127.0.0.1:8000/v1",
    model: str | None = None,
    seeds: Path | None = None,
    prompts: Path | None = None,
    samples: int = 10_000,
    tokens: int = 0,
    minutes: float = 0.0,
    streams: int = 32,
    answers: int = 1,
    max_tokens: int = 512,
    temperature: float = 0.7,
    top_p: float = 0.95,
    system: str | None = None,
    seed: int = 0,
    grow: int = 0,
    licence: str | None = None,
    priced_as: str | None = None,
    patience_hours: float = 24.0,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Let a teacher write: stories, explanations, dialogues, or answers to your own questions.

    Answers are kept as they come. Stopped in any way, the same command goes on where it was; an
    endpoint that goes away is waited for. What each answer cost is in asked/bills.jsonl, the sum on
    the card. An endpoint's API key is read from FARTHING_TEACHER_KEY.

    Examples:

        farthing serve smollm2-135m
        farthing learn data sample -o data/prose --tokens 2000000
        farthing learn data sample -o data/answers --prompts data/tasks --samples 5000

    Parameters
    ----------
    output
        The data set's folder; one that was begun with the same settings is gone on with.
    url
        The endpoint, as http://HOST:PORT/v1.
    model
        The teacher as the endpoint names it; needed where it serves several.
    seeds
        Your own seeds: a .toml of forms and lists, or a .txt of subjects, one a line.
    prompts
        Ask what stands in these documents instead (a data set, or a .jsonl file); their kind,
        template and answer stay with them.
    samples
        Answers wanted.
    tokens
        Ask no more once the answers have so many tokens; 0: no such end.
    minutes
        Ask no more after so many minutes; 0: no such end.
    streams
        Requests in flight.
    answers
        Different answers to each question.
    max_tokens
        Longest answer.
    temperature
        0 takes the likeliest token, 1 draws as the model says.
    top_p
        Draw among the likeliest tokens that make up this share.
    system
        A system message before each question.
    seed
        Decides prompts and draws: the same seed and teacher give the same texts.
    grow
        Let the teacher first name so many more items for the largest list of the seeds.
    licence
        The teacher's licence, for the card (apache-2.0, say).
    priced_as
        A model whose price list holds, where the endpoint does not say what an answer costs
        (`farthing cost` knows the names); "none" if nobody is to be paid.
    patience_hours
        How long an endpoint may be away.
    as_json
        Print the card as JSON.
    """
    try:
        from farthing.learn.sample import Sampler
        from farthing.learn.sample_job import Job
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is missing: pip install 'farthing[learn]'") from None

    job = Job(
        folder=output,
        url=url,
        prompts=_prompts(seeds, prompts, seed),
        model=model,
        key=os.environ.get(KEY),
        price=_price(priced_as),
        unpriced=priced_as == NONE,
        samples=samples,
        tokens=tokens,
        seconds=minutes * 60,
        streams=streams,
        answers=answers,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        system=system,
        seed=seed,
        grow=grow,
        patience=patience_hours * 3600,
    )
    with Shown(job) as shown:
        sampler = Sampler(job, say=shown.say, watch=shown.watch)
        try:
            ended = asyncio.run(_until_signal(sampler))
        finally:
            # Whatever ended it, the card says what there is.
            made = _card(sampler, licence)
    _tell(job, made, ended, as_json)


def _card(sampler: "Sampler", licence: str | None) -> "Card | None":
    from farthing.learn import sample_card

    if sampler.answers is None:
        return None
    return sample_card.write(
        sampler.job,
        sampler.answers,
        sampler.model,
        licence,
        command.text(),
        prompts=sampler.prompts,
    )


async def _until_signal(sampler: "Sampler") -> bool:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def stopping(number: int) -> None:
        stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping, number)
    return await sampler.run(stop)


def _prompts(seeds: Path | None, prompts: Path | None, seed: int) -> "Prompts":
    from farthing.learn import seeds as grown

    if prompts is not None:
        if seeds is not None:
            raise InputError("--prompts are asked as they stand; --seeds grows others: give one")
        return grown.Given.read(prompts)
    return grown.read(seeds, seed) if seeds else grown.ours(seed)


def _price(name: str | None) -> "Price | None":
    from farthing.meter import prices

    if name is None or name == NONE:
        return None
    found = prices.find(name)
    if found.missing:
        raise InputError(f"{found.name} has no price for {', '.join(found.missing)}; name another")
    return found


def _tell(job: "Job", made: "Card | None", ended: bool, as_json: bool) -> None:
    from farthing.learn import card
    from farthing.meter.rate import dollars

    if made is None:
        print(f"Stopped before {job.url} had answered anything.", file=sys.stderr)
        return
    if as_json:
        print((job.folder / card.CARD).read_text(), end="")
        return
    cost = made.cost
    assert cost is not None
    print(
        f"{job.folder}: {made.documents:,} documents, {cost.completion_tokens:,} tokens of answers,"
        f" {dollars(cost.nanodollars)}"
    )
    if made.licence is None:
        print("The teacher's licence is not on the card; --licence puts it there.")
    if not ended:
        print("Stopped; the same command goes on from here.")
    else:
        print(f"Next: farthing learn data filter {job.folder} -o FILTERED")
