"""The report of `farthing eval`: the table, what it means, plots, and where it is worst."""

from collections.abc import Iterator, Sequence

import numpy as np

from farthing import __version__
from farthing.cli import eval_plot, eval_table, eval_tasks
from farthing.cli.eval_job import Found
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


def title(found: Found) -> str:
    return f"What {found.model.name} loses"


def parts(found: Found) -> Iterator[Part]:
    if found.rows:
        yield from _levers(found)
    if found.scores:
        yield Heading("Right answers")
        yield eval_tasks.page_table(found.scores, found.reference_scores)
        for words in eval_tasks.words(found.scores, found.kept):
            yield Text(words)
    if found.texts is not None:
        tokenizer = found.tokenizer()
        for row, tokens in zip(found.rows, found.tokens, strict=True):
            if not tokens.kl.any():
                continue
            yield Heading(f"Where it differs most: {eval_table.levers(row)}")
            yield worst(tokens, found.texts, tokenizer)
    yield Heading("Again")
    yield Code(found.command)
    yield Text(_conditions(found))


def _levers(found: Found) -> Iterator[Part]:
    yield Text(_about(found))
    yield table(found.rows)
    for words in eval_table.words(found.rows):
        yield Text(words[0].upper() + words[1:])
    yield Text(_how())
    yield Picture(_picture(found), "KL by token, its means, by position; same top by confidence")


def table(rows: Sequence[Row]) -> Table:
    """What the last lever added has a column where there was a run without it."""
    lines = [_line(row, place) for place, row in enumerate(rows)]
    reference = rows[0].loss.reference_perplexity
    lines.append(["the reference", *[""] * 5, span(reference, "{:.2f}")])
    headings = list(HEADINGS)
    if any(row.loss.added for row in rows):
        headings.append(ADDED)
        added = [row.loss.added for row in rows] + [None]
        for line, one in zip(lines, added, strict=True):
            line.append("" if one is None else span(one, "{:+.2g}"))
    return Table(headings, lines, frozenset(range(1, len(headings))))


def _line(row: Row, place: int) -> list[str]:
    loss = row.loss
    return [
        _name(row, place),
        span(loss.kl, "{:.3g}"),
        f"{loss.kl_median:.2g}",
        f"{loss.kl_p99:.2g}",
        f"{loss.kl_max:.2g}",
        span(loss.same_top, "{:.1%}"),
        span(loss.perplexity, "{:.2f}"),
    ]


def worst(tokens: Tokens, texts: Texts, tokenizer: Tokenizer | None) -> Table:
    """The tokens with the largest KL: what stood before, what came, what each model expected."""
    context = np.concatenate([ids[:-1] for ids in texts.sequences])
    following = np.concatenate([ids[1:] for ids in texts.sequences])
    begins = np.cumsum([0, *texts.lengths])

    def one(id: int) -> str:
        # the space that a token begins with shows
        return shown([id], tokenizer).replace(" ", "␣")

    lines = []
    for at in np.argsort(-tokens.kl, kind="stable")[:WORST].tolist():
        begin = begins[np.searchsorted(begins, at, side="right") - 1]
        before = context[max(begin, at + 1 - CONTEXT) : at + 1]
        expected = f"{one(tokens.reference_top[at])} ({tokens.confidence[at]:.0%})"
        got = f"{one(tokens.top[at])} ({tokens.measured_confidence[at]:.0%})"
        words, came = shown(before.tolist(), tokenizer), one(following[at])
        lines.append([f"{tokens.kl[at]:.3g}", words, expected, got, came])
    headings = ("KL", "after", "the reference expects", "this one expects", "what came")
    return Table(headings, lines, frozenset({0}))


def shown(ids: Sequence[int], tokenizer: Tokenizer | None) -> str:
    """Text in which line ends and special tokens are seen; ids without a tokenizer."""
    if tokenizer is None:
        return " ".join(map(str, ids))
    raw = b"".join(tokenizer.token_bytes(int(id)) for id in ids)
    text = raw.decode(errors="replace").replace("\n", "⏎").replace("\t", "⇥")
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def _picture(found: Found) -> bytes:
    assert found.texts is not None
    names = [_name(row, place) for place, row in enumerate(found.rows)]
    tokens = dict(zip(names, found.tokens, strict=True))
    means = {name: row.loss.kl for name, row in zip(names, found.rows, strict=True)}
    return eval_plot.draw(tokens, found.texts.lengths, means)


def _name(row: Row, place: int) -> str:
    return ("+ " if place else "") + eval_table.last(row)


def _about(found: Found) -> str:
    assert found.texts is not None
    count = len(found.texts.sequences)
    return f"{eval_table.heading(found.model.name, found.rows[0])}, in {count:,} sequences."


def _how() -> str:
    return (
        "KL is the divergence of this model's next-token probabilities from the reference's, 0 if"
        " they are equal. In brackets: 95 % intervals by bootstrap,"
        f" {RESAMPLES:,} draws of blocks of up to {BLOCK} neighbouring tokens, which depend on one"
        " another and so are never drawn one by one."
    )


def _conditions(found: Found) -> str:
    if not found.rows:
        return f"farthing {__version__}. Reference sha256 {found.against.sha256}."
    row = found.rows[-1]
    sets = f", {row.isa} (sums in order {row.numerics})" if row.isa else ""
    return (
        f"farthing {row.farthing}{sets}, {row.measured}. Reference sha256 {row.against.sha256};"
        f" token ids sha256 {row.text.sha256}."
    )
