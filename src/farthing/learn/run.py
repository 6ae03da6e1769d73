"""A training run's numbers: a step at a time, kept, and taken up again to the bit."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from farthing.errors import FormatError, InputError
from farthing.learn import balance, schedule
from farthing.learn.batches import Batch, Rows
from farthing.learn.checkpoint import WEIGHT, Checkpoint
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
    """Of the gradients, before they are clipped."""

    rate: float
    loads: dict[str, Tensor]
    tokens: int
    seconds: float


class NotFinite(Exception):
    """A step whose loss or gradients are no numbers: it was not made."""

    def __init__(self, what: str, step: int, rows: range) -> None:
        super().__init__(f"{what} of step {step}")
        self.what, self.step, self.rows = what, step, rows


class Run:
    """`done` is the number of steps done. Corpora are of recipe.data.train, in order."""

    def __init__(self, recipe: Recipe, corpora: Sequence[Corpus]) -> None:
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
        """Raises NotFinite before it changes a parameter."""
        recipe, began = self.recipe, perf_counter()
        rows = range(self.done * recipe.rows, (self.done + 1) * recipe.rows)
        together = recipe.batch.together // recipe.data.length
        batches = [self.rows.take(at, together) for at in rows[::together]]
        counts = _counts(batches)
        found = [self._pass(one, counts, len(batches)) for one in batches]
        loss = sum(float(f.main) for f in found) / counts[0]
        if not isfinite(loss):
            raise NotFinite("the loss", self.done + 1, rows)
        norm = self.optimizers.clip()
        if not isfinite(norm):
            raise NotFinite("the gradients' norm", self.done + 1, rows)
        rate = recipe.optimizer.rate * schedule.rate(recipe.schedule, self.done, recipe.steps)
        self.optimizers.step(rate)
        loads = {name: sum_of([f.loads[name] for f in found]) for name in found[0].loads}
        self._balance(loads)
        self.done += 1
        further = [float(f.next_token) for f in found if f.next_token is not None]
        sequence = [float(f.sequence) for f in found if f.sequence is not None]
        return Told(
            step=self.done,
            loss=loss,
            next_token=sum(further) / counts[1] if further else None,
            sequence=sum(sequence) / len(sequence) if sequence else None,
            norm=norm,
            rate=rate,
            loads=loads,
            tokens=recipe.batch.tokens,
            seconds=perf_counter() - began,
        )

    def weights(self) -> dict[str, Tensor]:
        """As a pass is given them: cast to the recipe's dtype."""
        return cast(self.parameters.weights(), DTYPES[self.recipe.dtype])

    def state(self) -> Checkpoint:
        """What `resume` takes; the caller may add to its `run`."""
        tensors = {WEIGHT + name: w.detach() for name, w in self.parameters.weights().items()}
        tensors |= {name: value.detach() for name, value in self.optimizers.states()}
        return Checkpoint(self.done, tensors, {"recipe": self.recipe.identity})

    def resume(self, state: Checkpoint) -> None:
        """InputError if the checkpoint is of another recipe, FormatError if it is damaged."""
        if state.run.get("recipe") != self.recipe.identity:
            raise InputError(
                "the checkpoint is of another recipe: other data, another model or schedule;"
                " start the run in a new folder, or take the recipe back to what it was"
            )
        own, found = self.parameters.weights(), state.weights()
        if {n: w.shape for n, w in own.items()} != {n: w.shape for n, w in found.items()}:
            raise FormatError("the checkpoint's weights are not those of its recipe's model")
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(found[name])
        rest = {k: v for k, v in state.tensors.items() if not k.startswith(WEIGHT)}
        self.optimizers.load(rest)
        self.done = state.step

    def _pass(self, batch: Batch, counts: tuple[int, int], passes: int) -> Losses:
        recipe = self.recipe
        found = losses(recipe.model, self.weights(), batch, recompute=recipe.batch.recompute)
        total = found.main / counts[0]
        if found.next_token is not None and recipe.next_token is not None:
            late = schedule.falling(recipe.schedule, self.done, recipe.steps)
            weight = recipe.next_token.later if late else recipe.next_token.weight
            total = total + weight * found.next_token / counts[1]
        if found.sequence is not None:
            total = total + recipe.balance.sequence * found.sequence / passes
        torch.autograd.backward(total)
        return found.detached()

    def _balance(self, loads: dict[str, Tensor]) -> None:
        if self.done >= self.recipe.balance.until * self.recipe.steps:
            return
        for name, correction in self.parameters.corrections():
            if name in loads:
                balance.corrected(correction, loads[name], self.recipe.balance.rate)


def prepare(threads: int) -> None:
    """Torch on so many threads, and always the same bits from the same numbers."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    setting: Any = torch.utils.deterministic
    setting.fill_uninitialized_memory = False  # every new tensor would be filled first


def imbalances(loads: dict[str, Tensor]) -> dict[str, float]:
    """By layer, as its number stands in its tensors' names: the largest load over the mean."""
    return {name.split(".")[2]: balance.imbalance(load) for name, load in loads.items()}


def _counts(batches: list[Batch]) -> tuple[int, int]:
    """Targets that count, and for the next-token head; at least one, as a divisor."""
    main = sum(int(one.learned[:, :-1].sum()) for one in batches)
    further = sum(int((one.learned[:, :-1] & one.learned[:, 1:]).sum()) for one in batches)
    return max(main, 1), max(further, 1)


def sum_of(loads: list[Tensor]) -> Tensor:
    return torch.stack(loads).sum(0)
