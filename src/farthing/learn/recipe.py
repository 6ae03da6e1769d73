"""A training recipe in TOML: all that decides what comes out, but the data's bytes.

    name = "mite"
    seed = 1
    tokens = 200_000_000            # that are trained on, in all

    [model]                         # a config.json: any family of models/, at any size
    model_type = "deepseek_v3"
    hidden_size = 256

    [data]
    tokenizer = "tokenizer"         # a folder with tokenizer.json, as `learn tokenizer` makes
    length = 512                    # tokens in a row; documents are packed into rows
    [[data.train]]
    path = "packed/tasks"           # a corpus, as `learn data pack` makes
    share = 0.7                     # of the rows
    [[data.held_out]]
    path = "packed/tasks-held-out"

Paths are relative to the recipe's own folder. A field that is not known is refused by name.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from farthing.errors import InputError, NotFound
from farthing.learn import recipe_check
from farthing.learn.fields import explained

LARGEST = 1 << 20
Dtype = Literal["bf16", "fp32"]
Count = Annotated[int, Meta(ge=1, le=1 << 48)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Amount = Annotated[float, Meta(ge=0.0, le=1e6)]
Below = Annotated[float, Meta(ge=0.0, lt=1.0)]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    def decided(self) -> dict[str, Any]:
        """All fields that are not left at their defaults: one can be added to a table, and a run
        that began before goes on; but a default never changes."""
        found = {}
        for field in msgspec.structs.fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                found[field.name] = _plain(value)
        return found


class Source(Table, frozen=True):
    path: str
    share: Annotated[float, Meta(gt=0.0, le=1e6)] = 1.0
    """Of the rows, relative to the others'."""

    logits: str | None = None
    """What a teacher makes of these tokens, as `learn data logits` keeps it."""


class Data(Table, frozen=True):
    tokenizer: str
    train: Annotated[tuple[Source, ...], Meta(min_length=1, max_length=256)]
    held_out: tuple[Source, ...] = ()
    length: Annotated[int, Meta(ge=2, le=1 << 20)] = 512
    """Tokens in a row."""

    whole: bool = False
    """Rows hold whole documents: no answer is learned without its question. Else a row's end cuts
    the document there, and the next row goes on within it."""


class Batch(Table, frozen=True):
    tokens: Count = 32_768
    """Of one step of the optimizer."""

    together: Count = 8_192
    """Of them, how many go through the model at once; gradients of the rest are added."""

    recompute: bool = False
    """Blocks are run again on the way back: less memory, a third more time, the same bits."""


class Optimizer(Table, frozen=True):
    rate: Amount = 2e-3
    """Of both; Muon's updates are scaled to the size of AdamW's (Moonlight, 2502.16982)."""

    decay: Amount = 0.1
    momentum: Below = 0.95
    betas: tuple[Below, Below] = (0.9, 0.95)
    clip: Amount = 1.0
    """The largest norm of all gradients; 0 leaves them."""

    matrices: Literal["muon", "adamw"] = "muon"


class Schedule(Table, frozen=True):
    kind: Literal["wsd", "cosine"] = "wsd"
    warmup: Annotated[int, Meta(ge=0, le=1 << 40)] = 100
    """Steps until the full rate."""

    decay: Share = 0.2
    """wsd: share of the steps over which the rate falls in the end."""

    least: Share = 0.0
    """Of the full rate, what remains at the end."""


class Balance(Table, frozen=True):
    rate: Amount = 1e-3
    """What an expert's correction moves by after a step (2408.15664)."""

    proportional: bool = False
    """It moves by rate * (1 - load / mean), clipped to the rate: far where far off, little near."""

    falls: bool = False
    """Whether that goes with the learning rate, up and down. Fixed moves leave loads as uneven as a
    move makes them, and wherever the last one was."""

    until: Share = 0.9
    """Share of the steps after which corrections stay."""

    sequence: Amount = 1e-4
    """Weight of the sequence-wise loss (DeepSeek-V3, 2412.19437, 2.1.2)."""


class NextToken(Table, frozen=True):
    """The head that guesses one token further (MTP; DeepSeek-V3, 2.2)."""

    weight: Amount = 0.3
    later: Amount = 0.1
    """Its weight once the rate falls."""


class Teacher(Table, frozen=True):
    """Whose probabilities are learned beside what the text says (Hinton et al., 1503.02531).

    The loss is (1 - weight) * cross-entropy + weight * temperature^2 * divergence.
    """

    model: str | None = None
    """Asked while training: a checkpoint of the same vocabulary. None: each corpus has logits."""

    divergence: Literal["forward", "reverse"] = "forward"
    """forward: KL(teacher | student), covers all that the teacher may say. reverse:
    KL(student | teacher), keeps to what the teacher likes (MiniLLM, 2306.08543)."""

    temperature: Annotated[float, Meta(gt=0.0, le=100.0)] = 1.0
    """Of both, in the divergence alone."""

    weight: Share = 1.0


class Evaluate(Table, frozen=True):
    steps: Count = 200
    """Between one look at the held-out data and the next; the last step has one of its own."""

    tokens: Count = 65_536
    """Of each held-out corpus: its first rows, of documents that are shuffled once and for all."""


class Save(Table, frozen=True):
    minutes: Amount = 10.0
    keep: Count = 2


class Recipe(Table, frozen=True):
    name: Annotated[str, Meta(pattern=r"^[\w.-]{1,64}$")]
    model: dict[str, Any]
    data: Data
    tokens: Count
    seed: Annotated[int, Meta(ge=0, lt=1 << 32)] = 0
    dtype: Dtype = "bf16"
    batch: Batch = Batch()
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    balance: Balance = Balance()
    next_token: NextToken | None = None
    teacher: Teacher | None = None
    evaluate: Evaluate = Evaluate()
    save: Save = Save()

    @property
    def steps(self) -> int:
        return -(-self.tokens // self.batch.tokens)

    @property
    def rows(self) -> int:
        """Of a step."""
        return self.batch.tokens // self.data.length

    @property
    def identity(self) -> str:
        """Of what decides the weights: a checkpoint of another is refused.

        Where data lies is left out, since its hashes stand in the checkpoint; and so is all that
        may change on the way: what is evaluated and saved, and when.
        """
        replace = msgspec.structs.replace
        train = tuple(replace(source, path="", logits=None) for source in self.data.train)
        teacher = self.teacher and replace(self.teacher, model=None)
        decisive = replace(
            self,
            name="",
            data=replace(self.data, tokenizer="", train=train, held_out=()),
            batch=replace(self.batch, recompute=False),
            teacher=teacher,
            evaluate=Evaluate(),
            save=Save(),
        )
        return hashlib.sha256(json.dumps(decisive.decided(), sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Table):
        return value.decided()
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def read(path: Path) -> Recipe:
    """Raises NotFound, or InputError naming the file, the field and what was expected."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise NotFound(f"{path}: no such recipe") from None
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from None
    if len(raw) > LARGEST:
        raise InputError(f"{path} is over {LARGEST >> 20} MiB; that is no recipe")
    try:
        return parse(tomllib.loads(raw.decode()))
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text; a recipe is TOML") from None
    except (InputError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path}: {error}") from None


def parse(found: Mapping[str, Any]) -> Recipe:
    try:
        recipe = msgspec.convert(found, Recipe)
    except msgspec.ValidationError as error:
        raise InputError(explained(error, Recipe)) from None
    recipe_check.check(recipe)
    return recipe
