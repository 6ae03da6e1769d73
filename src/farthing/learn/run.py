"""A training run's numbers: a step at a time, kept, and taken up again to the bit."""

from collections.abc import Callable, Mapping, Sequence
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
from farthing.learn.cross_entropy import cross_entropy
from farthing.learn.fast import Fast
from farthing.learn.losses import Losses, Objective, losses
from farthing.learn.muon import orthogonal
from farthing.learn.optimizer import Optimizers
from farthing.learn.parameters import Parameters, cast
from farthing.learn.recipe import Recipe
from farthing.learn.team import Team, added

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

    processes = 1
    """That make a step together (distributed.py)."""

    machines = 1

    def __init__(self, recipe: Recipe, corpora: Sequence[Corpus]) -> None:
        self.recipe, self.done = recipe, 0
        self.objective: Callable[[Batch], Objective] = lambda batch: cross_entropy
        """A batch's main loss; a teacher puts its own here (distil.py)."""
        self.parameters = Parameters(
            recipe.model, seed=recipe.seed, next_token=recipe.next_token is not None
        )
        self.optimizers = Optimizers(self.parameters, recipe.optimizer, self.direction)
        self.team: Team | None = None
        self.rows = Rows(
            corpora,
            [source.share for source in recipe.data.train],
            length=recipe.data.length,
            rows=recipe.steps * recipe.rows,
            seed=recipe.seed,
            whole=recipe.data.whole,
        )

    def step(self) -> Told:
        """Raises NotFinite before it changes a parameter."""
        recipe, began = self.recipe, perf_counter()
        rows = range(self.done * recipe.rows, (self.done + 1) * recipe.rows)
        mine = self.mine(rows)
        together = min(recipe.batch.together // recipe.data.length, len(mine))
        batches = [self.rows.take(at, together) for at in mine[::together]]
        counts = self.summed(_counts(batches)).clamp(min=1).tolist()  # divisors
        passes = len(batches) * self.processes
        found = self.made(batches, counts, passes)
        main, further, sequence = self.summed(_losses(found)).tolist()
        loss = main / counts[0]
        if not isfinite(loss):
            raise NotFinite("the loss", self.done + 1, rows)
        norm = self.optimizers.clip()
        if not isfinite(norm):
            raise NotFinite("the gradients' norm", self.done + 1, rows)
        share = schedule.rate(recipe.schedule, self.done, recipe.steps)
        rate = recipe.optimizer.rate * share
        self.optimizers.step(rate)
        one = found[0]
        loads = {name: self.summed(sum_of([f.loads[name] for f in found])) for name in one.loads}
        self._balance(loads, share)
        self.done += 1
        return Told(
            step=self.done,
            loss=loss,
            next_token=None if one.next_token is None else further / counts[1],
            sequence=None if one.sequence is None else sequence / passes,
            norm=norm,
            rate=rate,
            loads=loads,
            tokens=recipe.batch.tokens,
            seconds=perf_counter() - began,
        )

    def direction(self, ahead: Tensor) -> Tensor:
        """Muon's, in the recipe's dtype."""
        return orthogonal(ahead, DTYPES[self.recipe.dtype])

    def mine(self, rows: range) -> range:
        """Of a step's rows, those of this process: all, where there is but one."""
        return rows

    def summed(self, values: Tensor) -> Tensor:
        """Over all processes."""
        return values

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
                "the checkpoint is of another recipe: another model, rate or schedule; take the"
                " recipe back to what it was, or begin a new folder (--start takes the checkpoint"
                " over into it)"
            )
        self.take(state)

    def take(self, state: Checkpoint) -> None:
        """Of whatever recipe, if its model is this one's; FormatError if it is not."""
        own, found = self.parameters.weights(), state.weights()
        if {n: w.shape for n, w in own.items()} != {n: w.shape for n, w in found.items()}:
            raise FormatError("the checkpoint's weights are not those of the recipe's model")
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(found[name])
        rest = {k: v for k, v in state.tensors.items() if not k.startswith(WEIGHT)}
        self.optimizers.load(rest)
        self.done = state.step

    def made(self, batches: list[Batch], counts: Sequence[int], passes: int) -> list[Losses]:
        """All passes of a step; gradients are added up in their order, whoever is done first."""
        if self.team is None:
            self.team = Team(len(batches))
        parameters = dict(self.parameters.named_parameters())
        weights = {name: w.detach() for name, w in self.weights().items()}
        leaves = {name: weights[name].requires_grad_() for name in parameters}

        def one(batch: Batch) -> tuple[Losses, Sequence[Tensor | None]]:
            total, found = self.loss(weights, batch, counts, passes)
            grads = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
            return found.detached(), grads

        found = []
        for losses_, grads in self.team.map(one, batches):
            found.append(losses_)
            added(parameters.values(), grads)
        return found

    def loss(
        self,
        weights: Mapping[str, Any],
        batch: Batch,
        counts: Sequence[int],
        passes: int,
        reading: Callable[[Batch], Fast] = Fast,
    ) -> tuple[Tensor, Losses]:
        """What a pass is to make less, its share of a step of `counts` targets; and its parts."""
        recipe = self.recipe
        found = losses(
            recipe.model,
            weights,
            batch,
            reading=reading,
            objective=self.objective(batch),
            recompute=recipe.batch.recompute,
        )
        total = found.main / counts[0]
        if found.next_token is not None and recipe.next_token is not None:
            late = schedule.falling(recipe.schedule, self.done, recipe.steps)
            weight = recipe.next_token.later if late else recipe.next_token.weight
            total = total + weight * found.next_token / counts[1]
        if found.sequence is not None:
            total = total + recipe.balance.sequence * found.sequence / passes
        return total, found

    def _balance(self, loads: dict[str, Tensor], share: float) -> None:
        """share: of the full learning rate."""
        told = self.recipe.balance
        if self.done >= told.until * self.recipe.steps:
            return
        move = told.rate * (share if told.falls else 1.0)
        for name, correction in self.parameters.corrections():
            if name in loads:
                balance.corrected(correction, loads[name], move, proportional=told.proportional)


def prepare(threads: int) -> None:
    """Torch on so many threads, and always the same bits from the same numbers."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    setting: Any = torch.utils.deterministic
    setting.fill_uninitialized_memory = False  # every new tensor would be filled first


def imbalances(loads: dict[str, Tensor]) -> dict[str, float]:
    """By layer, as its number stands in its tensors' names: the largest load over the mean."""
    return {
        name.split(".")[2] if "." in name else name: balance.imbalance(load)
        for name, load in loads.items()
    }


def _counts(batches: list[Batch]) -> Tensor:
    """[2]: targets that count, and those that do for the next-token head."""
    main = sum(int(one.learned[:, :-1].sum()) for one in batches)
    further = sum(int((one.learned[:, :-1] & one.learned[:, 1:]).sum()) for one in batches)
    return torch.tensor([main, further])


def _losses(found: list[Losses]) -> Tensor:
    """[3] fp64: sums of main, next_token and sequence; zero for what is not there."""
    parts = [(f.main, f.next_token, f.sequence) for f in found]
    sums = [sum(0.0 if x is None else float(x) for x in part) for part in zip(*parts, strict=True)]
    return torch.tensor(sums, dtype=torch.float64)


def sum_of(loads: list[Tensor]) -> Tensor:
    return torch.stack(loads).sum(0)
