"""`farthing learn data pack`: documents into a corpus of tokens that training reads."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from farthing.cli import command
from farthing.cli.progress import bars


def pack(
    data: tuple[Path, ...],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    tokenizer: Path,
    answers_only: Annotated[bool, Parameter(negative=())] = False,
    spelled: float = 0.4,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Turn documents into tokens: a text between its bos and eos, a chat by the chat template.

    A special token that a document spells is plain text. The corpus appears whole, or not at all.

    Examples:

        farthing learn data pack data/tasks -o packed/tasks --tokenizer tokenizer

    Parameters
    ----------
    data
        Data sets (folders of JSONL), single .jsonl files, or .txt files, whose lines are documents.
    output
        A new folder.
    tokenizer
        A folder with tokenizer.json, as `farthing learn tokenizer` makes, or a model's.
    answers_only
        The loss will count what assistants say, and the end of their turns, alone.
    spelled
        Refuse a tokenizer that spells more than this share of a language's tokens letter by
        letter: it does not cover the data, and training would cost a multiple.
    as_json
        Print one JSON object: what corpus.json says.
    """
    from farthing.learn import pack as learn
    from farthing.learn.sources import Sources
    from farthing.learn.tokenizer import vacant

    vacant(output)  # before minutes of hashing
    with bars() as tell:
        sources = Sources(data, tell)
        corpus = learn.write(
            output,
            sources,
            tokenizer,
            answers_only=answers_only,
            most=spelled,
            about={"data": sources.about(), "command": command.text()},
        )
    about = corpus.about
    if as_json:
        print(json.dumps(about))
        return
    print(f"{output}: {corpus.documents:,} documents, {len(corpus.tokens):,} tokens")
    for language, count in about["languages"].items():
        print(
            f"  {language}: {count['tokens']:,} tokens, {count['bytes_per_token']:.2f} bytes each,"
            f" {count['spelled']:.1%} of them spell"
        )
