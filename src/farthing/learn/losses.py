"""What a batch's tokens cost: the page's forward, its next-token head, and what balance adds.

Shapes: T tokens, D width, V vocabulary.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from farthing import models, ops
from farthing.learn.batches import Batch
from farthing.learn.cross_entropy import Logits, cross_entropy
from farthing.learn.fast import Fast
from farthing.learn.recompute import Again
from farthing.models.deepseek_mtp import NextToken
from farthing.models.tensors import Tensors

Objective = Callable[[Logits, Tensor, Tensor], Tensor]
"""Logits of all tokens (not multiplied yet), targets [T], learned [T]: a sum in nats."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a page sees of a batch: T tokens, all of them wanted."""

    tokens: Tensor
    positions: Tensor


@dataclass(frozen=True, slots=True)
class NoCache:
    layers: tuple[None, ...]


@dataclass(frozen=True, slots=True)
class Losses:
    """Sums in nats over `count` tokens; `sequence` is the mean over layers. fp32 scalars."""

    main: Tensor
    next_token: Tensor | None
    sequence: Tensor | None
    count: int
    loads: dict[str, Tensor]
    """Tokens an expert got [E], by the name of its router's correction, or "router N"."""

    def detached(self) -> "Losses":
        def of(loss: Tensor | None) -> Tensor | None:
            return None if loss is None else loss.detach()

        return replace(
            self,
            main=self.main.detach(),
            next_token=of(self.next_token),
            sequence=of(self.sequence),
        )


def losses(
    config: Mapping[str, Any],
    weights: Mapping[str, Any],
    batch: Batch,
    *,
    reading: Callable[[Batch], Fast] = Fast,
    objective: Objective = cross_entropy,
    recompute: bool = False,
) -> Losses:
    """Of one pass. weights: as the page names them, cast; with the next-token head's, it too.

    `reading` and `weights` go together: what stands for a tensor, its ops must know. `objective`
    takes the place of `cross_entropy` in the main loss. `recompute`: see recompute.py.
    """
    fast, layers = reading(batch), int(config["num_hidden_layers"])
    step = Step(batch.tokens.flatten(), batch.positions.flatten())
    head_prefix = f"model.layers.{layers}."
    main = {name: w for name, w in weights.items() if not name.startswith(head_prefix)}
    with ops.reading(fast):
        page: Any = models.load(config, main)
        if recompute:
            page.blocks = [Again(block, fast) for block in page.blocks]
        hidden = page.final(page.stream(step, NoCache((None,) * layers)))
        total = objective(
            page.answer(hidden), batch.targets[:, :-1].flatten(), batch.learned[:, :-1].flatten()
        )
        further = None
        if len(main) < len(weights):
            head: Any = NextToken(page, config, Tensors(weights))
            if recompute:
                head.block = Again(head.block, fast)
            after = Step(batch.targets[:, :-1].flatten(), step.positions)
            learned = batch.learned[:, :-1] & batch.learned[:, 1:]
            guess = page.answer(head.final(hidden, after, None))
            further = cross_entropy(guess, batch.targets[:, 1:].flatten(), learned.flatten())
    names = {id(w): name for name, w in weights.items()}
    balance = list(fast.sequence_losses.values())
    return Losses(
        main=total,
        next_token=further,
        sequence=torch.stack(balance).mean() if balance else None,
        count=int(batch.learned[:, :-1].sum()),
        loads={names.get(k, f"router {-k}"): load for k, load in fast.loads.items()},
    )
