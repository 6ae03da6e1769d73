"""What the server prints when it is ready: where, what, on what, how fast, for how much."""

import json
from collections.abc import Iterator

from farthing import __version__
from farthing.config import settings
from farthing.engine.types import EngineInfo
from farthing.meter.rate import dollars, per_million
from farthing.meter.settings import assumption
from farthing.server.keys import VARIABLE, is_loopback
from farthing.server.measure import Speed
from farthing.server.options import Options

PAGE = 64
"""Tokens."""


def address(host: str, port: int) -> str:
    """As a browser on this machine would write it."""
    if host in ("0.0.0.0", "::", ""):
        host = "127.0.0.1" if host != "::" else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def greeting(options: Options, info: EngineInfo, port: int, *, keyed: bool) -> str:
    model = options.model
    place = address(options.host, port)
    reach = "" if is_loopback(options.host) else f" (bound to {options.host}: keys are needed)"
    forms = ", ".join(model.forms) or "unknown form"
    cache = info.pages * info.page_bytes
    bits = "" if options.engine.kv_bits == 16 else f" of {options.engine.kv_bits} bits"
    return "\n".join(
        (
            f"farthing {__version__} on {place}{reach}; a chat page is at the same address",
            f"model    {model.name}: {model.parameters / 1e6:,.1f} M parameters, {forms};"
            f" {model.bits:.2f} bits each; context {info.max_context:,} tokens",
            f"machine  {info.isa}, {info.threads} threads; KV cache {cache / 1e9:.2f} GB{bits},"
            f" {info.pages * PAGE:,} tokens; loaded in {info.load_nanoseconds / 1e9:.2f} s",
            *_levers(options),
            f"try      {curl(place, model.name, keyed=keyed)}",
        )
    )


def _levers(options: Options) -> Iterator[str]:
    """What answers lose, a line for each lever."""
    for place, verdict in enumerate(options.levers):
        heading = "" if place else "levers"
        which = verdict.named if len(verdict.levers) == 1 else "together"
        yield f"{heading:<8} {which}: {verdict.loss}"


def curl(place: str, model: str, *, keyed: bool) -> str:
    question = {"role": "user", "content": "Why is the sky blue?"}
    # A small model may go on for minutes.
    body = {"model": model, "max_tokens": 128, "messages": [question]}
    key = f' -H "Authorization: Bearer ${VARIABLE}"' if keyed else ""
    return (
        f"curl {place}/v1/chat/completions{key} -H 'content-type: application/json'"
        f" -d '{json.dumps(body)}'"
    )


def speed_lines(speed: Speed, options: Options) -> str:
    hour = options.price.hour_nanodollars
    prefill, decode = (dollars(per_million(s, hour)) for s in (speed.prefill, speed.decode))
    disturbed = ", while answering others" if speed.disturbed else ""
    return "\n".join(
        (
            f"speed    decode {speed.decode:,.0f} tokens/s, prefill {speed.prefill:,.0f} tokens/s"
            f" (one stream, measured just now{disturbed})",
            f"cost     a million tokens: {prefill} in, {decode} out, one stream alone;"
            " together they are cheaper",
            *(f"         {line}" for line in assumption(options.price, settings()).splitlines()),
        )
    )
