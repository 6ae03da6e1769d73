"""What the board shows: measured of each model here, and reported of others. Never in one row."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from farthing import store
from farthing.bench import quick, reported
from farthing.cli import measured
from farthing.cli.awake import awake
from farthing.cli.loss import measuring
from farthing.config import EngineConfig
from farthing.errors import NotFound
from farthing.evaluate.levers import active, counting, named, verdicts
from farthing.formats import packed
from farthing.formats.quality import Interval, Row
from farthing.meter import prices
from farthing.meter.prices import Price
from farthing.meter.rate import MachinePrice, per_million

SOLD = ("gpt-5.2", "gpt-4o", "claude-sonnet-4-5", "deepseek-chat", "kimi-k2", "qwen3-30b-a3b")
"""Looked up in genai-prices, beside the models that articles speak of."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Nano-dollars for a million tokens at this machine's price of an hour."""

    prompt: int
    alone: int
    """Of output, one answer at a time."""
    together: int
    """Of output, 32 answers at a time."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    task: str
    metric: str
    share: Interval
    chance: float
    count: int
    solved: int | None
    """Nano-dollars for one right answer; None if there was none."""
    measured: str


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """Loss with all levers on that the model runs with: KL in nats a token."""

    levers: str
    kl: Interval
    same_top: Interval
    against: str
    text: str
    measured: str


class Here(msgspec.Struct, frozen=True, kw_only=True):
    """A model on this machine; all of it measured, or None."""

    name: str
    parameters: int
    active_share: float
    bits: float
    levers: str
    quality: Quality | None
    how: str
    """The command that measures what is missing of the quality."""
    speed: measured.Speed | None
    cost: Cost | None
    tasks: list[Task]
    problem: str | None = None
    """Why nothing can be said of it."""


class Board(msgspec.Struct, frozen=True, kw_only=True):
    price: str
    """Of an hour of this machine, in words."""
    here: list[Here]
    models: tuple[reported.Model, ...]
    prices: list[Price]
    claims: tuple[reported.Claim, ...]
    sources: dict[str, str]
    """Of models and claims, by letter."""


def board(price: MachinePrice, against: Sequence[str]) -> Board:
    """Raises NotFound for a name in `against` that nobody sells, FormatError for damaged files."""
    kept = measured.read()
    return Board(
        price=price.describe(),
        here=[here(model, kept, price) for model in store.models()],
        models=reported.models(),
        prices=list(sold(against)),
        claims=reported.claims(),
        sources=reported.sources(),
    )


def here(model: store.Model, kept: measured.Kept, price: MachinePrice) -> Here:
    if model.problem:
        return _silent(model)
    folder, config = model.folder, EngineConfig()
    rows, needs = counting(folder), awake(folder)
    on = active(config, folder, rows)
    weights = packed.identity(folder)
    speed = next((s for s in kept.speeds if (s.weights, s.kv_bits) == (weights, 16)), None)
    hour = price.hour_nanodollars
    return Here(
        name=model.name,
        parameters=needs.parameters,
        active_share=needs.active / needs.parameters,
        bits=model.bits,
        levers=named(on),
        quality=loss(rows, on),
        how=measuring(folder, on, rows),
        speed=speed,
        cost=None if speed is None else cost(speed, hour),
        tasks=[task(one, hour) for one in kept.solved if one.weights == weights],
    )


def loss(rows: list[Row], on: dict[str, str]) -> Quality | None:
    """Of the row that held all levers that are on; none is guessed from several."""
    found = verdicts(rows, on)
    row = found[-1].row if found else None
    if row is None:
        return None
    return Quality(
        levers=named(row.levers),
        kl=row.loss.kl,
        same_top=row.loss.same_top,
        against=f"{row.against.name} in {row.against.arithmetic}",
        text=f"{row.text.tokens:,} tokens, {row.text.what}",
        measured=row.measured,
    )


def cost(speed: measured.Speed, hour_nanodollars: int) -> Cost:
    return Cost(
        prompt=per_million(speed.prompt, hour_nanodollars),
        alone=per_million(speed.alone, hour_nanodollars),
        together=per_million(speed.together, hour_nanodollars),
    )


def task(one: measured.Solved, hour_nanodollars: int) -> Task:
    right = one.share.mean * one.count
    whole = one.seconds / 3600 * hour_nanodollars
    return Task(
        task=one.task,
        metric=one.metric,
        share=one.share,
        chance=one.chance,
        count=one.count,
        solved=round(whole / right) if right else None,
        measured=one.measured,
    )


def sold(against: Sequence[str]) -> Iterator[Price]:
    """Our book of reported prices, then price lists. A name that is asked for must be there."""
    yield from prices.reported()
    seen: set[str] = set()
    for name in (*SOLD, *against):
        try:
            found = prices.find(name)
        except NotFound:
            # genai-prices drops models in time; only what the user named must be there.
            if name in against:
                raise
            continue
        if found.name not in seen and not found.reported:
            seen.add(found.name)
            yield found


def measure(folders: Sequence[Path], threads: int, seen: Callable[[str], None]) -> None:
    """The speeds of these models, kept for the board."""
    from farthing.engine.runner import choose_isa
    from farthing.machine import cores

    config = EngineConfig(threads=threads)
    for folder in folders:
        seen(f"measuring {folder.name}")
        rates = quick.rates(folder, config, rounds=3)
        used = threads or cores().usable
        measured.keep_speed(folder, rates, kv_bits=16, isa=choose_isa(), threads=used)


def _silent(model: store.Model) -> Here:
    return Here(
        name=model.name,
        parameters=0,
        active_share=0.0,
        bits=0.0,
        levers="",
        quality=None,
        how="",
        speed=None,
        cost=None,
        tasks=[],
        problem=model.problem,
    )
