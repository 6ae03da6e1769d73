"""Who is moved by what: Muon moves hidden matrices, AdamW the rest; both at one rate."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from farthing.learn.muon import Muon
from farthing.learn.parameters import Parameters
from farthing.learn.recipe import Optimizer

OUTER = ("embed_tokens.weight", "lm_head.weight", "gate.weight")
"""Matrices for AdamW: tables of tokens, and routers, whose rows are each an expert's own."""


class Optimizers:
    """`states()` names all that a checkpoint must keep, besides the parameters."""

    def __init__(self, parameters: Parameters, recipe: Optimizer) -> None:
        self.recipe = recipe
        named = dict(parameters.named_parameters())
        hidden = {
            name: p
            for name, p in named.items()
            if recipe.matrices == "muon" and p.ndim > 1 and not name.endswith(OUTER)
        }
        rest = {name: p for name, p in named.items() if name not in hidden}
        self.names = {id(p): name for name, p in named.items()}
        self.all: list[torch.optim.Optimizer] = []
        if hidden:
            muon = Muon(
                hidden.values(), lr=recipe.rate, momentum=recipe.momentum, decay=recipe.decay
            )
            self.all.append(muon)
        decayed = [p for p in rest.values() if p.ndim > 1]
        groups = [
            {"params": decayed, "weight_decay": recipe.decay},
            {"params": [p for p in rest.values() if p.ndim == 1], "weight_decay": 0.0},
        ]
        self.all.append(torch.optim.AdamW(groups, lr=recipe.rate, betas=recipe.betas))
        self.parameters = list(named.values())

    def step(self, rate: float) -> float:
        """One step at `rate` (not a share of the recipe's). Returns the gradients' norm."""
        norm = nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip or float("inf"))
        for one in self.all:
            for group in one.param_groups:
                group["lr"] = rate
            one.step()
            one.zero_grad(set_to_none=True)
        return float(norm)

    def states(self) -> Iterator[tuple[str, Tensor]]:
        for one in self.all:
            for p, state in one.state.items():
                for key, value in state.items():
                    yield f"{key}/{self.names[id(p)]}", value

    def load(self, states: dict[str, Tensor]) -> None:
        """The inverse of `states`; KeyError if one is missing is the caller's to prevent."""
        keys: dict[str, dict[str, Tensor]] = {}
        for full, value in states.items():
            key, name = full.split("/", 1)
            keys.setdefault(name, {})[key] = value
        for one in self.all:
            for group in one.param_groups:
                for p in group["params"]:
                    if found := keys.get(self.names[id(p)]):
                        one.state[p] = found
