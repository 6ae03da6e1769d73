"""Blocks that are run again on the way back, in place of keeping what they computed.

Only what enters a half of a block is kept (Chen et al., 1604.06174): less memory for a third more
time. Every op runs with the same numbers twice, so that gradients are the same bits.
"""

from typing import Any

from torch import Tensor
from torch.utils.checkpoint import checkpoint

from farthing import ops
from farthing.models.llama import Layer
from farthing.models.types import Step


class Again:
    """A block, read by `reading` both times: on the way back no reading is in force."""

    def __init__(self, block: Layer, reading: Any) -> None:
        self.block, self.reading = block, reading

    def attend(self, x: Tensor, step: Step, layer: Any) -> Any:
        return self._run(lambda x: self.block.attend(x, step, layer), x)

    def mlp(self, x: Tensor) -> Any:
        return self._run(self.block.mlp, x)

    def _run(self, half: Any, x: Tensor) -> Any:
        def read(x: Tensor) -> Any:
            with ops.reading(self.reading):
                return half(x)

        return checkpoint(read, x, use_reentrant=False, preserve_rng_state=False)
