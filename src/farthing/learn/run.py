"""A training run: a step at a time, saved, and resumed to the bit."""

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor

from farthing.errors import InputError
from farthing.learn import balance, checkpoint, schedule
from farthing.learn.batches import Batch, Rows
from farthing.learn.checkpoint import Checkpoint
from farthing.learn.corpus import Corpus
from farthing.learn.losses import Losses, losses
from farthing.learn.optimizer import Optimizers
from farthing.learn.parameters import Parameters, cast
from farthing.learn.recipe import Recipe

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


@dataclass(frozen=True, slots=True)
class Told:
    """Of one step. Losses in nats a token."""

    step: int
    loss: float
    next_token: float | None
    sequence: float | None
    norm: float
    rate: float
    loads: dict[str, Tensor]
    tokens: int
    seconds: float


class Run:
    """`step` is the number of steps done. Corpora are of recipe.data.train, in order."""

    def __init__(self, recipe: Recipe, corpora: list[Corpus]) -> None:
        self.recipe, self.done = recipe, 0
        self.parameters = Parameters(
            recipe.model, seed=recipe.seed, next_token=recipe.next_token is not None
        )
        self.optimizers = Optimizers(self.parameters, recipe.optimizer)
        self.rows = Rows(
            corpora,
            [source.share for source in recipe.data.train],
            length=recipe.data.length,
            rows=recipe.steps * recipe.rows,
            seed=recipe.seed,
        )

    def step(self) -> Told:
        recipe, began = self.recipe, perf_counter()
        together = recipe.batch.together // recipe.data.length
        first = self.done * recipe.rows
        batches = [self.rows.take(first + at, together) for at in range(0, recipe.rows, together)]
        count = sum(int(one.learned[:, :-1].sum()) for one in batches)
        found = [self._pass(one, count, len(batches)) for one in batches]
        loads = {name: sum_of([f.loads[name] for f in found]) for name in found[0].loads}
        loss = sum(float(f.main) for f in found) / count
        rate = recipe.optimizer.rate * schedule.rate(recipe.schedule, self.done, recipe.steps)
        if loss != loss:
            raise InputError(f"the loss of step {self.done} is not a number")
        norm = self.optimizers.step(rate)
        if self.done < recipe.balance.until * recipe.steps:
            for name, correction in self.parameters.corrections():
                if name in loads:
                    balance.corrected(correction, loads[name], recipe.balance.rate)
        self.done += 1
        further = [float(f.next_token) for f in found if f.next_token is not None]
        sequence = [float(f.sequence) for f in found if f.sequence is not None]
        return Told(
            step=self.done,
            loss=loss,
            next_token=sum(further) / count if further else None,
            sequence=sum(sequence) / len(sequence) if sequence else None,
            norm=norm,
            rate=rate,
            loads=loads,
            tokens=recipe.batch.tokens,
            seconds=perf_counter() - began,
        )

    def _pass(self, batch: Batch, count: int, passes: int) -> Losses:
        recipe = self.recipe
        weights = cast(self.parameters.weights(), DTYPES[recipe.dtype])
        found = losses(recipe.model, weights, batch)
        total = found.main / count
        if found.next_token is not None and recipe.next_token is not None:
            late = schedule.falling(recipe.schedule, self.done, recipe.steps)
            weight = recipe.next_token.later if late else recipe.next_token.weight
            total = total + weight * found.next_token / count
        if found.sequence is not None:
            total = total + recipe.balance.sequence * found.sequence / passes
        torch.autograd.backward(total)
        return found.detached()

    def save(self, folder: Path) -> Path:
        tensors = {f"weight/{k}": v.detach() for k, v in self.parameters.weights().items()}
        tensors |= {k: v.detach() for k, v in self.optimizers.states()}
        run = {"recipe": self.recipe.identity, "threads": torch.get_num_threads()}
        state = Checkpoint(self.done, tensors, run)
        return checkpoint.save(folder, state, keep=self.recipe.save.keep)

    def resume(self, state: Checkpoint) -> None:
        if state.run["recipe"] != self.recipe.identity:
            raise InputError("the checkpoint is of another recipe; start the run in a new folder")
        own = self.parameters.weights()
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(state.tensors[f"weight/{name}"])
        rest = {k: v for k, v in state.tensors.items() if not k.startswith("weight/")}
        self.optimizers.load(rest)
        self.done = state.step


def sum_of(loads: list[Tensor]) -> Tensor:
    return torch.stack(loads).sum(0)
