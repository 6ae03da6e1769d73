"""What `farthing quantize` is about to do: which model, by which recipe. Reads shapes alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farthing import models
from farthing.cli import quantize_write
from farthing.cli.models import folder
from farthing.errors import InputError
from farthing.formats.types import Layout
from farthing.quantize import check, sections, source
from farthing.quantize.recipe import Recipe, Size, size
from farthing.quantize.recipe_file import KEEP, Minimum
from farthing.quantize.source import Source
from farthing.quantize.types import Choice
from farthing.store.names import root


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The flags that a recipe takes the place of; None where not given."""

    method: Any = None
    bits: Any = None
    group: Any = None
    minimum: Any = None

    @property
    def given(self) -> list[str]:
        names = ("method", "bits", "group", "minimum")
        return [f"--{name}" for name in names if getattr(self, name) is not None]

    def recipe(self, format: str) -> Recipe:
        """Minima in whole steps where the format can't hold others."""
        if self.method == "keep" and len(self.given) > 1:
            raise InputError(f"--method keep rounds nothing; leave out {self.given[1]}")
        minimum: Minimum = bool(self.minimum)
        if minimum and format == "hf":
            minimum = "whole"
        return Recipe.of(self.method or "gptq", self.bits or 4, self.group or 32, minimum)


@dataclass(frozen=True, slots=True)
class Plan:
    """`model` as the user named it, `path` where its files are."""

    model: str
    path: Path
    source: Source
    layouts: Mapping[str, Layout]
    recipe: Recipe
    context: int
    """Tokens that the model reads at most."""
    format: str
    changed: list[str]
    """What the format stores otherwise than it is made, one line each."""

    @property
    def before(self) -> Size:
        return size(self.layouts)

    @property
    def after(self) -> Size:
        return size(self.layouts, self.recipe)

    @property
    def needs_text(self) -> bool:
        return self.recipe.needs_text(self.layouts)

    def chosen(self) -> dict[str, Choice]:
        return {name: self.recipe.choice(name, one) for name, one in self.layouts.items()}

    def again(self) -> list[str]:
        """Matrices that are rounded already, and would be once more."""
        return [
            name
            for name, choice in self.chosen().items()
            if choice.form and (held := self.layouts[name].form) and held.bits < 16
        ]


def planned(model: str, flags: Flags, file: Path | None, format: str) -> Plan:
    """Raises InputError, NotFound or FormatError, before any weight is read, for a model that
    isn't there or isn't run, and a recipe that doesn't fit it or the format."""
    if file is not None and flags.given:
        raise InputError(f"--recipe says it all; leave out {' and '.join(flags.given)}")
    recipe = Recipe.read(file) if file else flags.recipe(format)
    path = place(model)
    opened = source.open(path)
    layouts = {name: opened.layout(name) for name in opened.names()}
    context = models.load(opened.config, layouts).shape.max_context
    if file is None:
        recipe = _smaller(recipe, layouts, model)
    recipe.check(layouts)
    check.chosen(opened, sections.plan_of(opened.config, opened.names()), recipe)
    made = {
        name: Layout(one.shape, recipe.choice(name, one).form or one.form)
        for name, one in layouts.items()
    }
    changed = quantize_write.check(format, opened.config, made, opened.files())
    return Plan(model, path, opened, layouts, recipe, context, format, changed)


def _smaller(recipe: Recipe, layouts: Mapping[str, Layout], model: str) -> Recipe:
    found = recipe.fitted(layouts)
    idle = all(found.choice(name, one) == KEEP for name, one in layouts.items())
    if idle and recipe.default != KEEP:
        bits = size(layouts).linear_bits
        raise InputError(
            f"{model} has {bits:.2f} bits a weight in linear layers, and nothing of it would become"
            " smaller; --method keep changes its format alone"
        )
    return found


def place(model: str) -> Path:
    """A model of the shelf by its name; else a path."""
    path = Path(model).expanduser()
    if "/" not in model and (root() / model).exists():
        return folder(model)
    return path if "/" in model or path.exists() else folder(model)
