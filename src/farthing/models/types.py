"""What a model is to the rest of the house, and what it asks of what it is given."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What a cache, a tokenizer and a scheduler must know of a model."""

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    max_context: int
    windows: tuple[int, ...]
    """For each layer, how many positions a token sees, itself included; 0 is all."""

    latent: int = 0
    """Of latent attention: how many of a key's head_dim numbers, the first, are the value too.

    There is one key-value head then. 0: keys and values are kept apart.
    """


class Weights(Protocol):
    """Tensors by the names that readers give them, Hugging Face's for the most part.

    Each has a `shape`: [N, K], [D], a stack's [E, N, K] or a table's [E, N].
    """

    def __getitem__(self, name: str, /) -> Any: ...

    def __contains__(self, name: object, /) -> bool: ...

    def __iter__(self) -> Iterator[str]: ...


class Step(Protocol):
    """The new tokens of this step; `attention` and `rows` know more of it."""

    @property
    def tokens(self) -> Any:
        """[T]"""

    @property
    def positions(self) -> Any:
        """[T]"""


class Cache(Protocol):
    @property
    def layers(self) -> Sequence[Any]:
        """One for each layer of the model; handed to `attention`."""


class Model(Protocol):
    @property
    def shape(self) -> Shape: ...

    def forward(self, step: Step, cache: Cache) -> Any:
        """Logits [R, V] of the rows the step wants."""
