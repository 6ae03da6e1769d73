"""A run that several processes make together, as torchrun starts them.

Each has a part of a step's rows, of every stack of experts (spread.py), and of all other numbers
and their moments (FSDP2), which are gathered for a pass. Muon gathers a matrix's momentum too.
Losses, gradients and loads are summed over all, so that a step is the one that a process alone
would make; a checkpoint is the same file. One process leads: it alone knows of folders and
terminals, and the others do what it does.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from farthing.errors import InputError
from farthing.learn.batches import Batch
from farthing.learn.checkpoint import WEIGHT, Checkpoint
from farthing.learn.corpus import Corpus
from farthing.learn.losses import Losses
from farthing.learn.optimizer import Optimizers
from farthing.learn.parameters import Parameters, cast
from farthing.learn.recipe import Recipe
from farthing.learn.run import DTYPES, Run
from farthing.learn.spread import Part, Spread

STACK = ".experts."
"""In the names of what is spread by experts."""


def asked() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def machines() -> int:
    """That the run has: torchrun starts as many processes on each."""
    return int(os.environ["GROUP_WORLD_SIZE"]) if asked() else 1


@contextmanager
def joined() -> Iterator[torch.device]:
    """All processes, connected; the device of this one: a GPU of its own, or the CPU."""
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        # products that give the same bits each time want a room of their own
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.cuda.set_device(device)
        dist.init_process_group("cpu:gloo,cuda:nccl")
    else:
        device = torch.device("cpu")
        dist.init_process_group("gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


class Together(Run):
    """A Run that all processes step at once. Every method is to be called by all of them."""

    def __init__(self, recipe: Recipe, corpora: Sequence[Corpus], device: torch.device) -> None:
        self.device, self.processes, self.passed = device, dist.get_world_size(), 0
        self.machines = machines()
        divides(recipe, self.processes)
        super().__init__(recipe, corpora)
        mesh = init_device_mesh(device.type, (self.processes,))
        self.whole: Any = sharded(self.parameters.to(device), mesh)
        self.optimizers = Sharded(self.parameters, recipe.optimizer, self.direction)

    def direction(self, ahead: Tensor) -> Tensor:
        """Of a matrix gathered, or of stacks, whose matrices are whole where they lie."""
        if not isinstance(ahead, DTensor):
            return super().direction(ahead)
        if ahead.ndim == 2:
            return placed(super().direction(full(ahead)), ahead)
        return DTensor.from_local(
            super().direction(ahead.to_local()),
            ahead.device_mesh,
            ahead.placements,
            shape=ahead.shape,
            stride=ahead.stride(),
        )

    def mine(self, rows: range) -> range:
        count = len(rows) // self.processes
        first = rows.start + count * dist.get_rank()
        return range(first, first + count)

    def summed(self, values: Tensor) -> Tensor:
        there = values.to(self.device, copy=True)
        dist.all_reduce(there)
        return there.to(values.device)

    @torch.no_grad()
    def weights(self) -> dict[str, Tensor]:
        dtype = DTYPES[self.recipe.dtype]
        return {name: full(w).cpu() for name, w in cast(self.parameters.weights(), dtype).items()}

    @torch.no_grad()
    def state(self) -> Checkpoint:
        """The first process has the tensors, the others none."""
        found, first = super().state(), dist.get_rank() == 0
        kept: dict[str, Tensor] = {}
        for name, value in found.tensors.items():
            gathered = full(value)
            if first:
                kept[name] = gathered.cpu()
        return Checkpoint(found.step, kept, found.run)

    def take(self, state: Checkpoint) -> None:
        own, tensors = self.parameters.weights(), dict(state.tensors)
        for name, tensor in state.weights().items():
            if name in own:
                tensors[WEIGHT + name] = placed(tensor, own[name])
        super().take(Checkpoint(state.step, tensors, state.run))

    def made(self, batches: list[Batch], counts: Sequence[int], passes: int) -> list[Losses]:
        return [self._pass(one, counts, passes) for one in batches]

    def _pass(self, batch: Batch, counts: Sequence[int], passes: int) -> Losses:
        self.passed += 1
        last = self.passed % (passes // self.processes) == 0
        # until a step's last pass, parameters stay gathered and gradients are added up in place
        self.whole.set_requires_gradient_sync(last)
        self.whole.set_reshard_after_backward(last)
        kept: list[Losses] = []

        def call(weights: Mapping[str, Any]) -> Tensor:
            total, found = self.loss(weights, batch, counts, passes, reading=Spread)
            kept.append(found)
            return total

        batch = moved(batch, self.device)
        with self.device:  # what is made on the way lies there too
            total = self.whole(
                lambda weights: call(parts(cast(weights, DTYPES[self.recipe.dtype])))
            )
            torch.autograd.backward(total)
        return kept[0].detached()


def moved(batch: Batch, device: torch.device) -> Batch:
    there = {f.name: getattr(batch, f.name) for f in fields(batch)}
    return Batch(**{n: x.to(device) if isinstance(x, Tensor) else x for n, x in there.items()})


class Whole(nn.Module):
    """FSDP gathers its parameters while it is called: `call` finds them by the page's names."""

    def __init__(self, inner: Parameters) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, call: Callable[[Mapping[str, Tensor]], Tensor]) -> Tensor:
        return call(self.inner.weights())


def sharded(parameters: Parameters, mesh: DeviceMesh) -> Whole:
    """All of them in parts from now on; stacks are never gathered."""
    stacks = set()
    for name, value in list(parameters.named_parameters()):
        if STACK in name:
            path, leaf = name.rsplit(".", 1)
            part = distribute_tensor(value.detach(), mesh, [Shard(0)], src_data_rank=None)
            parameters.get_submodule(path).register_parameter(leaf, nn.Parameter(part))
            stacks.add(parameters.get_parameter(name))
    whole = Whole(parameters)
    group: Any = fully_shard(whole, mesh=mesh, ignored_params=stacks)
    group.set_gradient_divide_factor(1.0)  # gradients are summed, not meaned
    group.set_force_sum_reduction_for_comms(True)
    return whole


def parts(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """As a pass takes them: what is still in parts is a stack."""
    return {
        name: Part(w.to_local(), w.shape[0]) if isinstance(w, DTensor) else w
        for name, w in weights.items()
    }


class Sharded(Optimizers):
    """Of parameters in parts: each process moves its own."""

    def clip(self) -> float:
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = full(nn.utils.get_total_norm(gradients))
        most = self.recipe.clip or float("inf")
        nn.utils.clip_grads_with_norm_(self.parameters, most, norm)
        return float(norm)

    def load(self, states: Mapping[str, Tensor]) -> None:
        super().load(states)
        for one in self.all:
            for p, state in one.state.items():
                for key, value in state.items():
                    if value.ndim:
                        state[key] = placed(value, p)


def full(x: Tensor) -> Tensor:
    return x.full_tensor() if isinstance(x, DTensor) else x


def placed(x: Tensor, like: Tensor) -> Tensor:
    """This process's part of what all of them have whole."""
    if not isinstance(like, DTensor):
        return x.to(like.device)
    there = x.to(like.to_local().device)
    return distribute_tensor(there, like.device_mesh, like.placements, src_data_rank=None)


def divides(recipe: Recipe, processes: int) -> None:
    """InputError unless each process can have as many rows, passes and experts as the others."""
    together = recipe.batch.together // recipe.data.length
    each, rest = divmod(recipe.rows, processes)
    if rest or each % min(together, each):
        raise InputError(
            f"{processes} processes can't share a step of {recipe.rows} rows, {together} at once,"
            " evenly; choose batch.tokens and batch.together as multiples of so many rows"
        )
    for name in ("n_routed_experts", "num_experts", "num_local_experts"):
        count = recipe.model.get(name)
        if isinstance(count, int) and count % processes:
            raise InputError(
                f"model.{name} is {count}, which {processes} processes can't share evenly"
            )
