"""`farthing run`: one prompt, one answer, and what it cost."""

import json as json_format
import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from farthing.cli import INTERRUPTED, loss, models, room
from farthing.cli.choice import Choice, recommended
from farthing.cli.local import Answer, Local
from farthing.cli.room import FLOOR
from farthing.config import EngineConfig
from farthing.errors import InputError
from farthing.tokenizer import Tokenizer
from farthing.usage import CLASSES

LARGEST_PROMPT = 16 << 20
PLAIN = Choice()


def run(
    model: str,
    prompt: str | None = None,
    /,
    *,
    system: str = "",
    raw: bool = False,
    choice: Choice = PLAIN,
    threads: int = 0,
    kv_bits: Literal[16, 8, 4] = 16,
    unmeasured: Annotated[bool, Parameter(negative=())] = False,
    floor: float = FLOOR,
    json: bool = False,
) -> int:
    """Answer one prompt, in this process.

    The answer goes to stdout as it is made; after it one line on stderr says tokens, speed and
    cost. A prompt that is not given is read from stdin, so that text can be piped in. The answer
    ends where the model ends it: ^C ends it sooner, and what was made is still counted.

    Parameters
    ----------
    model
        A model's name (`farthing ls`), or a packed folder.
    prompt
        What to answer; from stdin if it is left out.
    system
        Instructions that come before the prompt.
    raw
        Continue the prompt as plain text, without the model's chat template.
    choice
        How tokens are chosen.
    threads
        Worker threads; 0 means one for each core this process may use.
    kv_bits
        Bits of a number in the KV cache. Fewer hold more context and lose a little: how much must
        have been measured on this model (`farthing eval MODEL --kv-bits 4`).
    unmeasured
        Run with fewer bits though nobody measured what they lose.
    floor
        Refuse a model that does not fit in memory and would give fewer tokens a second than this.
    json
        Print one JSON object at the end, and nothing else.
    """
    folder = models.folder(model)
    text = _stdin() if prompt is None else prompt
    config = EngineConfig(threads=threads, kv_bits=kv_bits)
    room.tell(folder, config, answers=1, floor=floor, quiet=json)
    levers = loss.asked(folder, config, unmeasured=unmeasured, quiet=json)
    local = Local.open(folder, config)
    tokens = encode(local.tokenizer, text, system=system, raw=raw)
    answer = local.answer(tokens, choice.ask(recommended(folder)))
    pieces: list[str] = []
    stopped = _read(answer, pieces, show=not json)
    if json:
        print(json_format.dumps(report(local, answer, model, "".join(pieces)) | levers))
    else:
        print(flush=True)
        print(local.line(answer), file=sys.stderr)
    return INTERRUPTED if stopped else 0


def encode(tokenizer: Tokenizer, text: str, *, system: str, raw: bool) -> list[int]:
    if raw:
        if system:
            raise InputError("--system needs the chat template, and --raw leaves it out; drop one")
        return tokenizer.encode(text, add_special=True)
    before = [{"role": "system", "content": system}] if system else []
    return tokenizer.chat([*before, {"role": "user", "content": text}])


def report(local: Local, answer: Answer, model: str, text: str) -> dict[str, object]:
    """Everything the closing line says, and its parts."""
    usage = answer.usage
    return {
        "model": model,
        "text": text,
        "finish_reason": answer.reason,
        "seed": answer.seed,
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "cached_tokens": usage.cached_tokens,
            "completion_tokens": usage.completion_tokens,
            "nanoseconds": dict(zip(CLASSES, usage.nanoseconds, strict=True)),
        },
        "tokens_per_second": round(answer.tokens_per_second, 2),
        "cost_nanodollars": local.nanodollars(usage),
        "hour_nanodollars": local.price.hour_nanodollars,
    }


def _read(answer: Answer, pieces: list[str], *, show: bool) -> bool:
    """Collect the text, showing it as it comes. Returns whether ^C ended it."""
    try:
        for piece in answer:
            pieces.append(piece)
            if show:
                print(piece, end="", flush=True)
    except KeyboardInterrupt:
        answer.stop()
        return True
    return False


def _stdin() -> str:
    if sys.stdin.isatty():
        raise InputError("no prompt: give one after the model's name, or pipe one in")
    data = sys.stdin.buffer.read(LARGEST_PROMPT + 1)
    if len(data) > LARGEST_PROMPT:
        raise InputError(f"the prompt on stdin is longer than {LARGEST_PROMPT >> 20} MiB")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"stdin is not UTF-8 text at byte {error.start}") from None
