"""The report of `farthing eval`: the table, what it means, plots, and where it is worst."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from farthing.cli import eval_plot, eval_table
from farthing.cli.eval_table import span
from farthing.cli.pages import Code, Heading, Part, Picture, Table, Text
from farthing.evaluate.divergence import Tokens
from farthing.evaluate.interval import BLOCK, RESAMPLES
from farthing.evaluate.texts import Texts
from farthing.formats.quality import Row
from farthing.tokenizer import Tokenizer

WORST = 10
CONTEXT = 16
"""Tokens shown before one of the worst."""
HEADINGS = ("lossy", "KL, nats a token", "median", "99 %", "largest", "same top", "perplexity")
ADDED = "KL added by the last"


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """All that a report tells."""

    model: str
    rows: Sequence[Row]
    tokens: Sequence[Tokens]
    texts: Texts
    tokenizer: Tokenizer | None
    """None where the reference brings none; ids are shown then."""
    command: str


def title(found: Found) -> str:
    return f"What {found.model} loses"


def parts(found: Found) -> Iterator[Part]:
    yield Text(_about(found))
    yield table(found.rows)
    for words in eval_table.words(found.rows):
        yield Text(words[0].upper() + words[1:])
    yield Text(_how())
    yield Picture(_picture(found), "KL by token, its means, by position; same top by confidence")
    for row, tokens in zip(found.rows, found.tokens, strict=True):
        yield Heading(f"Where it differs most: {eval_table.levers(row)}")
        yield worst(found, tokens)
    yield Heading("Again")
    yield Code(found.command)
    yield Text(_conditions(found.rows))


def table(rows: Sequence[Row]) -> Table:
    """What the last lever added has a column where there was a run without it."""
    lines = [_line(row) for row in rows]
    reference = rows[0].loss.reference_perplexity
    lines.append(["nothing: the reference", *[""] * 5, span(reference, "{:.2f}")])
    headings = list(HEADINGS)
    if any(row.loss.added for row in rows):
        headings.append(ADDED)
        added = [row.loss.added for row in rows] + [None]
        for line, one in zip(lines, added, strict=True):
            line.append("" if one is None else span(one, "{:+.2g}"))
    return Table(headings, lines, frozenset(range(1, len(headings))))


def _line(row: Row) -> list[str]:
    loss = row.loss
    return [
        eval_table.levers(row),
        span(loss.kl, "{:.3g}"),
        f"{loss.kl_median:.2g}",
        f"{loss.kl_p99:.2g}",
        f"{loss.kl_max:.2g}",
        span(loss.same_top, "{:.1%}"),
        span(loss.perplexity, "{:.2f}"),
    ]


def worst(found: Found, tokens: Tokens) -> Table:
    """The tokens with the largest KL: what stood before, what came, what each model expected."""
    context = np.concatenate([ids[:-1] for ids in found.texts.sequences])
    following = np.concatenate([ids[1:] for ids in found.texts.sequences])
    begins = np.cumsum([0, *found.texts.lengths])
    lines = []
    for at in np.argsort(-tokens.kl, kind="stable")[:WORST]:
        begin = begins[np.searchsorted(begins, at, side="right") - 1]
        before = context[max(begin, at + 1 - CONTEXT) : at + 1]
        expected = _sure(found, tokens.reference_top[at], tokens.confidence[at])
        got = _sure(found, tokens.top[at], tokens.measured_confidence[at])
        words, came = _shown(found, before.tolist()), _one(found, following[at])
        lines.append([f"{tokens.kl[at]:.3g}", words, expected, got, came])
    headings = ("KL", "after", "the reference expects", "this one expects", "what came")
    return Table(headings, lines, frozenset({0}))


def _sure(found: Found, id: int, probability: float) -> str:
    return f"{_one(found, id)} ({probability:.0%})"


def _one(found: Found, id: int) -> str:
    """A token alone: the space it may begin with shows."""
    return _shown(found, [int(id)]).replace(" ", "␣")


def _shown(found: Found, ids: Sequence[int]) -> str:
    """Text with its spaces, line ends and special tokens to be seen."""
    if found.tokenizer is None:
        return " ".join(map(str, ids))
    raw = b"".join(found.tokenizer.token_bytes(id) for id in ids)
    text = raw.decode(errors="replace").replace("\n", "⏎").replace("\t", "⇥")
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def _picture(found: Found) -> bytes:
    names = [_name(row, place) for place, row in enumerate(found.rows)]
    tokens = dict(zip(names, found.tokens, strict=True))
    means = {name: row.loss.kl for name, row in zip(names, found.rows, strict=True)}
    return eval_plot.draw(tokens, found.texts.lengths, means)


def _name(row: Row, place: int) -> str:
    return ("+ " if place else "") + eval_table.last(row)


def _about(found: Found) -> str:
    first = found.rows[0]
    return (
        f"Measured against {eval_table.against(first)} on {first.text.tokens:,} tokens in"
        f" {len(found.texts.sequences):,} sequences ({first.text.what})."
    )


def _how() -> str:
    return (
        "KL is the divergence of this model's next-token probabilities from the reference's, 0 if"
        " they are equal. In brackets: 95 % intervals by bootstrap,"
        f" {RESAMPLES:,} draws of blocks of up to {BLOCK} neighbouring tokens, which depend on one"
        " another and so are never drawn one by one."
    )


def _conditions(rows: Sequence[Row]) -> str:
    row = rows[-1]
    sets = f", {row.isa} (sums in order {row.numerics})" if row.isa else ""
    return (
        f"farthing {row.farthing}{sets}, {row.measured}. Reference sha256 {row.against.sha256};"
        f" token ids sha256 {row.text.sha256}."
    )
