"""A runner whose routing is plain: token t goes to experts t and t + 1 of each layer, by number."""

import numpy as np

from farthing.engine.types import Step


class HandRouter:
    max_step_tokens, max_context, pages = 5, 256, 4

    def __init__(self, experts: int = 8, layers: int = 3) -> None:
        self.experts, self.layers = experts, layers
        self.steps: list[Step] = []

    def routes(self, step: Step) -> np.ndarray:
        self.steps.append(step)
        at = step.tokens[None] + np.arange(self.layers)[:, None]
        ids = np.stack([at % self.experts, (at + 1) % self.experts], axis=2)
        return np.sort(ids, axis=2).astype(np.int32)
