"""transformers as a reading of a checkpoint (evaluate/readings.py), in its own arithmetic."""

from pathlib import Path

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from farthing.models.types import Shape


class TransformersReading:
    def __init__(self, folder: Path, shape: Shape, dtype: torch.dtype) -> None:
        """`shape` is the model's, as ours reads it."""
        self.name, self.shape = f"transformers, {dtype}", shape
        transformers.utils.logging.disable_progress_bar()
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)

    def logits(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """[T, V] of one sequence [T]."""
        with torch.inference_mode():
            out = self.model(torch.from_numpy(ids.astype(np.int64))[None])
        made: NDArray[np.float32] = out.logits[0].float().numpy()
        return made
