"""A served model's greedy answers, held token by token to the torch reading of its own weights.

Every served token is looked at after the served tokens before it, so that one early difference
does not make all that follows differ.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from farthing import models, ops
from farthing.config import EngineConfig
from farthing.engine.engine import Engine
from farthing.engine.runner import NativeRunner
from farthing.engine.types import Request, Sampling
from farthing.learn.batches import batch
from farthing.learn.evaluation import Looks
from farthing.learn.losses import NoCache, Step

NEAR = 0.1
"""Nats between two tokens' logits up to which they are near-ties: activations of 8 bits move a
logit by some hundredths."""

Ids = Sequence[int]


@dataclass(frozen=True, slots=True)
class Difference:
    prompt: int
    """Its place among the prompts."""

    place: int
    """In the answer, from 0."""

    served: int
    torch: int
    """Token ids."""

    behind: float
    """By how many nats torch holds the served token less likely than its own."""


@dataclass(frozen=True, slots=True)
class Agreement:
    tokens: int
    differences: list[Difference]

    def far(self, near: float = NEAR) -> list[Difference]:
        """Those that are no near-ties."""
        return [one for one in self.differences if one.behind > near]


def agreement(
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    prompts: Sequence[Ids],
    served: list[list[int]],
) -> Agreement:
    """weights: fp32, by the page's names. served: the greedy answer to each prompt."""
    found, tokens = list[Difference](), 0
    for index, (prompt, answer) in enumerate(zip(prompts, served, strict=True)):
        scores = logits(config, weights, [*prompt, *answer[:-1]])[len(prompt) - 1 :]
        given = torch.tensor(answer)
        best, wanted = scores.max(-1)
        apart = best - scores.gather(1, given[:, None])[:, 0]
        behind = torch.where(apart.isnan(), torch.inf, apart)  # what is no number agrees with none
        tokens += len(answer)
        found += [
            Difference(index, at, answer[at], int(wanted[at]), float(behind[at]))
            for at in torch.nonzero(behind > 0)[:, 0].tolist()
        ]
    return Agreement(tokens, found)


@torch.no_grad()
def logits(config: Mapping[str, Any], weights: Mapping[str, Tensor], ids: Ids) -> Tensor:
    """[T, V] of one sequence."""
    row = torch.tensor([[*ids, 0, 0]])
    one = batch(row, torch.ones_like(row, dtype=torch.bool), torch.zeros_like(row))
    step = Step(one.tokens.flatten(), one.positions.flatten())
    with ops.reading(Looks(one)):
        page: Any = models.load(config, weights)
        stream = page.stream(step, NoCache((None,) * int(config["num_hidden_layers"])))
        found: Tensor = page.answer(page.final(stream))
    return found


def serve(
    folder: Path,
    prompts: Sequence[Ids],
    *,
    max_tokens: int,
    stop_ids: list[int],
    told: Callable[[int], None] = lambda done: None,
) -> list[list[int]]:
    """Greedy answers of a packed model, as a server would batch them; `told` hears tokens made."""
    settings = EngineConfig()
    engine = Engine(NativeRunner(folder, settings), settings)
    greedy = Sampling(temperature=0.0)
    for index, prompt in enumerate(prompts):
        engine.submit(
            Request(
                id=str(index),
                tokens=list(prompt),
                max_tokens=max_tokens,
                sampling=greedy,
                stop_ids=stop_ids,
            )
        )
    answers: list[list[int]] = [[] for _ in prompts]
    while not engine.idle:
        for token in engine.step().tokens:
            answers[int(token.request)].append(token.id)
        told(sum(map(len, answers)))
    return answers
