"""`farthing learn tokenizer`: a byte-level BPE of a chosen size on one's own texts."""

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from farthing.cli import command
from farthing.cli.progress import bars

MEASURED = 4 << 20
"""Bytes of the data on which the new tokenizer is measured."""


def tokenizer(
    data: tuple[Path, ...],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    size: int = 8192,
    context: int = 2048,
    megabytes: int = 256,
    seed: int = 0,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Train a tokenizer on texts: byte-level, so that it reads everything; digits one by one.

    The folder opens in farthing and in transformers, and has a chat template.

    Examples:

        farthing learn tokenizer data/tasks data/stories -o tokenizer --size 12000

    Parameters
    ----------
    data
        Data sets (folders of JSONL), single .jsonl files, or .txt files, whose lines are documents.
    output
        A new folder.
    size
        Tokens, of which 262 are bytes and special ones.
    context
        How many tokens a model with this tokenizer will read; tokenizer_config.json says it.
    megabytes
        Learn from about this much of the data, drawn from all of it alike.
    seed
        Of that draw.
    as_json
        Print one JSON object.
    """
    from farthing.learn import tokenizer as learn
    from farthing.learn.coverage import Coverage
    from farthing.learn.sources import Sources, contents

    learn.vacant(output)
    with bars() as tell:
        sources = Sources(data, tell)
        made = learn.train(contents(sources.some(megabytes << 20, seed)), size=size)
    about: dict[str, Any] = {"data": sources.about(), "command": command.text()}
    learn.write(made, output, context=context, about=about)
    languages = Coverage.measured(output, sources.some(MEASURED, seed)).told()
    if as_json:
        print(json.dumps({"tokenizer": str(output), "size": size, "languages": languages}))
        return
    print(f"{output}: {size} tokens")
    for language, count in languages.items():
        print(
            f"  {language}: {count['bytes_per_token']:.2f} bytes a token,"
            f" {count['spelled']:.1%} of tokens spell"
        )
    print(f"Next: farthing learn data pack DATA -o CORPUS --tokenizer {output}")
