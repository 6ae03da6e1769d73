"""Who is moved by what: Muon moves hidden matrices, AdamW the rest; both at one rate."""

from collections.abc import Callable, Collection, Iterator, Mapping

import torch
from torch import Tensor, nn

from farthing.errors import FormatError
from farthing.learn.muon import Muon, orthogonal
from farthing.learn.parameters import Parameters
from farthing.learn.recipe import Optimizer

KEPT = {Muon: {"momentum"}, torch.optim.AdamW: {"step", "exp_avg", "exp_avg_sq"}}
"""Of a parameter, by its optimizer."""

OUTER = ("embed_tokens.weight", "lm_head.weight", "gate.weight")
"""Matrices for AdamW: tables of tokens, and routers, whose rows are each an expert's own."""


class Optimizers:
    """`states()` names all that a checkpoint must keep, besides the parameters."""

    def __init__(
        self,
        parameters: Parameters,
        recipe: Optimizer,
        direction: Callable[[Tensor], Tensor] = orthogonal,
    ) -> None:
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
                hidden.values(),
                lr=recipe.rate,
                momentum=recipe.momentum,
                decay=recipe.decay,
                direction=direction,
            )
            self.all.append(muon)
        decayed = [p for p in rest.values() if p.ndim > 1]
        groups = [
            {"params": decayed, "weight_decay": recipe.decay},
            {"params": [p for p in rest.values() if p.ndim == 1], "weight_decay": 0.0},
        ]
        self.all.append(torch.optim.AdamW(groups, lr=recipe.rate, betas=recipe.betas))
        self.parameters = list(named.values())

    def clip(self) -> float:
        """The gradients' norm, which is then brought down to the recipe's largest."""
        return float(nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip or float("inf")))

    def step(self, rate: float) -> None:
        """At `rate` (not a share of the recipe's). Gradients are gone after it."""
        for one in self.all:
            for group in one.param_groups:
                group["lr"] = rate
            one.step()
            one.zero_grad(set_to_none=True)

    def states(self) -> Iterator[tuple[str, Tensor]]:
        for one in self.all:
            for p, state in one.state.items():
                for key, value in state.items():
                    yield f"{key}/{self.names[id(p)]}", value

    def load(self, states: Mapping[str, Tensor]) -> None:
        """The inverse of `states`. FormatError for what is no state of these parameters."""
        keys: dict[str, dict[str, Tensor]] = {}
        for full, value in states.items():
            key, name = full.split("/", 1)
            keys.setdefault(name, {})[key] = value
        for one in self.all:
            for group in one.param_groups:
                for p in group["params"]:
                    name = self.names[id(p)]
                    found = keys.pop(name, {})
                    if found.keys() != (wanted := KEPT[type(one)]):
                        raise FormatError(
                            f"of {name} the checkpoint has {_all(found)}, and {type(one).__name__}"
                            f" keeps {_all(wanted)}; optimizer.matrices has to be as the"
                            " checkpoint's recipe has it"
                        )
                    if any(v.ndim and v.shape != p.shape for v in found.values()):
                        raise FormatError(f"moments of {name} are of another shape")
                    one.state[p] = found
        if keys:
            raise FormatError(
                f"there are moments of {next(iter(keys))!r:.80}, which is not trained"
            )


def _all(names: Collection[str]) -> str:
    return " and ".join(sorted(names)) or "no moments"
