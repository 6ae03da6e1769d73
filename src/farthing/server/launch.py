"""A server's life: bind, load, listen, greet, answer, and end with every bill written."""

import asyncio
import contextlib
import ctypes
import gc
import os
import socket
import sys
import time
from collections.abc import Iterator

import uvicorn
import uvloop

from farthing.engine.client import EngineClient
from farthing.errors import FarthingError
from farthing.evaluate.levers import listed, together
from farthing.meter.ledger import Ledger
from farthing.meter.writer import Writer
from farthing.server.about import About
from farthing.server.app import make_app
from farthing.server.bills import Bills
from farthing.server.clock import Beat
from farthing.server.ending import LAST_WORDS, Ending, drain, end_engine
from farthing.server.greeting import greeting, speed_lines
from farthing.server.guard import App
from farthing.server.keys import Keys, need_keys, read_keys
from farthing.server.limits import Limits
from farthing.server.listen import listen
from farthing.server.measure import measure
from farthing.server.metrics import Metrics
from farthing.server.options import Options
from farthing.server.plan import Model, read_defaults
from farthing.server.state import State
from farthing.tokenizer import Tokenizer


def serve(options: Options) -> int:
    """Serve until told to end. Returns the exit code; raises what keeps it from starting."""
    # One prompt at a time is encoded by one thread; the engine has the other cores.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return uvloop.run(_serve(options))


async def _serve(options: Options) -> int:
    keys = read_keys(options.api_key_file, os.environ)
    need_keys(options.host, keys)
    with (
        contextlib.closing(listen(options.host, options.port)) as listener,
        contextlib.closing(Ledger(options.ledger)) as ledger,
        contextlib.closing(Writer(ledger)) as writer,
    ):
        tokenizer = Tokenizer.open(options.model.folder)
        engine = await EngineClient.start(
            options.model.folder, options.engine, factory=options.factory
        )
        tasks: set[asyncio.Task[None]] = set()
        try:
            state = make_state(options, engine, tokenizer, writer)
            tasks = state.tasks
            return await _answer(options, state, keys, listener)
        finally:
            await end_engine(engine, tasks)


def make_state(
    options: Options, engine: EngineClient, tokenizer: Tokenizer, writer: Writer
) -> State:
    model, info = options.model, engine.info
    metrics = Metrics(model.name)
    defaults = read_defaults(model.folder)
    engine.on_death = lambda: _mourn(metrics)
    return State(
        names=(model.name, *options.names),
        created=int(time.time()),
        model=Model(
            vocabulary=info.vocabulary,
            limit=info.max_context,
            stop_ids=tuple(id for id in tokenizer.stop_ids if id < info.vocabulary),
            defaults=defaults,
        ),
        tokenizer=tokenizer,
        engine=engine,
        bills=Bills(writer, model.name, options.price),
        patience_seconds=options.patience_seconds,
        limits=Limits(options.max_answers, options.max_answers_per_key),
        metrics=metrics,
        about=About(
            parameters=model.parameters,
            bits_per_parameter=round(model.bits, 3),
            forms=list(model.forms),
            instruction_set=info.isa,
            threads=info.threads,
            kv_bits=options.engine.kv_bits,
            levers=listed(options.levers),
            loss=together(options.levers),
            defaults=defaults,
            hour_dollars=options.price.hour_nanodollars / 1e9,
        ),
    )


def _mourn(metrics: Metrics) -> None:
    metrics.engine_restarts += 1
    print("farthing: the engine died; starting it again", file=sys.stderr, flush=True)


class Quiet(uvicorn.Server):
    """Signals are ours: uvicorn would end by the signal itself, and we end with exit code 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _answer(options: Options, state: State, keys: Keys, listener: socket.socket) -> int:
    app = make_app(state, host=options.host, keys=keys, origins=options.origins)
    server, ending = Quiet(_uvicorn(app)), Ending()
    beat = Beat(state.engine, state.bills.writer, options.price, state.check_streams)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    told = asyncio.create_task(ending.told.wait())
    others = [
        asyncio.create_task(beat.run()),
        asyncio.create_task(_greet(options, state, server, listener, keyed=bool(keys))),
    ]
    settle_memory()
    await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
    await drain(state, options.grace_seconds, ending.hurry)
    server.should_exit = True
    await serving
    for task in (told, *others):
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    if state.tasks:
        await asyncio.wait(state.tasks, timeout=LAST_WORDS)
    await beat.last()
    return 0


def settle_memory() -> None:
    """After loading: no collection looks again at what lives as long as we do, and what parsing
    a tokenizer took for a moment (25 MB for 49,152 tokens) goes back to the machine."""
    gc.collect()
    gc.freeze()
    # glibc alone keeps it, and alone has the call.
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


def _uvicorn(app: App) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )


async def _greet(
    options: Options, state: State, server: uvicorn.Server, listener: socket.socket, *, keyed: bool
) -> None:
    while not server.started:
        await asyncio.sleep(0.005)
    port = listener.getsockname()[1]
    print(greeting(options, state.engine.info, port, keyed=keyed), flush=True)
    if options.measure:
        try:
            print(speed_lines(await measure(state), options), flush=True)
        except FarthingError as error:
            print(f"farthing: the measurement failed: {error}", file=sys.stderr, flush=True)
