"""Text from a teacher: questions by the thousand, many at once, and every answer kept and billed.

A request's number decides its prompt and its seed, so that work that was stopped goes on where it
was: what is done is never asked again.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from farthing.errors import InputError
from farthing.learn import documents
from farthing.learn.answers import Answers, Bill, Totals
from farthing.learn.documents import LONGEST, Document, Message
from farthing.learn.endpoint import Answer, Choice, Endpoint, Failed, Refused, cost
from farthing.learn.growing import grown
from farthing.learn.patience import Patience, Say
from farthing.learn.sample_job import Job, request_id
from farthing.learn.seeds import Prompt

SYNC_SECONDS = 5.0


@dataclass
class State:
    """What a person may watch while it runs."""

    totals: Totals
    documents_before: int
    tokens_before: int
    began: float = field(default_factory=time.monotonic)
    in_flight: int = 0
    away: bool = False

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def tokens_per_second(self) -> float:
        return (self.totals.completion_tokens - self.tokens_before) / max(self.seconds, 1e-9)


Watch = Callable[[State], None]


class Sampler:
    """`run` once. `answers` is there as soon as the endpoint has said which model it serves."""

    def __init__(self, job: Job, *, say: Say, watch: Watch) -> None:
        self.job, self.watch = job, watch
        self.endpoint = Endpoint(job.url, key=job.key, streams=job.streams)
        self.patience = Patience(self.endpoint.url, job.patience, say)
        self.model, self.prompts = job.model or "", job.prompts
        self.answers: Answers | None = None
        self.state: State | None = None

    async def run(self, stop: asyncio.Event) -> bool:
        """Asks until there is enough (True), or until `stop` is set (False): then what is in flight
        is given up. Raises what ends the work; whatever came before is kept."""
        work, stopping = asyncio.create_task(self._run()), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            ended = work.done()
            if ended:
                await work
            return ended
        finally:
            await _cancelled([work, stopping])

    async def _run(self) -> None:
        async with self.endpoint:
            if not self.model:
                self.model = await self.patience.ask(self.endpoint.only_model)
            self.answers = Answers(self.job.folder, self.job.identity(self.model))
            try:
                if self.job.grow:
                    self.prompts = await grown(self, self.answers)
                await self._ask_all(self.answers)
            finally:
                self.answers.close()

    async def _ask_all(self, answers: Answers) -> None:
        totals = answers.totals
        state = self.state = State(totals, totals.documents, totals.completion_tokens)
        pending = self._pending(answers, state)
        beat = asyncio.create_task(self._beat(answers, state))
        workers = [
            asyncio.create_task(self._worker(pending, answers, state))
            for _ in range(self.job.streams)
        ]
        try:
            await asyncio.gather(*workers)
        finally:
            await _cancelled([*workers, beat])
        self.watch(state)

    def _pending(self, answers: Answers, state: State) -> Iterator[int]:
        """Numbers of requests that are not done, while more are wanted."""
        job = self.job
        for index in range(-(-job.samples // job.answers)):
            late = job.seconds and state.seconds > job.seconds
            if late or (job.tokens and state.totals.completion_tokens >= job.tokens):
                return
            if request_id(index) not in answers.done:
                yield index

    async def _worker(self, pending: Iterator[int], answers: Answers, state: State) -> None:
        for index in pending:
            state.in_flight += 1
            answers.add(*await self._one(index))
            state.in_flight -= 1

    async def _one(self, index: int) -> tuple[Bill, list[Document]]:
        job, prompt = self.job, self.prompts.prompt(index)
        system = (Message("system", job.system),) if job.system else ()
        bill, answer = await self.ask(
            request_id(index), system + prompt.messages, job.settings(self.model, index)
        )
        if answer is None:
            return bill, []
        kept = self._documents(index, prompt, system, answer.choices)
        finish = tuple(choice.finish_reason or "unknown" for choice in answer.choices)
        return msgspec.structs.replace(bill, documents=len(kept), finish=finish), kept

    async def ask(
        self, request: str, messages: tuple[Message, ...], settings: dict[str, Any]
    ) -> tuple[Bill, Answer | None]:
        """The answer with its bill, however long the endpoint is away; None if it was refused."""
        began = 0.0

        async def question() -> Answer:
            nonlocal began
            began = time.monotonic()
            return await self.endpoint.ask(messages, settings)

        try:
            answer = await self.patience.ask(question)
        except (Refused, Failed) as error:
            return Bill(
                request=request, at=time.time_ns(), model=self.model, refused=str(error)[:300]
            ), None
        return self._bill(request, answer, time.monotonic() - began), answer

    def _bill(self, request: str, answer: Answer, seconds: float) -> Bill:
        money = cost(answer.usage, self.job.price)
        if money is None and not self.job.unpriced:
            raise InputError(
                f"{self.endpoint.url} does not say what an answer costs, and no price is known for"
                f" {self.model!r}; name a model whose prices it has, or say that it has none"
            )
        return Bill(
            request=request,
            at=time.time_ns(),
            model=answer.model or self.model,
            prompt_tokens=answer.usage.prompt_tokens,
            cached_tokens=answer.usage.cached_tokens,
            completion_tokens=answer.usage.completion_tokens,
            nanodollars=money,
            seconds=round(seconds, 3),
        )

    def _documents(
        self, index: int, prompt: Prompt, system: tuple[Message, ...], choices: list[Choice]
    ) -> list[Document]:
        found = [
            Document(
                id=f"{request_id(index)}-{place}",
                messages=(*system, *prompt.messages, Message("assistant", choice.message.content)),
                kind=prompt.kind,
                language=prompt.language,
                template=prompt.template,
                answer=prompt.answer,
                source=self.model,
                finish=choice.finish_reason,
            )
            for place, choice in enumerate(choices)
            if choice.message.content and choice.message.content.strip()
        ]
        return [one for one in found if len(documents.encode(one)) < LONGEST]

    async def _beat(self, answers: Answers, state: State) -> None:
        synced = time.monotonic()
        while True:
            state.away = self.patience.away_since is not None
            self.watch(state)
            if time.monotonic() - synced > SYNC_SECONDS:
                answers.sync()
                synced = time.monotonic()
            await asyncio.sleep(0.5)


async def _cancelled(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
