"""One HTTP request's answers: taken in, run, and closed with exactly one bill.

Whatever ends a job (its last token, a client that left, a stop string, a dead engine, the
server's own end), `close` is called once; the bill waits for the engine's last word.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from farthing.engine.types import Request
from farthing.errors import FarthingError
from farthing.server.bills import together
from farthing.server.choice import Choice
from farthing.server.plan import Plan, answer_tokens
from farthing.server.refuse import Stopping
from farthing.server.state import State
from farthing.usage import Usage


class Job:
    def __init__(self, state: State, kind: str, key: str, plan: Plan) -> None:
        self.state, self.key, self.plan = state, key, plan
        self.id = f"{kind}-{secrets.token_hex(12)}"
        self.created = int(time.time())
        self.choices: list[Choice] = []
        self.prompt_tokens = 0
        self.closed = False
        self.stopped = False

    def ask(self, prompt: list[int], echo: str = "") -> None:
        """Add a prompt with its n answers. Refuses what does not fit."""
        plan, state = self.plan, self.state
        max_tokens = answer_tokens(plan, len(prompt), state.model.limit)
        self.prompt_tokens += len(prompt)
        for choice in range(plan.n):
            index = len(self.choices)
            request = Request(
                id=f"{self.id}-{index}",
                tokens=prompt,
                max_tokens=max_tokens,
                sampling=msgspec.structs.replace(plan.sampling, choice=choice),
                stop_ids=plan.stop_ids,
                min_tokens=plan.min_tokens,
            )
            text = state.tokenizer.stream(plan.stops, continues=True)
            self.choices.append(Choice(index, request, text, echo))

    def start(self) -> None:
        """Submit all answers. Raises Busy where there is no room; otherwise pair with close."""
        self.state.bills.check()
        self.state.limits.take(self.key, len(self.choices))
        self.state.jobs.add(self)
        try:
            for choice in self.choices:
                choice.start(self.state.engine)
        except BaseException:
            self.close()
            raise

    async def pieces(self) -> AsyncGenerator[tuple[Choice, str], None]:
        """Text of all answers as it comes. Raises EngineDied, or Stopping if it was cut off."""
        engine, metrics = self.state.engine, self.state.metrics
        if len(self.choices) == 1:
            only = self.choices[0]
            async with aclosing(only.pieces(engine, metrics)) as pieces:
                async for text in pieces:
                    yield only, text
        else:
            async with aclosing(self._merged()) as several:
                async for pair in several:
                    yield pair
        if self.stopped:
            raise Stopping("the server is stopping; the answer ends here, unfinished")

    async def _merged(self) -> AsyncGenerator[tuple[Choice, str], None]:
        queue: asyncio.Queue[tuple[Choice, str] | Exception | None] = asyncio.Queue()

        async def feed(choice: Choice) -> None:
            try:
                async for text in choice.pieces(self.state.engine, self.state.metrics):
                    queue.put_nowait((choice, text))
                queue.put_nowait(None)
            except FarthingError as error:
                queue.put_nowait(error)

        feeds = [asyncio.create_task(feed(choice)) for choice in self.choices]
        running = len(feeds)
        try:
            while running:
                item = await queue.get()
                if isinstance(item, Exception):
                    raise item
                if item is None:
                    running -= 1
                else:
                    yield item
        finally:
            for task in feeds:
                task.cancel()
            await asyncio.gather(*feeds, return_exceptions=True)

    @property
    def usage(self) -> Usage:
        """What the engine has said of all answers so far."""
        return together(c.stream.usage() for c in self.choices if c.stream is not None)

    def stop(self) -> None:
        """End it now, with an error to the client."""
        self.stopped = True
        self._cancel()

    def _cancel(self) -> None:
        for choice in self._running():
            self.state.engine.cancel(choice.request.id)

    def _running(self) -> list[Choice]:
        return [c for c in self.choices if c.stream is not None and c.stream.finished is None]

    def close(self) -> None:
        """Called once, when no more text is wanted. Frees what still runs, then bills it."""
        assert not self.closed, "a job is closed once"
        self.closed = True
        self.state.limits.give_back(self.key, len(self.choices))
        if self._running():
            self._cancel()
            self.state.spawn(self._settle())
        else:
            self._bill()

    async def _settle(self) -> None:
        """Wait for the engine's last word on what was cancelled."""
        for choice in self._running():
            assert choice.stream is not None
            await choice.stream.ended()
        self._bill()

    def _bill(self) -> None:
        state = self.state
        state.jobs.discard(self)
        if not any(choice.stream for choice in self.choices):
            return
        usage = self.usage
        cost = state.bills.write(self.id, self.key, self.outcome, usage)
        state.metrics.bill(cost.by_class)
        now = time.perf_counter()
        for choice in self.choices:
            state.metrics.finished[choice.reason or "abort"] += 1
            if choice.generated > 1:
                mean = (choice.last - choice.first) / (choice.generated - 1)
                state.metrics.per_token.add(mean)
            state.metrics.whole.add(now - choice.began)

    @property
    def outcome(self) -> str:
        """For the ledger: how it ended, the worst of its answers."""
        ends = [(c, c.stream.finished) for c in self.choices if c.stream is not None]
        reasons = {c.reason or finished.reason for c, finished in ends if finished is not None}
        return next(r for r in ("died", "refused", "cancelled", "length", "stop") if r in reasons)
