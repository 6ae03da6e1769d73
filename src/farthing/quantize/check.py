"""What is refused before hours of work: choices, samples and weights that can't come to good."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from farthing.errors import InputError
from farthing.formats import packed
from farthing.formats.types import Layout, Tensors
from farthing.ops.mixture import Bank
from farthing.ops.record import Note
from farthing.quantize.sections import MATRICES, Plan, bank_of, standins
from farthing.quantize.types import Choice, Choices
from farthing.weight import ROWS, Form

PIECE = 1 << 24
"""Weights read at once."""
CALIBRATED = ("awq", "gptq")
GROUPS = (32, 64, 128)


def chosen(tensors: Tensors, plan: Plan, choices: Choices) -> dict[str, Choice]:
    """What becomes of each tensor. Raises InputError naming the first that can't be."""
    notes = [note for section in plan.sections for note in section.notes]
    uses: dict[str, list[Note]] = {}
    for note in notes:
        for one in standins(note):
            uses.setdefault(one.name, []).append(note)
    found = {}
    for name in tensors.names():
        layout = tensors.layout(name)
        choice = choices.choice(name, layout)
        if choice.method != "keep":
            _possible(name, layout, choice, uses[name])
        found[name] = choice
    for note in notes:
        if bank := bank_of(note):
            _alike(bank, found, tensors)
    return found


def _possible(name: str, layout: Layout, choice: Choice, notes: list[Note]) -> None:
    if layout.form is None or any(note.name not in MATRICES for note in notes):
        raise InputError(
            f"{name}: {choice.method} for a vector of shape {list(layout.shape)}; only matrices"
            " are quantized: keep it"
        )
    if any(note.settings.get("precise") for note in notes):
        raise InputError(
            f"{name}: {choice.method} for what decides where tokens go; routers and their like"
            " are run in bf16 alone: keep it"
        )
    if choice.method in CALIBRATED and any(note.name == "embedding" for note in notes):
        raise InputError(
            f"{name}: {choice.method} for an embedding, whose input is no numbers but tokens;"
            " choose rtn or keep"
        )
    if choice.form is None or not _holds(choice.form):
        raise InputError(
            f"{name}: {choice.method} in the form {choice.form}; expected 4 or 8 bits, groups of"
            f" {', '.join(map(str, GROUPS))}, a scale f16 or f32, symmetric or with a minimum, or"
            " with a zero and a scale f16"
        )


def _holds(form: Form) -> bool:
    """Whether packed files and the native side know it, and methods round to it."""
    known = form.bits in (4, 8) and form.group in GROUPS and form.lookup == "none"
    scales = ("f16",) if form.offset == "zero" else ("f16", "f32")
    return known and form.scale in scales


def _alike(bank: Bank, found: dict[str, Choice], tensors: Tensors) -> None:
    """An expert's gate and up read one input, rounded once: both in bf16, or neither."""
    forms = [found[one.name].form or tensors.layout(one.name).form for one in (bank.gate, bank.up)]
    if len({form is not None and form.bits == 16 for form in forms}) > 1:
        raise InputError(
            f"{bank.gate.name} and {bank.up.name} are run together: quantize both, or keep both"
        )


def samples(given: Sequence[NDArray[np.int32]], plan: Plan, needed: str | None) -> None:
    """`needed` is a tensor whose method asks for samples, if there is one."""
    if needed is not None and not given:
        raise InputError(
            f"{needed} is to be quantized by a method that needs samples, and there are none;"
            " give a text, or choose rtn"
        )
    most, words = plan.shape.max_context, plan.shape.vocabulary
    for number, sample in enumerate(given):
        if sample.ndim != 1 or not 2 <= len(sample) <= most:
            raise InputError(
                f"sample {number} has shape {list(sample.shape)}; expected 2 to {most} tokens"
            )
        if not 0 <= sample.min() <= sample.max() < words:
            raise InputError(
                f"sample {number} has tokens from {sample.min()} to {sample.max()}; the model knows"
                f" 0 to {words - 1}: it is another model's text"
            )


def finite(tensors: Tensors) -> None:
    """Reads every weight once. Raises FormatError naming the tensor that holds NaN or infinity."""
    for name in tensors.names():
        for index, rows in pieces(tensors.layout(name)):
            what = f"tensor {name[:80]!r}" + ("" if index is None else f" [{index}]")
            packed.check_finite(what, tensors.tensor(name, rows, index))


def pieces(layout: Layout) -> Iterator[tuple[int | None, slice]]:
    """Matrices of a tensor, and rows of each, so that no piece is large."""
    stacked = layout.form is not None and len(layout.shape) == 3
    for index in range(layout.shape[0]) if stacked else (None,):
        if layout.form is None:
            yield index, slice(None)
        else:
            yield from ((index, rows) for rows in some_rows(*layout.shape[-2:]))


def some_rows(rows: int, columns: int) -> Iterator[slice]:
    """Runs of whole blocks of 16 rows, the last one apart."""
    step = max(PIECE // columns // ROWS, 1) * ROWS
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))
