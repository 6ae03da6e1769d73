"""What each lossy lever of a checkpoint costs: the readings of it beside the reference's.

Logits are held for one sequence at a time, of all readings; of each token some figures stay.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farthing.errors import InputError
from farthing.evaluate import cache_fit, divergence
from farthing.evaluate.divergence import Ids, Tokens
from farthing.evaluate.interval import exponential, interval, starts
from farthing.evaluate.kv import lever
from farthing.evaluate.opened import Opened, activations_of, weights_lever
from farthing.evaluate.readings import Native, Reading, engine_reading, reference_reading
from farthing.evaluate.texts import Texts
from farthing.formats.quality import Interval, Loss

Told = Callable[[int], None]


def untold(done: int) -> None:
    """Nobody waits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One row: which levers were on, in the order they were added, and what that did."""

    levers: dict[str, str]
    isa: str | None
    """None where it is the reference reading, in fp32."""
    tokens: Tokens
    loss: Loss


def measure(
    model: Opened,
    against: Opened | None,
    texts: Texts,
    *,
    kv_bits: int = 16,
    weights_only: bool = False,
    seed: int = 0,
    told: Told = untold,
) -> list[Measured]:
    """A row for each lever, every one with those before it on.

    `against` is what the weights came from; None takes the model itself in fp32, and then weights
    are no lever. Raises InputError if the two can't be compared. `told` hears tokens done.
    """
    reference = reference_reading(against or model)
    runs = _runs(model, against, kv_bits, weights_only)
    found = compare(reference, [reading for _, reading in runs], texts.sequences, told)
    blocks = starts(texts.lengths)
    rows: list[Measured] = []
    for (levers, reading), tokens in zip(runs, found, strict=True):
        before = rows[-1].tokens if rows else None
        isa = reading.isa if isinstance(reading, Native) else None
        made = loss(tokens, blocks, seed=seed, before=before)
        rows.append(Measured(levers=levers, isa=isa, tokens=tokens, loss=made))
    return rows


def compare(
    reference: Reading, measured: Sequence[Reading], sequences: Sequence[Ids], told: Told = untold
) -> list[Tokens]:
    """The figures of all tokens for each of `measured`; sequences as in texts.py, [T + 1] each.

    Raises InputError if vocabularies differ, or where a sequence is no text of theirs.
    """
    for one in measured:
        _comparable(reference, one)
    _readable([reference, *measured], sequences)
    parts: list[list[Tokens]] = [[] for _ in measured]
    done = 0
    for ids in sequences:
        expected = reference.logits(ids[:-1])
        logits = [one.logits(ids[:-1]) for one in measured]
        found = divergence.tokens(expected, logits, ids[1:])
        for mine, tokens in zip(parts, found, strict=True):
            mine.append(tokens)
        done += len(ids) - 1
        told(done)
    return [Tokens.joined(mine) for mine in parts]


def loss(
    tokens: Tokens, blocks: NDArray[np.int64], *, seed: int = 0, before: Tokens | None = None
) -> Loss:
    """Means with their intervals. `before` is the same text without the last lever: what this one
    adds is taken token by token, so that what both share does not widen the interval."""
    summary = divergence.summary(tokens)

    def mean(values: divergence.Floats) -> Interval:
        return interval(values, blocks, seed=seed)

    return Loss(
        kl=mean(tokens.kl),
        kl_median=summary.median,
        kl_p99=summary.p99,
        kl_max=summary.largest,
        same_top=mean(tokens.same.astype(np.float64)),
        perplexity=exponential(mean(tokens.surprise)),
        reference_perplexity=exponential(mean(tokens.reference_surprise)),
        added=None if before is None else mean(tokens.kl - before.kl),
    )


def _runs(
    model: Opened, against: Opened | None, kv_bits: int, weights_only: bool
) -> list[tuple[dict[str, str], Reading]]:
    """Levers and readings, each with one lever more than the one before."""
    runs: list[tuple[dict[str, str], Reading]] = []
    levers: dict[str, str] = {}
    if against is not None:
        levers = {"weights": weights_lever(model)}
        runs.append((levers, reference_reading(model)))
    if weights_only:
        return runs
    levers = {**levers, "activations": activations_of(model)}
    runs.append((levers, engine_reading(model.path)))
    if kv_bits == 4:
        cache_fit.fit(model.path)
    if (kv := lever(model.path, kv_bits)) is not None:
        levers = {**levers, "kv": kv}
        runs.append((levers, engine_reading(model.path, kv_bits)))
    return runs


def _comparable(reference: Reading, measured: Reading) -> None:
    ours, theirs = measured.shape.vocabulary, reference.shape.vocabulary
    if ours != theirs:
        raise InputError(
            f"{measured.name} has {ours} tokens in its vocabulary and {reference.name} {theirs}:"
            " their distributions can't be compared; give the model that this one was made from"
        )


def _readable(readings: Sequence[Reading], sequences: Sequence[Ids]) -> None:
    if not sequences:
        raise InputError("no text to measure on; give at least one sequence")
    longest = max(len(ids) - 1 for ids in sequences)
    highest = max(int(ids.max()) for ids in sequences)
    lowest = min(int(ids.min()) for ids in sequences)
    for one in readings:
        if longest > one.shape.max_context:
            raise InputError(
                f"sequences of {longest} tokens, and {one.name} reads at most"
                f" {one.shape.max_context}; give a smaller --length"
            )
        if lowest < 0 or highest >= one.shape.vocabulary:
            raise InputError(
                f"the text has token {lowest if lowest < 0 else highest}, and {one.name} knows 0 to"
                f" {one.shape.vocabulary - 1}: it was cut by another model's tokenizer"
            )
