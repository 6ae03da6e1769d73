"""`farthing learn data logits`: what a teacher makes of every token of a corpus."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def logits(
    corpus: Path,
    /,
    *,
    teacher: str,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    top: int = 16,
    draws: int = 16,
    temperature: float = 1.0,
    seed: int = 0,
    threads: int = 0,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Let a teacher read a corpus, and keep who it thinks comes next: for `farthing learn distil`.

    The likeliest tokens are kept with their probabilities, and some of all others are drawn to
    stand for the rest, so that what a student learns is unbiased: the likeliest alone would make it
    too sure. farthing's own engine reads. The folder appears when it is whole; the same command
    goes on where it was stopped.

    Examples:

        farthing learn data logits packed/tasks --teacher tuned -o packed/tasks-logits

    Parameters
    ----------
    corpus
        A folder of `farthing learn data pack`, packed with the teacher's own tokenizer. Only
        successors that are learned are asked for.
    teacher
        A name that `farthing ls` shows, or a packed folder.
    output
        A new folder: 4 bytes a token for each of the likeliest, 2 for each drawn (6 and 4 if the
        vocabulary is above 65,536).
    top
        How many of the likeliest to keep.
    draws
        How many of all others to draw; 0 keeps none, and is biased.
    temperature
        At which the student will learn them.
    seed
        Of what is drawn.
    threads
        Of the engine; 0 means one for each core.
    as_json
        Print one JSON object: what logits.json says.
    """
    from farthing.cli import command, torch_needed

    torch_needed.check()
    # torch is first imported here
    from farthing.cli.progress import counting
    from farthing.cli.quantize_plan import place
    from farthing.learn import engine_logits
    from farthing.learn.corpus import Corpus

    settings = engine_logits.Settings(top=top, draws=draws, temperature=temperature, seed=seed)
    with counting("documents", Corpus.open(corpus).documents) as tell:
        kept = engine_logits.write(
            corpus,
            place(teacher),
            output,
            settings,
            threads=threads,
            command=command.text(),
            tell=lambda done, total: tell(done),
        )
    if as_json:
        print(json.dumps(kept.about))
        return
    seconds, asked = kept.about["seconds"], kept.about["asked"]
    print(
        f"{output}: {asked:,} successors of {teacher} in {seconds:,.0f} s"
        f" ({asked / max(seconds, 0.1):,.0f} a second)"
    )
