"""`farthing VERB ...`: the door. One module a verb, imported only when that verb is used.

Knows the verbs' names and how a command ends; nothing of models, and it imports no NumPy.
"""

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches

from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Env, Toml

from farthing import __version__
from farthing.cli import blas, command
from farthing.config import settings
from farthing.errors import FarthingError, InputError

VERBS = {
    "run": "answer one prompt",
    "chat": "talk in the terminal",
    "serve": "start the OpenAI-compatible server",
    "pull": "fetch a model and pack it",
    "quantize": "make a model smaller at the least loss",
    "learn": "train, distil and fine-tune models",
    "ls": "list the models on this machine",
    "show": "describe one model: shape, weights, bits",
    "experts": "show which experts of a model its tokens go to",
    "eval": "measure what a model's lossy levers cost in quality",
    "rm": "remove a model",
    "bench": "measure this machine, and farthing on it",
    "board": "compare what the models here cost and lose, and what others report",
    "cost": "show what has been spent, and what it would cost elsewhere",
    "doctor": "say what this machine can do, and what is wrong with it",
}
PRODUCTS = {"eval", "quantize"}
"""Verbs that live on NumPy's products."""
INTERRUPTED = 130
BROKEN_PIPE = 1


def make_app(asked: str | None = None) -> App:
    """All verbs, none of them imported; `asked` shows its own docstring as its help."""
    app = App(
        name="farthing",
        help="Open-weight language models for the least money on hardware you own, with the bill.",
        help_epilogue="`farthing VERB --help` explains a verb. A flag can also be set as"
        f" FARTHING_VERB_FLAG, or under [VERB] in {settings()}.",
        version=__version__,
        default_parameter=Parameter(negative_iterable=()),
        config=[Env("FARTHING_", show=False), Toml(settings(), must_exist=False)],
        suppress_keyboard_interrupt=False,
        print_error=False,
        exit_on_error=False,
        result_action="return_value",
    )
    for place, (name, does) in enumerate(VERBS.items()):
        help = None if name == asked else does
        app.command(f"farthing.cli.{name}:{name}", name=name, help=help, sort_key=place)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line. Returns the exit code; only a bug escapes as an exception."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    verb = words[0] if words else None
    command.note(words)
    try:
        if verb and not verb.startswith("-") and verb not in VERBS:
            raise InputError(unknown(verb))
        if verb in PRODUCTS:
            blas.prepare()
        code = make_app(verb)(words)
        sys.stdout.flush()
    except FarthingError as error:
        return complain(str(error), error.exit_code)
    except CycloptsError as error:
        return complain(str(error), 2)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader left (`| head`). Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return code if isinstance(code, int) else 0


def unknown(verb: str) -> str:
    near = get_close_matches(verb, VERBS, n=2)
    guess = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(VERBS)}"
    return f"there is no verb {verb!r}; {guess}"


def complain(message: str, code: int) -> int:
    print(f"farthing: {message}", file=sys.stderr)
    return code
