"""`farthing serve`: the OpenAI-compatible server."""

import os
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from farthing import store
from farthing.cli import loss, models, room
from farthing.cli.room import FLOOR
from farthing.config import EngineConfig, ledger, settings
from farthing.meter.settings import machine_price
from farthing.store.pulling import DEFAULT


def serve(
    model: str = DEFAULT,
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    threads: int = 0,
    cache_bytes: int = 1 << 30,
    kv_bits: Literal[16, 8, 4] = 16,
    max_step_tokens: int = 512,
    max_sequences: int = 64,
    max_context: int = 0,
    prefix_cache: bool = True,
    api_key_file: Path | None = None,
    allow_origin: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    alias: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    max_answers: int = 256,
    max_answers_per_key: int = 0,
    grace_seconds: float = 3.0,
    patience_seconds: float = 60.0,
    floor: float = FLOOR,
    loss_budget: str | None = None,
    unmeasured: Annotated[bool, Parameter(negative=())] = False,
    measure: bool = True,
) -> int:
    """Serve a model over HTTP, as OpenAI's API, with a chat page at /.

    Any OpenAI client works: point its base URL at http://HOST:PORT/v1. On this machine alone no
    key is needed; any other address wants one, from FARTHING_API_KEY or a file. Ends with exit
    code 0 on SIGTERM, every bill on the ledger (FARTHING_LEDGER names another). What an hour costs
    is set with `farthing cost`.

    Parameters
    ----------
    model
        A model's name (`farthing ls`), or a packed folder.
    host
        Address to listen on. Any but the loopback's needs an API key.
    port
        Port to listen on; 0 takes a free one.
    threads
        Worker threads; 0 means one for each core this process may use.
    cache_bytes
        Memory for the KV cache. More of it holds more answers at once.
    kv_bits
        Bits of a number in the KV cache. Fewer hold more context and lose a little: how much must
        have been measured on this model (`farthing eval MODEL --kv-bits 4`).
    max_step_tokens
        Tokens in one step. Larger answers long prompts sooner and delays the others.
    max_sequences
        Answers that are worked on in one step; more wait.
    max_context
        Longest prompt plus answer, in tokens; 0 means what the model was trained for.
    prefix_cache
        Keep what was computed for a prompt, and start from it when another begins alike.
    api_key_file
        Named API keys, one name:key a line; the name is what bills say.
    allow_origin
        A web origin whose pages may call this server. May be given several times.
    alias
        One more name that clients may call the model by. May be given several times.
    max_answers
        Answers in flight; one more is refused with 503.
    max_answers_per_key
        Answers in flight for one API key; one more is refused with 429. 0 means no such limit.
    grace_seconds
        How long answers may go on once the server is told to end.
    patience_seconds
        How long a client may leave a stream unread before it is cut off.
    floor
        Refuse a model that does not fit in memory and would give fewer tokens a second than this.
    loss_budget
        Refuse to start if the model loses more than this by its measurements, or if it was never
        measured: kl=0.02 (nats a token, at most), same_top=0.97 (at least), perplexity=1.05 (times
        the reference's, at most), or several with commas between.
    unmeasured
        Start with fewer bits of cache though nobody measured what they lose.
    measure
        Measure the speed for about a second after the start, and say what tokens cost.
    """
    from farthing.server.launch import serve as run
    from farthing.server.options import Options

    config = EngineConfig(
        threads=threads,
        cache_bytes=cache_bytes,
        kv_bits=kv_bits,
        max_step_tokens=max_step_tokens,
        max_sequences=max_sequences,
        max_context=max_context,
        prefix_cache=prefix_cache,
    )
    folder = models.folder(model)
    levers = loss.check(folder, config, budget=loss_budget, unmeasured=unmeasured)
    room.tell(folder, config, answers=max_sequences, floor=floor)
    return run(
        Options(
            model=store.find(str(folder)),
            ledger=ledger(),
            host=host,
            port=port,
            names=alias,
            api_key_file=api_key_file,
            origins=allow_origin,
            max_answers=max_answers,
            max_answers_per_key=max_answers_per_key,
            grace_seconds=grace_seconds,
            patience_seconds=patience_seconds,
            measure=measure,
            engine=config,
            levers=levers,
            price=machine_price(settings(), os.environ),
        )
    )
