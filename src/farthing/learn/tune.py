"""Fine-tuning: low-rank parts of a model learn what documents show, the model itself stays."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from time import perf_counter

import msgspec
import torch
from torch import Tensor

from farthing.errors import InputError
from farthing.learn import checkpoint, divergence, facts, schedule
from farthing.learn.adapted import Adapted
from farthing.learn.base import Base
from farthing.learn.batches import Batch
from farthing.learn.checkpoint import Checkpoint
from farthing.learn.frozen import Codes
from farthing.learn.lora import Adapter
from farthing.learn.losses import losses
from farthing.learn.recipe import Dtype, Schedule
from farthing.learn.run import DTYPES
from farthing.learn.team import Team, added
from farthing.learn.whole_rows import Document, WholeRows

CLIP = 1.0
KEEP = 2
LOOKED_AT = 1024
"""Numbers of each tensor that a model is known again by."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that decides a tuning run, but the model and the documents."""

    rank: int = 8
    alpha: float = 16.0
    """A part counts alpha / rank."""

    targets: tuple[str, ...] = ("all-linear",)
    rate: float = 1e-3
    """Falls as a cosine, after a warm-up of `warmup` of the steps."""

    warmup: float = 0.05
    epochs: int = 1
    length: int = 512
    """Tokens in a row, which holds whole documents."""

    rows: int = 16
    """Of a step."""

    together: int = 8
    """Rows that go through the model at once."""

    recompute: bool = False
    """Blocks are run again on the way back: less memory, the same bits."""

    seed: int = 0
    dtype: Dtype = "bf16"
    quantized: bool = False

    def __post_init__(self) -> None:
        for name in ("rank", "epochs", "length", "rows", "together"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if self.rows % self.together:
            raise InputError(
                f"{self.rows} rows of a step are not a multiple of {self.together} together"
            )
        if not self.targets:
            raise InputError("no targets are given; expected names of matrices, or all-linear")


@dataclass(frozen=True, slots=True)
class Told:
    """Of one step. Loss in nats a token that is learned."""

    step: int
    loss: float
    norm: float
    rate: float
    learned: int
    tokens: int
    seconds: float


class Tune:
    """`done` is the number of steps done, of `steps`."""

    def __init__(self, base: Base, documents: Sequence[Document], settings: Settings) -> None:
        s = settings
        self.base, self.settings, self.done = base, settings, 0
        self.adapter = Adapter.fresh(
            base.config, s.targets, rank=s.rank, alpha=s.alpha, seed=s.seed
        )
        self.rows = WholeRows(documents, length=s.length, epochs=s.epochs, seed=s.seed)
        self.steps = -(-len(self.rows.rows) // s.rows)
        self.schedule = Schedule(kind="cosine", warmup=round(s.warmup * self.steps))
        self.parameters = dict(self.adapter.named())
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(), lr=s.rate, betas=(0.9, 0.99), weight_decay=0.0
        )
        self.identity = _identity(base, documents, settings)
        self.team: Team | None = None

    def step(self) -> Told:
        s, began = self.settings, perf_counter()
        first = self.done * s.rows
        batches = [self.rows.take(first + at, s.together) for at in range(0, s.rows, s.together)]
        count = sum(int(one.learned[:, :-1].sum()) for one in batches)
        loss = self._made(batches, max(count, 1))
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters.values(), CLIP))
        if not isfinite(loss + norm):
            raise InputError(
                f"the loss of step {self.done + 1} is {loss} and its gradients' norm {norm};"
                " nothing was changed by it. Begin again with a smaller --rate"
            )
        rate = s.rate * schedule.rate(self.schedule, self.done, self.steps)
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.done += 1
        tokens = sum(one.tokens.numel() for one in batches)
        return Told(self.done, loss, norm, rate, count, tokens, perf_counter() - began)

    def _made(self, batches: list[Batch], count: int) -> float:
        """All passes of a step: the loss a token, and gradients, added up in the passes' order."""
        s, loss = self.settings, 0.0
        learned = list(self.parameters.values())

        def one(batch: Batch) -> tuple[float, Sequence[Tensor | None]]:
            weights = self.adapter.beside(self.base.weights, DTYPES[s.dtype])
            found = losses(
                self.base.config,
                weights,
                batch,
                reading=Adapted,
                objective=divergence.text,
                recompute=s.recompute,
            )
            mean = found.main / count
            return float(mean.detach()), torch.autograd.grad(mean, learned, allow_unused=True)

        if self.team is None:
            self.team = Team(len(batches))
        for mean, grads in self.team.map(one, batches):
            loss += mean
            added(learned, grads)
        return loss

    def save(self, folder: Path) -> Path:
        told = {"identity": self.identity, **facts.bits(torch.get_num_threads())}
        state = Checkpoint(self.done, self._state(), told)
        return checkpoint.save(folder, state, keep=KEEP)

    def resume(self, state: Checkpoint) -> None:
        """Goes on as if it had never stopped. Raises InputError for a run of something else."""
        if state.run.get("identity") != self.identity:
            raise InputError(
                "the checkpoint is of another model, other data or other settings; tune into a new"
                " folder"
            )
        for name, parameter in self.parameters.items():
            with torch.no_grad():
                parameter.copy_(state.tensors[f"weight/{name}"])
            keys = ("step", "exp_avg", "exp_avg_sq")
            if f"step/{name}" in state.tensors:
                self.optimizer.state[parameter] = {k: state.tensors[f"{k}/{name}"] for k in keys}
        self.done = state.step

    def _state(self) -> dict[str, Tensor]:
        found = {f"weight/{name}": p.detach() for name, p in self.parameters.items()}
        names = {id(p): name for name, p in self.parameters.items()}
        for parameter, state in self.optimizer.state.items():
            found |= {f"{key}/{names[id(parameter)]}": value for key, value in state.items()}
        return found


def _identity(base: Base, documents: Sequence[Document], settings: Settings) -> str:
    decisive = msgspec.structs.replace(settings, recompute=False)
    found = hashlib.sha256(msgspec.json.encode(decisive, order="deterministic"))
    found.update(msgspec.json.encode(base.config, order="deterministic"))
    for name, weight in base.weights.items():
        numbers = weight.codes if isinstance(weight, Codes) else weight
        first = numbers.flatten()[:LOOKED_AT].contiguous().view(torch.uint8)
        found.update(f"{name} {tuple(weight.shape)}".encode() + first.numpy().tobytes())
    for ids, learned in documents:
        found.update(msgspec.json.encode((list(ids), learned and list(learned))))
    return found.hexdigest()
