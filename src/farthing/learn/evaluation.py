"""What a model under training makes of text it never saw: loss, right tokens, accepted guesses.

The first rows of each held-out corpus, always the same ones. Shapes: T tokens, D width.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from farthing import models, ops
from farthing.learn.batches import Batch, Rows
from farthing.learn.corpus import Corpus
from farthing.learn.fast import Fast
from farthing.learn.losses import NoCache, Step
from farthing.models.deepseek_mtp import NextToken
from farthing.models.tensors import Tensors

CHUNK = 2048
"""Tokens whose logits exist at once."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Losses in nats a token; `error` is the loss's standard error, rows being independent: None of
    a single one."""

    tokens: int
    loss: float
    error: float | None
    right: float
    """Share of tokens that were the likeliest."""

    next_token: float | None = None
    accepted: float | None = None
    """Share of the next-token head's likeliest tokens that are the model's own, one step later."""


class Looks(Fast):
    """The same ops, with logits that can be looked at."""

    def logits(self, x: Tensor, weight: Tensor) -> Any:
        return F.linear(x, weight).float()


@torch.no_grad()
def held_out(
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    corpus: Corpus,
    *,
    length: int,
    tokens: int,
    together: int,
    whole: bool = False,
) -> HeldOut:
    """Of up to `tokens` tokens in rows of `length`, `together` at once."""
    count = max(1, min(tokens, len(corpus.tokens)) // length)
    rows = Rows([corpus], [1.0], length=length, rows=count, seed=0, whole=whole)
    at_once = together // length
    seen = [
        _look(config, weights, rows.take(at, min(at_once, count - at)))
        for at in range(0, count, at_once)
    ]
    sums = torch.cat(seen)  # [rows, 6]
    total = sums.sum(0)
    learned, further = max(float(total[0]), 1.0), max(float(total[3]), 1.0)
    loss = float(total[1]) / learned
    off = sums[:, 1] - loss * sums[:, 0]
    head = bool(total[3])
    return HeldOut(
        tokens=int(total[0]),
        loss=loss,
        error=float(off.square().sum().sqrt()) / learned if count > 1 else None,
        right=float(total[2]) / learned,
        next_token=float(total[4]) / further if head else None,
        accepted=float(total[5]) / further if head else None,
    )


def _look(config: Mapping[str, Any], weights: Mapping[str, Tensor], batch: Batch) -> Tensor:
    """[B, 6] fp64: of a row, targets that count, their loss, how many were likeliest; and the
    next-token head's targets, their loss, and how many guesses the main model shares."""
    layers, shape = int(config["num_hidden_layers"]), batch.tokens.shape
    step = Step(batch.tokens.flatten(), batch.positions.flatten())
    main = {n: w for n, w in weights.items() if not n.startswith(f"model.layers.{layers}.")}
    learned = batch.learned[:, :-1]
    out = torch.zeros(shape[0], 6, dtype=torch.float64)
    with ops.reading(Looks(batch)):
        page: Any = models.load(config, main)
        hidden = page.final(page.stream(step, NoCache((None,) * layers)))
        each, best = _answers(page, hidden, batch.targets[:, :-1])
        out[:, 0], out[:, 1] = learned.sum(1), (each * learned).sum(1)
        out[:, 2] = ((best == batch.targets[:, :-1]) & learned).sum(1)
        if len(main) < len(weights):
            head = NextToken(page, config, Tensors(weights))
            after = Step(batch.targets[:, :-1].flatten(), step.positions)
            each, guess = _answers(page, head.final(hidden, after, None), batch.targets[:, 1:])
            # a guess at i is of the token that the model itself names at i + 1
            further = learned & batch.learned[:, 1:]
            further[:, -1] = False
            own = torch.zeros_like(best)
            own[:, :-1] = best[:, 1:]
            out[:, 3], out[:, 4] = further.sum(1), (each * further).sum(1)
            out[:, 5] = ((guess == own) & further).sum(1)
    return out


def _answers(page: Any, hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Each target's loss in nats [B, L] fp64, and the likeliest token [B, L]."""
    losses, best = [], []
    for x, target in zip(
        torch.split(hidden, CHUNK), torch.split(targets.flatten(), CHUNK), strict=True
    ):
        logits = page.answer(x)
        losses.append(F.cross_entropy(logits, target, reduction="none").double())
        best.append(logits.argmax(-1))
    return torch.cat(losses).view(targets.shape), torch.cat(best).view(targets.shape)
