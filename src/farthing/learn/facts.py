"""What a run must find as it left it, and what it measures of its machine before it starts."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import torch

from farthing import __version__, machine
from farthing.engine.isa import choose_isa
from farthing.errors import FormatError, InputError
from farthing.learn import work
from farthing.learn.batches import Rows
from farthing.learn.corpus import Corpus
from farthing.learn.recipe import Recipe
from farthing.models import tensors_of

A_PARAMETER = 16
"""Bytes in memory: the number, its gradient, and two moments."""

MACHINE = ("threads", "instructions", "kernels")
"""What a peak was measured with."""

LOOKED_AT = 64
"""Rows whose documents' lengths stand for all."""


def surroundings(threads: int, corpora: Sequence[Corpus]) -> dict[str, Any]:
    return {**bits(threads), "data": [digest(corpus) for corpus in corpora]}


def bits(threads: int) -> dict[str, Any]:
    """What may change the last bits. Instructions are torch's, kernels ours."""
    return {
        "threads": threads,
        "torch": torch.__version__,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "kernels": choose_isa(),
        "farthing": __version__,
    }


def looks(recipe: Recipe, held_out: Mapping[str, Corpus]) -> dict[str, Any]:
    """What decides which tokens a run is looked at with, if runs are to be compared."""
    return {
        "corpora": {name: digest(corpus) for name, corpus in held_out.items()},
        "tokens": recipe.evaluate.tokens,
        "length": recipe.data.length,
        "whole": recipe.data.whole,
    }


def compared(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Differences that cost only the sameness of bits, in words. InputError for other data."""
    if now["data"] != before.get("data"):
        raise InputError(
            "the data is not what the run began with: a corpus of data.train was made again, or the"
            " teacher is another; start the run in a new folder, or bring back what it began with"
        )
    return changed(now, before)


def changed(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Of `bits`, in words."""
    return [
        f"{name} was {before.get(name)} and is {now[name]}: the run goes on, but not to the bit"
        for name in bits(0)
        if now[name] != before.get(name)
    ]


def measured(
    recipe: Recipe, rows: Rows, surroundings: Mapping[str, Any], path: Path
) -> dict[str, Any]:
    """With the peak of this machine's bf16 products: the best seen in any session of the run."""
    counted = work.count(recipe.model, next_token=recipe.next_token is not None)
    batch = rows.take(0, min(LOOKED_AT, len(rows.which)))
    known = _peak_before(path, surroundings)
    return {
        "name": recipe.name,
        "parameters": counted.parameters,
        "active": counted.active,
        "flops_a_token": counted.training(batch.positions),
        "peak": max(known, work.peak()),
        "steps": recipe.steps,
        "recipe": recipe.identity,
        **surroundings,
    }


def fits(recipe: Recipe) -> None:
    """InputError if the numbers alone would fill the machine's memory."""
    shapes = tensors_of(recipe.model).values()
    count = sum(prod(shape) for shape in shapes)
    have = machine.memory().total
    if count * A_PARAMETER > have:
        raise InputError(
            f"{count / 1e6:,.0f} M parameters take {count * A_PARAMETER / 2**30:,.1f} GiB to train,"
            f" and this machine has {have / 2**30:,.1f}; choose a smaller [model]"
        )


def digest(corpus: Corpus) -> str:
    """Of the tokens, where documents start, and which tokens are learned."""
    found = hashlib.sha256()
    for array in (corpus.tokens, corpus.starts, corpus.learned):
        if array is not None:
            found.update(str((array.dtype, array.shape)).encode())
            found.update(array.data)
    return found.hexdigest()


def _peak_before(path: Path, surroundings: Mapping[str, Any]) -> float:
    if not path.exists():
        return 0.0
    try:
        found = json.loads(path.read_bytes())
        # what an older run did not write down is no reason to forget its peak
        same = all(found.get(name, surroundings[name]) == surroundings[name] for name in MACHINE)
        return float(found["peak"]) if same else 0.0
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path} is damaged ({error}); remove it") from None
