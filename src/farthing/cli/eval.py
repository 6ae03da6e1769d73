"""`farthing eval`: what a model's levers cost in quality, measured."""

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cyclopts import Parameter

from farthing.cli import eval_plot, eval_report, eval_table, models, pages, prompts
from farthing.cli.progress import counting
from farthing.errors import InputError, NotFound
from farthing.evaluate import measure, opened, record, texts
from farthing.evaluate.opened import Opened
from farthing.evaluate.texts import Texts
from farthing.tokenizer import Tokenizer

MOST_TOKENS = 1 << 20


def eval(
    model: str,
    /,
    *,
    against: str | None = None,
    text: Path | None = None,
    tokens: int = 4096,
    length: int = 512,
    seed: int = 0,
    kv_bits: Literal[8, 4] | None = None,
    weights_only: Annotated[bool, Parameter(negative=())] = False,
    report: Path | None = None,
    save: bool = True,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Measure what a model's lossy levers cost, and keep the figures with the checkpoint.

    For every token of a text the probabilities of all next tokens are compared with those of a
    reference in full precision: KL divergence, how often the likeliest token is the same, and the
    perplexity of both.

        farthing eval smollm2-135m                        8-bit activations, as served
        farthing eval smollm2-135m --kv-bits 4            and a cache of 4 bits
        farthing eval mine-q4 --against ./mine            4-bit weights against the original

    A mean has a 95 % interval, by bootstrap over blocks of 64 neighbouring tokens (they depend on
    one another, so they are not drawn one by one), with the seed.

    Parameters
    ----------
    model
        A model's name (`farthing ls`), or a packed folder; with --weights-only also a Hugging Face
        folder or a GGUF file.
    against
        What it was made from: a name, a packed folder, a Hugging Face folder or a GGUF file. Not
        given: the model's own weights, read in fp32, so that the engine alone is measured.
    text
        Measure on this text (a file, or *.jsonl with a "text" a line). Not given: on what the
        reference itself writes, with the seed, beginning from nothing.
    tokens
        Measure on about this many.
    length
        Tokens of a sequence; each begins anew.
    seed
        Of what the reference writes, and of the intervals.
    kv_bits
        Measure a cache of this many bits too.
    weights_only
        The weights alone, in fp32 on both sides; nothing of the engine.
    report
        Write all of it, with plots and the tokens that differ most, to this file: *.html or *.md.
    save
        Keep the rows in the packed folder's quality.json, where `farthing show` and `serve` look.
    as_json
        Print one JSON object instead.
    """
    check(tokens, length, against, weights_only, report)
    subject, origin = subjects(model, against, weights_only)
    if save := save and subject.is_packed:
        record.must_be_writable(subject)
    chosen = text_of(origin or subject, text, tokens=tokens, length=length, seed=seed)
    with counting("measuring", chosen.tokens) as told:
        measured = measure.measure(
            subject,
            origin,
            chosen,
            kv_bits=kv_bits or 16,
            weights_only=weights_only,
            seed=seed,
            told=told,
        )
    rows = record.rows_of(measured, origin or subject, chosen)
    if save:
        record.save(subject, rows)
    if report is not None:
        found = eval_report.Found(
            model=subject.name,
            rows=rows,
            tokens=[row.tokens for row in measured],
            texts=chosen,
            tokenizer=tokenizer_of(origin or subject),
            command=command(model, against, text, tokens, length, seed, kv_bits, weights_only),
        )
        pages.write(report, eval_report.title(found), list(eval_report.parts(found)))
    if as_json:
        rows_told = msgspec.to_builtins(rows)
        print(json.dumps({"model": subject.name, "rows": rows_told, "saved": save}))
    else:
        eval_table.show(subject.name, rows, save)


def subjects(model: str, against: str | None, weights_only: bool) -> tuple[Opened, Opened | None]:
    """What is measured, and what it is measured against if not itself."""
    subject = find(model)
    if not subject.is_packed and not weights_only:
        raise InputError(
            f"{model} is not packed, and the engine runs packed models: `farthing pull {model}`"
            " packs it, or --weights-only reads its weights as they are"
        )
    return subject, None if against is None else find(against)


def command(
    model: str,
    against: str | None,
    text: Path | None,
    tokens: int,
    length: int,
    seed: int,
    kv_bits: int | None,
    weights_only: bool,
) -> str:
    """What gives the same figures again."""
    words = ["farthing", "eval", model]
    flags = (("against", against), ("text", text), ("tokens", tokens), ("length", length))
    for name, value in (*flags, ("seed", seed), ("kv-bits", kv_bits)):
        words += [] if value is None else [f"--{name}", str(value)]
    return shlex.join(words + ["--weights-only"] * weights_only)


def tokenizer_of(of: Opened) -> Tokenizer | None:
    try:
        return of.tokenizer()
    except NotFound:
        return None


def check(
    tokens: int, length: int, against: str | None, weights_only: bool, report: Path | None
) -> None:
    """All that can be known to be wrong before any work."""
    for name, value in (("tokens", tokens), ("length", length)):
        if not 2 <= value <= MOST_TOKENS:
            raise InputError(f"{name} is {value}; it must be from 2 to {MOST_TOKENS}")
    if weights_only and against is None:
        raise InputError("--weights-only compares weights with others: add --against REFERENCE")
    if report is not None:
        pages.check(report)
        eval_plot.check()


def find(name: str) -> Opened:
    """A checkpoint by its name here, or by path. The default model is fetched if it is absent."""
    path = Path(name).expanduser()
    if ("/" in name or path.suffix == ".gguf") and path.exists():
        return opened.open(path)
    return opened.open(models.folder(name))


def text_of(reference: Opened, file: Path | None, *, tokens: int, length: int, seed: int) -> Texts:
    """The user's text, by the reference's tokenizer; or the reference's own."""
    if file is not None:
        tokenizer = reference.tokenizer()
        parts = prompts.read(file) if file.suffix == ".jsonl" else [prompts.whole(file)]
        ids = [id for part in parts for id in tokenizer.encode(part, add_special=True)]
        found = texts.cut(ids, length=length, tokens=tokens, what=f"user: {file.name}")
        if found.tokens < min(tokens, len(ids) - 1):
            left = len(ids) - 1 - found.tokens
            print(f"farthing: the last {left} tokens of {file} fill no sequence", file=sys.stderr)
        return found
    with reference.as_packed() as folder, counting("writing", tokens) as told:
        return texts.written(folder, seed=seed, length=length, tokens=tokens, told=told)
