"""Takes tensors out of a checkpoint by name, refuses those of another shape, notes all it took."""

from dataclasses import dataclass, field
from typing import Any

from farthing.errors import FormatError
from farthing.models.types import Weights

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tensor that is called for and has no numbers."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class Tensors:
    """The tensors whose names begin with `prefix`. Without weights, all are only `Wanted`.

    `taken` holds the full name and shape of each that was asked for, under any prefix.
    """

    weights: Weights | None
    prefix: str = ""
    taken: dict[str, Shape] = field(default_factory=dict)

    def under(self, name: str) -> "Tensors":
        return Tensors(self.weights, f"{self.prefix}{name}.", self.taken)

    def take(self, name: str, *shape: int) -> Any:
        full = self.prefix + name
        self.taken[full] = shape
        if self.weights is None:
            return Wanted(shape)
        if full not in self.weights:
            raise FormatError(
                f"the checkpoint has no tensor {full}, which its config.json calls for;"
                " fetch the model again, or correct its config.json"
            )
        tensor = self.weights[full]
        if tuple(tensor.shape) != shape:
            raise FormatError(
                f"tensor {full} is {list(tensor.shape)}; config.json makes it {list(shape)}"
            )
        return tensor

    def left(self) -> list[str]:
        """Names of the tensors that nobody took."""
        return sorted(set(self.weights or ()) - set(self.taken))
