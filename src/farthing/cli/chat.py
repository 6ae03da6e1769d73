"""`farthing chat`: talk with a model in the terminal."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console

from farthing.cli import loss, models, room
from farthing.cli.choice import Choice, recommended
from farthing.cli.lines import Lines
from farthing.cli.local import Local
from farthing.cli.room import FLOOR
from farthing.config import EngineConfig
from farthing.errors import FarthingError, InputError
from farthing.meter.rate import dollars
from farthing.store.pulling import DEFAULT

PLAIN = Choice()
COMMANDS = """\
/reset           forget what was said
/system TEXT     set the instructions, and forget what was said
/save FILE       write the conversation as JSON
/cost            what was spent since the start
/help            this list
/exit            leave (so does ^D); ^C stops an answer"""


def chat(
    model: str = DEFAULT,
    /,
    *,
    system: str = "",
    choice: Choice = PLAIN,
    threads: int = 0,
    kv_bits: Literal[16, 8, 4] = 16,
    unmeasured: Annotated[bool, Parameter(negative=())] = False,
    floor: float = FLOOR,
) -> int:
    """Talk with a model in the terminal, with the running cost.

    What was said stays in the prefix cache, so that a turn costs what is new in it. ^C stops the
    answer and keeps what was said; ^D leaves; /help lists what else can be typed.

    Parameters
    ----------
    model
        A model's name (`farthing ls`), or a packed folder.
    system
        Instructions that come before the conversation.
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
    """
    folder = models.folder(model)
    config = EngineConfig(threads=threads, kv_bits=kv_bits)
    room.tell(folder, config, answers=1, floor=floor)
    loss.asked(folder, config, unmeasured=unmeasured)
    local = Local.open(folder, config)
    talk = Talk(local, choice, recommended(folder), system)
    print(f"{model} on {local.engine.runner.isa}. /help lists commands.", file=sys.stderr)
    with Lines("> ") as lines:
        for line in lines:
            try:
                if not talk.turn(line.strip()):
                    break
            except FarthingError as error:
                print(f"farthing: {error}", file=sys.stderr)
    talk.tell_cost()
    return 0


class Talk:
    """One conversation: what was said, and what it cost."""

    def __init__(
        self, local: Local, choice: Choice, recommended: Mapping[str, Any], system: str = ""
    ) -> None:
        self.local, self.choice, self.recommended = local, choice, recommended
        self.messages: list[dict[str, str]] = []
        self.spent = self.tokens = 0
        self._notes = Console(
            stderr=True, style="dim", highlight=False, markup=False, soft_wrap=True
        )
        self.reset(system)

    def turn(self, line: str) -> bool:
        """What one line asks for. Returns whether the conversation goes on."""
        command, _, rest = line.partition(" ")
        match command:
            case "":
                pass
            case "/exit" | "/quit":
                return False
            case "/reset":
                self.reset(self.system)
            case "/system":
                self.reset(rest.strip())
            case "/save":
                self.save(rest.strip())
            case "/cost":
                self.tell_cost()
            case "/help":
                print(COMMANDS)
            case _ if command.startswith("/"):
                raise InputError(f"there is no command {command}; known:\n{COMMANDS}")
            case _:
                self.say(line)
        return True

    def say(self, text: str) -> None:
        """Answer, and keep both sides; if the question is refused, neither."""
        asked = [*self.messages, {"role": "user", "content": text}]
        prompt = self.local.tokenizer.chat(asked)
        answer = self.local.answer(prompt, self.choice.ask(self.recommended))
        pieces: list[str] = []
        try:
            for piece in answer:
                pieces.append(piece)
                print(piece, end="", flush=True)
        except KeyboardInterrupt:
            answer.stop()
        print(flush=True)
        self.messages = [*asked, {"role": "assistant", "content": "".join(pieces)}]
        self.spent += self.local.nanodollars(answer.usage)
        self.tokens += answer.usage.completion_tokens
        self._notes.print(f"{self.local.line(answer)}; {dollars(self.spent)} so far")

    def reset(self, system: str) -> None:
        self.system = system
        self.messages = [{"role": "system", "content": system}] if system else []

    def save(self, name: str) -> None:
        if not name:
            raise InputError("/save needs a file's name")
        path = Path(name).expanduser()
        try:
            with path.open("x", encoding="utf-8") as file:
                json.dump(self.messages, file, ensure_ascii=False, indent=2)
        except OSError as error:
            raise InputError(f"{path} can't be written: {error.strerror}") from None
        self._notes.print(f"{len(self.messages)} messages in {path}")

    def tell_cost(self) -> None:
        self._notes.print(f"{self.tokens} tokens answered, {dollars(self.spent)} spent")
