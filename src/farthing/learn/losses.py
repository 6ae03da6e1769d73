"""What a batch's tokens cost: the page's forward, its next-token head, and what balance adds.

Shapes: T tokens, D width, V vocabulary.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from farthing import models, ops
from farthing.learn.batches import Batch
from farthing.learn.fast import Fast
from farthing.models.deepseek_mtp import NextToken
from farthing.models.tensors import Tensors

CHUNK = 4096
"""Tokens whose logits exist at once."""

Objective = Callable[[Tensor, Callable[[Tensor], Tensor], Tensor, Tensor], Tensor]
"""hidden [T, D], the page's answer (logits of some of them), targets, learned: a sum in nats."""


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
    """Tokens an expert got [E], by the name of its router's correction."""

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
    objective: Objective | None = None,
) -> Losses:
    """Of one pass. weights: as the page names them, cast; with the next-token head's, it too.

    `reading` and `weights` go together: what stands for a tensor, its ops must know. `objective`
    takes the place of `cross_entropy` in the main loss.
    """
    fast, layers = reading(batch), int(config["num_hidden_layers"])
    step = Step(batch.tokens.flatten(), batch.positions.flatten())
    head_prefix = f"model.layers.{layers}."
    main = {name: w for name, w in weights.items() if not name.startswith(head_prefix)}
    with ops.reading(fast):
        page: Any = models.load(config, main)
        hidden = page.final(page.stream(step, NoCache((None,) * layers)))
        main_loss = objective or cross_entropy
        total = main_loss(hidden, page.answer, batch.targets[:, :-1], batch.learned[:, :-1])
        further = None
        if len(main) < len(weights):
            head = NextToken(page, config, Tensors(weights))
            after = Step(batch.targets[:, :-1].flatten(), step.positions)
            learned = batch.learned[:, :-1] & batch.learned[:, 1:]
            further = cross_entropy(
                head.final(hidden, after, None), page.answer, batch.targets[:, 1:], learned
            )
    names = {id(w): name for name, w in weights.items()}
    balance = list(fast.sequence_losses.values())
    return Losses(
        main=total,
        next_token=further,
        sequence=torch.stack(balance).mean() if balance else None,
        count=int(batch.learned[:, :-1].sum()),
        loads={names[key]: load for key, load in fast.loads.items() if key in names},
    )


def cross_entropy(
    hidden: Tensor, answer: Callable[[Tensor], Tensor], targets: Tensor, learned: Tensor
) -> Tensor:
    """Sum over the learned targets; logits [CHUNK, V] are made again on the way back."""

    def part(x: Tensor, target: Tensor, counts: Tensor) -> Tensor:
        with ops.reading(_READING):
            logits = answer(x).float()
        each = F.cross_entropy(logits, target, reduction="none")
        return (each * counts).sum()

    targets, learned = targets.reshape(-1), learned.reshape(-1)
    total = torch.zeros((), device=hidden.device)
    for at in range(0, len(hidden), CHUNK):
        mine = slice(at, at + CHUNK)
        total = total + checkpoint(
            part, hidden[mine], targets[mine], learned[mine], use_reentrant=False
        )
    return total


class _Logits:
    """The head's op alone, for when logits are made again outside of a pass."""

    logits = staticmethod(F.linear)
    scale = staticmethod(lambda x, factor: x * factor)


_READING = _Logits()
