"""What the parts of quantization agree on.

Shapes: N outputs, K inputs, S samples of T tokens.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from farthing.formats.types import Layout
from farthing.weight import Form

Method = Literal["keep", "rtn", "awq", "gptq"]
Weights = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What becomes of one tensor: `form` is None where it is kept as it is."""

    method: Method
    form: Form | None


class Choices(Protocol):
    """A recipe: recipe.py reads one, and the walk asks it."""

    def choice(self, name: str, layout: Layout) -> Choice: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """Of `count` rows x of an input that were x' before anything was quantized.

    moved [K, K] fp32 is the sum of (x' - x) xT, hessian [K, K] fp32 that of x xT: of the same rows,
    for a few rows with large numbers can weigh more than all others.
    """

    count: int
    moved: Weights
    hessian: Weights


@dataclass(frozen=True, kw_only=True, slots=True)
class Moments:
    """What calibration saw of the input of a linear: `count` rows x of width K.

    hessian [K, K] fp32 is the sum of x xT, magnitude [K] fp32 the sum of |x|, None where nothing is
    quantized by AWQ. drift is that of some of the rows.
    """

    count: int
    hessian: Weights
    magnitude: Weights | None
    drift: Drift | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What quantizing one matrix did. `error` is |Wx - Qx|^2 / |Wx|^2 over the calibration rows,
    W being what it aimed at, or of the weights alone where there were none; `seen` is how many rows
    that was."""

    name: str
    choice: Choice
    error: float
    seen: int
    borrowed: int = 0
    """Of `seen`, rows that the router would have sent elsewhere: a starved expert's."""
