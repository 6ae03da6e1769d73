"""Takes tensors out of a checkpoint by name, and refuses those of another shape."""

from dataclasses import dataclass
from typing import Any

from farthing.errors import FormatError
from farthing.models.types import Weights


@dataclass(frozen=True, slots=True)
class Tensors:
    """The tensors whose names begin with `prefix`."""

    weights: Weights
    prefix: str = ""

    def under(self, name: str) -> "Tensors":
        return Tensors(self.weights, f"{self.prefix}{name}.")

    def take(self, name: str, *shape: int) -> Any:
        full = self.prefix + name
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
