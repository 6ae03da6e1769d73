"""One process leads a run that several make: it says what is next, and the others do the same.

Whatever steps, saves, looks and stops stays as it is for one process (training.py), and runs in the
leader alone.
"""

import hashlib
import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from farthing import machine
from farthing.errors import FormatError, InputError
from farthing.learn import distil, facts
from farthing.learn.checkpoint import Checkpoint
from farthing.learn.corpus import Corpus
from farthing.learn.distributed import Together, divides, joined
from farthing.learn.plan import Plan
from farthing.learn.recipe import Recipe
from farthing.learn.run import NotFinite, Told, prepare
from farthing.learn.training import Training, opened

END, BEGIN, STEP, WEIGHTS, STATE, TAKE = range(6)
CALLS: dict[int, Callable[[Together], object]] = {
    STEP: Together.step,
    WEIGHTS: Together.weights,
    STATE: Together.state,
}


@contextmanager
def led(
    path: Path, folder: Path, *, resume: bool, start: Path | None, threads: int
) -> Iterator[Training | None]:
    """training.opened in the process that leads. In the others it yields None, once all is over."""
    threads = threads or max(1, machine.cores().usable // int(os.environ["LOCAL_WORLD_SIZE"]))
    with joined() as device:
        if dist.get_rank():
            with deaf():
                follow(path, device)
            yield None
            return
        Leader.between = True
        try:
            make = partial(Leader, device=device)
            with opened(
                path, folder, resume=resume, start=start, threads=threads, make=make
            ) as training:
                yield training
        finally:
            if Leader.between:
                said(END)


def follow(path: Path, device: torch.device) -> None:
    """Does what the leader does, until it ends. Errors that both meet are the leader's to tell."""
    run: Together | None = None
    while (word := heard()) != END:
        if word == BEGIN:
            prepare(heard())
            plan = Plan.read(path)
            same(plan.recipe, plan.train, heard())
            run = together(plan, device)
        elif run is not None:
            with suppress(NotFinite, FormatError):
                run.take(sent(None)) if word == TAKE else CALLS[word](run)


def same(recipe: Recipe, corpora: Sequence[Corpus], leaders: int) -> None:
    """InputError if this machine's recipe or data is not the leader's."""
    if work_number(recipe, corpora) != leaders:
        raise InputError(
            "this process has another recipe or other data than the one that leads; bring the same"
            " files to all machines"
        )


def work_number(recipe: Recipe, corpora: Sequence[Corpus]) -> int:
    """Of a recipe and the corpora it is trained on; 62 bits."""
    text = "\n".join([recipe.identity, *map(facts.digest, corpora)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 2


def together(plan: Plan, device: torch.device) -> Together:
    """As training.py makes one: with the recipe's teacher, if it names one."""
    run = Together(plan.recipe, plan.train, device)
    if plan.recipe.teacher is not None:
        found = distil.teaching(plan.recipe, plan.folder, plan.train, run.rows)
        run.objective = found.objective
    return run


class Leader(Together):
    between = True
    """Whether the others listen: not while they are in the middle of something."""

    def __init__(self, recipe: Recipe, corpora: Sequence[Corpus], device: torch.device) -> None:
        divides(recipe, dist.get_world_size())
        with self._all(BEGIN):
            said(torch.get_num_threads())
            said(work_number(recipe, corpora))
            super().__init__(recipe, corpora, device)

    def step(self) -> Told:
        with self._all(STEP):
            return super().step()

    def weights(self) -> dict[str, Tensor]:
        with self._all(WEIGHTS):
            return super().weights()

    def state(self) -> Checkpoint:
        with self._all(STATE):
            return super().state()

    def take(self, state: Checkpoint) -> None:
        with self._all(TAKE):
            super().take(sent(state))

    @contextmanager
    def _all(self, word: int) -> Iterator[None]:
        said(word)
        Leader.between = False
        try:
            yield
            Leader.between = True
        except (NotFinite, FormatError):
            Leader.between = True  # the others met it too
            raise


def said(word: int) -> None:
    dist.broadcast(torch.tensor([word]), 0)


def heard() -> int:
    word = torch.zeros(1, dtype=torch.int64)
    dist.broadcast(word, 0)
    return int(word)


def sent(state: Checkpoint | None) -> Checkpoint:
    """The leader's checkpoint, for all; others give None."""
    about: dict[str, Any] = {}
    if state:
        tensors = {n: (str(t.dtype)[len("torch.") :], t.shape) for n, t in state.tensors.items()}
        about = {"step": state.step, "run": dict(state.run), "tensors": tensors}
    text = torch.frombuffer(bytearray(json.dumps(about).encode()), dtype=torch.uint8)
    length = torch.tensor([len(text)])
    dist.broadcast(length, 0)
    if state is None:
        text = torch.empty(int(length), dtype=torch.uint8)
    dist.broadcast(text, 0)
    about = json.loads(text.numpy().tobytes())
    found = dict(state.tensors) if state else {}
    for name, (dtype, shape) in about["tensors"].items():
        if state is None:
            found[name] = torch.empty(shape, dtype=getattr(torch, dtype))
        dist.broadcast(found[name].contiguous(), 0)
    return Checkpoint(about["step"], found, about["run"])


@contextmanager
def deaf() -> Iterator[None]:
    """To ^C and SIGTERM, which torchrun sends to all: the leader saves first, and needs us."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
