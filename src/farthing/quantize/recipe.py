"""Which tensor becomes what: read from a file, or made from a few flags.

The last rule that matches a tensor wins. Vectors and tables (norms, biases) are always kept.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import groupby
from math import prod
from pathlib import Path

from farthing.errors import InputError
from farthing.formats.types import Layout, Shape
from farthing.quantize import recipe_file
from farthing.quantize.recipe_file import KEEP, Bits, Group, Minimum, Rule, form
from farthing.quantize.types import Choice, Method
from farthing.weight import Form

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
ROUTERS = ("model.layers.*.mlp.gate.weight", "model.layers.*.mlp.shared_expert_gate.weight")
"""Multiplied by inputs that are not rounded, in bf16 alone."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A types.Choices."""

    default: Choice
    rules: tuple[Rule, ...] = ()

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """Raises NotFound, or InputError naming the file and what in it is wrong."""
        return cls(*recipe_file.read(path))

    @classmethod
    def parse(cls, text: str) -> "Recipe":
        return cls(*recipe_file.parse(text))

    @classmethod
    def of(cls, method: Method, bits: Bits, group: Group, minimum: Minimum = False) -> "Recipe":
        """The method for linears, 8 bits for what is worth them, routers kept. For any model:
        `fitted` leaves what one model has."""
        if method == "keep":
            return cls(KEEP)
        default = Choice(method=method, form=form(bits, group, minimum))
        high = Choice(method="rtn", form=form(8, 32, False))
        shared = "model.layers.*.mlp.shared_expert*_proj.weight"
        latent = "model.layers.*.self_attn.[kv]_b_proj.weight"
        rules = [Rule(match, high) for match in (EMBEDDING, HEAD, shared, latent)]
        return cls(default, tuple(rules + [Rule(match, KEEP) for match in ROUTERS]))

    def fitted(self, layouts: Mapping[str, Layout]) -> "Recipe":
        """Without rules that name nothing of this model, and without rounding anew what would
        become no smaller: MXFP4, say, or what has four bits already."""

        def worth(choice: Choice, names: Iterable[str]) -> bool:
            held = [layouts[name] for name in names]
            return any(_becomes(choice, one) < _becomes(KEEP, one) for one in held)

        rules = []
        for rule in self.rules:
            if named := [name for name in layouts if rule.names(name)]:
                rules.append(rule if worth(rule.choice, named) else replace(rule, choice=KEEP))
        plain = [n for n, one in layouts.items() if one.form and not any(r.names(n) for r in rules)]
        if not worth(self.default, plain):
            return Recipe(KEEP, tuple(rules))
        alike = groupby(sorted(plain, key=_pattern), _pattern)
        kept = [Rule(pattern, KEEP) for pattern, names in alike if not worth(self.default, names)]
        return Recipe(self.default, (*kept, *rules))

    def choice(self, name: str, layout: Layout) -> Choice:
        if layout.form is None:
            return KEEP
        matching = (rule.choice for rule in reversed(self.rules) if rule.names(name))
        return next(matching, self.default)

    def check(self, layouts: Mapping[str, Layout]) -> None:
        """Raises InputError for a rule that names nothing, and for what no kernel would run."""
        for number, rule in enumerate(self.rules, 1):
            _names_something(number, rule, layouts)
        for name, layout in layouts.items():
            _runs(name, self.choice(name, layout))

    def needs_text(self, layouts: Mapping[str, Layout]) -> bool:
        """Whether a method looks at what flows through the model."""
        chosen = (self.choice(name, layout) for name, layout in layouts.items())
        return any(choice.method in ("awq", "gptq") for choice in chosen)

    def toml(self) -> str:
        """The recipe as a file; `parse` of it is equal to this one."""
        return recipe_file.text(self.default, self.rules)


@dataclass(frozen=True, slots=True)
class Size:
    """Parameters and packed bytes, scales included: of all tensors, and of linears alone (every
    matrix but the embedding and the head)."""

    parameters: int
    bytes: int
    linear_parameters: int
    linear_bytes: int

    @property
    def bits(self) -> float:
        return 8 * self.bytes / max(self.parameters, 1)

    @property
    def linear_bits(self) -> float:
        return 8 * self.linear_bytes / max(self.linear_parameters, 1)


def size(layouts: Mapping[str, Layout], recipe: Recipe | None = None) -> Size:
    """What tensors take, as they are or as a recipe makes them; nothing is read."""
    counts = [0, 0, 0, 0]
    for name, layout in layouts.items():
        choice = recipe.choice(name, layout) if recipe else KEEP
        taken = (prod(layout.shape), _becomes(choice, layout))
        linear = layout.form is not None and name not in (EMBEDDING, HEAD)
        for place, value in enumerate(taken):
            counts[place] += value
            counts[place + 2] += value if linear else 0
    return Size(*counts)


def _pattern(name: str) -> str:
    """The name in any layer."""
    return re.sub(r"(?<=\.layers\.)\d+(?=\.)", "*", name)


def _becomes(choice: Choice, layout: Layout) -> int:
    return _bytes(layout.shape, choice.form if layout.form and choice.form else layout.form)


def _bytes(shape: Shape, form: Form | None) -> int:
    """Without the gaps between the matrices of a stack."""
    if form is None:
        return 4 * prod(shape)
    return prod(shape[:-2]) * form.bytes(*shape[-2:])


def _names_something(number: int, rule: Rule, layouts: Mapping[str, Layout]) -> None:
    named = [name for name in layouts if rule.names(name)]
    where = f"rule {number} ({rule.match[:80]!r})"
    if not named:
        some = ", ".join(list(layouts)[:3])
        raise InputError(f"{where} names no tensor of this model; it has {some}, ...")
    if rule.choice != KEEP and all(layouts[name].form is None for name in named):
        raise InputError(f"{where} names only vectors such as {named[0]}; those are always kept")


def _runs(name: str, choice: Choice) -> None:
    if choice == KEEP:
        return
    if any(fnmatchcase(name, router) for router in ROUTERS):
        raise InputError(
            f"{name}: the recipe says {choice.method}, and a router runs in bf16 only; add a rule:"
            f' match = "{name}", method = "keep"'
        )
    if name == EMBEDDING and choice.method != "rtn":
        raise InputError(
            f"{name}: the recipe says {choice.method}, and an embedding multiplies no input to"
            ' learn from; add a rule with method = "rtn" or "keep"'
        )
