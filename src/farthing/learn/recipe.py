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
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from farthing import models
from farthing.errors import InputError, NotFound

LARGEST = 1 << 20
Dtype = Literal["bf16", "fp32"]


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: str
    share: float = 1.0
    """Of the rows, relative to the others'."""


class Data(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    tokenizer: str
    train: tuple[Source, ...]
    held_out: tuple[Source, ...] = ()
    length: int = 512
    """Tokens in a row."""


class Batch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    tokens: int = 32_768
    """Of one step of the optimizer."""

    together: int = 8_192
    """Of them, how many go through the model at once; gradients of the rest are added."""

    recompute: bool = False
    """Blocks are run again on the way back: less memory, a third more time."""


class Optimizer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rate: float = 2e-3
    """Of both; Muon's updates are scaled to the size of AdamW's (Moonlight, 2502.16982)."""

    decay: float = 0.1
    momentum: float = 0.95
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0
    """The largest norm of all gradients; 0 leaves them."""

    matrices: Literal["muon", "adamw"] = "muon"


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: Literal["wsd", "cosine"] = "wsd"
    warmup: int = 100
    """Steps until the full rate."""

    decay: float = 0.2
    """wsd: share of the steps over which the rate falls in the end."""

    least: float = 0.0
    """Of the full rate, what remains at the end."""


class Balance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rate: float = 1e-3
    """What an expert's correction moves by after a step (2408.15664)."""

    until: float = 0.9
    """Share of the steps after which corrections stay."""

    sequence: float = 1e-4
    """Weight of the sequence-wise loss (DeepSeek-V3, 2412.19437, 2.1.2)."""


class NextToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The head that guesses one token further (MTP; DeepSeek-V3, 2.2)."""

    weight: float = 0.3
    later: float = 0.1
    """Its weight once the rate falls."""


class Evaluate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    steps: int = 200
    tokens: int = 65_536


class Save(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    minutes: float = 10.0
    keep: int = 2


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    model: dict[str, Any]
    data: Data
    tokens: int
    seed: int = 0
    dtype: Dtype = "bf16"
    batch: Batch = Batch()
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    balance: Balance = Balance()
    next_token: NextToken | None = None
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
        """Of everything that decides a run: a checkpoint of another is refused."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


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
    except (InputError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: {error}") from None


def parse(found: Mapping[str, Any]) -> Recipe:
    try:
        recipe = msgspec.convert(found, Recipe)
    except msgspec.ValidationError as error:
        raise InputError(str(error)) from None
    check(recipe)
    return recipe


def check(recipe: Recipe) -> None:
    """Raises InputError; the model's shapes are checked by its own page (FormatError)."""
    batch, length = recipe.batch, recipe.data.length
    for name, value, unit, of in (
        ("batch.together", batch.together, length, "data.length"),
        ("batch.tokens", batch.tokens, batch.together, "batch.together"),
    ):
        if value < unit or value % unit:
            raise InputError(f"{name} is {value}; expected a multiple of {of} = {unit}")
    models.tensors_of(recipe.model)
